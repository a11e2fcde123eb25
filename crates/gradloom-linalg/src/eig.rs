//! Eigenvalues and eigenvectors of matrices that need not be symmetric: complex numbers as pairs.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{DType, Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::eig::{Workspace, decompose};
use crate::matrices::{identity, t};
use crate::op::{MatrixOp, apply};
use crate::real::Real;
use crate::solve::solve;

/// `A V = V diag(W)` of `[.., n, n]`: eigenvalues `W [.., n, 2]` and eigenvectors, the columns of
/// `V [.., n, n, 2]`, as pairs of real and imaginary part (`torch.view_as_real`), in no order.
///
/// f32 or f64. Each vector has length one, and its largest element is real, which leaves a sign. The gradient
/// of a loss that depends on the vectors' phases is meaningless, and so is one where eigenvalues are equal.
/// May be differentiated any number of times. For W alone [`eigvals`] is faster, for symmetric matrices
/// [`eigh`](crate::eigh()). PyTorch: `torch.linalg.eig`.
///
/// # Errors
/// The evaluation fails where a matrix has elements that are NaN or infinite, and says which.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn eig(a: &Tensor) -> (Tensor, Tensor) {
    check::square("eig", a);
    let [values, vectors] = apply(Eig, &[a]);
    (values, vectors)
}

/// The eigenvalues of `[.., n, n]` as pairs `[.., n, 2]`, in no order. f32 or f64; otherwise as [`eig`].
/// PyTorch: `torch.linalg.eigvals`.
///
/// # Errors
/// As [`eig`].
///
/// # Panics
/// As [`eig`].
#[track_caller]
pub fn eigvals(a: &Tensor) -> Tensor {
    check::square("eigvals", a);
    let [values] = apply(EigVals, &[a]);
    values
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Eig;

impl MatrixOp for Eig {
    fn name(&self) -> &'static str {
        "eig"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![of.with(&[of.rows, 2]), of.with(&[of.rows, of.rows, 2])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let memory = || Workspace::<T>::new(of.rows, true);
        let cost = 20 * of.rows * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [values, vectors]| {
            decompose(memory, of.matrix(of_a, index), values, Some(vectors))
        })
    }

    fn derivative(
        &self,
        _operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (values, vectors) = (Parts::of(&results[0]), Parts::of(&results[1]));
        let of_vectors = Parts::of(&gradients[1]);
        let inside = vectors.adjoint().matmul(&of_vectors);
        // The length of a vector is fixed.
        let along = with_diagonal_of(&inside.re);
        let free = inside.less(&vectors.adjoint().matmul(&vectors).scaled(&along));
        let gaps = Parts {
            re: values.re.unsqueeze(-2) - values.re.unsqueeze(-1),
            im: values.im.unsqueeze(-2) - values.im.unsqueeze(-1),
        };
        let middle = free.over_conjugate(&gaps).plus_diagonal(&Parts::of(&gradients[0]));
        vec![Some(back(&vectors, &middle))]
    }
}

/// The diagonal of `[.., n, n]` as rows `[.., 1, n]`.
#[track_caller]
fn with_diagonal_of(a: &Tensor) -> Tensor {
    crate::matrices::diagonal(a).unsqueeze(-2)
}

/// The real part of `V^-H M V^H`.
#[track_caller]
fn back(vectors: &Parts, middle: &Parts) -> Tensor {
    let right = middle.matmul(&vectors.adjoint());
    let size = right.re.size(-2);
    // A complex system is a real one of twice the size.
    let adjoint = vectors.adjoint();
    let below = Tensor::concat(&[&adjoint.im, &adjoint.re], -1);
    let above = Tensor::concat(&[&adjoint.re, &adjoint.im.neg()], -1);
    let system = Tensor::concat(&[&above, &below], -2);
    let x = solve(&system, &Tensor::concat(&[&right.re, &right.im], -2));
    x.narrow(-2, 0, size)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EigVals;

impl MatrixOp for EigVals {
    fn name(&self) -> &'static str {
        "eigvals"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![of.with(&[of.rows, 2])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        // With vectors, although they are not asked for, so that the order is that of the derivative.
        let memory = || (Workspace::<T>::new(of.rows, true), vec![T::zero(); 2 * of.size()]);
        let cost = 20 * of.rows * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [values]| {
            let (workspace, vectors) = memory;
            decompose(workspace, of.matrix(of_a, index), values, Some(vectors))
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [_, vectors] = apply(Eig, &[&operands[0]]);
        let vectors = Parts::of(&vectors);
        let none = Parts { re: vectors.re.zeros_like(), im: vectors.re.zeros_like() };
        let middle = none.plus_diagonal(&Parts::of(&gradients[0]));
        vec![Some(back(&vectors, &middle))]
    }
}

/// Real and imaginary parts of complex matrices.
struct Parts {
    re: Tensor,
    im: Tensor,
}

impl Parts {
    /// Of pairs.
    #[track_caller]
    fn of(pairs: &Tensor) -> Parts {
        Parts { re: pairs.index(-1, 0), im: pairs.index(-1, 1) }
    }

    /// The conjugate transpose.
    #[track_caller]
    fn adjoint(&self) -> Parts {
        Parts { re: t(&self.re), im: t(&self.im).neg() }
    }

    #[track_caller]
    fn matmul(&self, other: &Parts) -> Parts {
        Parts {
            re: self.re.matmul(&other.re) - self.im.matmul(&other.im),
            im: self.re.matmul(&other.im) + self.im.matmul(&other.re),
        }
    }

    #[track_caller]
    fn less(&self, other: &Parts) -> Parts {
        Parts { re: &self.re - &other.re, im: &self.im - &other.im }
    }

    #[track_caller]
    fn scaled(&self, factor: &Tensor) -> Parts {
        Parts { re: &self.re * factor, im: &self.im * factor }
    }

    /// Divided by the conjugates of others, element by element; zero where those are.
    #[track_caller]
    fn over_conjugate(&self, other: &Parts) -> Parts {
        let square = other.re.square() + other.im.square();
        let none = square.eq(0.0);
        let inverse = none.select(square.zeros_like(), none.select(1.0, &square).reciprocal());
        let re = &self.re * &other.re - &self.im * &other.im;
        let im = &self.im * &other.re + &self.re * &other.im;
        Parts { re: re * &inverse, im: im * inverse }
    }

    /// With other numbers `[.., n]` on the diagonal.
    #[track_caller]
    fn plus_diagonal(&self, values: &Parts) -> Parts {
        let on = identity(self.re.size(-1), &self.re).cast(DType::Bool);
        Parts {
            re: on.select(values.re.unsqueeze(-2), &self.re),
            im: on.select(values.im.unsqueeze(-2), &self.im),
        }
    }
}
