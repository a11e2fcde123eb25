//! Steps that move elements between buffers and registers, converting between stored types and lanes.

use bytemuck::Pod;
use gradloom_tensor::DType;

use super::access::Access;
use super::operand::Operand;
use crate::convert::{Convert, with_storage};
use crate::simd::{Level, vectorized};

vectorized! {
    /// Reads elements `start..` of a space through its access; what the mask excludes is zero.
    fn gather['a][S: Pod, L: Pod, C: Convert<S, L>] wide(false) (
        convert: C, source: &'a [S], access: &'a Access, start: usize, out: &'a mut [L]
    ) {
        let _ = convert;
        let len = out.len();
        for run in access.runs(start, len) {
            let target = &mut out[run.position..run.position + run.len];
            if run.exists.len() < run.len {
                target.fill(L::zeroed());
            }
            if run.exists.is_empty() {
                continue;
            }
            let first = run.index + run.exists.start as isize * run.stride;
            let target = &mut target[run.exists.clone()];
            if run.stride == 1 {
                let values = &source[first as usize..first as usize + target.len()];
                for (slot, &value) in target.iter_mut().zip(values) {
                    *slot = C::convert(value);
                }
            } else if run.stride == 0 {
                target.fill(C::convert(source[first as usize]));
            } else {
                let mut index = first;
                for slot in target {
                    *slot = C::convert(source[index as usize]);
                    index += run.stride;
                }
            }
        }
    }

    /// Converts neighbouring elements.
    fn convert_slice['a][A: Pod, B: Pod, C: Convert<A, B>](
        convert: C, source: &'a [A], out: &'a mut [B]
    ) {
        let _ = convert;
        for (slot, &value) in out.iter_mut().zip(source) {
            *slot = C::convert(value);
        }
    }

    /// The index arithmetic itself, as [`Operation::Index`](gradloom_plan::program::Operation::Index).
    fn index_lanes['a][](access: &'a Access, start: usize, out: &'a mut [i32]) {
        let len = out.len();
        for run in access.runs(start, len) {
            let target = &mut out[run.position..run.position + run.len];
            target.fill(0);
            let first = run.index + run.exists.start as isize * run.stride;
            let (mut value, stride) = (first as i32, run.stride as i32);
            for slot in &mut target[run.exists.clone()] {
                *slot = value;
                value = value.wrapping_add(stride);
            }
        }
    }
}

/// Loads a tile of lanes through an access.
pub(super) fn load(
    level: Level,
    dtype: DType,
    source: &[u8],
    access: &Access,
    start: usize,
    out: &mut [u8],
) {
    with_storage!(dtype, |S, L, C| gather::<S, L, C>(
        level,
        C::default(),
        bytemuck::cast_slice(source),
        access,
        start,
        bytemuck::cast_slice_mut::<u8, L>(out),
    ));
}

/// Loads a tile of lanes from neighbouring elements.
pub(crate) fn load_contiguous(level: Level, dtype: DType, source: &[u8], out: &mut [u8]) {
    with_storage!(dtype, |S, L, C| convert_slice::<S, L, C>(
        level,
        C::default(),
        bytemuck::cast_slice(source),
        bytemuck::cast_slice_mut(out),
    ));
}

/// The values of an index view.
pub(super) fn index(level: Level, access: &Access, start: usize, out: &mut [u8]) {
    index_lanes(level, access, start, bytemuck::cast_slice_mut(out));
}

/// Stores a tile of lanes as neighbouring elements.
pub(super) fn store<L: Pod, S: Pod, C: Convert<L, S>>(
    level: Level,
    convert: C,
    value: Operand<'_, L>,
    out: &mut [u8],
) {
    let out: &mut [S] = bytemuck::cast_slice_mut(out);
    match value {
        Operand::Slice(values) => convert_slice(level, convert, values, out),
        Operand::Scalar(value) => out.fill(C::convert(value)),
    }
}

/// Copies the elements of a view in row-major order, `start..` of them until `out` is full; both are
/// stored elements of `size` bytes.
pub(crate) fn copy_tile(
    level: Level,
    size: usize,
    source: &[u8],
    access: &Access,
    start: usize,
    out: &mut [u8],
) {
    use crate::convert::Same;
    match size {
        1 => gather::<u8, u8, Same>(level, Same, source, access, start, out),
        2 => gather::<u16, u16, Same>(
            level,
            Same,
            bytemuck::cast_slice(source),
            access,
            start,
            bytemuck::cast_slice_mut(out),
        ),
        4 => gather::<u32, u32, Same>(
            level,
            Same,
            bytemuck::cast_slice(source),
            access,
            start,
            bytemuck::cast_slice_mut(out),
        ),
        _ => gather::<u64, u64, Same>(
            level,
            Same,
            bytemuck::cast_slice(source),
            access,
            start,
            bytemuck::cast_slice_mut(out),
        ),
    }
}
