//! Depthwise convolution: each output channel reads one input channel, so there is no product of
//! matrices, only rows that are scaled and added. Long sums are made of parts that are added pairwise.

use super::geometry::Geometry;
use super::tile::DEPTH;
use crate::kernels::cascade::Cascade;
use crate::kernels::executable::Context;
use crate::kernels::lanes::Ordered;
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;
use crate::vector::Real;

/// True if every group has one input channel (and the loops here are better than tiles).
pub(super) fn applies(geometry: &Geometry) -> bool {
    geometry.channels == 1 && geometry.groups > 1 && geometry.outputs < 8
}

vectorized! {
    /// One image: `[groups]` planes to `[groups * outputs]` planes.
    pub(super) fn forward['a][T: RealOrdered](
        geometry: &'a Geometry, weight: &'a [T], input: &'a [T], out: &'a mut [T]
    ) {
        let mut padded = Scratch::take::<T>(geometry.padded_area());
        let outs = out.chunks_exact_mut(geometry.outputs * geometry.output_area());
        let window = geometry.kernel[0] * geometry.kernel[1];
        let weights = weight.chunks_exact(geometry.outputs * window);
        let planes = input.chunks_exact(geometry.input_area());
        for ((plane, outs), weights) in planes.zip(outs).zip(weights) {
            geometry.pad(plane, padded.get_mut());
            let padded = padded.get::<T>();
            let outs = outs.chunks_exact_mut(geometry.output_area());
            for (out, weights) in outs.zip(weights.chunks_exact(window)) {
                if window <= DEPTH {
                    forward_plane::<T, FMA>(geometry, weights, padded, out);
                } else {
                    forward_deep::<T, FMA>(geometry, weights, padded, out);
                }
            }
        }
    }

    /// One image: the gradients of `[groups * outputs]` planes to `[groups]` planes.
    pub(super) fn input['a][T: RealOrdered](
        geometry: &'a Geometry, weight: &'a [T], gradient: &'a [T], out: &'a mut [T]
    ) {
        let mut padded = Scratch::take::<T>(geometry.padded_area());
        let gradients = gradient.chunks_exact(geometry.outputs * geometry.output_area());
        let window = geometry.kernel[0] * geometry.kernel[1];
        let weights = weight.chunks_exact(geometry.outputs * window);
        let planes = out.chunks_exact_mut(geometry.input_area());
        for ((plane, gradients), weights) in planes.zip(gradients).zip(weights) {
            let padded = padded.get_mut::<T>();
            padded.fill(T::ZERO);
            let gradients = gradients.chunks_exact(geometry.output_area());
            let mut parts = Cascade::default();
            let mut added = 0;
            for (gradient, weights) in gradients.zip(weights.chunks_exact(window)) {
                for (part, weights) in weights.chunks(DEPTH).enumerate() {
                    if added > 0 && added + weights.len() > DEPTH {
                        parts.push_row(padded, add_values);
                        padded.fill(T::ZERO);
                        added = 0;
                    }
                    added += weights.len();
                    input_plane::<T, FMA>(geometry, weights, part * DEPTH, gradient, padded);
                }
            }
            if !parts.is_empty() {
                parts.push_row(padded, add_values);
                parts.write_total(padded, add_values);
            }
            let width = geometry.input[1];
            let rows = padded.chunks_exact(geometry.padded[1]).skip(geometry.before[0]);
            for (row, out) in rows.zip(plane.chunks_exact_mut(width)) {
                out.copy_from_slice(&row[geometry.before[1]..geometry.before[1] + width]);
            }
        }
    }

    /// The weights' gradients of one plane of one image, as parts of `sums`.
    fn weight_plane['a][T: RealOrdered](
        geometry: &'a Geometry, padded: &'a [T], gradient: &'a [T], sums: &'a mut [Cascade<T>]
    ) {
        for (&offset, sum) in geometry.offsets().iter().zip(sums) {
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

#[inline(always)]
fn forward_plane<T: RealOrdered, const FMA: bool>(
    geometry: &Geometry,
    weights: &[T],
    padded: &[T],
    out: &mut [T],
) {
    let [_, kernel_width] = geometry.kernel;
    for (y, out) in out.chunks_exact_mut(geometry.output[1]).enumerate() {
        if geometry.stride[1] == 1 && out.len() >= BLOCK {
            forward_row::<T, FMA>(geometry, weights, padded, y, out);
            continue;
        }
        out.fill(T::ZERO);
        for (index, &weight) in weights.iter().enumerate() {
            let (ky, kx) = (index / kernel_width, index % kernel_width);
            let row = y * geometry.stride[0] + ky * geometry.dilation[0];
            let values = &padded[row * geometry.padded[1] + kx * geometry.dilation[1]..];
            if geometry.stride[1] == 1 {
                for (slot, &value) in out.iter_mut().zip(values) {
                    *slot = T::fused::<FMA>(weight, value, *slot);
                }
            } else {
                for (slot, values) in out.iter_mut().zip(values.chunks(geometry.stride[1])) {
                    *slot = T::fused::<FMA>(weight, values[0], *slot);
                }
            }
        }
    }
}

/// As [`forward_plane`] for windows of very many elements: parts of them, added pairwise.
#[inline(always)]
fn forward_deep<T: RealOrdered, const FMA: bool>(
    geometry: &Geometry,
    weights: &[T],
    padded: &[T],
    out: &mut [T],
) {
    let [_, kernel_width] = geometry.kernel;
    for (y, out) in out.chunks_exact_mut(geometry.output[1]).enumerate() {
        let mut parts = Cascade::default();
        for (part, weights) in weights.chunks(DEPTH).enumerate() {
            let mut sums = Scratch::take::<T>(out.len());
            let sums = sums.get_mut::<T>();
            sums.fill(T::ZERO);
            for (index, &weight) in weights.iter().enumerate() {
                let element = part * DEPTH + index;
                let (ky, kx) = (element / kernel_width, element % kernel_width);
                let row = y * geometry.stride[0] + ky * geometry.dilation[0];
                let values = &padded[row * geometry.padded[1] + kx * geometry.dilation[1]..];
                for (slot, values) in sums.iter_mut().zip(values.chunks(geometry.stride[1])) {
                    *slot = T::fused::<FMA>(weight, values[0], *slot);
                }
            }
            parts.push_row(sums, add_values);
        }
        parts.write_total(out, add_values);
    }
}

/// Outputs of a row that are summed in registers.
const BLOCK: usize = 16;

/// A row of outputs side by side, block by block; the last block ends with the row.
#[inline(always)]
fn forward_row<T: RealOrdered, const FMA: bool>(
    geometry: &Geometry,
    weights: &[T],
    padded: &[T],
    y: usize,
    out: &mut [T],
) {
    let [_, kernel_width] = geometry.kernel;
    let width = out.len();
    let mut first = 0;
    while first < width {
        let x = first.min(width - BLOCK);
        let mut sums = [T::ZERO; BLOCK];
        for (row, weights) in weights.chunks_exact(kernel_width).enumerate() {
            let row =
                (y * geometry.stride[0] + row * geometry.dilation[0]) * geometry.padded[1] + x;
            for (column, &weight) in weights.iter().enumerate() {
                let values = &padded[row + column * geometry.dilation[1]..][..BLOCK];
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = T::fused::<FMA>(weight, value, *sum);
                }
            }
        }
        out[x..x + BLOCK].copy_from_slice(&sums);
        first = x + BLOCK;
    }
}

/// Adds what some elements of the window, from `first` on, give to the padded input.
#[inline(always)]
fn input_plane<T: RealOrdered, const FMA: bool>(
    geometry: &Geometry,
    weights: &[T],
    first: usize,
    gradient: &[T],
    padded: &mut [T],
) {
    let [_, kernel_width] = geometry.kernel;
    for (y, gradient) in gradient.chunks_exact(geometry.output[1]).enumerate() {
        for (index, &weight) in weights.iter().enumerate() {
            let element = first + index;
            let (ky, kx) = (element / kernel_width, element % kernel_width);
            let row = y * geometry.stride[0] + ky * geometry.dilation[0];
            let slots = &mut padded[row * geometry.padded[1] + kx * geometry.dilation[1]..];
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
    input: &[T],
    gradient: &[T],
    out: &mut [T],
) {
    let window = geometry.kernel[0] * geometry.kernel[1];
    let unit = geometry.outputs * window;
    let work = images * geometry.output_area() * unit;
    let threads = context.threads_for(geometry.groups * work);
    let out: &mut [u8] = bytemuck::cast_slice_mut(out);
    let bytes = [unit * size_of::<T>()];
    parallel::split(threads, &mut [out], &bytes, geometry.groups, 1, |groups, parts| {
        let out: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
        let mut padded = Scratch::take::<T>(geometry.padded_area());
        let (area, output_area) = (geometry.input_area(), geometry.output_area());
        for (group, out) in groups.zip(out.chunks_exact_mut(unit)) {
            let mut sums: Vec<Cascade<T>> = (0..unit).map(|_| Cascade::default()).collect();
            for image in 0..images {
                let plane = image * geometry.groups + group;
                geometry.pad(&input[plane * area..(plane + 1) * area], padded.get_mut());
                for (output, sums) in sums.chunks_exact_mut(window).enumerate() {
                    let first = (plane * geometry.outputs + output) * output_area;
                    let gradient = &gradient[first..first + output_area];
                    weight_plane(context.level, geometry, padded.get::<T>(), gradient, sums);
                }
            }
            for (slot, sum) in out.iter_mut().zip(sums) {
                *slot = sum.total(|a, b| a.plus(b)).unwrap_or(T::ZERO);
            }
        }
    });
}
