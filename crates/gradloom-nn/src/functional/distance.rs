//! Distances of rows, and bilinear forms.

use gradloom_tensor::Tensor;

/// `sum(|x - y + epsilon|^power)^(1 / power)` along the last axis, which disappears; broadcast. Infinity is the
/// largest.
///
/// Float dtypes. PyTorch: `F.pairwise_distance`, whose `epsilon` is 1e-6.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
#[must_use]
pub fn pairwise_distance(x: &Tensor, y: &Tensor, power: f64, epsilon: f64) -> Tensor {
    let difference = x.wide() - y.wide() + epsilon;
    let found = match power {
        2.0 => difference.square().sum(-1).sqrt(),
        1.0 => difference.abs().sum(-1),
        f64::INFINITY => difference.abs().max(-1),
        _ => difference.abs().powf(power).sum(-1).powf(1.0 / power),
    };
    found.cast(x.dtype())
}

/// `sum over i, j of x[.., i] weight[o, i, j] y[.., j] + bias[o]`: `[.., I]` and `[.., J]` with a weight
/// `[O, I, J]` -> `[.., O]`.
///
/// Float dtypes. PyTorch: `F.bilinear`.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
#[must_use]
pub fn bilinear(x: &Tensor, y: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let operands = [x.clone(), weight.clone(), y.clone()];
    let product = Tensor::einsum("...i,oij,...j->...o", &operands);
    match bias {
        Some(bias) => product + bias,
        None => product,
    }
}
