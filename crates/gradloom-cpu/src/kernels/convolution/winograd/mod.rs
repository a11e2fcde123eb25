//! Convolutions with windows of 3 x 3 in f32 by Winograd's minimal filtering F(4 x 4, 3 x 3): tiles of 6 x 6
//! inputs and the windows are transformed, 36 small products of matrices take the place of the sums, and a
//! transform back gives tiles of 4 x 4 outputs, with a quarter of the multiplications (Lavin and Gray, "Fast
//! Algorithms for Convolutional Neural Networks", 2016).
//!
//! The points are 0, 3/4, -3/4, 3/2, -3/2 and infinity: results are as exact as sums one by one within a
//! factor of two, where the usual 1 and 2 lose a factor of five. A value that is not finite spreads over
//! its tile.

mod lines;
mod transforms;

use std::ops::Range;

use gradloom_tensor::Result;

use self::lines::{POINTS, TAPS, TILE};
use self::transforms::{FromInput, FromWeights, ToOutput};
use super::geometry::Geometry;
use crate::kernels::executable::{Context, TASK_MIN};
use crate::kernels::lanes::{Part, Stored};
use crate::kernels::matrix::Matrix;
use crate::kernels::panel::{PanelProduct, packed_len, panel_width};
use crate::memory::Temporary;
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::transpose::transpose;
use crate::vector::{Real, tiling};

/// Elements beside a matrix of a point, so that those of all points do not meet in few places of the cache.
const GAP: usize = 16;
/// Channels from which on the products are worth the transforms.
const CHANNELS_MIN: usize = 16;
/// Tiles of a picture for which it is worth reading transformed weights, which are four times as many; fewer
/// are computed together with those of other pictures.
const TILES_MIN: usize = 9;
/// Transformed inputs of a block of tiles, about, and tiles of a block that fill the registers' rows.
const BLOCK_ELEMENTS: usize = 128 * 1024;
const BLOCK_TILES: usize = 16;
/// Output channels that are made together at most, and how many groups of them there are where they fill
/// panels.
const GROUP_MAX: usize = 128;
const GROUPS: usize = 4;

/// A convolution of pictures with windows of 3 x 3 at every position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    inputs: usize,
    outputs: usize,
    /// Zeros before the input, whose size follows, and the size of the output.
    before: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
    /// True if weights are `[inputs, outputs, 3, 3]` and turned around: the convolution that gives another's
    /// gradient.
    turned: bool,
}

impl Shape {
    /// A convolution, if this is the way to compute it.
    pub(super) fn forward(geometry: &Geometry, pictures: usize) -> Option<Shape> {
        Shape {
            inputs: geometry.channels,
            outputs: geometry.outputs,
            before: geometry.before,
            input: geometry.input,
            output: geometry.output,
            turned: false,
        }
        .if_worth_it(geometry, pictures)
    }

    /// The gradient of a convolution in its input, if this is the way to compute it.
    pub(super) fn gradient(geometry: &Geometry, pictures: usize) -> Option<Shape> {
        let [top, left] = geometry.before.map(|before| 2usize.checked_sub(before));
        Shape {
            inputs: geometry.outputs,
            outputs: geometry.channels,
            before: [top?, left?],
            input: geometry.output,
            output: geometry.input,
            turned: true,
        }
        .if_worth_it(geometry, pictures)
    }

    fn if_worth_it(self, geometry: &Geometry, pictures: usize) -> Option<Shape> {
        let windows = [geometry.kernel, geometry.stride, geometry.dilation];
        let [down, across] = self.tiles();
        let worth = windows == [[3, 3], [1, 1], [1, 1]]
            && geometry.groups == 1
            && geometry.is_flat()
            && self.inputs.min(self.outputs) >= CHANNELS_MIN
            && (!self.is_small() || down * across * pictures >= BLOCK_TILES);
        worth.then_some(self)
    }

    /// Tiles of a picture along both axes.
    fn tiles(&self) -> [usize; 2] {
        self.output.map(|size| size.div_ceil(TILE))
    }

    /// Output channels that are made together: whole panels. Each task transforms the input for itself.
    pub(super) fn group(&self, level: Level) -> usize {
        let panel = panel_width::<f32>(level);
        self.outputs.div_ceil(GROUPS).next_multiple_of(panel).min(GROUP_MAX)
    }

    pub(super) fn groups(&self, level: Level) -> usize {
        self.outputs.div_ceil(self.group(level))
    }

    /// Elements of a point's weights of a group, and of all points'.
    fn point_elements(&self, level: Level) -> [usize; 2] {
        let point = packed_len::<f32>(level, self.group(level), self.inputs) + GAP;
        [point, POINTS * point]
    }

