//! Depthwise convolution: each output channel reads one input channel, so there is no product of
//! matrices, only rows that are scaled and added. Long sums are made of parts that are added pairwise.

use super::geometry::Geometry;
use super::tile::DEPTH;
use crate::kernels::cascade::Cascade;
use crate::kernels::executable::Context;
use crate::kernels::lanes::{Ordered, Stored};
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;
use crate::vector::Real;

/// True if every group has one input channel (and the loops here are better than tiles).
pub(super) fn applies(geometry: &Geometry) -> bool {
    geometry.channels == geometry.depth.kernel && geometry.groups > 1 && geometry.outputs < 8
}

vectorized! {
    /// One image: the gradients of `[groups * outputs]` volumes to `[groups]` volumes.
    pub(super) fn input['a][T: RealOrdered](
        geometry: &'a Geometry, weight: &'a [T], gradient: &'a [T], out: &'a mut [T]
    ) {
        let mut padded = Scratch::take::<T>(geometry.channels * geometry.padded_area());
        let offsets = geometry.offsets();
        let gradients = gradient.chunks_exact(geometry.output_volume());
        let weights = weight.chunks_exact(geometry.outputs * offsets.len());
        let volumes = out.chunks_exact_mut(geometry.input_volume());
        for ((volume, gradients), weights) in volumes.zip(gradients).zip(weights) {
            if !geometry.is_flat() {
                volume.fill(T::ZERO);
            }
            for picture in 0..geometry.depth.output {
                let padded = padded.get_mut::<T>();
                padded.fill(T::ZERO);
                let planes = gradients.chunks_exact(geometry.output_area()).skip(picture);
                let planes = planes.step_by(geometry.depth.output);
                let mut parts = Cascade::default();
                let mut added = 0;
                for (gradient, weights) in planes.zip(weights.chunks_exact(offsets.len())) {
                    for (weights, offsets) in weights.chunks(DEPTH).zip(offsets.chunks(DEPTH)) {
                        if added > 0 && added + weights.len() > DEPTH {
                            parts.push_row(padded, add_values);
                            padded.fill(T::ZERO);
                            added = 0;
                        }
                        added += weights.len();
                        input_plane::<T, FMA>(geometry, offsets, weights, gradient, padded);
                    }
                }
                if !parts.is_empty() {
                    parts.push_row(padded, add_values);
                    parts.write_total(padded, add_values);
                }
                geometry.unpad(padded, picture, volume, |row: &[T], out: &mut [T]| {
                    for (slot, &value) in out.iter_mut().zip(row) {
                        *slot = slot.plus(value);
                    }
                });
            }
        }
    }

    /// The weights' gradients of one plane of one image, as parts of `sums`.
    fn weight_plane['a][T: RealOrdered](
        geometry: &'a Geometry, offsets: &'a [usize], padded: &'a [T], gradient: &'a [T],
        sums: &'a mut [Cascade<T>]
    ) {
        for (&offset, sum) in offsets.iter().zip(sums) {
            let mut lanes = [T::ZERO; LANES];
            let mut added = 0;
            for (y, gradient) in gradient.chunks_exact(geometry.output[1]).enumerate() {
                let first = offset + y * geometry.stride[0] * geometry.padded[1];
                for (part, gradient) in gradient.chunks(LANES * ADDED_MAX).enumerate() {
                    if added + gradient.len().div_ceil(LANES) > ADDED_MAX {
                        sum.push(tree(lanes), |a, b| a.plus(b));
                        (lanes, added) = ([T::ZERO; LANES], 0);
                    }
                    added += gradient.len().div_ceil(LANES);
                    let first = first + part * LANES * ADDED_MAX * geometry.stride[1];
                    add_row::<T, FMA>(gradient, &padded[first..], geometry.stride[1], &mut lanes);
                }
            }
            sum.push(tree(lanes), |a, b| a.plus(b));
        }
    }
}

/// Accumulators of a sum along rows.
const LANES: usize = 16;
/// Additions to each of them.
const ADDED_MAX: usize = 256;

