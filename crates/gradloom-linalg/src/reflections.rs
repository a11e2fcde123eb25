//! QR decompositions as LAPACK keeps them: reflections below R.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::matrices::{identity, t};
use crate::op::{MatrixOp, apply};
use crate::real::Real;

/// R of a QR decomposition and, below it, the reflections `I - tau_i v_i v_i^T` whose product is Q, as
/// LAPACK's `geqrf`: `[.., m, n] -> [.., m, n], [.., k]`, where k is the smaller of m and n. `v_i` is column i
/// below its diagonal, with a one on it. For [`householder_product`] and [`ormqr`].
///
/// f32 or f64. Not differentiable: [`qr`](crate::qr()) is. PyTorch: `torch.geqrf`.
///
/// # Panics
/// If A is no matrix, or of another dtype; and its gradient.
#[track_caller]
pub fn geqrf(a: &Tensor) -> (Tensor, Tensor) {
    check::matrix("geqrf", a);
    let [reflections, tau] = apply(Geqrf, &[a]);
    (reflections, tau)
}

/// Which product [`ormqr`] gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProductWithQ {
    /// `Q C`. PyTorch: the default.
    #[default]
    Left,
    /// `Q^T C`. PyTorch: `transpose=True`.
    LeftTransposed,
    /// `C Q`. PyTorch: `left=False`.
    Right,
    /// `C Q^T`. PyTorch: `left=False, transpose=True`.
    RightTransposed,
}

/// The product of a matrix C with Q, which is the product of k reflections of m elements, as LAPACK's `ormqr`:
/// `[.., m, n], [.., k], [.., m, c]` (or `[.., c, m]`), of the same batch. One step of the graph for each
/// reflection. May be differentiated in all three. f32 or f64. PyTorch: `torch.ormqr`.
///
/// # Panics
/// If shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn ormqr(a: &Tensor, tau: &Tensor, c: &Tensor, product: ProductWithQ) -> Tensor {
    let op = "ormqr";
    let count = reflections_of(op, a, tau, true, "k <= m and k <= n");
    let [rows, columns] = check::matrix(op, c);
    check::same_dtype(op, a, c);
    let left = matches!(product, ProductWithQ::Left | ProductWithQ::LeftTransposed);
    let along = if left { rows } else { columns };
    let batch = a.rank() - 2;
    assert!(
        along == a.size(-2) && c.rank() == a.rank() && c.shape()[..batch] == a.shape()[..batch],
        "{op}: reflections {} and C {} do not fit",
        a.shape(),
        c.shape()
    );
    // C Q is the transpose of Q^T C^T.
    let (c, transposed) = match product {
        ProductWithQ::Left => (c.clone(), false),
        ProductWithQ::LeftTransposed => (c.clone(), true),
        ProductWithQ::Right => (t(c), true),
        ProductWithQ::RightTransposed => (t(c), false),
    };
    let order: Vec<usize> =
        if transposed { (0..count).collect() } else { (0..count).rev().collect() };
    let found = order.iter().fold(c, |product, &step| reflected(a, tau, step, &product));
    if left { found } else { t(&found) }
}

/// The first n columns of the product of k reflections `I - tau_i v_i v_i^T`, as LAPACK's `orgqr`:
/// `[.., m, n], [.., k] -> [.., m, n]` with k <= n <= m. `v_i` is column i of the matrix below its diagonal,
/// with a one on it and zeros above. One step of the graph for each reflection.
///
/// f32 or f64. PyTorch: `torch.linalg.householder_product`.
///
/// # Panics
/// If shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn householder_product(a: &Tensor, tau: &Tensor) -> Tensor {
    let op = "householder_product";
    let [rows, columns] = check::matrix(op, a);
    let count = reflections_of(op, a, tau, columns <= rows, "k <= n <= m");
    let unit = identity(rows, a).narrow(1, 0, columns).broadcast_to(*a.shape());
    (0..count).rev().fold(unit, |product, step| reflected(a, tau, step, &product))
}

/// How many reflections there are; a rule says how sizes are to fit, and whether they do but for the number.
#[track_caller]
fn reflections_of(op: &str, a: &Tensor, tau: &Tensor, fits: bool, rule: &str) -> usize {
    let [rows, columns] = check::matrix(op, a);
    check::same_dtype(op, a, tau);
    let count = if tau.rank() == 0 { 0 } else { tau.size(-1) };
    let expected: Shape = a.shape()[..a.rank() - 2].iter().copied().chain([count]).collect();
    assert!(
        *tau.shape() == expected && count <= rows.min(columns) && fits,
        "{op}: matrices {} and tau {} do not fit [.., m, n] and [.., k] with {rule}",
        a.shape(),
        tau.shape()
    );
    count
}

/// Reflection number `step` of a matrix `[.., m, c]`.
#[track_caller]
fn reflected(a: &Tensor, tau: &Tensor, step: usize, c: &Tensor) -> Tensor {
    let unit = identity(a.size(-2), a).narrow(1, step, 1);
    let place = Tensor::iota([a.size(-2), 1], 0, a.device());
    let column = a.narrow(-1, step, 1);
    let vector = place.gt(step as i64).select(&column, column.zeros_like()) + unit;
    let scale = tau.narrow(-1, step, 1).unsqueeze(-1);
    c - (&vector * scale).matmul(&t(&vector).matmul(c))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Geqrf;

impl MatrixOp for Geqrf {
    fn name(&self) -> &'static str {
        "geqrf"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![operands[0].shape, of.with(&[of.least()])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let cost = 2 * of.least() * of.size();
        each(
            &of.batch,
            cost,
            elements(results)?,
            || (),
            |_, index, [a, tau]: [&mut [T]; 2]| {
                a.copy_from_slice(of.matrix(of_a, index));
                for (step, tau) in tau.iter_mut().enumerate() {
                    *tau = reflect(a, of.rows, of.columns, step);
                }
                Ok(())
            },
        )
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], _: &[Tensor]) -> Vec<Option<Tensor>> {
        panic!("geqrf: the reflections have no derivative; use qr, or detach the matrix")
    }
}

/// Makes zeros below the diagonal of a column of the row-major `a`, keeps the reflection there, and gives its
/// tau; sums are in f64.
fn reflect<T: Real>(a: &mut [T], rows: usize, columns: usize, step: usize) -> T {
    let at = |row: usize, column: usize| row * columns + column;
    // Scaled, so that no square overflows.
    let most = (step + 1..rows).map(|row| a[at(row, step)].wide().abs()).fold(0.0, f64::max);
    if most == 0.0 {
        return T::zero();
    }
    let alpha = a[at(step, step)].wide();
    let scale = most.max(alpha.abs());
    let square = |value: f64| (value / scale) * (value / scale);
    let below: f64 = (step + 1..rows).map(|row| square(a[at(row, step)].wide())).sum();
    let norm = scale * (below + square(alpha)).sqrt();
    let beta = if alpha < 0.0 { norm } else { -norm };
    let tau = (beta - alpha) / beta;
    for row in step + 1..rows {
        let element = a[at(row, step)].wide() / (alpha - beta);
        a[at(row, step)] = T::of(element);
    }
    a[at(step, step)] = T::of(beta);
    for column in step + 1..columns {
        let product: f64 =
            (step + 1..rows).map(|row| a[at(row, step)].wide() * a[at(row, column)].wide()).sum();
        let factor = tau * (product + a[at(step, column)].wide());
        a[at(step, column)] -= T::of(factor);
        for row in step + 1..rows {
            let part = T::of(a[at(row, step)].wide() * factor);
            a[at(row, column)] -= part;
        }
    }
    T::of(tau)
}
