//! `ConvolutionInput` with stride one: for each element of a window, turned weights times the
//! gradient, added to the padded image at the element's place.
//!
//! The gradient's rows are as far apart as the image's, so each product is added with one shift.

use super::geometry::Geometry;
use super::tile::{Product, Target};
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::vector::{Real, Tiling, tiling};

/// The transpose of a convolution in its input, with packed weights.
pub(super) struct Transposed<T> {
    geometry: Geometry,
    /// `[group][window element][block of channels][output][row of the block]`.
    weights: Vec<T>,
    /// Where the row of each output begins in the spread gradient.
    offsets: Vec<usize>,
    /// Positions of a spread gradient, rounded up to whole vectors.
    positions: usize,
    tiling: Tiling,
}

impl<T: Real> Transposed<T> {
    /// Packs weights `[O, C / groups, KH, KW]`.
    pub(super) fn new(level: Level, geometry: Geometry, weight: &[T]) -> Transposed<T> {
        let tiling = tiling::<T>(level);
        let (window, inner) = (geometry.kernel[0] * geometry.kernel[1], geometry.inner());
        let mut weights = Vec::new();
        for group in 0..geometry.groups {
            for element in 0..window {
                for block in (0..geometry.channels).step_by(tiling.rows) {
                    for output in group * geometry.outputs..(group + 1) * geometry.outputs {
                        weights.extend((block..block + tiling.rows).map(|channel| {
                            if channel < geometry.channels {
                                weight[output * inner + channel * window + element]
                            } else {
                                T::zeroed()
                            }
                        }));
                    }
                }
            }
        }
        let [height, width] = geometry.output;
        let walked = (height - 1) * geometry.padded[1] + width;
        let positions = walked.next_multiple_of(tiling.lanes);
        let offsets = (0..geometry.outputs).map(|output| output * positions).collect();
        Transposed { geometry, weights, offsets, positions, tiling }
    }

    /// One image: all groups of `gradient` to `out`.
    pub(super) fn image(&self, level: Level, gradient: &[T], out: &mut [T]) {
        let geometry = &self.geometry;
        let padded_area = geometry.padded_area();
        let window = geometry.kernel[0] * geometry.kernel[1];
        let per_element = self.weights.len() / (geometry.groups * window);
        let mut spread = Scratch::take::<T>(geometry.outputs * self.positions);
        // Room for the last vector of the last plane; each plane's overhang adds zeros to the next.
        let room = self.tiling.lanes;
        let mut padded = Scratch::take::<T>(geometry.channels * padded_area + room);
        let gradients = gradient.chunks_exact(geometry.outputs * geometry.output_area());
        let outs = out.chunks_exact_mut(geometry.channels * geometry.input_area());
        for (group, (gradient, out)) in gradients.zip(outs).enumerate() {
            self.spread(gradient, spread.get_mut());
            let padded = padded.get_mut::<T>();
            padded.fill(T::zeroed());
            for (element, offset) in geometry.offsets().into_iter().take(window).enumerate() {
                let first = (group * window + element) * per_element;
                Product {
                    weights: &self.weights[first..first + per_element],
                    source: spread.get(),
                    offsets: &self.offsets,
                    rows: geometry.channels,
                    positions: self.positions,
                    out: Target::Added(&mut padded[offset..]),
                    out_stride: padded_area,
                }
                .run(level);
            }
            geometry.unpad(padded, out);
        }
    }

    /// Rows of the gradient as far apart as those of the padded image, with zeros between.
    fn spread(&self, gradient: &[T], out: &mut [T]) {
        let [_, width] = self.geometry.output;
        let step = self.geometry.padded[1];
        out.fill(T::zeroed());
        let planes = gradient.chunks_exact(self.geometry.output_area());
        for (plane, out) in planes.zip(out.chunks_exact_mut(self.positions)) {
            for (row, out) in plane.chunks_exact(width).zip(out.chunks_mut(step)) {
                out[..width].copy_from_slice(row);
            }
        }
    }
}
