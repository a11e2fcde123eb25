//! QR by Householder reflections.

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::qr::no_pivoting::factor::{
    qr_in_place, qr_in_place_scratch, recommended_block_size,
};
use faer::{Conj, Par};

use crate::real::{Real, columns_of, columns_of_mut, set_identity, transpose};

/// Memory for matrices of one size.
pub(crate) struct Workspace<T> {
    rows: usize,
    columns: usize,
    /// Columns of Q.
    width: usize,
    block: usize,
    reflections: Vec<T>,
    blocks: Vec<T>,
    q: Vec<T>,
    memory: MemBuffer,
}

impl<T: Real> Workspace<T> {
    /// For `[rows, columns]` with `width` columns of Q, or none.
    pub(crate) fn new(rows: usize, columns: usize, width: usize) -> Self {
        let size = rows.min(columns);
        let block = recommended_block_size::<T>(rows, columns).max(1);
        let memory = StackReq::any_of(&[
            qr_in_place_scratch::<T>(rows, columns, block, Par::Seq, Default::default()),
            apply_scratch::<T>(rows, block, width),
        ]);
        Workspace {
            rows,
            columns,
            width,
            block,
            reflections: vec![T::zero(); rows * columns],
            blocks: vec![T::zero(); block * size],
            q: vec![T::zero(); rows * width],
            memory: MemBuffer::new(memory),
        }
    }
}

/// Writes the row-major factors of the row-major `a`: `q [rows, width]`, if asked for, and `r`, of which
/// `a` has at least the rows.
pub(crate) fn factor<T: Real>(
    workspace: &mut Workspace<T>,
    a: &[T],
    q: Option<&mut [T]>,
    r: &mut [T],
) {
    let Workspace { rows, columns, width, block, .. } = *workspace;
    let size = rows.min(columns);
    if size > 0 {
        transpose(a, columns, &mut workspace.reflections);
        qr_in_place(
            columns_of_mut(&mut workspace.reflections, rows, columns),
            columns_of_mut(&mut workspace.blocks, block, size),
            Par::Seq,
            MemStack::new(&mut workspace.memory),
            Default::default(),
        );
    }
    for (row, elements) in r.chunks_exact_mut(columns.max(1)).enumerate() {
        for (column, element) in elements.iter_mut().enumerate() {
            let inside = row <= column && row < rows;
            *element = match inside {
                true => workspace.reflections[column * rows + row],
                false => T::zero(),
            };
        }
    }
    let Some(q) = q else { return };
    set_identity(&mut workspace.q, rows);
    if size > 0 {
        apply(
            columns_of(&workspace.reflections, rows, columns).subcols(0, size),
            columns_of(&workspace.blocks, block, size),
            Conj::No,
            columns_of_mut(&mut workspace.q, rows, width),
            Par::Seq,
            MemStack::new(&mut workspace.memory),
        );
    }
    transpose(&workspace.q, rows, q);
}
