//! Triangular systems.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Error, Result, Shape, Tensor};

use crate::batch::{Matrices, broadcast_numbers, each, elements};
use crate::check;
use crate::kernels::triangular::{Triangle, solve};
use crate::matrices::{strictly_lower, sum_to, t, with_batch_rank};
use crate::op::{MatrixOp, apply};
use crate::real::Real;

/// Which triangle of a matrix is meant, and on which side of the unknown it stands.
///
/// ```
/// # use gradloom_linalg::Triangular;
/// let options = Triangular::lower().unit().right();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Triangular {
    upper: bool,
    unit: bool,
    left: bool,
}

impl Triangular {
    /// The lower triangle; what stands above is not read.
    pub fn lower() -> Triangular {
        Triangular { upper: false, unit: false, left: true }
    }

    /// The upper triangle; what stands below is not read.
    pub fn upper() -> Triangular {
        Triangular { upper: true, ..Triangular::lower() }
    }

    /// With ones on the diagonal, which is then not read. PyTorch: `unitriangular=True`.
    #[must_use]
    pub fn unit(self) -> Triangular {
        Triangular { unit: true, ..self }
    }

    /// For `X A = B` instead of `A X = B`. PyTorch: `left=False`.
    #[must_use]
    pub fn right(self) -> Triangular {
        Triangular { left: false, ..self }
    }
}

/// The solution X of `A X = B` (or `X A = B`) for a triangular A: `[.., n, n], [.., n, k] -> [.., n, k]`
/// (or `[.., k, n]`), batches broadcast.
///
/// f32 or f64. A zero on the diagonal gives infinities or NaN, no error. The gradient of A has A's
/// triangle. PyTorch: `torch.linalg.solve_triangular`.
///
/// # Panics
/// If A is not square, shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn solve_triangular(a: &Tensor, b: &Tensor, options: Triangular) -> Tensor {
    let op = "solve_triangular";
    let size = check::square(op, a);
    let [rows, columns] = check::matrix(op, b);
    check::same_dtype(op, a, b);
    let (along, name) = if options.left { (rows, "A X = B") } else { (columns, "X A = B") };
    assert!(along == size, "{op}: A {} and B {} do not fit {name}", a.shape(), b.shape());
    check::broadcast(op, &a.shape()[..a.rank() - 2], &b.shape()[..b.rank() - 2]);
    let Triangular { upper, unit, left } = options;
    let triangle = Triangle { upper, unit, transpose: !left };
    if left { triangular(a, b, triangle) } else { t(&triangular(a, &t(b), triangle)) }
}

/// The solution of `triangle(a) x = b`; batches broadcast.
#[track_caller]
pub(crate) fn triangular(a: &Tensor, b: &Tensor, triangle: Triangle) -> Tensor {
    let rank = a.rank().max(b.rank()) - 2;
    let (a, b) = (with_batch_rank(a, rank), with_batch_rank(b, rank));
    let [x] = apply(TriangularSolve(triangle), &[&a, &b]);
    x
}

/// `a [.., n, n], b [.., n, k] -> [.., n, k]` of one rank; batch axes of size one broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TriangularSolve(Triangle);

/// The batch axes in which those of two operands of one rank meet.
pub(crate) fn common_batch(a: &Matrices, b: &Matrices) -> Result<Shape> {
    let fits = |(&a, &b): (&usize, &usize)| a == b || a == 1 || b == 1;
    if a.batch.rank() != b.batch.rank() || !a.batch.iter().zip(b.batch.iter()).all(fits) {
        return Err(Error::shape(format!("batches {} and {}", a.batch, b.batch)));
    }
    let both = a.batch.iter().zip(b.batch.iter());
    Ok(both.map(|(&a, &b)| if a == 1 { b } else { a }).collect())
}

impl MatrixOp for TriangularSolve {
    fn name(&self) -> &'static str {
        "solve_triangular"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let (a, b) = (Matrices::of(&operands[0])?, Matrices::of(&operands[1])?);
        let batch = common_batch(&a, &b)?;
        Ok(vec![Matrices { batch, ..b }.with(&[b.rows, b.columns])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let (a, b) = (Matrices::of(&operands[0].of)?, Matrices::of(&operands[1].of)?);
        let of = Matrices::of(&results[0].of)?;
        let (of_a, of_b) = (operands[0].elements::<T>(), operands[1].elements::<T>());
        let (number_a, number_b) =
            (broadcast_numbers(&a.batch, &of.batch), broadcast_numbers(&b.batch, &of.batch));
        let cost = of.rows * of.size();
        each(
            &of.batch,
            cost,
            elements(results)?,
            || (),
            |_, index, [x]: [&mut [T]; 1]| {
                x.copy_from_slice(b.matrix(of_b, number_b[index]));
                solve(self.0, a.matrix(of_a, number_a[index]), of.rows, x);
                Ok(())
            },
        )
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let ([a, b], x) = ([&operands[0], &operands[1]], &results[0]);
        let Triangle { upper, unit, transpose } = self.0;
        let of_b = triangular(a, &gradients[0], Triangle { upper, unit, transpose: !transpose });
        let product = if transpose { x.matmul(&t(&of_b)) } else { of_b.matmul(&t(x)) };
        let of_a = -sum_to(&product, a.shape());
        let of_a = match (upper, unit) {
            (false, false) => of_a.tril(0),
            (false, true) => strictly_lower(&of_a),
            (true, false) => of_a.triu(0),
            (true, true) => of_a.triu(1),
        };
        vec![Some(of_a), Some(sum_to(&of_b, b.shape()))]
    }
}
