//! Products of matrices and vectors.
//!
//! Products of f16 and bf16 are summed in f32, whatever device and plan: their sum is rounded once, and with
//! [`Tensor::matmul_as`] not at all. Operands of different dtypes are not converted, on purpose: see
//! [`promotion`](crate::promotion).
//!
//! When every batch axis of the right operand has size one, the batch axes of the left one become
//! rows, so that one large product does the work of many small ones.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::Op;
use crate::shape_rules::{self, structured};
use crate::{DType, Shape, Tensor};

impl Tensor {
    /// Matrix product `[.., M, K] x [.., K, N] -> [.., M, N]` with broadcast batch axes; a 1-D operand
    /// is a row on the left and a column on the right, and its axis disappears.
    ///
    /// Float dtypes, equal. Panics if inner dimensions or batch axes do not fit. PyTorch:
    /// `torch.matmul`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// assert_eq!(x.matmul(&x.t()).to_vec::<f32>()?, [14.0, 32.0, 32.0, 77.0]);
    /// let batch = Tensor::ones([5, 3, 4], DType::F32, &device);
    /// assert_eq!(x.matmul(&batch).shape()[..], [5, 2, 4]); // batch axes are broadcast
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn matmul(&self, rhs: &Tensor) -> Tensor {
        self.matmul_as(rhs, self.dtype())
    }

    /// [`Tensor::matmul`] with a result of `dtype`: that of the operands; f32 for operands of f16 or bf16,
    /// whose sums are f32 and are then not rounded; or i32 for operands of i8, whose sums are exact up to
    /// 2^31 and wrap beyond. Products of i8 have no derivative.
    ///
    /// Panics as `matmul` does, and on other dtypes. PyTorch: `torch.mm(out_dtype=torch.float32)`,
    /// `torch._int_mm`; JAX: `preferred_element_type`.
    #[track_caller]
    #[must_use]
    pub fn matmul_as(&self, rhs: &Tensor, dtype: DType) -> Tensor {
        let shape = structured::matmul(self.shape(), rhs.shape()).or_fail();
        let own = shape_rules::same_dtype("matmul", self.dtype(), rhs.dtype()).or_fail();
        if (own, dtype) != (DType::I8, DType::I32) {
            shape_rules::float("matmul", own).or_fail();
        }
        demand!(
            dtype == own || dtype == own.compute(),
            "matmul_as: a product of {own} is summed in {}, and cannot be {dtype}; cast the result",
            own.compute()
        );
        let left = if self.rank() == 1 { self.unsqueeze(0) } else { self.clone() };
        let right = if rhs.rank() == 1 { rhs.unsqueeze(1) } else { rhs.clone() };
        let (rows, inner) = (left.size(-2), left.size(-1));
        let columns = right.size(-1);
        if right.shape()[..right.rank() - 2].iter().all(|&size| size == 1) {
            let folded: usize = left.shape()[..left.rank() - 1].iter().product();
            let right = right.reshape([inner, columns]);
            return product(&left.reshape([folded, inner]), &right, dtype).reshape(shape);
        }
        let batch_rank = left.rank().max(right.rank()) - 2;
        let batch = &shape[..batch_rank];
        let full = |last: [usize; 2]| batch.iter().copied().chain(last).collect::<Shape>();
        let left = left.expand_to(full([rows, inner]));
        let right = right.expand_to(full([inner, columns]));
        product(&left, &right, dtype).reshape(shape)
    }

    /// Inner product of two vectors: `[K], [K] -> []`.
    ///
    /// Panics if an operand is not 1-D or sizes differ. PyTorch: `torch.dot`.
    #[track_caller]
    #[must_use]
    pub fn dot(&self, rhs: &Tensor) -> Tensor {
        let _called = Called::op("dot");
        let (left, right) = (self.shape(), rhs.shape());
        demand!(left.rank() == 1 && right.rank() == 1, "dot: needs two vectors: {left} x {right}");
        self.matmul(rhs)
    }

    /// Outer product of two vectors: `[M], [N] -> [M, N]`.
    ///
    /// Panics if an operand is not 1-D. PyTorch: `torch.outer`.
    #[track_caller]
    #[must_use]
    pub fn outer(&self, rhs: &Tensor) -> Tensor {
        let _called = Called::op("outer");
        let (left, right) = (self.shape(), rhs.shape());
        demand!(
            left.rank() == 1 && right.rank() == 1,
            "outer: needs two vectors: {left} x {right}"
        );
        &self.unsqueeze(1) * &rhs.unsqueeze(0)
    }
}

/// `[batch.., M, K] x [batch.., K, N]` with equal batch axes.
#[track_caller]
fn product(lhs: &Tensor, rhs: &Tensor, dtype: DType) -> Tensor {
    let shape = lhs.shape().with(lhs.rank() - 1, rhs.size(-1));
    Tensor::from_op(Op::Matmul, vec![lhs.clone(), rhs.clone()], shape, dtype, lhs.device())
}
