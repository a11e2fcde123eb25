//! Products of two matrices that lie anywhere strides can reach: panels for f32 (`panel.rs`), the
//! `gemm` crate for f64 and for single rows or columns, simple loops for integers and where packing
//! would not pay.
#![expect(unsafe_code, reason = "the gemm crate takes pointers and strides")]

use bytemuck::Pod;

use super::cascade::Cascade;
use super::matrix::Matrix;
use super::panel::{DEPTH, PanelProduct, add_parts, pack, packed_len, panel_width};
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::Real;

/// Numbers that can be multiplied.
pub(crate) trait Number: Pod + Send + Sync {
    /// True if products of this size are best made of panels.
    fn uses_panels(size: [usize; 3]) -> bool;

    /// `out[row * out_stride + column] = lhs x rhs` for rows, columns and inner size, on the calling
    /// thread.
    fn multiply(
        level: Level,
        out: &mut [Self],
        out_stride: usize,
        size: [usize; 3],
        lhs: Matrix<'_, Self>,
        rhs: Matrix<'_, Self>,
    );

    /// Packs columns of the right matrix for [`Number::multiply_packed`].
    fn pack_columns(
        level: Level,
        rhs: Matrix<'_, Self>,
        inner: usize,
        columns: std::ops::Range<usize>,
        packed: &mut [Self],
    );

    /// As [`Number::multiply`] with a right matrix that is packed.
    fn multiply_packed(
        level: Level,
        out: &mut [Self],
        size: [usize; 3],
        lhs: Matrix<'_, Self>,
        packed: &[Self],
    );

    /// Columns that are packed together.
    fn panel_width(level: Level) -> usize;

    /// Elements that some columns take when packed.
    fn packed_len(level: Level, columns: usize, inner: usize) -> usize;
}

/// Products of fewer multiplications than this are not worth packing.
const SMALL: usize = 4 * 1024;
/// Rows or columns below which a vector of accumulators would be mostly empty.
const NARROW: usize = 4;

impl Number for f32 {
    fn uses_panels([m, n, k]: [usize; 3]) -> bool {
        m >= NARROW && n >= NARROW && m * n * k >= SMALL
    }

    fn multiply(
        level: Level,
        out: &mut [f32],
        out_stride: usize,
        size: [usize; 3],
        lhs: Matrix<'_, f32>,
        rhs: Matrix<'_, f32>,
    ) {
        let [_, n, k] = size;
        if !f32::uses_panels(size) {
            return multiply_in_parts(
                out,
                out_stride,
                size,
                lhs,
                rhs,
                |out, stride, size, a, b| {
                    if size.iter().product::<usize>() < SMALL {
                        multiply_small(level, out, stride, size, a, b);
                    } else {
                        multiply_gemm(out, stride, size, a, b, 1.0, gemm::gemm);
                    }
                },
            );
        }
        let mut packed = Scratch::take::<f32>(packed_len::<f32>(level, n, k));
        pack(level, rhs, k, 0..n, packed.get_mut());
        let packed = packed.get();
        PanelProduct { source: lhs, packed, size, out, out_stride }.run(level);
    }

    fn pack_columns(
        level: Level,
        rhs: Matrix<'_, f32>,
        inner: usize,
        columns: std::ops::Range<usize>,
        packed: &mut [f32],
    ) {
        pack(level, rhs, inner, columns, packed);
    }

    fn multiply_packed(
        level: Level,
        out: &mut [f32],
        size: [usize; 3],
        lhs: Matrix<'_, f32>,
        packed: &[f32],
    ) {
        let out_stride = size[1];
        PanelProduct { source: lhs, packed, size, out, out_stride }.run(level);
    }

    fn panel_width(level: Level) -> usize {
        panel_width::<f32>(level)
    }

    fn packed_len(level: Level, columns: usize, inner: usize) -> usize {
        packed_len::<f32>(level, columns, inner)
    }
}

/// A number whose products are never made of panels.
macro_rules! number_without_panels {
    ($type:ty, |$level:ident, $out:ident, $stride:ident, $size:ident, $lhs:ident, $rhs:ident| $body:expr) => {
        impl Number for $type {
            fn uses_panels(_: [usize; 3]) -> bool {
                false
            }

            fn multiply(
                $level: Level,
                $out: &mut [Self],
                $stride: usize,
                $size: [usize; 3],
                $lhs: Matrix<'_, Self>,
                $rhs: Matrix<'_, Self>,
            ) {
                $body
            }

            fn pack_columns(
                _: Level,
                _: Matrix<'_, Self>,
                _: usize,
                _: std::ops::Range<usize>,
                _: &mut [Self],
            ) {
            }

            fn multiply_packed(
                _: Level,
                _: &mut [Self],
                _: [usize; 3],
                _: Matrix<'_, Self>,
                _: &[Self],
            ) {
            }

            fn panel_width(_: Level) -> usize {
                1
            }

            fn packed_len(_: Level, _: usize, _: usize) -> usize {
                0
            }
        }
    };
}

