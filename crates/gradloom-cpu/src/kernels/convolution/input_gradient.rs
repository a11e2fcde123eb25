//! `ConvolutionInput` with a stride: the product of turned weights and the gradient gives what each
//! window adds to the input, and the windows are added where they lie.

use super::geometry::Geometry;
use super::tile::{Product, Target};
use crate::kernels::lanes::Ordered;
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, tiling};

/// The transpose of a convolution in its input, with packed weights.
pub(super) struct InputGradient<T> {
    geometry: Geometry,
    /// `[group][block of window elements][output][row of the block]`.
    weights: Vec<T>,
    /// Positions of a plane, rounded up to whole vectors.
    positions: usize,
}

impl<T: Real + Ordered> InputGradient<T> {
    /// Packs weights `[O, C / groups, KH, KW]`.
    pub(super) fn new(level: Level, geometry: Geometry, weight: &[T]) -> InputGradient<T> {
        let tiling = tiling::<T>(level);
        let inner = geometry.inner();
        let mut weights = Vec::new();
        for group in 0..geometry.groups {
            for block in (0..inner).step_by(tiling.rows) {
                for output in 0..geometry.outputs {
                    let row = &weight[(group * geometry.outputs + output) * inner..][..inner];
                    weights.extend(
                        (block..block + tiling.rows)
                            .map(|index| row.get(index).copied().unwrap_or_else(T::zeroed)),
                    );
                }
            }
        }
        let positions = geometry.output_area().next_multiple_of(tiling.lanes);
        InputGradient { geometry, weights, positions }
    }

    /// One image: all groups of `gradient` to `out`.
    pub(super) fn image(&self, level: Level, gradient: &[T], out: &mut [T]) {
        let geometry = &self.geometry;
        let (area, positions) = (geometry.output_area(), self.positions);
        let offsets: Vec<usize> = (0..geometry.outputs).map(|output| output * positions).collect();
        let weights = self.weights.len() / geometry.groups;
        let mut source = Scratch::take::<T>(geometry.outputs * positions);
        let mut windows = Scratch::take::<T>(geometry.inner() * positions);
        let mut padded = Scratch::take::<T>(geometry.channels * geometry.padded_area());
        let gradients = gradient.chunks_exact(geometry.outputs * area);
        let outs = out.chunks_exact_mut(geometry.channels * geometry.input_area());
        for (group, (gradient, out)) in gradients.zip(outs).enumerate() {
            let source = source.get_mut::<T>();
            for (plane, slot) in gradient.chunks_exact(area).zip(source.chunks_exact_mut(positions))
            {
                slot[..area].copy_from_slice(plane);
                slot[area..].fill(T::zeroed());
            }
            Product {
                weights: &self.weights[group * weights..(group + 1) * weights],
                source,
                offsets: &offsets,
                rows: geometry.inner(),
                positions,
                out: Target::Set(windows.get_mut()),
                out_stride: positions,
            }
            .run(level);
            add_windows::<T>(level, geometry, positions, windows.get(), padded.get_mut());
            geometry.unpad::<T>(padded.get(), out);
        }
    }
}

vectorized! {
    /// Adds each row of windows to the padded image at its offset.
    fn add_windows['a][T: Ordered](
        geometry: &'a Geometry, positions: usize, windows: &'a [T], padded: &'a mut [T]
    ) {
        padded.fill(T::ZERO);
        let [height, width] = geometry.output;
        let stride = geometry.stride;
        for (&offset, windows) in geometry.offsets().iter().zip(windows.chunks_exact(positions)) {
            for (y, row) in windows[..height * width].chunks_exact(width).enumerate() {
                let out = &mut padded[offset + y * stride[0] * geometry.padded[1]..];
                for (&value, slots) in row.iter().zip(out.chunks_mut(stride[1])) {
                    slots[0] = slots[0].plus(value);
                }
            }
        }
    }
}
