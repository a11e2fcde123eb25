//! QR decompositions.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::qr::{Workspace, factor};
use crate::kernels::triangular::Triangle;
use crate::matrices::{strictly_lower, t};
use crate::op::{MatrixOp, apply};
use crate::real::Real;
use crate::triangular::triangular;

/// How many columns Q has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QrMode {
    /// `Q [.., m, k]`, `R [.., k, n]`, where k is the smaller of m and n.
    #[default]
    Reduced,
    /// `Q [.., m, m]`, `R [.., m, n]`; without derivative if m > n.
    Complete,
}

/// `A = Q R` of `[.., m, n]`: Q with orthonormal columns, R upper triangular.
///
/// f32 or f64. Signs are those of the algorithm (reflections), so elements on R's diagonal may be negative,
/// and another library may give other signs. NaN gives NaN. May be differentiated any number of times
/// where the first k columns are independent. PyTorch: `torch.linalg.qr`.
///
/// # Panics
/// If A is no matrix, or of another dtype. The gradient of a complete Q panics if m > n.
#[track_caller]
pub fn qr(a: &Tensor, mode: QrMode) -> (Tensor, Tensor) {
    let [rows, columns] = check::matrix("qr", a);
    let is_complete = mode == QrMode::Complete && rows > columns;
    let part = if is_complete { Part::Complete } else { Part::Reduced };
    let [q, r] = apply(Qr(part), &[a]);
    (q, r)
}

/// The R of [`qr`] alone, `[.., k, n]`, which costs less. PyTorch: `torch.linalg.qr(A, mode="r")`, which
/// has no derivative there.
///
/// # Panics
/// If A is no matrix, or of another dtype.
#[track_caller]
pub fn qr_r(a: &Tensor) -> Tensor {
    check::matrix("qr_r", a);
    let [r] = apply(Qr(Part::R), &[a]);
    r
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Reduced,
    Complete,
    R,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Qr(Part);

impl Qr {
    /// Columns of Q.
    fn width(&self, of: &Matrices) -> usize {
        match self.0 {
            Part::Reduced => of.least(),
            Part::Complete => of.rows,
            Part::R => 0,
        }
    }
}

impl MatrixOp for Qr {
    fn name(&self) -> &'static str {
        if self.0 == Part::R { "qr_r" } else { "qr" }
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        let width = self.width(&of);
        Ok(match self.0 {
            Part::R => vec![of.with(&[of.least(), of.columns])],
            _ => vec![of.with(&[of.rows, width]), of.with(&[width, of.columns])],
        })
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let width = self.width(&of);
        let cost = 2 * of.least() * of.size() + of.rows * width * of.least();
        let memory = || Workspace::<T>::new(of.rows, of.columns, width);
        if self.0 == Part::R {
            return each(&of.batch, cost, elements(results)?, memory, |memory, index, [r]| {
                factor(memory, of.matrix(of_a, index), None, r);
                Ok(())
            });
        }
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [q, r]| {
            factor(memory, of.matrix(of_a, index), Some(q), r);
            Ok(())
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let a = &operands[0];
        let gradient = match self.0 {
            Part::Complete => panic!(
                "qr: a complete Q of more rows than columns has no derivative; use QrMode::Reduced"
            ),
            Part::Reduced => reduced(a, [&results[0], &results[1]], &gradients[0], &gradients[1]),
            Part::R => {
                let [q, r] = apply(Qr(Part::Reduced), &[a]);
                reduced(a, [&q, &r], &q.zeros_like(), &gradients[0])
            }
        };
        vec![Some(gradient)]
    }
}

/// Of a wide matrix the first columns are decomposed, and the others follow from their Q.
#[track_caller]
fn reduced(a: &Tensor, [q, r]: [&Tensor; 2], of_q: &Tensor, of_r: &Tensor) -> Tensor {
    let (rows, columns) = (a.size(-2), a.size(-1));
    if rows >= columns {
        return tall(q, r, of_q, of_r);
    }
    let rest = columns - rows;
    let (behind, of_behind) = (a.narrow(-1, rows, rest), of_r.narrow(-1, rows, rest));
    let of_q = of_q + behind.matmul(&t(&of_behind));
    let first = tall(q, &r.narrow(-1, 0, rows), &of_q, &of_r.narrow(-1, 0, rows));
    Tensor::concat(&[first, q.matmul(&of_behind)], -1)
}

/// Walter and Lehmann, *Algorithmic differentiation of linear algebra functions*, 2010.
#[track_caller]
fn tall(q: &Tensor, r: &Tensor, of_q: &Tensor, of_r: &Tensor) -> Tensor {
    let product = r.matmul(&t(of_r)) - t(of_q).matmul(q);
    let symmetric = product.tril(0) + t(&strictly_lower(&product));
    let sum = of_q + q.matmul(&symmetric);
    let upper = Triangle { upper: true, unit: false, transpose: false };
    t(&triangular(r, &t(&sum), upper))
}
