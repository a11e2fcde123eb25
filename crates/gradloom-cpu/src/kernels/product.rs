//! Products of two matrices that lie anywhere strides can reach: panels (`panel.rs`), rows added where one
//! matrix is thin (`thin.rs`), simple loops for integers and where neither would pay.

use std::ops::Range;

use bytemuck::Pod;

use super::matrix::Matrix;
use super::panel::{PanelProduct, pack, packed_len, panel_width};
use super::thin::multiply_thin;
use super::tiles::{DEPTH, Tiled};
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};

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
        columns: Range<usize>,
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

    /// Rows of a left matrix that are multiplied together.
    fn tile_height(level: Level) -> usize;
}

/// Products of fewer multiplications than this are not worth packing.
const SMALL: usize = 4 * 1024;
/// Rows or columns below which a panel would be packed for too little work.
const NARROW: usize = 4;

/// A number whose products are made of panels.
macro_rules! number_with_panels {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn uses_panels([m, n, k]: [usize; 3]) -> bool {
                m >= NARROW && n >= NARROW && m * n * k >= SMALL
            }

            fn multiply(
                level: Level,
                out: &mut [Self],
                out_stride: usize,
                size: [usize; 3],
                lhs: Matrix<'_, Self>,
                rhs: Matrix<'_, Self>,
            ) {
                multiply_real(level, out, out_stride, size, lhs, rhs);
            }

            fn pack_columns(
                level: Level,
                rhs: Matrix<'_, Self>,
                inner: usize,
                columns: Range<usize>,
                packed: &mut [Self],
            ) {
                pack(level, rhs, inner, columns, packed);
            }

            fn multiply_packed(
                level: Level,
                out: &mut [Self],
                size: [usize; 3],
                lhs: Matrix<'_, Self>,
                packed: &[Self],
            ) {
                let out_stride = size[1];
                PanelProduct { source: lhs, packed, size, out, out_stride }.run(level);
            }

            fn panel_width(level: Level) -> usize {
                panel_width::<Self>(level)
            }

            fn packed_len(level: Level, columns: usize, inner: usize) -> usize {
                packed_len::<Self>(level, columns, inner)
            }

            fn tile_height(level: Level) -> usize {
                Self::tiles(level).height()
            }
        }
    )*};
}

number_with_panels!(f32, f64);

/// A product by loops, rows or panels, whichever its size asks for. All of them add in the same order.
fn multiply_real<T: Number + Tiled + Ring>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    size: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    let [m, n, k] = size;
    if m == 0 || n == 0 {
        return;
    }
    if T::uses_panels(size) {
        let mut packed = Scratch::take::<T>(packed_len::<T>(level, n, k));
        pack(level, rhs, k, 0..n, packed.get_mut());
        let packed = packed.get();
        PanelProduct { source: lhs, packed, size, out, out_stride }.run(level);
    } else if m * n * k < SMALL && k <= DEPTH {
        multiply_small(level, out, out_stride, size, lhs, rhs);
    } else {
        multiply_thin(level, out, out_stride, size, lhs, rhs);
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
                _: Range<usize>,
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

            fn tile_height(_: Level) -> usize {
                1
            }
        }
    };
}

number_without_panels!(i32, |level, out, out_stride, size, lhs, rhs| {
    multiply_small(level, out, out_stride, size, lhs, rhs)
});
number_without_panels!(i64, |level, out, out_stride, size, lhs, rhs| {
    multiply_small(level, out, out_stride, size, lhs, rhs)
});
number_without_panels!(u32, |level, out, out_stride, size, lhs, rhs| {
    multiply_small(level, out, out_stride, size, lhs, rhs)
});

/// What [`multiply_small`] needs of a number.
trait Ring: Pod {
    /// See [`Vectorized::WIDE`](crate::simd::Vectorized::WIDE).
    const WIDE: bool;
    fn multiply_add<const FMA: bool>(a: Self, b: Self, c: Self) -> Self;
}

macro_rules! ring {
    ($($type:ty, wide $wide:literal => |$a:ident, $b:ident, $c:ident| $body:expr;)*) => {
        $(impl Ring for $type {
            const WIDE: bool = $wide;
            #[inline(always)]
            fn multiply_add<const FMA: bool>($a: Self, $b: Self, $c: Self) -> Self {
                $body
            }
        })*
    };
}

ring! {
    f32, wide true => |a, b, c| if FMA { a.mul_add(b, c) } else { a * b + c };
    f64, wide false => |a, b, c| if FMA { a.mul_add(b, c) } else { a * b + c };
    i32, wide false => |a, b, c| a.wrapping_mul(b).wrapping_add(c);
    i64, wide false => |a, b, c| a.wrapping_mul(b).wrapping_add(c);
    u32, wide false => |a, b, c| a.wrapping_mul(b).wrapping_add(c);
}

vectorized! {
    /// Row by row: adds multiples of the right matrix's rows.
    fn multiply_small['a][T: Ring] wide(T::WIDE) (
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

#[cfg(test)]
mod tests;
