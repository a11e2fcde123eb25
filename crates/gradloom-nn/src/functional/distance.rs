//! Distances of rows, and bilinear forms.

use gradloom_tensor::{Called, Tensor};

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
    let _called = Called::op("pairwise_distance");
    let difference = x.wide() - y.wide() + epsilon;
    let found = match power {
        2.0 => root(&difference.square().sum(-1), Tensor::sqrt),
        1.0 => difference.abs().sum(-1),
        0.0 => difference.ne(0.0).cast(difference.dtype()).sum(-1),
        f64::INFINITY => difference.abs().max(-1),
        f64::NEG_INFINITY => difference.abs().min(-1),
        _ => {
            // What is zero has no slope, and beside it a negative power leaves nothing of the others.
            let none = difference.eq(0.0);
            let far = none.select(difference.ones_like(), &difference).abs().powf(power);
            let sum = none.select(far.zeros_like(), &far).sum(-1);
            let sum = match power < 0.0 {
                true => none.any(-1).select(sum.zeros_like(), &sum),
                false => sum,
            };
            root(&sum, |sum| sum.powf(1.0 / power))
        }
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
    let _called = Called::op("bilinear");
    let operands = [x.clone(), weight.clone(), y.clone()];
    let product = Tensor::einsum("...i,oij,...j->...o", &operands);
    match bias {
        Some(bias) => product + bias,
        None => product,
    }
}

/// A root whose slope at zero, which is infinite, is left out: the slope of a distance of nothing is zero.
#[track_caller]
fn root(sum: &Tensor, root: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let none = sum.eq(0.0);
    none.select(sum, root(&none.select(sum.ones_like(), sum)))
}
