//! Depthwise convolution: each output channel reads one input channel, so there is no product of
//! matrices, only rows that are scaled and added.

use super::geometry::Geometry;
use crate::kernels::executable::Context;
use crate::kernels::lanes::Ordered;
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;
use crate::vector::Real;

/// True if every group has one input plane (and the loops here are better than tiles).
pub(super) fn applies(geometry: &Geometry) -> bool {
    geometry.is_flat() && geometry.channels == 1 && geometry.groups > 1 && geometry.outputs < 8
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
            geometry.pad(plane, 0, padded.get_mut());
            let padded = padded.get::<T>();
            let outs = outs.chunks_exact_mut(geometry.output_area());
            for (out, weights) in outs.zip(weights.chunks_exact(window)) {
                forward_plane::<T, FMA>(geometry, weights, padded, out);
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
            for (gradient, weights) in gradients.zip(weights.chunks_exact(window)) {
                input_plane::<T, FMA>(geometry, weights, gradient, padded);
            }
            let width = geometry.input[1];
            let rows = padded.chunks_exact(geometry.padded[1]).skip(geometry.before[0]);
            for (row, out) in rows.zip(plane.chunks_exact_mut(width)) {
                out.copy_from_slice(&row[geometry.before[1]..geometry.before[1] + width]);
            }
        }
    }

    /// The weights' gradients of one plane of one image, added to `sums`.
    fn weight_plane['a][T: RealOrdered](
        geometry: &'a Geometry, padded: &'a [T], gradient: &'a [T], sums: &'a mut [T]
    ) {
        for (&offset, sum) in geometry.offsets().iter().zip(sums) {
            let mut lanes = [T::ZERO; 16];
            for (y, gradient) in gradient.chunks_exact(geometry.output[1]).enumerate() {
                let first = offset + y * geometry.stride[0] * geometry.padded[1];
                let values = &padded[first..];
                if geometry.stride[1] == 1 {
                    let pairs = gradient.chunks(16).zip(values.chunks(16));
                    for (gradient, values) in pairs {
                        for ((lane, &gradient), &value) in lanes.iter_mut().zip(gradient).zip(values)
                        {
                            *lane = T::fused::<FMA>(gradient, value, *lane);
                        }
                    }
                } else {
                    for (&gradient, values) in gradient.iter().zip(values.chunks(geometry.stride[1]))
                    {
                        lanes[0] = T::fused::<FMA>(gradient, values[0], lanes[0]);
                    }
                }
            }
            for lane in lanes {
                *sum = sum.plus(lane);
            }
        }
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

#[inline(always)]
fn input_plane<T: RealOrdered, const FMA: bool>(
    geometry: &Geometry,
    weights: &[T],
    gradient: &[T],
    padded: &mut [T],
) {
    let [_, kernel_width] = geometry.kernel;
    for (y, gradient) in gradient.chunks_exact(geometry.output[1]).enumerate() {
        for (index, &weight) in weights.iter().enumerate() {
            let (ky, kx) = (index / kernel_width, index % kernel_width);
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
        for (group, sums) in groups.zip(out.chunks_exact_mut(unit)) {
            sums.fill(T::ZERO);
            for image in 0..images {
                let plane = image * geometry.groups + group;
                geometry.pad(&input[plane * area..(plane + 1) * area], 0, padded.get_mut());
                for (output, sums) in sums.chunks_exact_mut(window).enumerate() {
                    let first = (plane * geometry.outputs + output) * output_area;
                    let gradient = &gradient[first..first + output_area];
                    weight_plane(context.level, geometry, padded.get::<T>(), gradient, sums);
                }
            }
        }
    });
}
