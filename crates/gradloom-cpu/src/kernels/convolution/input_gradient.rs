//! `ConvolutionInput` with a stride: the product of transposed weights and the gradient gives what each
//! window adds to the input, and the windows are added where they lie.

use gradloom_tensor::Result;

use super::depthwise::RealOrdered;
use super::geometry::Geometry;
use super::pack::{by_element, of_group};
use super::tile::{Product, Target, WINDOW_MAX, add};
use crate::kernels::cascade::Cascade;
use crate::kernels::executable::Context;
use crate::kernels::lanes::{Ordered, Stored};
use crate::memory::Temporary;
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, tiling};

/// The transpose of a convolution in its input, with packed weights.
pub(super) struct InputGradient {
    geometry: Geometry,
    weights: Temporary,
    /// Positions of a plane, rounded up to whole vectors.
    positions: usize,
}

impl InputGradient {
    /// Packs weights `[O, C / groups, KH, KW]`.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub(super) fn new<T: Real>(
        context: &Context<'_>,
        geometry: Geometry,
        weight: Stored<'_>,
    ) -> Result<InputGradient> {
        let lanes = tiling::<T>(context.level).lanes;
        let weights = by_element::<T>(context, &geometry, weight)?;
        let positions = geometry.output_area().next_multiple_of(lanes);
        Ok(InputGradient { geometry, weights, positions })
    }

    /// One image: all groups of `gradient` to `out`.
    pub(super) fn image<T: Real + Ordered>(&self, level: Level, gradient: &[T], out: &mut [T]) {
        let geometry = &self.geometry;
        let mut buffers = Buffers {
            source: Scratch::take::<T>(geometry.outputs * self.positions),
            windows: Scratch::take::<T>(geometry.inner() * self.positions),
            padded: Scratch::take::<T>(geometry.channels * geometry.padded_area()),
        };
        let gradients = gradient.chunks_exact(geometry.output_volume());
        let outs = out.chunks_exact_mut(geometry.input_volume());
        for (group, (gradient, out)) in gradients.zip(outs).enumerate() {
            if !geometry.is_flat() {
                out.fill(T::ZERO);
            }
            for picture in 0..geometry.depth.output {
                self.picture(level, group, gradient, picture, &mut buffers);
                let add = |row: &[T], out: &mut [T]| {
                    for (slot, &value) in out.iter_mut().zip(row) {
                        *slot = slot.plus(value);
                    }
                };
                geometry.unpad::<T>(buffers.padded.get(), picture, out, add);
            }
        }
    }

    /// What one picture of the gradient adds to the padded planes that its windows reach.
    fn picture<T: Real + Ordered>(
        &self,
        level: Level,
        group: usize,
        gradient: &[T],
        picture: usize,
        buffers: &mut Buffers,
    ) {
        let geometry = &self.geometry;
        let (area, positions) = (geometry.output_area(), self.positions);
        let offsets: Vec<usize> = (0..geometry.outputs).map(|output| output * positions).collect();
        let source = buffers.source.get_mut::<T>();
        let planes = gradient.chunks_exact(area).skip(picture).step_by(geometry.depth.output);
        for (plane, slot) in planes.zip(source.chunks_exact_mut(positions)) {
            slot[..area].copy_from_slice(plane);
            slot[area..].fill(T::zeroed());
        }
        Product {
            weights: of_group(&self.weights, geometry, group),
            source,
            offsets: &offsets,
            rows: geometry.inner(),
            positions,
            out: Target::Set(buffers.windows.get_mut()),
            out_stride: positions,
        }
        .run(level);
        let windows = buffers.windows.get();
        add_windows::<T>(level, level, geometry, positions, windows, buffers.padded.get_mut());
    }
}

/// Memory of one image's gradient.
struct Buffers {
    source: Scratch,
    windows: Scratch,
    padded: Scratch,
}

vectorized! {
    /// Adds each row of windows to the padded image at its offset.
    fn add_windows['a][T: RealOrdered](
        level: Level, geometry: &'a Geometry, positions: usize, windows: &'a [T], padded: &'a mut [T]
    ) {
        padded.fill(T::ZERO);
        let [height, width] = geometry.output;
        let stride = geometry.stride;
        // Elements of one window that meet one element of the image are those of one channel.
        let window = geometry.kernel[0] * geometry.kernel[1];
        let mut parts = Cascade::default();
        let rows = geometry.offsets().into_iter().zip(windows.chunks_exact(positions));
        for (element, (offset, windows)) in rows.enumerate() {
            if element > 0 && window > WINDOW_MAX && element % WINDOW_MAX == 0 {
                parts.push_row(padded, |values, sums| add(level, values, sums));
                padded.fill(T::ZERO);
            }
            for (y, row) in windows[..height * width].chunks_exact(width).enumerate() {
                let out = &mut padded[offset + y * stride[0] * geometry.padded[1]..];
                for (&value, slots) in row.iter().zip(out.chunks_mut(stride[1])) {
                    slots[0] = slots[0].plus(value);
                }
            }
        }
        if !parts.is_empty() {
            parts.push_row(padded, |values, sums| add(level, values, sums));
            parts.write_total(padded, |values, sums| add(level, values, sums));
        }
    }
}
