//! Singular values and vectors.

use faer::Par;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};

use crate::real::{Real, columns_of, columns_of_mut, require_finite, transpose};

/// Memory for matrices of one size.
pub(crate) struct Workspace<T> {
    rows: usize,
    columns: usize,
    vectors: ComputeSvdVectors,
    /// Columns of U.
    width: usize,
    left: Vec<T>,
    memory: MemBuffer,
}

impl<T: Real> Workspace<T> {
    pub(crate) fn new(rows: usize, columns: usize, vectors: ComputeSvdVectors) -> Self {
        let params = Default::default();
        let memory = svd_scratch::<T>(columns, rows, vectors, vectors, Par::Seq, params);
        let width = match vectors {
            ComputeSvdVectors::No => 0,
            ComputeSvdVectors::Thin => rows.min(columns),
            ComputeSvdVectors::Full => rows,
        };
        let left = vec![T::zero(); rows * width];
        Workspace { rows, columns, vectors, width, left, memory: MemBuffer::new(memory) }
    }
}

/// Singular values of the row-major `a`, largest first, and the row-major U and V^T, if the workspace is
/// for them.
pub(crate) fn decompose<T: Real>(
    workspace: &mut Workspace<T>,
    a: &[T],
    values: &mut [T],
    vectors: Option<[&mut [T]; 2]>,
) -> Result<(), String> {
    require_finite(a)?;
    let Workspace { rows, columns, width, .. } = *workspace;
    let height = match workspace.vectors {
        ComputeSvdVectors::No => 0,
        ComputeSvdVectors::Thin => rows.min(columns),
        ComputeSvdVectors::Full => columns,
    };
    // In column-major order the elements of A are its transpose, whose U is V, and V^T in row-major order
    // is V in the other.
    let transposed = columns_of(a, columns, rows);
    let values = DiagMut::from_slice_mut(values);
    let memory = MemStack::new(&mut workspace.memory);
    let done = match vectors {
        None => svd(transposed, values, None, None, Par::Seq, memory, Default::default()),
        Some([u, v]) => {
            // `faer` leaves what it does not write of further columns as it was.
            workspace.left.fill(T::zero());
            v.fill(T::zero());
            let left = columns_of_mut(&mut workspace.left, rows, width);
            let right = columns_of_mut(v, columns, height);
            let params = Default::default();
            let done = svd(transposed, values, Some(right), Some(left), Par::Seq, memory, params);
            transpose(&workspace.left, rows, u);
            done
        }
    };
    done.map_err(|_| "its singular values did not converge".to_string())
}
