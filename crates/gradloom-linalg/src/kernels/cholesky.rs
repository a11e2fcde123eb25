//! Cholesky's factor.

use faer::Par;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltError, LltParams, cholesky_in_place, cholesky_in_place_scratch,
};

use crate::real::{Real, columns_of_mut, transpose};

/// Up to this size the overhead of blocks costs more than they give.
const SMALL_MAX: usize = 32;

/// Memory for matrices of one size.
pub(crate) struct Workspace<T> {
    columns: Vec<T>,
    memory: Option<MemBuffer>,
}

impl<T: Real> Workspace<T> {
    pub(crate) fn new(size: usize) -> Self {
        let memory = (size > SMALL_MAX).then(|| {
            let params = faer::Spec::<LltParams, T>::default();
            MemBuffer::new(cholesky_in_place_scratch::<T>(size, Par::Seq, params))
        });
        Workspace { columns: vec![T::zero(); size * size], memory }
    }
}

/// Writes the lower factor of the row-major `a`, whose lower triangle alone is read, to `factor`; gives the
/// order of the first leading minor that is not positive definite, if there is one.
pub(crate) fn factor<T: Real>(
    workspace: &mut Workspace<T>,
    a: &[T],
    size: usize,
    factor: &mut [T],
) -> Option<usize> {
    let columns = &mut workspace.columns;
    transpose(a, size, columns);
    let failed = match &mut workspace.memory {
        None => factor_small(columns, size),
        Some(memory) => {
            let done = cholesky_in_place(
                columns_of_mut(columns, size, size),
                Default::default(),
                Par::Seq,
                MemStack::new(memory),
                Default::default(),
            );
            done.err().map(|LltError::NonPositivePivot { index }| index)
        }
    };
    if let Some(index) = failed {
        return Some(index + 1);
    }
    transpose(columns, size, factor);
    for (row, elements) in factor.chunks_exact_mut(size.max(1)).enumerate() {
        elements[row + 1..].fill(T::zero());
    }
    None
}

/// The first pivot that is not positive, if there is one.
fn factor_small<T: Real>(a: &mut [T], size: usize) -> Option<usize> {
    for step in 0..size {
        let (done, rest) = a.split_at_mut((step + 1) * size);
        let column = &mut done[step * size + step..];
        let pivot = column[0];
        if !(pivot > T::zero() && pivot.is_real()) {
            return Some(step);
        }
        let root = pivot.wide().sqrt();
        column[0] = T::of(root);
        let inverse = T::one() / column[0];
        column[1..].iter_mut().for_each(|element| *element *= inverse);
        for (number, other) in rest.chunks_exact_mut(size).enumerate() {
            let below = &column[number + 1..];
            let factor = below[0];
            let pairs = other[step + 1 + number..].iter_mut().zip(below);
            pairs.for_each(|(element, &below)| *element -= below * factor);
        }
    }
    None
}
