//! `Convolution`: the product of weights and windows for one image.
//!
//! With stride one a window's element for all positions is one shifted row of the padded image, so
//! the image itself is the matrix of windows; a few positions at the end of each row are computed in
//! vain. Otherwise, and where that would be many, the matrix of windows is made.

use gradloom_tensor::Result;

use super::geometry::Geometry;
use super::pack::{Packed, by_output};
use super::tile::{Product, Target};
use crate::kernels::executable::Context;
use crate::kernels::lanes::Stored;
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, Tiling, tiling};

/// A convolution of images with packed weights.
pub(super) struct Forward {
    geometry: Geometry,
    weights: Packed,
    /// Where the rows of windows are.
    offsets: Vec<usize>,
    /// True if the padded image is the matrix of windows.
    shifted: bool,
    tiling: Tiling,
}

impl Forward {
    /// Packs weights `[O, C / groups, KH, KW]`.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub(super) fn new<T: Real>(
        context: &Context<'_>,
        geometry: Geometry,
        weight: Stored<'_>,
    ) -> Result<Forward> {
        let tiling = tiling::<T>(context.level);
        let weights = by_output::<T>(context, &geometry, weight)?;
        let [height, width] = geometry.output;
        let walked = height * geometry.padded[1];
        let shifted = geometry.stride == [1, 1] && walked * 2 <= height * width * 3;
        let offsets = if shifted {
            geometry.offsets()
        } else {
            let row = (height * width).next_multiple_of(tiling.lanes);
            (0..geometry.inner()).map(|index| index * row).collect()
        };
        Ok(Forward { geometry, weights, offsets, shifted, tiling })
    }

    /// In how many equal parts of output channels an image can be computed, at most `wanted`.
    pub(super) fn parts(&self, wanted: usize) -> usize {
        parts(self.geometry.groups, self.geometry.outputs, self.tiling.rows, wanted)
    }

    /// One image: all groups of `input` to `out`; or part `part.0` of `part.1` of its output channels,
    /// which are all of `out`.
    pub(super) fn image<T: Real>(
        &self,
        level: Level,
        input: &[T],
        part: (usize, usize),
        out: &mut [T],
    ) {
        let geometry = &self.geometry;
        let room = self.tiling.columns * self.tiling.lanes;
        let image = geometry.channels * geometry.padded_area();
        let mut padded = Scratch::take::<T>(image + room);
        let mut windows = Scratch::take::<T>(if self.shifted { 0 } else { self.window_elements() });
        let outs = out.chunks_exact_mut(out.len() / geometry.groups);
        let volumes = input.chunks_exact(geometry.input_volume());
        for (group, (volume, out)) in volumes.zip(outs).enumerate() {
            let weights = self.weights.group(group);
            let weights = &weights[weights.len() / part.1 * part.0..];
            for picture in 0..geometry.depth.output {
                geometry.pad(volume, picture, padded.get_mut());
                let source = if self.shifted {
                    padded.get()
                } else {
                    self.make_windows::<T>(padded.get(), windows.get_mut());
                    windows.get()
                };
                self.picture(level, weights, source, (picture, geometry.outputs / part.1), out);
            }
        }
    }

    fn window_elements(&self) -> usize {
        self.geometry.inner() * self.geometry.output_area().next_multiple_of(self.tiling.lanes)
    }

    /// One picture of a volume, of so many output channels.
    fn picture<T: Real>(
        &self,
        level: Level,
        weights: &[T],
        source: &[T],
        (picture, outputs): (usize, usize),
        out: &mut [T],
    ) {
        let geometry = &self.geometry;
        let [height, width] = geometry.output;
        let step = if self.shifted { geometry.padded[1] } else { width };
        let positions = ((height - 1) * step + width).next_multiple_of(self.tiling.lanes);
        let mut result = Scratch::take::<T>(outputs * positions);
        Product {
            weights,
            source,
            offsets: &self.offsets,
            rows: outputs,
            positions,
            out: Target::Set(result.get_mut()),
            out_stride: positions,
        }
        .run(level);
        let result = result.get::<T>();
        if geometry.depth.output > 1 {
            let planes = out.chunks_exact_mut(height * width).skip(picture);
            let planes = planes.step_by(geometry.depth.output);
            for (out, plane) in planes.zip(result.chunks_exact(positions)) {
                copy_rows(level, plane, positions, step, [height, width], out);
            }
        } else if step == width {
            let planes = out.chunks_exact_mut(height * width);
            for (out, plane) in planes.zip(result.chunks_exact(positions)) {
                out.copy_from_slice(&plane[..height * width]);
            }
        } else {
            copy_rows(level, result, positions, step, [height, width], out);
        }
    }

    /// The matrix of windows: a row for each element of a window, a column for each position.
    fn make_windows<T: Real>(&self, padded: &[T], windows: &mut [T]) {
        let geometry = &self.geometry;
        let [height, width] = geometry.output;
        let row = (height * width).next_multiple_of(self.tiling.lanes);
        for (&offset, windows) in geometry.offsets().iter().zip(windows.chunks_exact_mut(row)) {
            windows[height * width..].fill(T::zeroed());
            for (y, windows) in windows[..height * width].chunks_exact_mut(width).enumerate() {
                let first = offset + y * geometry.stride[0] * geometry.padded[1];
                let values = &padded[first..];
                if geometry.stride[1] == 1 {
                    windows.copy_from_slice(&values[..width]);
                } else {
                    for (slot, values) in windows.iter_mut().zip(values.chunks(geometry.stride[1]))
                    {
                        *slot = values[0];
                    }
                }
            }
        }
    }
}

/// In how many equal parts of whole tiles `rows` rows can be computed, at most `wanted`.
pub(super) fn parts(groups: usize, rows: usize, tile: usize, wanted: usize) -> usize {
    let whole = |parts: &usize| groups == 1 && rows.is_multiple_of(parts * tile);
    (2..=wanted).rev().find(whole).unwrap_or(1)
}

/// Elements that [`copy_rows`] moves at once.
const BLOCK: usize = 16;

vectorized! {
    /// Copies `height` rows of `width` elements, `step` apart in each plane of `plane` elements, to
    /// the dense output. Whole blocks are moved where they fit: what they write beyond their row is
    /// overwritten by the next one.
    fn copy_rows['a][T: Real](
        planes: &'a [T], plane: usize, step: usize, size: [usize; 2], out: &'a mut [T]
    ) {
        let [height, width] = size;
        let mut position = 0;
        for plane in planes.chunks_exact(plane) {
            for row in 0..height {
                let first = row * step;
                let mut column = 0;
                while column < width {
                    let (from, to) = (first + column, position + column);
                    if from + BLOCK <= plane.len() && to + BLOCK <= out.len() {
                        out[to..to + BLOCK].copy_from_slice(&plane[from..from + BLOCK]);
                    } else {
                        let count = BLOCK.min(width - column);
                        out[to..to + count].copy_from_slice(&plane[from..from + count]);
                    }
                    column += BLOCK;
                }
                position += width;
            }
        }
    }
}
