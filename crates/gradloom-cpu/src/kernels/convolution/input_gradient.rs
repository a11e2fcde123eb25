//! `ConvolutionInput` with a stride: the product of transposed weights and the gradient gives what each
//! window adds to the input, and the windows are added where they lie.
//!
//! The input is taken apart by the remainders of its rows and columns, and the gradient's rows are as far apart as
//! those of the parts: so what an element of all windows adds is one row, added with one shift.

use gradloom_tensor::Result;

use super::depthwise::RealOrdered;
use super::geometry::Geometry;
use super::pack::{by_element, of_group};
use super::phases::Phases;
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
    phases: Phases,
    /// From the first position of a spread plane to its last, both included.
    walked: usize,
    /// The same, rounded up to whole vectors.
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
        let phases = Phases::new(&geometry);
        let [height, width] = geometry.output;
        let walked = (height - 1) * phases.size[1] + width;
        let positions = walked.next_multiple_of(lanes);
        Ok(InputGradient { geometry, weights, phases, walked, positions })
    }

    /// One image: all groups of `gradient` to `out`.
    pub(super) fn image<T: Real + Ordered>(&self, level: Level, gradient: &[T], out: &mut [T]) {
        let geometry = &self.geometry;
        let mut buffers = Buffers {
            source: Scratch::take::<T>(geometry.outputs * self.positions),
            windows: Scratch::take::<T>(geometry.inner() * self.positions),
            apart: Scratch::take::<T>(geometry.channels * self.phases.plane()),
        };
        let gradients = gradient.chunks_exact(geometry.output_volume());
        let outs = out.chunks_exact_mut(geometry.input_volume());
        for (group, (gradient, out)) in gradients.zip(outs).enumerate() {
            out.fill(T::ZERO);
            for picture in 0..geometry.depth.output {
                self.picture(level, group, gradient, picture, &mut buffers);
                self.phases.add_to::<T>(geometry, buffers.apart.get(), picture, out);
            }
        }
    }

    /// What one picture of the gradient adds to the planes that its windows reach, taken apart.
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
        source.fill(T::zeroed());
        for (plane, out) in planes.zip(source.chunks_exact_mut(positions)) {
            let rows = out.chunks_mut(self.phases.size[1]);
            for (row, out) in plane.chunks_exact(geometry.output[1]).zip(rows) {
                out[..row.len()].copy_from_slice(row);
            }
        }
        Product {
            weights: of_group(&self.weights, geometry, group),
            source,
            offsets: &offsets,
            rows: geometry.inner(),
            positions,
            kept: positions,
            out: Target::Set(buffers.windows.get_mut()),
            out_stride: positions,
            chain: None,
        }
        .run(level);
        let rows = [self.walked, positions, geometry.kernel[0] * geometry.kernel[1]];
        let (windows, apart) = (buffers.windows.get(), buffers.apart.get_mut());
        add_windows::<T>(level, level, &self.phases.offsets, rows, windows, apart);
    }
}

/// Memory of one image's gradient.
struct Buffers {
    source: Scratch,
    windows: Scratch,
    apart: Scratch,
}

vectorized! {
    /// Adds the first `walked` of each `positions` windows to the planes at their offset; an element of a plane
    /// meets `window` of them.
    fn add_windows['a][T: RealOrdered](
        level: Level, offsets: &'a [usize], rows: [usize; 3], windows: &'a [T], apart: &'a mut [T]
    ) {
        apart.fill(T::ZERO);
        let [walked, positions, window] = rows;
        let mut parts = Cascade::default();
        let rows = offsets.iter().zip(windows.chunks_exact(positions));
        for (element, (&offset, windows)) in rows.enumerate() {
            if element > 0 && window > WINDOW_MAX && element % WINDOW_MAX == 0 {
                parts.push_row(apart, |values, sums| add(level, values, sums));
                apart.fill(T::ZERO);
            }
            for (slot, &value) in apart[offset..offset + walked].iter_mut().zip(windows) {
                *slot = slot.plus(value);
            }
        }
        if !parts.is_empty() {
            parts.push_row(apart, |values, sums| add(level, values, sums));
            parts.write_total(apart, |values, sums| add(level, values, sums));
        }
    }
}
