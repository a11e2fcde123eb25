//! [`Matrix`]: rows and columns somewhere in a slice, at any distance.

/// A matrix somewhere in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    /// What it lies in.
    pub(crate) values: &'a [T],
    /// Position of its first element.
    pub(crate) offset: isize,
    /// Elements from one row to the next, and from one column to the next.
    pub(crate) strides: [isize; 2],
}

impl<'a, T> Matrix<'a, T> {
    /// The same matrix from another row and column on.
    #[inline(always)]
    pub(crate) fn from(self, row: usize, column: usize) -> Matrix<'a, T> {
        let offset =
            self.offset + row as isize * self.strides[0] + column as isize * self.strides[1];
        Matrix { offset, ..self }
    }

    /// Rows as columns.
    pub(crate) fn transposed(self) -> Matrix<'a, T> {
        Matrix { strides: [self.strides[1], self.strides[0]], ..self }
    }

    /// Panics unless all elements of a matrix of this size lie in the slice.
    pub(crate) fn check(&self, rows: usize, columns: usize) {
        let (mut low, mut high) = (self.offset, self.offset);
        for (size, stride) in [rows, columns].into_iter().zip(self.strides) {
            let reach = (size as isize - 1) * stride;
            low += reach.min(0);
            high += reach.max(0);
        }
        assert!(
            rows == 0 || columns == 0 || (low >= 0 && (high as usize) < self.values.len()),
            "product: a matrix of {rows} x {columns} leaves its buffer of {}",
            self.values.len()
        );
    }
}
