//! Likelihoods of counts, numbers and probabilities, and robust distances, with every reduction.

use gradloom_tensor::{Called, Tensor, demand};

use super::{LossReduction, reduce, same};

/// Binary cross-entropy of probabilities and targets in `0..=1`, each element times a weight that broadcasts;
/// logarithms are at least -100.
///
/// PyTorch: `F.binary_cross_entropy`. With logits, [`bce_with_logits`](super::bce_with_logits) loses less.
///
/// # Panics
/// If shapes or dtypes do not fit.
#[track_caller]
#[must_use]
pub fn binary_cross_entropy(
    x: &Tensor,
    targets: &Tensor,
    weight: Option<&Tensor>,
    reduction: LossReduction,
) -> Tensor {
    let _called = Called::op("binary_cross_entropy");
    let losses = x.wide().binary_cross_entropies(&targets.wide());
    let losses = match weight {
        Some(weight) => losses * weight.wide(),
        None => losses,
    };
    reduce(&losses, reduction).cast(x.dtype())
}

/// `d^2 / 2` where `d = |x - target| < delta`, else `delta (d - delta / 2)`, reduced. PyTorch: `F.huber_loss`.
///
/// # Panics
/// If shapes or dtypes differ, or `delta` is not positive.
#[track_caller]
#[must_use]
pub fn huber(x: &Tensor, targets: &Tensor, delta: f64, reduction: LossReduction) -> Tensor {
    let _called = Called::op("huber");
    same("huber", x, targets);
    demand!(delta > 0.0, "huber: delta is {delta}, not positive");
    reduce(&(bent(x, targets, delta) * delta), reduction).cast(x.dtype())
}

/// `distance^2 / (2 bend)` below the bend, `distance - bend / 2` from it on, in the compute dtype.
#[track_caller]
fn bent(x: &Tensor, targets: &Tensor, bend: f64) -> Tensor {
    let distance = (x.wide() - targets.wide()).abs();
    let near = distance.lt(bend);
    // Where it does not count it is made finite first, so that no gradient of it is NaN.
    let square = near.select(&distance, distance.zeros_like()).square() * (0.5 / bend);
    near.select(square, distance - 0.5 * bend)
}

/// [`huber`] divided by its `delta`, here `beta`; the distance itself where `beta` is 0. PyTorch:
/// `F.smooth_l1_loss`.
///
/// # Panics
/// If shapes or dtypes differ, or `beta` is negative.
#[track_caller]
#[must_use]
pub fn smooth_l1(x: &Tensor, targets: &Tensor, beta: f64, reduction: LossReduction) -> Tensor {
    let _called = Called::op("smooth_l1");
    demand!(beta >= 0.0, "smooth_l1: beta is {beta}; give one that is not negative");
    if beta == 0.0 {
        return super::l1(x, targets, reduction);
    }
    same("smooth_l1", x, targets);
    reduce(&bent(x, targets, beta), reduction).cast(x.dtype())
}

/// `exp(x) - target x` for the logarithm of a rate, or with `log_input` false `x - target log(x + epsilon)` for
/// the rate; with `full` Stirling's approximation of `log(target!)` is added for targets above 1. Reduced.
///
/// PyTorch: `F.poisson_nll_loss`, whose `epsilon` is 1e-8.
///
/// # Panics
/// If shapes do not broadcast.
#[track_caller]
#[must_use]
pub fn poisson_nll(
    x: &Tensor,
    targets: &Tensor,
    log_input: bool,
    full: bool,
    epsilon: f64,
    reduction: LossReduction,
) -> Tensor {
    let _called = Called::op("poisson_nll");
    let (dtype, x, targets) = (x.dtype(), x.wide(), targets.wide());
    let losses = match log_input {
        true => x.exp() - &targets * &x,
        false => &x - &targets * (&x + epsilon).log(),
    };
    let losses = match full {
        true => {
            let large = targets.gt(1.0);
            let safe = large.select(&targets, targets.ones_like());
            let stirling = &safe * safe.log() - &safe + (&safe * std::f64::consts::TAU).log() * 0.5;
            losses + large.select(stirling, targets.zeros_like())
        }
        false => losses,
    };
    reduce(&losses, reduction).cast(dtype)
}

/// `(log(variance) + (x - target)^2 / variance) / 2` with a variance that broadcasts and is raised to `epsilon`,
/// through which the gradient goes as if it were not; with `full` the constant is added. Reduced.
///
/// PyTorch: `F.gaussian_nll_loss`, whose `epsilon` is 1e-6.
///
/// # Panics
/// If shapes do not broadcast.
#[track_caller]
#[must_use]
pub fn gaussian_nll(
    x: &Tensor,
    targets: &Tensor,
    variance: &Tensor,
    full: bool,
    epsilon: f64,
    reduction: LossReduction,
) -> Tensor {
    let _called = Called::op("gaussian_nll");
    let (dtype, x) = (x.dtype(), x.wide());
    let variance = variance.wide();
    let raised = &variance + (variance.maximum(epsilon) - &variance).detach();
    let losses = (raised.log() + (x - targets.wide()).square() / &raised) * 0.5;
    let constant = if full { 0.5 * std::f64::consts::TAU.ln() } else { 0.0 };
    reduce(&(losses + constant), reduction).cast(dtype)
}

/// `p (log(p) - x)` of each element for log-probabilities `x` and probabilities `p`, or their logarithms with
/// `log_target`; broadcast, reduced. The mean over a batch is the sum divided by its size
/// ([`Tensor::kl_div`]). PyTorch: `F.kl_div`.
///
/// # Panics
/// If shapes do not broadcast.
#[track_caller]
#[must_use]
pub fn kl_div(x: &Tensor, targets: &Tensor, log_target: bool, reduction: LossReduction) -> Tensor {
    let _called = Called::op("kl_div");
    let (dtype, x, targets) = (x.dtype(), x.wide(), targets.wide());
    let losses = match log_target {
        true => targets.exp() * (&targets - x),
        false => targets.xlogy(&targets) - &targets * x,
    };
    reduce(&losses, reduction).cast(dtype)
}