/// Adds the products of a row of gradients and every `stride`-th value, in turns to all lanes.
#[inline(always)]
fn add_row<T: RealOrdered, const FMA: bool>(
    gradient: &[T],
    values: &[T],
    stride: usize,
    lanes: &mut [T; LANES],
) {
    if stride == 1 {
        for (gradient, values) in gradient.chunks(LANES).zip(values.chunks(LANES)) {
            for ((lane, &gradient), &value) in lanes.iter_mut().zip(gradient).zip(values) {
                *lane = T::fused::<FMA>(gradient, value, *lane);
            }
        }
        return;
    }
    for (gradient, values) in gradient.chunks(LANES).zip(values.chunks(LANES * stride)) {
        let values = values.chunks(stride);
        for ((lane, &gradient), values) in lanes.iter_mut().zip(gradient).zip(values) {
            *lane = T::fused::<FMA>(gradient, values[0], *lane);
        }
    }
}

/// The sum of all lanes, pairwise.
#[inline(always)]
fn tree<T: Ordered>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = lanes[lane].plus(lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Adds numbers to sums.
#[inline(always)]
fn add_values<T: Ordered>(values: &[T], sums: &mut [T]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum = value.plus(*sum);
    }
}

/// Numbers that can be multiplied and compared.
pub(super) trait RealOrdered: Real + Ordered {}
impl<T: Real + Ordered> RealOrdered for T {}

/// Adds what some elements of the window, those at `offsets`, give to the padded input.
#[inline(always)]
fn input_plane<T: RealOrdered, const FMA: bool>(
    geometry: &Geometry,
    offsets: &[usize],
    weights: &[T],
    gradient: &[T],
    padded: &mut [T],
) {
    for (y, gradient) in gradient.chunks_exact(geometry.output[1]).enumerate() {
        let padded = &mut padded[y * geometry.stride[0] * geometry.padded[1]..];
        for (&offset, &weight) in offsets.iter().zip(weights) {
            let slots = &mut padded[offset..];
            if geometry.stride[1] == 1 {
                for (slot, &value) in slots.iter_mut().zip(gradient) {
                    *slot = T::fused::<FMA>(weight, value, *slot);
                }
            } else {
                for (slots, &value) in slots.chunks_mut(geometry.stride[1]).zip(gradient) {
                    slots[0] = T::fused::<FMA>(weight, value, slots[0]);
                }
            }
        }
    }
}

/// The weights' gradients: groups in parallel, images in order.
pub(super) fn weight<T: RealOrdered>(
    context: &Context<'_>,
    geometry: &Geometry,
    images: usize,
    [input, gradient]: [Stored<'_>; 2],
    out: &mut [T],
) {
    let offsets = geometry.offsets();
    let window = offsets.len();
    let unit = geometry.outputs * window;
    let work = images * geometry.output_volume() * window;
    let threads = context.threads_for(geometry.groups * work);
    let out: &mut [u8] = bytemuck::cast_slice_mut(out);
    let bytes = [unit * size_of::<T>()];
    parallel::split(threads, &mut [out], &bytes, geometry.groups, 1, |groups, parts| {
        let out: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
        let mut padded = Scratch::take::<T>(geometry.channels * geometry.padded_area());
        let (inputs, outputs) = (geometry.input_volume(), geometry.output_volume());
        for (group, out) in groups.zip(out.chunks_exact_mut(unit)) {
            let mut sums: Vec<Cascade<T>> = (0..unit).map(|_| Cascade::default()).collect();
            for image in 0..images {
                let at = image * geometry.groups + group;
                let volume = input.part::<T>(at * inputs..(at + 1) * inputs);
                let gradient = gradient.part::<T>(at * outputs..(at + 1) * outputs);
                for picture in 0..geometry.depth.output {
                    geometry.pad(volume.get(), picture, padded.get_mut());
                    let planes = gradient.get().chunks_exact(geometry.output_area()).skip(picture);
                    let planes = planes.step_by(geometry.depth.output);
                    for (gradient, sums) in planes.zip(sums.chunks_exact_mut(window)) {
                        let padded = padded.get::<T>();
                        weight_plane(context.level, geometry, &offsets, padded, gradient, sums);
                    }
                }
            }
            for (slot, sum) in out.iter_mut().zip(sums) {
                *slot = sum.total(|a, b| a.plus(b)).unwrap_or(T::ZERO);
            }
        }
    });
}
