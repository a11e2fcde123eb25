//! Convolutions whose outputs read one channel each.

use super::dots::{Dots, Level, Task, dispatch};
use super::finish::{Finished, OfOutputs};
use super::packed::FOUR;
use super::planes::{Geometry, with_bytes};

/// True if each group has one channel and one output.
pub(super) fn applies(geometry: &Geometry) -> bool {
    geometry.channels == 1 && geometry.outputs == 1 && geometry.groups > 1
}

/// One plane, with the packed weights of its output, whose number is given beside the zero point.
pub(super) fn plane<T: Finished>(
    level: Level,
    geometry: &Geometry,
    weights: &[u8],
    input: &[u8],
    (zero_point, output): (u8, usize),
    of_outputs: OfOutputs<'_>,
    out: &mut [T],
) {
    let [height, width] = [0, 1].map(|axis| {
        (geometry.output[axis] - 1) * geometry.stride[axis]
            + (geometry.kernel[axis] - 1) * geometry.dilation[axis]
            + 1
    });
    let sums = geometry.output[1] * size_of::<i32>();
    with_bytes(height * width + sums + size_of::<i32>(), |bytes| {
        let (sums, padded) = bytes.split_at_mut(sums + size_of::<i32>());
        let (_, sums, _) = bytemuck::pod_align_to_mut::<u8, i32>(sums);
        let padded = &mut padded[..height * width];
        padded.fill(zero_point);
        let [before_y, before_x] = geometry.before;
        let rows = input.chunks_exact(geometry.input[1]);
        let kept = geometry.input[1].min(width.saturating_sub(before_x));
        let inside = padded.chunks_exact_mut(width).skip(before_y);
        for (padded, row) in inside.zip(rows) {
            padded[before_x.min(width)..][..kept].copy_from_slice(&row[..kept]);
        }
        let sums = &mut sums[..geometry.output[1]];
        let padded = &*padded;
        let row = width;
        dispatch(level, Plane { geometry, weights, padded, row, output, of_outputs, sums, out });
    });
}

struct Plane<'a, T> {
    geometry: &'a Geometry,
    weights: &'a [u8],
    padded: &'a [u8],
    row: usize,
    output: usize,
    of_outputs: OfOutputs<'a>,
    sums: &'a mut [i32],
    out: &'a mut [T],
}

impl<T: Finished> Task for Plane<'_, T> {
    #[inline(always)]
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(self) {
        let Plane { geometry, weights, padded, row, output, of_outputs, sums, out } = self;
        let Geometry { kernel, stride, dilation, .. } = *geometry;
        for (y, out) in out.chunks_exact_mut(geometry.output[1]).enumerate() {
            sums.fill(0);
            for ky in 0..kernel[0] {
                let first = (y * stride[0] + ky * dilation[0]) * row;
                for kx in 0..kernel[1] {
                    let tap = ky * kernel[1] + kx;
                    let weight = i32::from(weights[tap * super::packed::BLOCK * FOUR] as i8);
                    let values = &padded[first + kx * dilation[1]..];
                    match stride[1] {
                        1 => {
                            for (sum, &value) in sums.iter_mut().zip(values) {
                                *sum += i32::from(value) * weight;
                            }
                        }
                        stride => {
                            for (sum, &value) in sums.iter_mut().zip(values.iter().step_by(stride))
                            {
                                *sum += i32::from(value) * weight;
                            }
                        }
                    }
                }
            }
            of_outputs.finish(sums, output, out);
        }
    }
}
