//! Pseudoinverses, ranks and least squares.

use faer::linalg::svd::ComputeSvdVectors;
use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{DType, Error, Operand, Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::eigh::eigvalsh;
use crate::kernels::eigh;
use crate::kernels::least_squares::{System, pseudoinverse, solve};
use crate::kernels::svd::Workspace;
use crate::matrices::t;
use crate::op::{MatrixOp, apply};
use crate::real::Real;
use crate::svd::svdvals;
use crate::sylvester::of_values;

/// Up to which size singular values are taken as zero: the larger of a number and a part of the largest
/// singular value.
///
/// The default is PyTorch's: the larger of m and n times the distance from 1 to the next number, of the
/// largest singular value; and no part of it where a number is given that is not zero.
#[derive(Clone, Debug, Default)]
pub struct Tolerance {
    absolute: Option<Operand>,
    relative: Option<Operand>,
}

impl Tolerance {
    /// With a number, or one for each matrix, `[..]`. PyTorch: `atol`.
    #[must_use]
    pub fn absolute(self, absolute: impl Into<Operand>) -> Tolerance {
        Tolerance { absolute: Some(absolute.into()), ..self }
    }

    /// With a part of the largest singular value, or one for each matrix, `[..]`. PyTorch: `rtol`.
    #[must_use]
    pub fn relative(self, relative: impl Into<Operand>) -> Tolerance {
        Tolerance { relative: Some(relative.into()), ..self }
    }

    /// The number and the part for each of the matrices, `[..]`; neither has a gradient.
    #[track_caller]
    fn resolve(self, op: &str, a: &Tensor) -> [Tensor; 2] {
        let batch = Shape::new(&a.shape()[..a.rank() - 2]);
        let full = |value: f64| Tensor::full(batch, value, a.dtype(), a.device());
        let of = |operand: Operand| match operand {
            Operand::Scalar(scalar) => full(scalar.as_f64()),
            Operand::Tensor(tensor) => {
                let met = check::broadcast(op, &batch, tensor.shape());
                assert!(
                    met == batch,
                    "{op}: a tolerance {} does not fit matrices {}",
                    tensor.shape(),
                    a.shape()
                );
                tensor.detach().cast(a.dtype()).broadcast_to(batch)
            }
        };
        let default = rounding([a.size(-2), a.size(-1)], a.dtype());
        match (self.absolute.map(&of), self.relative.map(&of)) {
            (Some(absolute), Some(relative)) => [absolute, relative],
            (None, Some(relative)) => [full(0.0), relative],
            (None, None) => [full(0.0), full(default)],
            (Some(absolute), None) => {
                let relative = absolute.gt(0.0).select(0.0, full(default));
                [absolute, relative]
            }
        }
    }
}

/// The part of the largest singular value up to which others are rounding.
fn rounding([rows, columns]: [usize; 2], dtype: DType) -> f64 {
    let epsilon = if dtype == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
    rows.max(columns) as f64 * epsilon
}

/// The pseudoinverse of Moore and Penrose: `[.., m, n] -> [.., n, m]`.
///
/// f32 or f64. May be differentiated any number of times, where the rank does not change nearby. To apply
/// it to something, [`lstsq`] is faster and more exact. PyTorch: `torch.linalg.pinv`.
///
/// # Errors
/// The evaluation fails where a matrix has elements that are NaN or infinite, and says which.
///
/// # Panics
/// If A is no matrix, or of another dtype.
#[track_caller]
pub fn pinv(a: &Tensor, tolerance: Tolerance) -> Tensor {
    check::matrix("pinv", a);
    let [absolute, relative] = tolerance.resolve("pinv", a);
    let [inverse] = apply(Pinv { hermitian: false }, &[a, &absolute, &relative]);
    inverse
}

/// [`pinv`] of symmetric matrices `[.., n, n]`, of which only the lower triangle is read: by eigenvalues, which
/// costs less. Gradients are those of [`pinv`]. PyTorch: `torch.linalg.pinv(hermitian=True)`.
///
/// # Errors
/// As [`pinv`].
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn pinv_hermitian(a: &Tensor, tolerance: Tolerance) -> Tensor {
    check::square("pinv_hermitian", a);
    let [absolute, relative] = tolerance.resolve("pinv_hermitian", a);
    let [inverse] = apply(Pinv { hermitian: true }, &[a, &absolute, &relative]);
    inverse
}

/// The number of singular values above the tolerance: `[.., m, n] -> [..]`, i32.
///
/// f32 or f64; not differentiable. PyTorch: `torch.linalg.matrix_rank`.
///
/// # Errors
/// As [`pinv`].
///
/// # Panics
/// If A is no matrix, or of another dtype.
#[track_caller]
pub fn matrix_rank(a: &Tensor, tolerance: Tolerance) -> Tensor {
    check::matrix("matrix_rank", a);
    rank(svdvals(&a.detach()), tolerance.resolve("matrix_rank", a))
}

/// [`matrix_rank`] of symmetric matrices `[.., n, n]`, of which only the lower triangle is read: by the
/// magnitudes of eigenvalues, which costs less. PyTorch: `torch.linalg.matrix_rank(hermitian=True)`.
///
/// # Errors
/// As [`pinv`].
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn matrix_rank_hermitian(a: &Tensor, tolerance: Tolerance) -> Tensor {
    check::square("matrix_rank_hermitian", a);
    let values = eigvalsh(&a.detach()).abs();
    rank(values, tolerance.resolve("matrix_rank_hermitian", a))
}

/// How many values `[.., k]` are above a tolerance `[..]`.
#[track_caller]
fn rank(values: Tensor, [absolute, relative]: [Tensor; 2]) -> Tensor {
    if values.size(-1) == 0 {
        return values.count_nonzero(-1);
    }
    let cutoff = (values.max(-1) * relative).maximum(absolute);
    values.gt(cutoff.unsqueeze(-1)).count_nonzero(-1)
}

/// What [`lstsq`] gives.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    /// The X of least `|A X - B|`, and of those the one of least norm: `[.., n, k]`.
    pub solution: Tensor,
    /// The sum of squares of each column of `A X - B`, `[.., k]`; no elements (`[0]`) if m <= n. PyTorch
    /// leaves them out also where a matrix has no full rank.
    pub residuals: Tensor,
    /// The rank of each matrix: `[..]`, i32.
    pub rank: Tensor,
    /// The singular values of each matrix, largest first: `[.., k]`, k the smaller of m and n. They are not
    /// computed unless they are asked for.
    pub singular_values: Tensor,
}

