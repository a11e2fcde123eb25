//! Systems of linear equations and inverses, by LU with partial pivoting.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, broadcast_numbers, each, elements};
use crate::check;
use crate::kernels::triangular::{Triangle, solve as solve_triangle};
use crate::lu::{Factors, factors, zero_pivot};
use crate::matrices::{identity, sum_to, t, with_batch_rank};
use crate::op::{MatrixOp, apply};
use crate::real::Real;
use crate::triangular::common_batch;

/// The solution X of `A X = B`: `[.., n, n], [.., n, k] -> [.., n, k]`, batches broadcast. A `b` of one
/// axis, or of the shape of `a` without its last axis, is a vector for each matrix: `[.., n] -> [.., n]`.
///
/// f32 or f64. May be differentiated any number of times. NaN gives NaN. PyTorch: `torch.linalg.solve`.
///
/// # Errors
/// The evaluation fails where a matrix is singular (a pivot is exactly zero), and says which.
///
/// # Panics
/// If A is not square, shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn solve(a: &Tensor, b: &Tensor) -> Tensor {
    let (b, vector) = right_side("solve", a, b);
    let x = System::new(a).solve(&b, "solve");
    if vector { x.squeeze(-1) } else { x }
}

/// The solution X of `X A = B`: `[.., n, n], [.., k, n] -> [.., k, n]`, batches broadcast.
///
/// As [`solve`] otherwise. PyTorch: `torch.linalg.solve(A, B, left=False)`.
///
/// # Errors
/// As [`solve`].
///
/// # Panics
/// As [`solve`].
#[track_caller]
pub fn solve_right(a: &Tensor, b: &Tensor) -> Tensor {
    let op = "solve_right";
    let size = check::square(op, a);
    let [_, columns] = check::matrix(op, b);
    check::same_dtype(op, a, b);
    assert!(columns == size, "{op}: A {} and B {} do not fit X A = B", a.shape(), b.shape());
    check::broadcast(op, &a.shape()[..a.rank() - 2], &b.shape()[..b.rank() - 2]);
    t(&System::new(a).solve_transposed(&t(b), "solve_right"))
}

/// The inverse: `[.., n, n] -> [.., n, n]`. To apply it to something, [`solve`] is faster and more exact.
///
/// f32 or f64. May be differentiated any number of times. NaN gives NaN. PyTorch: `torch.linalg.inv`.
///
/// # Errors
/// The evaluation fails where a matrix is singular (a pivot is exactly zero), and says which.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn inv(a: &Tensor) -> Tensor {
    let size = check::square("inv", a);
    System::new(a).solve(&identity(size, a), "inv")
}

/// As [`solve`], with the number of the first pivot that is zero, `[..]` in i32, in place of an error; 0 where
/// none is. The solution is infinite or NaN where one is. PyTorch: `torch.linalg.solve_ex`.
///
/// # Panics
/// As [`solve`].
#[track_caller]
pub fn solve_ex(a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
    let (b, vector) = right_side("solve_ex", a, b);
    let system = System::new(a);
    let x = system.apply(&b, SolveFactored { name: "solve_ex", transpose: false, check: false });
    (if vector { x.squeeze(-1) } else { x }, zero_pivot(&system.lu))
}

/// As [`inv`], with the number of the first pivot that is zero, `[..]` in i32, in place of an error; 0 where
/// none is. The inverse is infinite or NaN where one is. PyTorch: `torch.linalg.inv_ex`.
///
/// # Panics
/// As [`inv`].
#[track_caller]
pub fn inv_ex(a: &Tensor) -> (Tensor, Tensor) {
    check::square("inv_ex", a);
    let system = System::new(a);
    (system.inverse_unchecked("inv_ex"), zero_pivot(&system.lu))
}

/// B as matrices, and whether it was vectors.
#[track_caller]
fn right_side(op: &str, a: &Tensor, b: &Tensor) -> (Tensor, bool) {
    let size = check::square(op, a);
    check::same_dtype(op, a, b);
    let vector =
        b.rank() == 1 || (b.rank() + 1 == a.rank() && b.shape()[..] == a.shape()[..b.rank()]);
    let b = if vector { b.unsqueeze(-1) } else { b.clone() };
    let [rows, _] = check::matrix(op, &b);
    assert!(rows == size, "{op}: A {} and B {} do not fit A X = B", a.shape(), b.shape());
    check::broadcast(op, &a.shape()[..a.rank() - 2], &b.shape()[..b.rank() - 2]);
    (b, vector)
}

/// A matrix and its factors.
pub(crate) struct System {
    a: Tensor,
    lu: Tensor,
    order: Tensor,
}

