//! Forward mode by transposition: a vector-Jacobian product is linear in its cotangent, so its own
//! vector-Jacobian product with respect to the cotangent is the Jacobian-vector product. Every rule of
//! reverse mode serves both, and what is not needed is never evaluated.

use gradloom_tensor::{DType, Tensor};

use crate::reverse::{grad, vjp};

/// Jacobian-vector product: the derivative of `output` when each input moves along its tangent.
/// As `torch.func.jvp`.
///
/// # Panics
/// If a tangent's shape or dtype is not its input's.
///
/// ```
/// # use gradloom_tensor::Tensor;
/// # use gradloom_autodiff::jvp;
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([1.0f32, 2.0], &device)?.tracked();
/// let tangent = Tensor::new([1.0f32, 0.0], &device)?;
/// let moved = jvp(&x.square(), &[&x], &[&tangent]); // J v
/// assert_eq!(moved.to_vec::<f32>()?, [2.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn jvp(output: &Tensor, inputs: &[&Tensor], tangents: &[&Tensor]) -> Tensor {
    assert_eq!(inputs.len(), tangents.len(), "jvp: inputs against tangents");
    let cotangent = output.zeros_like();
    let products = vjp(output, &cotangent, inputs);
    let mut total: Option<Tensor> = None;
    for ((product, tangent), input) in products.iter().zip(tangents).zip(inputs) {
        assert!(
            tangent.shape() == input.shape() && tangent.dtype() == input.dtype(),
            "jvp: a tangent is {} {}, its input {} {}",
            tangent.dtype(),
            tangent.shape(),
            input.dtype(),
            input.shape()
        );
        let part = (product.wide() * tangent.wide()).sum(..);
        total = Some(match total {
            // Of f32 and f64 the sum is f64.
            Some(total) if total.dtype() == part.dtype() => &total + &part,
            Some(total) => &total.cast(DType::F64) + &part.cast(DType::F64),
            None => part,
        });
    }
    match total {
        Some(total) => grad(&total, &[&cotangent]).swap_remove(0),
        None => output.zeros_like(),
    }
}

/// Hessian-vector product of a scalar: `(d^2 output / d input^2) vector`. As
/// `torch.autograd.functional.hvp`.
///
/// # Panics
/// As [`grad`], and if the vector's shape or dtype is not the input's.
///
/// ```
/// # use gradloom_tensor::Tensor;
/// # use gradloom_autodiff::hvp;
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([1.0f32, 2.0], &device)?.tracked();
/// let vector = Tensor::new([1.0f32, 1.0], &device)?;
/// let product = hvp(&x.powi(3).sum(..), &x, &vector); // 6 x times the vector
/// assert_eq!(product.to_vec::<f32>()?, [6.0, 12.0]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn hvp(output: &Tensor, input: &Tensor, vector: &Tensor) -> Tensor {
    let gradient = grad(output, &[input]).swap_remove(0);
    vjp(&gradient, vector, &[input]).swap_remove(0)
}