/// The solution of `A X = B` in the sense of least squares: `[.., m, n], [.., m, k] -> [.., n, k]`. A `b` of
/// the shape of `a` without its last axis is a vector for each matrix: `[.., m] -> [.., n]`.
///
/// f32 or f64. Singular values up to `cutoff` times the largest one are taken as zero; by default that is
/// the larger of m and n times the distance from 1 to the next number. QR with column pivoting, and SVD
/// where that finds no full rank. May be differentiated any number of times, where the rank does not
/// change nearby. PyTorch: `torch.linalg.lstsq`.
///
/// # Errors
/// The evaluation fails where a matrix has elements that are NaN or infinite, and says which.
///
/// # Panics
/// If shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn lstsq(a: &Tensor, b: &Tensor, cutoff: Option<f64>) -> LeastSquares {
    let op = "lstsq";
    let [rows, columns] = check::matrix(op, a);
    check::same_dtype(op, a, b);
    let vector = b.rank() + 1 == a.rank() && b.shape()[..] == a.shape()[..b.rank()];
    let b = if vector { b.unsqueeze(-1) } else { b.clone() };
    let [height, width] = check::matrix(op, &b);
    assert!(height == rows, "{op}: A {} and B {} do not fit A X = B", a.shape(), b.shape());
    let batch = check::broadcast(op, &a.shape()[..a.rank() - 2], &b.shape()[..b.rank() - 2]);
    let full = |last: [usize; 2]| batch.iter().copied().chain(last).collect::<Shape>();
    let singular_values = svdvals(a);
    let (a, b) = (a.broadcast_to(full([rows, columns])), b.broadcast_to(full([rows, width])));
    let cutoff = cutoff.unwrap_or_else(|| rounding([rows, columns], a.dtype()));
    let [solution, rank] = apply(Lstsq { cutoff: cutoff.to_bits() }, &[&a, &b]);
    let residuals = match rows > columns {
        true => (a.matmul(&solution) - b).square().sum(-2),
        false => Tensor::zeros([0], a.dtype(), a.device()),
    };
    let squeezed = |x: Tensor| if vector { x.squeeze(-1) } else { x };
    LeastSquares {
        solution: squeezed(solution),
        residuals: if rows > columns { squeezed(residuals) } else { residuals },
        rank: rank.detach().cast(DType::I32),
        singular_values,
    }
}

/// Matrices, and for each a number and a part of the largest singular value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pinv {
    hermitian: bool,
}

