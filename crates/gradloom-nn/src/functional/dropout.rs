//! Elements and channels left out at random, and a random slope.

use gradloom_tensor::{Called, Key, Shape, Tensor, demand};

/// What SELU tends to far below zero.
const SELU_FLOOR: f64 = -1.758_099_340_847_376_6;

/// With a key each element is zero with probability `p`, else divided by `1 - p`; without one the input.
///
/// Float dtypes. PyTorch: `F.dropout`. Srivastava et al., "Dropout", 2014.
///
/// # Panics
/// If `p` is not within `0..=1`.
#[track_caller]
#[must_use]
pub fn dropout(x: &Tensor, p: f64, key: Option<Key>) -> Tensor {
    let _called = Called::op("dropout");
    left_out("dropout", x, p, key, *x.shape())
}

/// [`dropout`] of whole channels of `[N, C, ..]`. PyTorch: `F.dropout1d`, `F.dropout2d`, `F.dropout3d`.
///
/// # Panics
/// If `p` is not within `0..=1`, or there are fewer than two axes.
#[track_caller]
#[must_use]
pub fn dropout_channels(x: &Tensor, p: f64, key: Option<Key>) -> Tensor {
    let _called = Called::op("dropout_channels");
    left_out("dropout_channels", x, p, key, channels("dropout_channels", x))
}

/// With a key elements are replaced by the floor of SELU with probability `p`, and all scaled and shifted so
/// that mean and variance stay; without one the input.
///
/// Float dtypes. PyTorch: `F.alpha_dropout`. Klambauer et al., "Self-normalizing neural networks", 2017.
///
/// # Panics
/// If `p` is not within `0..=1`.
#[track_caller]
#[must_use]
pub fn alpha_dropout(x: &Tensor, p: f64, key: Option<Key>) -> Tensor {
    let _called = Called::op("alpha_dropout");
    floored("alpha_dropout", x, p, key, *x.shape())
}

/// [`alpha_dropout`] of whole channels of `[N, C, ..]`. PyTorch: `F.feature_alpha_dropout`.
///
/// # Panics
/// If `p` is not within `0..=1`, or with a key there are fewer than two axes.
#[track_caller]
#[must_use]
pub fn feature_alpha_dropout(x: &Tensor, p: f64, key: Option<Key>) -> Tensor {
    let _called = Called::op("feature_alpha_dropout");
    let op = "feature_alpha_dropout";
    let drawn = if key.is_some() { channels(op, x) } else { *x.shape() };
    floored(op, x, p, key, drawn)
}

/// The gradient of dropout: that of its result where elements were kept, times what they were multiplied with.
/// PyTorch: `native_dropout_backward`.
///
/// # Panics
/// If shapes do not fit, or `kept` is not bool.
#[track_caller]
#[must_use]
pub fn dropout_gradient(gradient: &Tensor, kept: &Tensor, scale: f64) -> Tensor {
    let _called = Called::op("dropout_gradient");
    let scaled = (gradient.wide() * scale).cast(gradient.dtype());
    kept.select(scaled, gradient.zeros_like())
}

/// `x` where it is positive, else `x` times a slope: one drawn between the bounds for each element with a key,
/// their mean without one.
///
/// Float dtypes. PyTorch: `F.rrelu`. Xu et al., "Empirical evaluation of rectified activations", 2015.
///
/// # Panics
/// If the lower bound is above the upper.
#[track_caller]
#[must_use]
pub fn rrelu(x: &Tensor, lower: f64, upper: f64, key: Option<Key>) -> Tensor {
    let _called = Called::op("rrelu");
    demand!(lower <= upper, "rrelu: slopes between {lower} and {upper}");
    let Some(key) = key else { return x.leaky_relu(0.5 * (lower + upper)) };
    let slope = Tensor::uniform(key, *x.shape(), lower, upper, x.device());
    let wide = x.wide();
    let below = &wide * slope.cast(wide.dtype());
    wide.gt(0.0).select(&wide, below).cast(x.dtype())
}

#[track_caller]
fn left_out(op: &str, x: &Tensor, p: f64, key: Option<Key>, drawn: Shape) -> Tensor {
    is_probability(op, p);
    match key {
        Some(_) if p == 1.0 => x.zeros_like(),
        Some(key) if p > 0.0 => {
            let kept = Tensor::bernoulli(key, drawn, 1.0 - p, x.device());
            let scaled = (x.wide() * (1.0 / (1.0 - p))).cast(x.dtype());
            kept.select(scaled, x.zeros_like())
        }
        _ => x.clone(),
    }
}

#[track_caller]
fn floored(op: &str, x: &Tensor, p: f64, key: Option<Key>, drawn: Shape) -> Tensor {
    is_probability(op, p);
    match key {
        Some(_) if p == 1.0 => x.zeros_like(),
        Some(key) if p > 0.0 => {
            let kept = Tensor::bernoulli(key, drawn, 1.0 - p, x.device());
            let scale = 1.0 / ((SELU_FLOOR * SELU_FLOOR * p + 1.0) * (1.0 - p)).sqrt();
            let shift = -scale * SELU_FLOOR * p;
            let wide = x.wide();
            let chosen = kept.select(&wide, wide.constant_like(SELU_FLOOR));
            (chosen * scale + shift).cast(x.dtype())
        }
        _ => x.clone(),
    }
}

/// One element for each channel of each example.
#[track_caller]
fn channels(op: &str, x: &Tensor) -> Shape {
    demand!(x.rank() >= 2, "{op}: needs [N, C, ..], got shape {}", x.shape());
    let mut drawn = vec![1; x.rank()];
    drawn[..2].copy_from_slice(&x.shape()[..2]);
    Shape::new(&drawn)
}

#[track_caller]
fn is_probability(op: &str, p: f64) {
    demand!((0.0..=1.0).contains(&p), "{op}: {p} is no probability; give one in 0..=1");
}
