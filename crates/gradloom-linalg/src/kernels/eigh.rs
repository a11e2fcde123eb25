//! Eigenvalues and eigenvectors of symmetric matrices.

use faer::Par;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};

use crate::real::{Real, columns_of, columns_of_mut, require_finite, transpose};

/// Memory for matrices of one size.
pub(crate) struct Workspace<T> {
    size: usize,
    columns: Vec<T>,
    vectors: Vec<T>,
    memory: MemBuffer,
}

impl<T: Real> Workspace<T> {
    pub(crate) fn new(size: usize, with_vectors: bool) -> Self {
        let compute = match with_vectors {
            true => ComputeEigenvectors::Yes,
            false => ComputeEigenvectors::No,
        };
        // The scratch of no rows is not defined.
        let memory =
            self_adjoint_evd_scratch::<T>(size.max(1), compute, Par::Seq, Default::default());
        Workspace {
            size,
            columns: vec![T::zero(); size * size],
            vectors: vec![T::zero(); if with_vectors { size * size } else { 0 }],
            memory: MemBuffer::new(memory),
        }
    }
}

/// Eigenvalues of the row-major `a`, of which the lower triangle is read, in ascending order, and
/// eigenvectors, the columns of a row-major matrix.
pub(crate) fn decompose<T: Real>(
    workspace: &mut Workspace<T>,
    a: &[T],
    values: &mut [T],
    vectors: Option<&mut [T]>,
) -> Result<(), String> {
    let size = workspace.size;
    transpose(a, size, &mut workspace.columns);
    for (column, elements) in workspace.columns.chunks_exact_mut(size.max(1)).enumerate() {
        elements[..column].fill(T::zero());
    }
    require_finite(&workspace.columns)?;
    let lower = columns_of(&workspace.columns, size, size);
    let values = DiagMut::from_slice_mut(values);
    let memory = MemStack::new(&mut workspace.memory);
    let done = match vectors {
        None => self_adjoint_evd(lower, values, None, Par::Seq, memory, Default::default()),
        Some(vectors) => {
            let found = columns_of_mut(&mut workspace.vectors, size, size);
            let params = Default::default();
            let done = self_adjoint_evd(lower, values, Some(found), Par::Seq, memory, params);
            transpose(&workspace.vectors, size, vectors);
            done
        }
    };
    done.map_err(|_| "its eigenvalues did not converge".to_string())
}