impl MatrixOp for Pinv {
    fn name(&self) -> &'static str {
        if self.hermitian { "pinv_hermitian" } else { "pinv" }
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![of.with(&[of.columns, of.rows])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let [absolute, relative] = [1, 2].map(|number| operands[number].elements::<T>());
        let cutoff =
            |index: usize, most: f64| absolute[index].wide().max(relative[index].wide() * most);
        let cost = 12 * of.least() * of.size();
        if self.hermitian {
            let memory = || eigh::Workspace::<T>::new(of.rows, true);
            return each(
                &of.batch,
                cost,
                elements(results)?,
                memory,
                |memory, index, [inverse]| {
                    of_values(memory, of.matrix(of_a, index), of.rows, inverse, |values| {
                        let most = values
                            .iter()
                            .fold(0.0, |most: f64, value| most.max(value.wide().abs()));
                        let least = cutoff(index, most);
                        let inverse = |value: T| {
                            if value.wide().abs() > least { T::one() / value } else { T::zero() }
                        };
                        values.iter_mut().for_each(|value| *value = inverse(*value));
                    })
                },
            );
        }
        let memory = || Workspace::<T>::new(of.rows, of.columns, ComputeSvdVectors::Thin);
        let sizes = [of.rows, of.columns];
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [inverse]| {
            let cutoff = |most| cutoff(index, most);
            pseudoinverse(memory, of.matrix(of_a, index), sizes, cutoff, inverse).map(drop)
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        vec![Some(of_pinv(&operands[0], &results[0], &gradients[0])), None, None]
    }
}

/// Golub and Pereyra, *The differentiation of pseudo-inverses and nonlinear least squares problems whose
/// variables separate*, 1973.
#[track_caller]
fn of_pinv(a: &Tensor, inverse: &Tensor, gradient: &Tensor) -> Tensor {
    let (of_inverse, inverse_t) = (t(gradient), t(inverse));
    if a.size(-2) <= a.size(-1) {
        let k = of_inverse.matmul(inverse);
        let k_inverse_t = k.matmul(&inverse_t);
        let outside = of_inverse - k.matmul(a);
        -t(&inverse.matmul(&k)) + &k_inverse_t - a.matmul(inverse).matmul(&k_inverse_t)
            + inverse_t.matmul(&inverse.matmul(&outside))
    } else {
        let k = inverse.matmul(&of_inverse);
        let inverse_t_k = inverse_t.matmul(&k);
        let outside = of_inverse - a.matmul(&k);
        -t(&k.matmul(inverse)) + outside.matmul(inverse).matmul(&inverse_t) + &inverse_t_k
            - inverse_t_k.matmul(inverse).matmul(a)
    }
}

/// `a [.., m, n], b [.., m, k] -> [.., n, k]`, and the ranks `[..]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lstsq {
    cutoff: u64,
}

impl MatrixOp for Lstsq {
    fn name(&self) -> &'static str {
        "lstsq"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let (a, b) = (Matrices::of(&operands[0])?, Matrices::of(&operands[1])?);
        if a.batch != b.batch || a.rows != b.rows {
            return Err(Error::shape(format!("operands {} and {}", operands[0], operands[1])));
        }
        Ok(vec![a.with(&[a.columns, b.columns]), a.batch])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let (a, b) = (Matrices::of(&operands[0].of)?, Matrices::of(&operands[1].of)?);
        let (of_a, of_b) = (operands[0].elements::<T>(), operands[1].elements::<T>());
        let cutoff = f64::from_bits(self.cutoff);
        let cost = 2 * a.least() * (a.size() + b.size());
        each(
            &a.batch,
            cost,
            elements(results)?,
            || (),
            |_, index, [x, rank]| {
                let (rows, columns, width) = (a.rows, a.columns, b.columns);
                let (a, b) = (a.matrix(of_a, index), b.matrix(of_b, index));
                let system = System { a, b, rows, columns, width, cutoff };
                rank[0] = T::of(solve(&system, x)? as f64);
                Ok(())
            },
        )
    }

    /// That of `pinv(A) B`.
    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [a, b] = [&operands[0], &operands[1]];
        let tolerance = Tolerance::default().relative(f64::from_bits(self.cutoff));
        let inverse = pinv(a, tolerance);
        let of_a = of_pinv(a, &inverse, &gradients[0].matmul(&t(b)));
        vec![Some(of_a), Some(t(&inverse).matmul(&gradients[0]))]
    }
}
