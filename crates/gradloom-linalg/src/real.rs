//! [`Real`]: the numbers that matrices are made of, and matrices in row-major and column-major order.

use std::iter::Sum;

use faer::traits::RealField;
use faer::{MatMut, MatRef};
use gradloom_tensor::Element;

/// f32 or f64: each is computed in itself.
pub(crate) trait Real: RealField + Element + Sum + From<f32> {
    /// Distance from 1 to the next number.
    const EPSILON: Self;

    fn of(value: f64) -> Self;

    fn wide(self) -> f64;

    /// Whether it is neither NaN nor infinite.
    fn is_real(self) -> bool;
}

macro_rules! real {
    ($($real:ty),+) => {$(
        impl Real for $real {
            const EPSILON: Self = <$real>::EPSILON;

            fn of(value: f64) -> Self {
                value as $real
            }

            fn wide(self) -> f64 {
                f64::from(self)
            }

            fn is_real(self) -> bool {
                self.is_finite()
            }
        }
    )+};
}

real!(f32, f64);

/// The row-major matrix of `elements`.
pub(crate) fn rows_of<T>(elements: &[T], rows: usize, columns: usize) -> MatRef<'_, T> {
    MatRef::from_row_major_slice(elements, rows, columns)
}

/// The row-major matrix of `elements`, to be written.
pub(crate) fn rows_of_mut<T>(elements: &mut [T], rows: usize, columns: usize) -> MatMut<'_, T> {
    MatMut::from_row_major_slice_mut(elements, rows, columns)
}

/// The column-major matrix of `elements`.
pub(crate) fn columns_of<T>(elements: &[T], rows: usize, columns: usize) -> MatRef<'_, T> {
    MatRef::from_column_major_slice(elements, rows, columns)
}

/// The column-major matrix of `elements`, to be written.
pub(crate) fn columns_of_mut<T>(elements: &mut [T], rows: usize, columns: usize) -> MatMut<'_, T> {
    MatMut::from_column_major_slice_mut(elements, rows, columns)
}

/// Writes the transpose of `from`, whose rows have `columns` elements: between the two orders.
pub(crate) fn transpose<T: Copy>(from: &[T], columns: usize, to: &mut [T]) {
    /// Elements of a side of the blocks in which large matrices are turned.
    const BLOCK: usize = 16;
    if columns == 0 {
        return;
    }
    let rows = from.len() / columns;
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..columns).step_by(BLOCK) {
            let end = columns.min(left + BLOCK);
            for row in top..rows.min(top + BLOCK) {
                for column in left..end {
                    to[column * rows + row] = from[row * columns + column];
                }
            }
        }
    }
}

/// Writes ones to the diagonal of a matrix in either order, whose rows (or columns) have `stride` elements,
/// and zeros elsewhere.
pub(crate) fn set_identity<T: Real>(matrix: &mut [T], stride: usize) {
    matrix.fill(T::zero());
    matrix.iter_mut().step_by(stride + 1).for_each(|element| *element = T::one());
}

/// An error unless all elements are numbers.
pub(crate) fn require_finite<T: Real>(elements: &[T]) -> Result<(), String> {
    match elements.iter().all(|element| element.is_real()) {
        true => Ok(()),
        false => Err("it has elements that are NaN or infinite".to_string()),
    }
}
