//! The exponential of matrices.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::exponential::exponential;
use crate::matrices::t;
use crate::op::{MatrixOp, apply};
use crate::real::Real;

/// `I + A + A^2 / 2 + A^3 / 6 + ..`: `[.., n, n] -> [.., n, n]`.
///
/// Floats; of f16 and bf16 computed in f32. May be differentiated any number of times; each derivative is the exponential of matrices
/// twice as large. NaN and infinities give NaN. PyTorch: `torch.linalg.matrix_exp`.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn matrix_exp(a: &Tensor) -> Tensor {
    check::any_float("matrix_exp", a);
    let wide = a.wide();
    check::square("matrix_exp", &wide);
    let [exponential] = apply(MatrixExp, &[&wide]);
    exponential.cast(a.dtype())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct MatrixExp;

impl MatrixOp for MatrixExp {
    fn name(&self) -> &'static str {
        "matrix_exp"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        Ok(vec![operands[0].shape])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let cost = 10 * of.rows * of.size();
        each(
            &of.batch,
            cost,
            elements(results)?,
            || (),
            |_, index, [result]: [&mut [T]; 1]| {
                exponential(of.matrix(of_a, index), of.rows, result);
                Ok(())
            },
        )
    }

    /// `exp [[A^T, G], [0, A^T]]` has the gradient in its upper right corner (Higham, *Functions of
    /// matrices*, 2008, theorem 3.6).
    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let a = t(&operands[0]);
        let size = a.size(-1);
        let above = Tensor::concat(&[&a, &gradients[0]], -1);
        let below = Tensor::concat(&[&a.zeros_like(), &a], -1);
        let [exponential] = apply(MatrixExp, &[&Tensor::concat(&[above, below], -2)]);
        vec![Some(exponential.narrow(-2, 0, size).narrow(-1, size, size))]
    }
}
