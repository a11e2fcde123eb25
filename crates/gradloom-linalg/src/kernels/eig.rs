//! Eigenvalues and eigenvectors of any square matrix, complex numbers as pairs.

use faer::Par;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, evd_real, evd_scratch};

use crate::real::{Real, columns_of, columns_of_mut, require_finite, transpose};

/// Memory for matrices of one size.
pub(crate) struct Workspace<T> {
    size: usize,
    columns: Vec<T>,
    re: Vec<T>,
    im: Vec<T>,
    vectors: Vec<T>,
    memory: MemBuffer,
}

impl<T: Real> Workspace<T> {
    pub(crate) fn new(size: usize, with_vectors: bool) -> Self {
        let compute = match with_vectors {
            true => ComputeEigenvectors::Yes,
            false => ComputeEigenvectors::No,
        };
        // The scratch of one row is not defined.
        let scratch = evd_scratch::<T>(
            size.max(2),
            ComputeEigenvectors::No,
            compute,
            Par::Seq,
            Default::default(),
        );
        Workspace {
            size,
            columns: vec![T::zero(); size * size],
            re: vec![T::zero(); size],
            im: vec![T::zero(); size],
            vectors: vec![T::zero(); if with_vectors { size * size } else { 0 }],
            memory: MemBuffer::new(scratch),
        }
    }
}

/// Eigenvalues `[size, 2]` of the row-major `a`, and eigenvectors `[size, size, 2]`, the columns, each of
/// length one and its largest element real.
pub(crate) fn decompose<T: Real>(
    workspace: &mut Workspace<T>,
    a: &[T],
    values: &mut [T],
    vectors: Option<&mut [T]>,
) -> Result<(), String> {
    let size = workspace.size;
    require_finite(a)?;
    if size < 2 {
        values.iter_mut().zip([a.first().copied(), Some(T::zero())]).for_each(|(to, from)| {
            *to = from.unwrap_or_else(T::zero);
        });
        if let Some(vectors) = vectors {
            vectors.iter_mut().zip([T::one(), T::zero()]).for_each(|(to, from)| *to = from);
        }
        return Ok(());
    }
    transpose(a, size, &mut workspace.columns);
    let found = vectors.is_some().then(|| columns_of_mut(&mut workspace.vectors, size, size));
    evd_real(
        columns_of(&workspace.columns, size, size),
        DiagMut::from_slice_mut(&mut workspace.re),
        DiagMut::from_slice_mut(&mut workspace.im),
        None,
        found,
        Par::Seq,
        MemStack::new(&mut workspace.memory),
        Default::default(),
    )
    .map_err(|_| "its eigenvalues did not converge".to_string())?;
    for (pair, (&re, &im)) in values.chunks_exact_mut(2).zip(workspace.re.iter().zip(&workspace.im))
    {
        pair.copy_from_slice(&[re, im]);
    }
    let Some(vectors) = vectors else { return Ok(()) };
    let mut column = 0;
    while column < size {
        let first = &workspace.vectors[column * size..][..size];
        if workspace.im[column] == T::zero() {
            write_unit(vectors, size, &[(column, T::one())], first, None);
            column += 1;
        } else {
            // Two conjugate ones follow one another: real parts and imaginary parts of the first.
            let second = &workspace.vectors[(column + 1) * size..][..size];
            let both = [(column, T::one()), (column + 1, -T::one())];
            write_unit(vectors, size, &both, first, Some(second));
            column += 2;
        }
    }
    Ok(())
}

/// Writes a vector, scaled to length one and turned so that its largest element is real, to a column, and
/// with the sign of its imaginary part to others.
fn write_unit<T: Real>(
    vectors: &mut [T],
    size: usize,
    columns: &[(usize, T)],
    re: &[T],
    im: Option<&[T]>,
) {
    let part = |row: usize| (re[row].wide(), im.map_or(0.0, |im| im[row].wide()));
    let square = |row: usize| part(row).0.powi(2) + part(row).1.powi(2);
    let length = (0..size).map(square).sum::<f64>().sqrt();
    let largest =
        (0..size).fold(0, |best, row| if square(row) > square(best) { row } else { best });
    let (x, y) = part(largest);
    let size_of = (x * x + y * y).sqrt();
    // A real vector keeps its sign.
    let (c, s) = if im.is_some() { (x / size_of, -y / size_of) } else { (1.0, 0.0) };
    for row in 0..size {
        let (x, y) = part(row);
        let turned = [(x * c - y * s) / length, (x * s + y * c) / length];
        for &(column, sign) in columns {
            let at = 2 * (row * size + column);
            vectors[at] = T::of(turned[0]);
            vectors[at + 1] = T::of(turned[1]) * sign;
        }
    }
}