    /// What transformed weights depend on.
    pub(super) fn packed_by(&self) -> [isize; 3] {
        [self.inputs as isize, self.outputs as isize, isize::from(self.turned)]
    }

    /// Channels of the output.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Elements of the input of a picture.
    pub(super) fn input_elements(&self) -> usize {
        self.inputs * self.input[0] * self.input[1]
    }

    /// Transforms weights: `[group][point][panel of the group][input][output of the panel]`.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub(super) fn transform_weights(
        &self,
        context: &Context<'_>,
        weights: Stored<'_>,
    ) -> Result<Temporary> {
        let level = context.level;
        let (groups, [_, group_elements]) = (self.groups(level), self.point_elements(level));
        let bytes = group_elements * size_of::<f32>();
        let mut memory = context.pool.temporary(groups * bytes)?;
        let threads = context.threads_for(groups * group_elements);
        let per_task = parallel::grain(threads, groups, group_elements, TASK_MIN);
        let units = &mut [memory.get_mut()];
        parallel::split(threads, units, &[bytes], groups, per_task, |range, parts| {
            let out: &mut [f32] = bytemuck::cast_slice_mut(parts[0]);
            for (group, out) in range.zip(out.chunks_exact_mut(group_elements)) {
                self.transform_group(level, weights, group, out);
            }
        });
        Ok(memory)
    }

    fn transform_group(&self, level: Level, weights: Stored<'_>, group: usize, out: &mut [f32]) {
        let first = group * self.group(level);
        let last = self.outputs.min(first + self.group(level));
        let (panel, lanes) = (panel_width::<f32>(level), tiling::<f32>(level).lanes);
        let window = TAPS * self.inputs;
        let mut taps = Scratch::take::<f32>(window * panel);
        for (index, first) in (first..last).step_by(panel).enumerate() {
            let count = panel.min(last - first);
            let width = count.next_multiple_of(lanes);
            let taps = &mut taps.get_mut::<f32>()[..window * width];
            if count < width {
                taps.fill(0.0);
            }
            if self.turned {
                for (input, taps) in taps.chunks_exact_mut(TAPS * width).enumerate() {
                    let from = (input * self.outputs + first) * TAPS;
                    let source = weights.part::<f32>(from..from + count * TAPS);
                    transpose(level, source.get(), TAPS, [count, TAPS], taps, width);
                }
            } else {
                let source = weights.part::<f32>(first * window..(first + count) * window);
                transpose(level, source.get(), window, [count, window], taps, width);
            }
            let [point, _] = self.point_elements(level);
            let out = &mut out[index * panel * self.inputs..];
            let (inputs, turned) = (self.inputs, self.turned);
            f32::dispatch(level, FromWeights { taps, inputs, width, turned, out, point });
        }
    }

    /// Some output channels of so many pictures, `[picture][channel]` planes that are all of `out`; they begin
    /// with a group.
    pub(super) fn pictures<'a>(
        &self,
        level: Level,
        weights: &[f32],
        input: impl Fn(usize) -> Part<'a, f32>,
        pictures: usize,
        outputs: Range<usize>,
        out: &mut [f32],
    ) {
        let [down, across] = self.tiles();
        let channels = self.inputs.next_multiple_of(tiling::<f32>(level).lanes);
        let group = self.group(level);
        let weights = weights.chunks_exact(self.point_elements(level)[1]);
        let weights = weights.skip(outputs.start / group).take(outputs.len().div_ceil(group));
        let blocks = self.blocks(channels, pictures);
        let tiles = blocks.iter().map(|block| block.tiles(across)).max().unwrap_or(0);
        let mut pixels = Scratch::take::<f32>(self.region(down) * channels);
        let mut points = Scratch::take::<f32>(POINTS * (tiles * channels + GAP));
        let mut products = Scratch::take::<f32>(POINTS * (tiles * group + GAP));
        let mut result = Scratch::take::<f32>(TILE * TILE * across * group);
        let picture_out = outputs.len() * self.area();
        for block in blocks {
            let point = block.tiles(across) * channels + GAP;
            for (index, picture) in block.pictures.clone().enumerate() {
                let (first, rows) = (block.rows.start, block.rows.len());
                self.load(level, input(picture).get(), [first, rows], channels, pixels.get_mut());
                let points = &mut points.get_mut()[index * rows * across * channels..];
                let (pixels, tiles) = (pixels.get(), [rows, across]);
                f32::dispatch(level, FromInput { pixels, tiles, channels, points, point });
            }
            for (index, weights) in weights.clone().enumerate() {
                let count = group.min(outputs.len() - index * group);
                let size = [block.tiles(across), count];
                let products = products.get_mut::<f32>();
                self.multiply(level, weights, points.get(), size, channels, products);
                let point = products.len() / POINTS;
                let rows = block
                    .pictures
                    .clone()
                    .flat_map(|picture| block.rows.clone().map(move |row| (picture, row)));
                for (tiles, (picture, row)) in rows.enumerate() {
                    let products = &products[tiles * across * group..];
                    let pixels = result.get_mut();
                    let task = ToOutput { products, point, across, channels: group, pixels };
                    f32::dispatch(level, task);
                    let out = &mut out[picture * picture_out + index * group * self.area()..];
                    self.store(level, result.get(), row, [count, group], out);
                }
            }
        }
    }

    /// Rows of tiles of one picture, or all of several, that are computed together.
    fn blocks(&self, channels: usize, pictures: usize) -> Vec<Block> {
        let [down, across] = self.tiles();
        let most = (BLOCK_ELEMENTS / (POINTS * channels)).max(BLOCK_TILES);
        if self.is_small() {
            let together = (2 * most).div_ceil(down * across);
            let firsts = (0..pictures).step_by(together);
            let of = |first: usize| first..pictures.min(first + together);
            return firsts.map(|first| Block { pictures: of(first), rows: 0..down }).collect();
        }
        let rows = down.div_ceil(down.div_ceil((most / across).max(1)));
        let of_picture = |picture: usize| {
            let firsts = (0..down).step_by(rows);
            firsts.map(move |first| Block {
                pictures: picture..picture + 1,
                rows: first..down.min(first + rows),
            })
        };
        (0..pictures).flat_map(of_picture).collect()
    }

    /// True if one picture has so few tiles that transformed weights are read for several at once.
    pub(super) fn is_small(&self) -> bool {
        let [down, across] = self.tiles();
        down * across < TILES_MIN
    }

    /// Elements of a plane of the output.
    pub(super) fn area(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Pixels under so many rows of tiles.
    fn region(&self, rows: usize) -> usize {
        (rows * TILE + 2) * (self.tiles()[1] * TILE + 2)
    }

    /// The pixels under some rows of tiles, channels last, with zeros around the picture.
    fn load(
        &self,
        level: Level,
        input: &[f32],
        [first, rows]: [usize; 2],
        channels: usize,
        pixels: &mut [f32],
    ) {
        let [height, width] = self.input;
        let across = self.tiles()[1] * TILE + 2;
        let pixels = &mut pixels[..self.region(rows) * channels];
        pixels.fill(0.0);
        // Zeros after the input may begin within the tiles, or after them.
        let count = width.min(across - self.before[1].min(across));
        for (row, pixels) in pixels.chunks_exact_mut(across * channels).enumerate() {
            let Some(y) = (first * TILE + row).checked_sub(self.before[0]) else { continue };
            if y < height {
                let pixels = &mut pixels[self.before[1] * channels..];
                let size = [self.inputs, count];
                transpose(level, &input[y * width..], height * width, size, pixels, channels);
            }
        }
    }

    /// The products of all points, for some tiles and outputs.
    fn multiply(
        &self,
        level: Level,
        weights: &[f32],
        points: &[f32],
        [tiles, outputs]: [usize; 2],
        channels: usize,
        products: &mut [f32],
    ) {
        let group = self.group(level);
        let made = products.len() / POINTS;
        let weights = weights.chunks_exact(self.point_elements(level)[0]);
        let points = points.chunks(tiles * channels + GAP);
        for ((weights, values), out) in weights.zip(points).zip(products.chunks_exact_mut(made)) {
            let source = Matrix { values, offset: 0, strides: [channels as isize, 1] };
            let size = [tiles, outputs, self.inputs];
            PanelProduct { source, packed: weights, size, out, out_stride: group }.run(level);
        }
    }

    /// Copies a row of tiles, channels last, to the planes of the output.
    fn store(
        &self,
        level: Level,
        pixels: &[f32],
        row: usize,
        [outputs, channels]: [usize; 2],
        out: &mut [f32],
    ) {
        let [height, width] = self.output;
        let rows = pixels.chunks_exact(self.tiles()[1] * TILE * channels);
        for (y, pixels) in (row * TILE..height).zip(rows) {
            let out = &mut out[y * width..];
            transpose(level, pixels, channels, [width, outputs], out, self.area());
        }
    }
}

/// Tiles that are computed together.
struct Block {
    pictures: Range<usize>,
    /// Rows of tiles of each of them.
    rows: Range<usize>,
}

impl Block {
    fn tiles(&self, across: usize) -> usize {
        self.pictures.len() * self.rows.len() * across
    }
}
