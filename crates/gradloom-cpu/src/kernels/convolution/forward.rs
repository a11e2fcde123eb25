//! `Convolution`: the product of weights and windows for one image.
//!
//! In a picture taken apart by its strides a window's element for all positions is one shifted row, so
//! the picture itself is the matrix of windows; a few positions at the end of each row are computed in
//! vain. Where that would be many, the matrix of windows is made.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::geometry::Geometry;
use super::pack::of_group;
use super::phases::Phases;
use super::tile::{BLOCKS_MAX, Chain, DEPTH, Product, Target};
use crate::memory::Temporary;
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, Tiling, tiling};

/// Bytes of weights that are read again for each row of the output.
const ROW_WEIGHTS: usize = 48 * 1024;

/// A convolution of images with packed weights.
pub(super) struct Forward<'a> {
    geometry: Geometry,
    weights: &'a Temporary,
    phases: Phases,
    /// Where the rows of windows are, if their matrix is made.
    windows: Option<Vec<usize>>,
    tiling: Tiling,
    /// Images that are taken apart and whose next parts are computed by whoever comes first.
    ready: Mutex<Vec<(usize, Scratch)>>,
}

impl<'a> Forward<'a> {
    /// With weights that are packed by output.
    pub(super) fn new<T: Real>(
        level: Level,
        geometry: Geometry,
        weights: &'a Temporary,
    ) -> Forward<'a> {
        let tiling = tiling::<T>(level);
        let phases = Phases::new(&geometry);
        let [height, width] = geometry.output;
        let wasteful = height * phases.size[1] * 2 > height * width * 3;
        let windows = wasteful.then(|| {
            let row = (height * width).next_multiple_of(tiling.lanes);
            (0..geometry.inner()).map(|index| index * row).collect()
        });
        Forward { geometry, weights, phases, windows, tiling, ready: Mutex::default() }
    }

    /// Channels of an image come in parts that begin at multiples of this: whole tiles of a group, or groups.
    pub(super) fn grain(&self) -> usize {
        if self.geometry.groups == 1 { self.tiling.rows } else { self.geometry.outputs }
    }

    /// True if what follows can be done to sums in registers: they are made where they stay, in one part.
    pub(super) fn takes_chains<T: Real>(&self) -> bool {
        let one_part = self.geometry.inner() <= DEPTH * BLOCKS_MAX;
        let dense = self.geometry.depth.output == 1 && self.step() == self.geometry.output[1];
        one_part && (dense || self.by_rows::<T>())
    }

    /// True if each row of the output is a product by itself: the weights stay in the first-level cache, and
    /// little of the last vector of a row is in vain.
    fn by_rows<T: Real>(&self) -> bool {
        let Geometry { outputs, output: [_, width], depth, .. } = self.geometry;
        let weights = outputs * self.geometry.inner() * size_of::<T>();
        let vain = width.next_multiple_of(self.tiling.lanes) - width;
        depth.output == 1 && weights <= ROW_WEIGHTS && vain * 8 <= width
    }

    /// Some output channels of one image, which are all of `out`, with what follows and which of its rows is
    /// the first of them.
    pub(super) fn image<T: Real>(
        &self,
        level: Level,
        image: usize,
        input: &[T],
        channels: Range<usize>,
        out: &mut [T],
        chain: Chain<'_, T>,
    ) {
        let geometry = &self.geometry;
        // Vectors of the last positions must not leave the input.
        let reach = self.phases.offsets.last().map_or(0, |last| last + self.positions());
        let in_place = self.phases.is_input(geometry)
            && self.windows.is_none()
            && reach <= geometry.input_volume();
        // One picture is all that parts of an image read.
        let shared = geometry.groups == 1 && geometry.depth.output == 1;
        let mut kept = (usize::MAX, Scratch::empty());
        if !in_place {
            kept = self.take_ready(if shared { image } else { usize::MAX });
            let room = self.source_elements() * size_of::<T>();
            if kept.1.bytes() != room {
                kept = (usize::MAX, Scratch::take::<u8>(room));
            }
        }
        let (ready, source) = &mut kept;
        let volume = geometry.depth.output * geometry.output_area();
        let first = channels.start;
        for group in channels.start / geometry.outputs..channels.end.div_ceil(geometry.outputs) {
            let start = first.max(group * geometry.outputs);
            let own = start..channels.end.min((group + 1) * geometry.outputs);
            let out = &mut out[(start - first) * volume..(own.end - first) * volume];
            let weights = of_group::<T>(self.weights, geometry, group);
            let weights = &weights[(start - group * geometry.outputs) * geometry.inner()..];
            let input = &input[group * geometry.input_volume()..][..geometry.input_volume()];
            for picture in 0..geometry.depth.output {
                if !in_place && (!shared || *ready != image) {
                    self.make_source(level, input, picture, source.get_mut::<T>());
                    *ready = image;
                }
                let source = if in_place { input } else { source.get() };
                let chain = chain.map(|(chain, [row, _])| (chain, [row + start - first, 0]));
                self.picture(level, weights, source, (picture, own.len()), out, chain);
            }
        }
        if !in_place {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        }
    }

    /// The source of an image if there is one, else memory of another.
    fn take_ready(&self, image: usize) -> (usize, Scratch) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let found = ready.iter().position(|(own, _)| *own == image);
        let any = ready.len().checked_sub(1);
        let none = (usize::MAX, Scratch::empty());
        found.or(any).map_or(none, |index| ready.swap_remove(index))
    }

    /// Elements of what products read.
    fn source_elements(&self) -> usize {
        let apart = self.geometry.channels * self.phases.plane();
        let room = self.tiling.columns * self.tiling.lanes;
        self.windows.as_ref().map_or(apart + room, |_| self.window_elements())
    }

    /// Takes a picture apart, or makes its matrix of windows.
    fn make_source<T: Real>(&self, level: Level, input: &[T], picture: usize, source: &mut [T]) {
        if self.windows.is_none() {
            return self.phases.fill(level, &self.geometry, input, picture, source);
        }
        let mut apart = Scratch::take::<T>(self.geometry.channels * self.phases.plane());
        self.phases.fill(level, &self.geometry, input, picture, apart.get_mut());
        self.make_windows::<T>(apart.get(), source);
    }

    /// From one row of positions to the next.
    fn step(&self) -> usize {
        if self.windows.is_some() { self.geometry.output[1] } else { self.phases.size[1] }
    }

    /// Positions of a picture, those in vain too, in whole vectors.
    fn positions(&self) -> usize {
        let [height, width] = self.geometry.output;
        ((height - 1) * self.step() + width).next_multiple_of(self.tiling.lanes)
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
        chain: Chain<'_, T>,
    ) {
        let [height, width] = self.geometry.output;
        let (step, positions) = (self.step(), self.positions());
        let offsets = self.windows.as_ref().unwrap_or(&self.phases.offsets);
        let depth = self.geometry.depth.output;
        let product = |out: &mut [T], kept: usize, chain: Chain<'_, T>| {
            let (rows, out_stride, out) = (outputs, kept, Target::Set(out));
            let whole =
                Product { weights, source, offsets, rows, positions, kept, out, out_stride, chain };
            whole.run(level);
        };
        if depth == 1 && step == width {
            return product(out, height * width, chain);
        }
        if self.by_rows::<T>() {
            for row in 0..height {
                let source = &source[row * step..];
                let positions = width.next_multiple_of(self.tiling.lanes);
                let chain = chain.map(|(chain, [first, _])| (chain, [first, row * width]));
                let (rows, out_stride, kept) = (outputs, height * width, width);
                let out = Target::Set(&mut out[row * width..]);
                let row = Product {
                    weights,
                    source,
                    offsets,
                    rows,
                    positions,
                    kept,
                    out,
                    out_stride,
                    chain,
                };
                row.run(level);
            }
            return;
        }
        let mut result = Scratch::take::<T>(outputs * positions);
        product(result.get_mut(), positions, None);
        let result = result.get::<T>();
        if depth > 1 {
            let planes = out.chunks_exact_mut(height * width).skip(picture).step_by(depth);
            for (out, plane) in planes.zip(result.chunks_exact(positions)) {
                copy_rows(level, plane, positions, step, [height, width], out);
            }
        } else {
            copy_rows(level, result, positions, step, [height, width], out);
        }
    }

    /// The matrix of windows: a row for each element of a window, a column for each position.
    fn make_windows<T: Real>(&self, apart: &[T], windows: &mut [T]) {
        let [height, width] = self.geometry.output;
        let row = (height * width).next_multiple_of(self.tiling.lanes);
        for (&offset, windows) in self.phases.offsets.iter().zip(windows.chunks_exact_mut(row)) {
            windows[height * width..].fill(T::zeroed());
            for (y, windows) in windows[..height * width].chunks_exact_mut(width).enumerate() {
                windows.copy_from_slice(&apart[offset + y * self.phases.size[1]..][..width]);
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
    pub(super) fn copy_rows['a][T: Real](
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