number_without_panels!(f64, |level, out, out_stride, size, lhs, rhs| {
    multiply_in_parts(out, out_stride, size, lhs, rhs, |out, stride, size, a, b| {
        if size.iter().product::<usize>() < SMALL {
            multiply_small(level, out, stride, size, a, b);
        } else {
            multiply_gemm(out, stride, size, a, b, 1.0, gemm::gemm);
        }
    });
});
number_without_panels!(i32, |level, out, out_stride, size, lhs, rhs| {
    multiply_small(level, out, out_stride, size, lhs, rhs)
});
number_without_panels!(i64, |level, out, out_stride, size, lhs, rhs| {
    multiply_small(level, out, out_stride, size, lhs, rhs)
});
number_without_panels!(u32, |level, out, out_stride, size, lhs, rhs| {
    multiply_small(level, out, out_stride, size, lhs, rhs)
});

/// A product whose inner axis is taken in parts of [`DEPTH`], each a product of its own; parts are added
/// pairwise.
fn multiply_in_parts<T: Real>(
    out: &mut [T],
    out_stride: usize,
    [m, n, k]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    product: impl Fn(&mut [T], usize, [usize; 3], Matrix<'_, T>, Matrix<'_, T>),
) {
    if k <= DEPTH || m * n == 0 {
        return product(out, out_stride, [m, n, k], lhs, rhs);
    }
    let mut parts = Cascade::default();
    for first in (0..k).step_by(DEPTH) {
        let mut part = Scratch::take::<T>(m * n);
        let size = [m, n, DEPTH.min(k - first)];
        product(part.get_mut(), n, size, lhs.from(0, first), rhs.from(first, 0));
        parts.push(part, add_parts::<T>);
    }
    if let Some(total) = parts.total(add_parts::<T>) {
        for (out, row) in out.chunks_mut(out_stride).zip(total.get::<T>().chunks_exact(n)) {
            out[..n].copy_from_slice(row);
        }
    }
}

/// The signature of `gemm::gemm` for one type.
type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    gemm::Parallelism,
);

fn multiply_gemm<T: Pod>(
    out: &mut [T],
    out_stride: usize,
    [m, n, k]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    one: T,
    gemm: Gemm<T>,
) {
    let fits = m == 0 || n == 0 || (m - 1) * out_stride + n <= out.len();
    assert!(fits && (out_stride >= n || m <= 1), "product: {m} x {n} do not fit the result");
    lhs.check(m, k);
    rhs.check(k, n);
    // SAFETY: the three checks above keep every access of the product in its slice.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            false,
            lhs.values.as_ptr().offset(lhs.offset),
            lhs.strides[1],
            lhs.strides[0],
            rhs.values.as_ptr().offset(rhs.offset),
            rhs.strides[1],
            rhs.strides[0],
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// What [`multiply_small`] needs of a number.
trait Ring: Pod {
    fn multiply_add<const FMA: bool>(a: Self, b: Self, c: Self) -> Self;
}

macro_rules! ring {
    ($($type:ty => |$a:ident, $b:ident, $c:ident| $body:expr;)*) => {
        $(impl Ring for $type {
            #[inline(always)]
            fn multiply_add<const FMA: bool>($a: Self, $b: Self, $c: Self) -> Self {
                $body
            }
        })*
    };
}

ring! {
    f32 => |a, b, c| if FMA { a.mul_add(b, c) } else { a * b + c };
    f64 => |a, b, c| if FMA { a.mul_add(b, c) } else { a * b + c };
    i32 => |a, b, c| a.wrapping_mul(b).wrapping_add(c);
    i64 => |a, b, c| a.wrapping_mul(b).wrapping_add(c);
    u32 => |a, b, c| a.wrapping_mul(b).wrapping_add(c);
}

vectorized! {
    /// Row by row: adds multiples of the right matrix's rows.
    fn multiply_small['a][T: Ring](
        out: &'a mut [T],
        out_stride: usize,
        size: [usize; 3],
        lhs: Matrix<'a, T>,
        rhs: Matrix<'a, T>,
    ) {
        let [m, n, k] = size;
        for row in 0..m {
            let out = &mut out[row * out_stride..row * out_stride + n];
            out.fill(T::zeroed());
            for inner in 0..k {
                let a = lhs.values[lhs.from(row, inner).offset as usize];
                let first = rhs.from(inner, 0).offset;
                if rhs.strides[1] == 1 {
                    let values = &rhs.values[first as usize..first as usize + n];
                    for (slot, &b) in out.iter_mut().zip(values) {
                        *slot = T::multiply_add::<FMA>(a, b, *slot);
                    }
                } else {
                    let mut index = first;
                    for slot in out.iter_mut() {
                        *slot = T::multiply_add::<FMA>(a, rhs.values[index as usize], *slot);
                        index += rhs.strides[1];
                    }
                }
            }
        }
    }
}
