//! `Convolution`: the product of weights and windows for one image.
//!
//! With stride one a window's element for all positions is one shifted row of the padded image, so
//! the image itself is the matrix of windows; a few positions at the end of each row are computed in
//! vain. Otherwise, and where that would be many, the matrix of windows is made.

use super::geometry::Geometry;
use super::tile::{Product, Target};
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, Tiling, tiling};

/// A convolution of images with packed weights.
pub(super) struct Forward<T> {
    geometry: Geometry,
    /// Packed weights of all groups, see [`Product`].
    weights: Vec<T>,
    /// Where the rows of windows are.
    offsets: Vec<usize>,
    /// True if the padded image is the matrix of windows.
    shifted: bool,
    tiling: Tiling,
}

impl<T: Real> Forward<T> {
    /// Packs the weights: `weight(output, channel, y, x)` with the output over all groups.
    pub(super) fn new(
        level: Level,
        geometry: Geometry,
        weight: impl Fn(usize, usize, usize, usize) -> T,
    ) -> Forward<T> {
        let tiling = tiling::<T>(level);
        let rows = tiling.rows;
        let blocks = geometry.outputs.div_ceil(rows);
        let mut weights = Vec::with_capacity(geometry.groups * blocks * rows * geometry.inner());
        for group in 0..geometry.groups {
            for block in 0..blocks {
                for channel in 0..geometry.channels {
                    for y in 0..geometry.kernel[0] {
                        for x in 0..geometry.kernel[1] {
                            for row in block * rows..(block + 1) * rows {
                                weights.push(if row < geometry.outputs {
                                    weight(group * geometry.outputs + row, channel, y, x)
                                } else {
                                    T::zeroed()
                                });
                            }
                        }
                    }
                }
            }
        }
        let [height, width] = geometry.output;
        let walked = height * geometry.padded[1];
        let shifted = geometry.stride == [1, 1] && walked * 2 <= height * width * 3;
        let offsets = if shifted {
            geometry.offsets()
        } else {
            let row = (height * width).next_multiple_of(tiling.lanes);
            (0..geometry.inner()).map(|index| index * row).collect()
        };
        Forward { geometry, weights, offsets, shifted, tiling }
    }

    /// One image: all groups of `input` to `out`.
    pub(super) fn image(&self, level: Level, input: &[T], out: &mut [T]) {
        let geometry = &self.geometry;
        let inputs = geometry.channels * geometry.input_area();
        let outputs = geometry.outputs * geometry.output_area();
        let weights = self.weights.len() / geometry.groups;
        let room = self.tiling.columns * self.tiling.lanes;
        let image = geometry.channels * geometry.padded_area();
        let mut padded = Scratch::take::<T>(image + room);
        let mut windows = Scratch::take::<T>(if self.shifted { 0 } else { self.window_elements() });
        for group in 0..geometry.groups {
            geometry.pad(&input[group * inputs..(group + 1) * inputs], padded.get_mut());
            let source = if self.shifted {
                padded.get()
            } else {
                self.make_windows(padded.get(), windows.get_mut());
                windows.get()
            };
            let out = &mut out[group * outputs..(group + 1) * outputs];
            let weights = &self.weights[group * weights..(group + 1) * weights];
            self.group(level, weights, source, out);
        }
    }

    fn window_elements(&self) -> usize {
        self.geometry.inner() * self.geometry.output_area().next_multiple_of(self.tiling.lanes)
    }

    fn group(&self, level: Level, weights: &[T], source: &[T], out: &mut [T]) {
        let geometry = &self.geometry;
        let [height, width] = geometry.output;
        let step = if self.shifted { geometry.padded[1] } else { width };
        let positions = ((height - 1) * step + width).next_multiple_of(self.tiling.lanes);
        let mut result = Scratch::take::<T>(geometry.outputs * positions);
        Product {
            weights,
            source,
            offsets: &self.offsets,
            rows: geometry.outputs,
            positions,
            out: Target::Set(result.get_mut()),
            out_stride: positions,
        }
        .run(level);
        let result = result.get::<T>();
        if step == width {
            let planes = out.chunks_exact_mut(height * width);
            for (out, plane) in planes.zip(result.chunks_exact(positions)) {
                out.copy_from_slice(&plane[..height * width]);
            }
        } else {
            copy_rows(level, result, positions, step, [height, width], out);
        }
    }

    /// The matrix of windows: a row for each element of a window, a column for each position.
    fn make_windows(&self, padded: &[T], windows: &mut [T]) {
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
