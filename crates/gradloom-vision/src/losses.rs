//! Losses of detection and segmentation beside those of every network.

use gradloom_tensor::{Called, Tensor, demand};

/// The loss of each logit `[..]` for a target in 0..=1 of the same shape: binary cross-entropy times
/// `alpha_t (1 - p_t)^gamma`, so that what is easy counts for little. Without `alpha`, both classes weigh the same.
///
/// torchvision: `sigmoid_focal_loss`. Lin et al., "Focal loss for dense object detection", 2017.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_vision::losses::sigmoid_focal_loss;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let logits = Tensor::new([0.0f32, 4.0], &device)?;
/// let targets = Tensor::new([1.0f32, 1.0], &device)?;
/// let loss = sigmoid_focal_loss(&logits, &targets, Some(0.25), 2.0).to_vec::<f32>()?;
/// assert!((loss[0] - 0.25 * 0.25 * 0.693_147).abs() < 1e-6 && loss[1] < 1e-5);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If shapes differ, the dtypes are no floats, or gamma is below zero.
#[track_caller]
#[must_use]
pub fn sigmoid_focal_loss(
    logits: &Tensor,
    targets: &Tensor,
    alpha: Option<f64>,
    gamma: f64,
) -> Tensor {
    const OP: &str = "sigmoid_focal_loss";
    let _called = Called::op(OP);
    check(OP, logits, targets);
    demand!(gamma >= 0.0, "{OP}: gamma is {gamma}");
    let x = logits.wide();
    let targets = targets.cast(x.dtype());
    let probability = x.sigmoid();
    let entropy = x.relu() - &x * &targets + (x.abs() * -1.0).exp().log1p();
    let others = &targets * -1.0 + 1.0;
    // What is not the probability of the target: 1 - p_t.
    let missing = &probability * &others + (&probability * -1.0 + 1.0) * &targets;
    let factor = if gamma == 2.0 { missing.square() } else { missing.powf(gamma) };
    let loss = entropy * factor;
    let loss = match alpha {
        Some(alpha) => loss * (&targets * alpha + others * (1.0 - alpha)),
        None => loss,
    };
    loss.cast(logits.dtype())
}

/// `1 - 2 |p t| / (|p| + |t|)` of each sample and class of probabilities `[N, C, ..]` and targets of the same shape:
/// `[N, C]`. `smooth` is added to both parts of the fraction, so that empty masks have a loss.
///
/// Milletari et al., "V-Net", 2016.
///
/// # Panics
/// If shapes differ, there are fewer than three axes, or the dtypes are no floats.
#[track_caller]
#[must_use]
pub fn dice_loss(probabilities: &Tensor, targets: &Tensor, smooth: f64) -> Tensor {
    const OP: &str = "dice_loss";
    let _called = Called::op(OP);
    check(OP, probabilities, targets);
    demand!(probabilities.rank() >= 3, "{OP}: needs [N, C, ..], got {}", probabilities.shape());
    let p = probabilities.wide().flatten(2, -1);
    let t = targets.cast(p.dtype()).flatten(2, -1);
    let both = (&p * &t).sum(-1) * 2.0 + smooth;
    let all = p.sum(-1) + t.sum(-1) + smooth;
    (both / all * -1.0 + 1.0).cast(probabilities.dtype())
}

#[track_caller]
fn check(op: &str, x: &Tensor, targets: &Tensor) {
    demand!(
        x.shape() == targets.shape(),
        "{op}: {} and targets {} differ",
        x.shape(),
        targets.shape()
    );
    let (x, targets) = (x.dtype(), targets.dtype());
    demand!(x.is_float() && targets.is_float(), "{op}: needs floats, got {x} and {targets}");
}