impl System {
    #[track_caller]
    pub(crate) fn new(a: &Tensor) -> System {
        let factors = factors(&a.detach());
        System::of(a, &factors)
    }

    /// With the factors that are known.
    pub(crate) fn of(a: &Tensor, factors: &Factors) -> System {
        System { a: a.clone(), lu: factors.lu.clone(), order: factors.order.clone() }
    }

    /// The solution of `A X = B`, an error in the name of `op` if there is none.
    #[track_caller]
    pub(crate) fn solve(&self, b: &Tensor, op: &'static str) -> Tensor {
        self.apply(b, SolveFactored { name: op, transpose: false, check: true })
    }

    /// The solution of `A^T X = B`, an error in the name of `op` if there is none.
    #[track_caller]
    pub(crate) fn solve_transposed(&self, b: &Tensor, op: &'static str) -> Tensor {
        self.apply(b, SolveFactored { name: op, transpose: true, check: true })
    }

    /// The inverse, of infinities and NaN where there is none.
    #[track_caller]
    pub(crate) fn inverse_unchecked(&self, op: &'static str) -> Tensor {
        let b = identity(self.a.size(-1), &self.a);
        self.apply(&b, SolveFactored { name: op, transpose: false, check: false })
    }

    #[track_caller]
    fn apply(&self, b: &Tensor, op: SolveFactored) -> Tensor {
        let rank = self.a.rank().max(b.rank()) - 2;
        let with_rank = |x: &Tensor| with_batch_rank(x, rank);
        let order = with_rank(&self.order.unsqueeze(-1)).squeeze(-1);
        let [x] = apply(op, &[&with_rank(&self.a), &with_rank(&self.lu), &order, &with_rank(b)]);
        x
    }
}

/// `a [.., n, n]`, its factors and their order, and `b [.., n, k] -> [.., n, k]` of one rank; batch axes of
/// size one broadcast. The factors are a hint how to solve: it is `a` in which it is differentiated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SolveFactored {
    name: &'static str,
    transpose: bool,
    /// Whether a singular matrix is an error.
    check: bool,
}

impl MatrixOp for SolveFactored {
    fn name(&self) -> &'static str {
        self.name
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let (a, b) = (Matrices::of(&operands[0])?, Matrices::of(&operands[3])?);
        let batch = common_batch(&a, &b)?;
        Ok(vec![Matrices { batch, ..b }.with(&[b.rows, b.columns])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let (a, b) = (Matrices::of(&operands[1].of)?, Matrices::of(&operands[3].of)?);
        let of = Matrices::of(&results[0].of)?;
        let (of_lu, of_order) = (operands[1].elements::<T>(), operands[2].elements::<T>());
        let of_b = operands[3].elements::<T>();
        let (number_a, number_b) =
            (broadcast_numbers(&a.batch, &of.batch), broadcast_numbers(&b.batch, &of.batch));
        let Matrices { rows: size, columns, .. } = of;
        let lower = Triangle { upper: false, unit: true, transpose: self.transpose };
        let upper = Triangle { upper: true, unit: false, transpose: self.transpose };
        let memory = || vec![T::zero(); of.size()];
        let cost = 2 * size * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [x]: [&mut [T]; 1]| {
            let lu = a.matrix(of_lu, number_a[index]);
            if self.check {
                let mut pivots = lu.iter().step_by(size + 1);
                if let Some(step) = pivots.position(|&pivot| pivot == T::zero()) {
                    return Err(format!("it is singular (pivot {} is zero)", step + 1));
                }
            }
            let order = of_order[number_a[index] * size..][..size].iter();
            let order = order.map(|row| row.wide() as usize * columns);
            let b = b.matrix(of_b, number_b[index]);
            if self.transpose {
                memory.copy_from_slice(b);
                solve_triangle(upper, lu, size, memory);
                solve_triangle(lower, lu, size, memory);
                for (to, row) in order.zip(memory.chunks_exact(columns.max(1))) {
                    x[to..][..columns].copy_from_slice(row);
                }
            } else {
                for (from, row) in order.zip(x.chunks_exact_mut(columns.max(1))) {
                    row.copy_from_slice(&b[from..][..columns]);
                }
                solve_triangle(lower, lu, size, x);
                solve_triangle(upper, lu, size, x);
            }
            Ok(())
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [a, lu, order, b] = operands else { return vec![None; operands.len()] };
        let (x, transpose) = (&results[0], !self.transpose);
        let [of_b] =
            apply(SolveFactored { transpose, ..self.clone() }, &[a, lu, order, &gradients[0]]);
        let product = if self.transpose { x.matmul(&t(&of_b)) } else { of_b.matmul(&t(x)) };
        vec![Some(-sum_to(&product, a.shape())), None, None, Some(sum_to(&of_b, b.shape()))]
    }
}
