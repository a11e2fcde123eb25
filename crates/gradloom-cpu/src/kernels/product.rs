//! Products of two matrices: the `gemm` crate behind slices whose bounds are checked, simple loops for
//! integers and for products too small to prepare anything.
#![expect(unsafe_code, reason = "the gemm crate takes pointers and strides")]

use bytemuck::Pod;

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
    pub(crate) fn from(self, row: usize, column: usize) -> Matrix<'a, T> {
        let offset =
            self.offset + row as isize * self.strides[0] + column as isize * self.strides[1];
        Matrix { offset, ..self }
    }

    /// Panics unless all elements of a matrix of this size lie in the slice.
    fn check(&self, rows: usize, columns: usize) {
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

/// Numbers that can be multiplied.
pub(crate) trait Number: Pod + Send + Sync {
    /// `out[row * out_stride + column] = lhs x rhs`, on the calling thread. With `accumulate` the
    /// product is added to what is there.
    fn multiply(
        out: &mut [Self],
        out_stride: usize,
        size: [usize; 3],
        lhs: Matrix<'_, Self>,
        rhs: Matrix<'_, Self>,
        accumulate: bool,
    );
}

/// Products of fewer multiplications than this are not worth packing.
const SMALL: usize = 8 * 1024;

macro_rules! number_float {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn multiply(
                out: &mut [Self],
                out_stride: usize,
                size: [usize; 3],
                lhs: Matrix<'_, Self>,
                rhs: Matrix<'_, Self>,
                accumulate: bool,
            ) {
                let [m, n, k] = size;
                if m * n * k < SMALL {
                    return multiply_simply(
                        out, out_stride, size, lhs, rhs, accumulate, |a, b, c| a * b + c,
                    );
                }
                check_out(out.len(), out_stride, size);
                lhs.check(m, k);
                rhs.check(k, n);
                // SAFETY: the three checks above keep every access of the product in its slice.
                unsafe {
                    gemm::gemm(
                        m,
                        n,
                        k,
                        out.as_mut_ptr(),
                        1,
                        out_stride as isize,
                        accumulate,
                        lhs.values.as_ptr().offset(lhs.offset),
                        lhs.strides[1],
                        lhs.strides[0],
                        rhs.values.as_ptr().offset(rhs.offset),
                        rhs.strides[1],
                        rhs.strides[0],
                        1.0,
                        1.0,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            }
        }
    )*};
}

macro_rules! number_integer {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn multiply(
                out: &mut [Self],
                out_stride: usize,
                size: [usize; 3],
                lhs: Matrix<'_, Self>,
                rhs: Matrix<'_, Self>,
                accumulate: bool,
            ) {
                multiply_simply(out, out_stride, size, lhs, rhs, accumulate, |a, b, c| {
                    a.wrapping_mul(b).wrapping_add(c)
                });
            }
        }
    )*};
}

number_float!(f32, f64);
number_integer!(i32, u32);

fn check_out(len: usize, stride: usize, [m, n, _]: [usize; 3]) {
    let fits = m == 0 || n == 0 || (m - 1) * stride + n <= len;
    assert!(fits && (stride >= n || m <= 1), "product: {m} x {n} do not fit the result");
}

/// Row by row: adds multiples of the right matrix's rows.
fn multiply_simply<T: Pod>(
    out: &mut [T],
    out_stride: usize,
    [m, n, k]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    accumulate: bool,
    combine: impl Fn(T, T, T) -> T,
) {
    for row in 0..m {
        let out = &mut out[row * out_stride..row * out_stride + n];
        if !accumulate {
            out.fill(T::zeroed());
        }
        for inner in 0..k {
            let a = lhs.values[lhs.from(row, inner).offset as usize];
            let first = rhs.from(inner, 0).offset;
            if rhs.strides[1] == 1 {
                let values = &rhs.values[first as usize..first as usize + n];
                for (slot, &b) in out.iter_mut().zip(values) {
                    *slot = combine(a, b, *slot);
                }
            } else {
                let mut index = first;
                for slot in out.iter_mut() {
                    *slot = combine(a, rhs.values[index as usize], *slot);
                    index += rhs.strides[1];
                }
            }
        }
    }
}

/// A result whose columns are computed by several threads.
struct Columns<T>(*mut T);

// SAFETY: threads write disjoint columns (see `multiply_columns`).
unsafe impl<T: Send> Send for Columns<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Columns<T> {}

/// A product whose columns are split among threads in blocks of `block`; `out` is contiguous.
pub(crate) fn multiply_columns<T: Number>(
    threads: usize,
    out: &mut [T],
    [m, n, k]: [usize; 3],
    block: usize,
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    check_out(out.len(), n, [m, n, k]);
    let (len, columns) = (out.len(), Columns(out.as_mut_ptr()));
    let columns = &columns;
    crate::parallel::each(threads, n.div_ceil(block), |task| {
        let first = task * block;
        let count = block.min(n - first);
        let mut copy = crate::scratch::Scratch::take::<T>(m * count);
        T::multiply(copy.get_mut(), count, [m, count, k], lhs, rhs.from(0, first), false);
        for (row, values) in copy.get::<T>().chunks_exact(count).enumerate() {
            debug_assert!(row * n + first + count <= len);
            // SAFETY: the target is inside `out`, which `check_out` measured, and in this task's
            // columns, which no other task touches.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    values.as_ptr(),
                    columns.0.add(row * n + first),
                    count,
                );
            }
        }
    });
}
