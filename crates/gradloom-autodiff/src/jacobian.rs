//! Whole matrices of derivatives: one vector-Jacobian or Jacobian-vector product for all unit vectors at
//! once, by [`vmap`](fn@crate::vmap).

use gradloom_tensor::{DType, Device, RANK_MAX, Shape, Tensor};

use crate::batching::Randomness;
use crate::forward::jvp;
use crate::reverse::{grad, vjp};
use crate::vmap::vmap;

/// The Jacobian of `output` with respect to each input: `d output / d input` of shape
/// `[..output, ..input]`.
///
/// It has the input's dtype. Chooses [`jacrev`] where the output has no more elements than the inputs together, else [`jacfwd`]. An
/// input that the output does not depend on gets zeros, and as with [`vjp`] an input may depend on another
/// one. For several outputs call it for each: one evaluation computes what they share once. The result is
/// ordinary graph, so it can be differentiated again. As `torch.autograd.functional.jacobian` and
/// `torch.func.jacrev`.
///
/// # Panics
/// As [`vjp`], and if a Jacobian has more than 8 axes.
///
/// ```
/// # use gradloom_tensor::Tensor;
/// # use gradloom_autodiff::jacobian;
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([1.0f32, 2.0], &device)?.tracked();
/// let rows = jacobian(&x.square(), &[&x]).remove(0);
/// assert_eq!(rows.to_vec::<f32>()?, [2.0, 0.0, 0.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn jacobian(output: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    let columns = inputs.iter().fold(0usize, |sum, input| sum.saturating_add(input.count()));
    if output.count() <= columns { jacrev(output, inputs) } else { jacfwd(output, inputs) }
}

/// [`jacobian`] by reverse mode: a vector-Jacobian product for each element of the output, all at once.
///
/// # Panics
/// As [`jacobian`].
#[track_caller]
pub fn jacrev(output: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    let shapes = shapes(output, inputs);
    let rows = output.count();
    if rows == 0 {
        return zeros(&shapes, inputs);
    }
    let units = units(rows, output.shape(), output.dtype(), output.device());
    let products = vmap(|unit: &[Tensor]| vjp(output, &unit[0], inputs), 0, 0)
        .randomness(Randomness::Same)
        .call(&[units]);
    let mut jacobians = Vec::with_capacity(inputs.len());
    for (product, shape) in products.iter().zip(shapes) {
        jacobians.push(product.reshape(shape));
    }
    jacobians
}

/// [`jacobian`] by forward mode: a Jacobian-vector product for each element of each input, all of one input
/// at once.
///
/// # Panics
/// As [`jacobian`].
#[track_caller]
pub fn jacfwd(output: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    let shapes = shapes(output, inputs);
    let mut jacobians = Vec::with_capacity(inputs.len());
    for (&input, shape) in inputs.iter().zip(shapes) {
        if shape.count() == 0 || !input.dtype().is_float() {
            jacobians.push(Tensor::zeros(shape, input.dtype(), output.device()));
            continue;
        }
        let columns = input.count();
        let units = units(columns, input.shape(), input.dtype(), input.device());
        let product = vmap(|unit: &[Tensor]| jvp(output, &[input], &[&unit[0]]), 0, 0)
            .randomness(Randomness::Same)
            .call(&[units]);
        let product = product.reshape([columns, output.count()]);
        jacobians.push(product.t().reshape(shape).cast(input.dtype()));
    }
    jacobians
}

/// The second derivatives of a scalar: `[i][j]` is `d^2 output / d input_i d input_j` of shape
/// `[..input_i, ..input_j]`.
///
/// A [`hvp`](crate::hvp) for each element of each input, all of one input at once. As
/// `torch.autograd.functional.hessian` and `torch.func.hessian`.
///
/// # Panics
/// As [`grad`], and if a Hessian has more than 8 axes.
///
/// ```
/// # use gradloom_tensor::Tensor;
/// # use gradloom_autodiff::hessian;
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let x = Tensor::new([1.0f32, 2.0], &device)?.tracked();
/// let second = hessian(&x.powi(3).sum(..), &[&x]).remove(0).remove(0);
/// assert_eq!(second.to_vec::<f32>()?, [6.0, 0.0, 0.0, 12.0]);
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn hessian(output: &Tensor, inputs: &[&Tensor]) -> Vec<Vec<Tensor>> {
    let gradients = grad(output, inputs);
    let mut rows = Vec::with_capacity(inputs.len());
    for gradient in &gradients {
        rows.push(jacrev(gradient, inputs));
    }
    rows
}

/// The shape of the Jacobian with respect to each input.
#[track_caller]
fn shapes(output: &Tensor, inputs: &[&Tensor]) -> Vec<Shape> {
    let mut shapes = Vec::with_capacity(inputs.len());
    for input in inputs {
        assert!(
            output.rank() + input.rank() <= RANK_MAX,
            "jacobian: an output of shape {} by an input of shape {} has more than {RANK_MAX} axes; \
             flatten one of them",
            output.shape(),
            input.shape()
        );
        shapes.push(output.shape().iter().chain(input.shape().iter()).copied().collect());
    }
    shapes
}

fn zeros(shapes: &[Shape], inputs: &[&Tensor]) -> Vec<Tensor> {
    let zero =
        |(shape, input): (&Shape, &&Tensor)| Tensor::zeros(*shape, input.dtype(), input.device());
    shapes.iter().zip(inputs).map(zero).collect()
}

/// `[count, ..shape]`: for each element of a shape the tensor with a one there and zeros elsewhere.
#[track_caller]
fn units(count: usize, shape: &Shape, dtype: DType, device: &Device) -> Tensor {
    let sizes: Vec<usize> = std::iter::once(count).chain(shape.iter().copied()).collect();
    Tensor::eye(count, dtype, device).reshape(sizes)
}
