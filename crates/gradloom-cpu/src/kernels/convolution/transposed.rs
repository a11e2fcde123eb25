//! `ConvolutionInput` with stride one: for each element of a window, transposed weights times the
//! gradient, added to the padded image at the element's place.
//!
//! The gradient's rows are as far apart as the image's, so each product is added with one shift.

use gradloom_tensor::Result;

use super::forward::parts;
use super::geometry::Geometry;
use super::pack::{by_position, of_group};
use super::tile::{Product, Target, WINDOW_MAX, add};
use crate::kernels::cascade::Cascade;
use crate::kernels::executable::Context;
use crate::kernels::lanes::Stored;
use crate::memory::Temporary;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::vector::{Real, Tiling, tiling};

/// The transpose of a convolution in its input, with packed weights.
pub(super) struct Transposed {
    geometry: Geometry,
    weights: Temporary,
    /// Where the row of each output begins in the spread gradient.
    offsets: Vec<usize>,
    /// Positions of a spread gradient, rounded up to whole vectors.
    positions: usize,
    tiling: Tiling,
}

impl Transposed {
    /// Packs weights `[O, C / groups, KH, KW]`.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub(super) fn new<T: Real>(
        context: &Context<'_>,
        geometry: Geometry,
        weight: Stored<'_>,
    ) -> Result<Transposed> {
        let tiling = tiling::<T>(context.level);
        let weights = by_position::<T>(context, &geometry, weight)?;
        let [height, width] = geometry.output;
        let walked = (height - 1) * geometry.padded[1] + width;
        let positions = walked.next_multiple_of(tiling.lanes);
        let offsets = (0..geometry.outputs).map(|output| output * positions).collect();
        Ok(Transposed { geometry, weights, offsets, positions, tiling })
    }

    /// In how many equal parts of input channels an image can be computed, at most `wanted`.
    pub(super) fn parts(&self, wanted: usize) -> usize {
        let Geometry { groups, channels, .. } = self.geometry;
        if self.geometry.is_flat() { parts(groups, channels, self.tiling.rows, wanted) } else { 1 }
    }

    /// One image: all groups of `gradient` to `out`; or part `part.0` of `part.1` of its input
    /// channels, which are all of `out`.
    pub(super) fn image<T: Real>(
        &self,
        level: Level,
        gradient: &[T],
        part: (usize, usize),
        out: &mut [T],
    ) {
        let geometry = &self.geometry;
        let channels = geometry.channels / part.1;
        let padded_area = geometry.padded_area();
        let window = geometry.kernel[0] * geometry.kernel[1];
        let mut spread = Scratch::take::<T>(geometry.outputs * self.positions);
        // Room for the last vector of the last plane; each plane's overhang adds zeros to the next.
        let mut padded = Scratch::take::<T>(channels * padded_area + self.tiling.lanes);
        let gradients = gradient.chunks_exact(geometry.output_volume());
        let outs = out.chunks_exact_mut(geometry.input_volume() / part.1);
        for (group, (gradient, out)) in gradients.zip(outs).enumerate() {
            let weights = of_group::<T>(&self.weights, geometry, group);
            let per_position = weights.len() / window;
            if !geometry.is_flat() {
                out.fill(T::zeroed());
            }
            for picture in 0..geometry.depth.output {
                self.spread(gradient, picture, spread.get_mut());
                let padded = padded.get_mut::<T>();
                padded.fill(T::zeroed());
                let mut sums = Cascade::default();
                for (position, offset) in geometry.offsets().into_iter().take(window).enumerate() {
                    if position > 0 && position % WINDOW_MAX == 0 {
                        sums.push_row(padded, |values, sums| add(level, values, sums));
                        padded.fill(T::zeroed());
                    }
                    let first = position * per_position + per_position / part.1 * part.0;
                    Product {
                        weights: &weights[first..first + per_position / part.1],
                        source: spread.get(),
                        offsets: &self.offsets,
                        rows: channels,
                        positions: self.positions,
                        kept: self.positions,
                        out: Target::Added(&mut padded[offset..]),
                        out_stride: padded_area,
                        chain: None,
                    }
                    .run(level);
                }
                if !sums.is_empty() {
                    sums.push_row(padded, |values, sums| add(level, values, sums));
                    sums.write_total(padded, |values, sums| add(level, values, sums));
                }
                geometry.unpad(padded, picture, out, |row, out| {
                    for (slot, &value) in out.iter_mut().zip(row) {
                        *slot = T::fused::<false>(T::ONE, value, *slot);
                    }
                });
            }
        }
    }

    /// Rows of one picture of the gradient as far apart as those of the padded image, with zeros between.
    fn spread<T: Real>(&self, gradient: &[T], picture: usize, out: &mut [T]) {
        let [_, width] = self.geometry.output;
        let step = self.geometry.padded[1];
        out.fill(T::zeroed());
        let planes = gradient.chunks_exact(self.geometry.output_area());
        let planes = planes.skip(picture).step_by(self.geometry.depth.output);
        for (plane, out) in planes.zip(out.chunks_exact_mut(self.positions)) {
            for (row, out) in plane.chunks_exact(width).zip(out.chunks_mut(step)) {
                out[..width].copy_from_slice(row);
            }
        }
    }
}
