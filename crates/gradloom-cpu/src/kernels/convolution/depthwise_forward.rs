//! Depthwise convolution: rows of taken apart planes, scaled and added in registers.
#![expect(unsafe_code, reason = "loads and stores by pointer; bounds are checked once before them")]

use super::forward::copy_rows;
use super::geometry::Geometry;
use super::phases::Phases;
use super::tile::{Chain, DEPTH, add};
use crate::kernels::cascade::Cascade;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::vector::{Real, Vector, VectorTask, store_first, tiling};

/// A convolution whose groups have one input channel each.
pub(super) struct Depthwise<'a> {
    level: Level,
    geometry: &'a Geometry,
    phases: Phases,
    /// Positions of a plane, those between its rows too, in whole vectors.
    positions: usize,
    /// Columns of a row in whole vectors, if it is made row by row and not as one with what lies between.
    columns: Option<usize>,
}

impl<'a> Depthwise<'a> {
    pub(super) fn new<T: Real>(level: Level, geometry: &'a Geometry) -> Depthwise<'a> {
        let phases = Phases::new(geometry);
        let [height, width] = geometry.output;
        let walked = (height - 1) * phases.size[1] + width;
        let lanes = tiling::<T>(level).lanes;
        let positions = walked.next_multiple_of(lanes);
        let columns = width.next_multiple_of(lanes);
        // Where rows are much shorter than vectors, one vector is better several of them.
        let by_rows = height * columns * 2 <= positions * 3 && geometry.inner() <= DEPTH;
        Depthwise { level, geometry, phases, positions, columns: by_rows.then_some(columns) }
    }

    /// True if what follows can be done to sums in registers.
    pub(super) fn takes_chains(&self) -> bool {
        self.columns.is_some() && self.geometry.depth.output == 1
    }

    /// Some groups of one image, with weights and output from the first of them on, and what follows.
    pub(super) fn groups<T: Real>(
        &self,
        weights: &[T],
        input: &[T],
        out: &mut [T],
        chain: Chain<'_, T>,
    ) {
        let geometry = self.geometry;
        // Room for the last vectors of the last row.
        let room = self.positions.max(self.columns.unwrap_or(0));
        let mut apart = Scratch::take::<T>(geometry.channels * self.phases.plane() + room);
        let mut result = Scratch::take::<T>(self.positions);
        let area = geometry.output_area();
        let weights = weights.chunks_exact(geometry.outputs * geometry.inner());
        let outs = out.chunks_exact_mut(geometry.output_volume());
        let volumes = input.chunks_exact(geometry.input_volume());
        for (group, ((volume, outs), weights)) in volumes.zip(outs).zip(weights).enumerate() {
            for picture in 0..geometry.depth.output {
                let apart = apart.get_mut();
                match group > 0 && geometry.is_flat() {
                    true => self.phases.refill_plane(self.level, geometry, volume, apart),
                    false => self.phases.fill(self.level, geometry, volume, picture, apart),
                }
                let planes = outs.chunks_exact_mut(area).skip(picture);
                let planes = planes.step_by(geometry.depth.output);
                let planes = planes.zip(weights.chunks_exact(geometry.inner()));
                for (index, (out, weights)) in planes.enumerate() {
                    if self.columns.is_some() {
                        let row = group * geometry.outputs + index;
                        let chain = chain.map(|(chain, [first, _])| (chain, [first + row, 0]));
                        self.rows(weights, apart, out, chain);
                        continue;
                    }
                    // Rows that lie side by side are made in place.
                    if self.positions == area {
                        self.plane(weights, apart, out);
                        continue;
                    }
                    self.plane(weights, apart, result.get_mut());
                    let (result, step) = (result.get::<T>(), self.phases.size[1]);
                    copy_rows(self.level, result, self.positions, step, geometry.output, out);
                }
            }
        }
    }

    /// One plane, row by row.
    fn rows<T: Real>(&self, weights: &[T], source: &[T], out: &mut [T], chain: Chain<'_, T>) {
        let (offsets, step, size) =
            (&self.phases.offsets, self.phases.size[1], self.geometry.output);
        T::dispatch(self.level, Rows { weights, source, offsets, step, size, out, chain });
    }

    /// All positions of one plane; long sums are made of parts that are added pairwise.
    fn plane<T: Real>(&self, weights: &[T], source: &[T], out: &mut [T]) {
        let offsets = &self.phases.offsets;
        if offsets.len() <= DEPTH {
            return T::dispatch(self.level, Taps { weights, source, offsets, out });
        }
        let add = |values: &[T], sums: &mut [T]| add(self.level, values, sums);
        let mut parts = Cascade::default();
        let mut part = Scratch::take::<T>(out.len());
        for (weights, offsets) in weights.chunks(DEPTH).zip(offsets.chunks(DEPTH)) {
            let part = part.get_mut::<T>();
            T::dispatch(self.level, Taps { weights, source, offsets, out: &mut *part });
            parts.push_row(part, add);
        }
        parts.write_total(out, add);
    }
}

/// `out[position] = sum over taps of weights[tap] * source[offsets[tap] + position]`
struct Taps<'a, T> {
    weights: &'a [T],
    source: &'a [T],
    offsets: &'a [usize],
    /// Whole vectors.
    out: &'a mut [T],
}

impl<T: Real> VectorTask<T> for Taps<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let Taps { weights, source, offsets, out } = self;
        let reach = offsets.iter().copied().max().unwrap_or(0);
        assert!(out.len().is_multiple_of(V::LANES) && weights.len() >= offsets.len());
        assert!(source.len() >= reach + out.len(), "depthwise: taps leave the planes");
        macro_rules! block {
            ($first:expr, $vectors:literal) => {
                // SAFETY: the assertions above, for these vectors of positions.
                unsafe {
                    let (source, out) = (source.as_ptr().add($first), out.as_mut_ptr().add($first));
                    let [sums] = sums::<V, $vectors>(weights, source, offsets);
                    store::<V, $vectors>(&sums, out, V::LANES);
                }
            };
        }
        let mut first = 0;
        while first < out.len() {
            match (out.len() - first) / V::LANES {
                4.. => {
                    block!(first, 4);
                    first += 4 * V::LANES;
                }
                _ => {
                    block!(first, 1);
                    first += V::LANES;
                }
            }
        }
    }
}

/// As [`Taps`] for rows of positions that lie `step` apart, to rows that are side by side.
struct Rows<'a, T> {
    weights: &'a [T],
    source: &'a [T],
    offsets: &'a [usize],
    step: usize,
    /// Rows and columns of the output.
    size: [usize; 2],
    out: &'a mut [T],
    /// What follows, from the plane's first element on.
    chain: Chain<'a, T>,
}

impl<T: Real> VectorTask<T> for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let Rows { weights, source, offsets, step, size: [height, width], out, chain } = self;
        if height * width == 0 {
            return;
        }
        let reach = offsets.iter().copied().max().unwrap_or(0);
        let columns = width.next_multiple_of(V::LANES);
        assert!(weights.len() >= offsets.len() && out.len() == height * width);
        assert!(
            source.len() >= reach + (height - 1) * step + columns,
            "depthwise: rows leave the planes"
        );
        assert!(chain.is_none_or(|(chain, [row, _])| chain.covers(row, 1, out.len())));
        for row in 0..height {
            let mut column = 0;
            while column < width {
                let first = row * width + column;
                macro_rules! block {
                    ($vectors:literal) => {{
                        // SAFETY: the assertions above: taps of these vectors are in the source. They are in
                        // the output too but for the last, of which `last` elements are; what it writes beyond
                        // its row is overwritten by the next one.
                        unsafe {
                            let mut sums = sums::<V, $vectors>(
                                weights,
                                source.as_ptr().add(row * step + column),
                                offsets,
                            );
                            let left = out.len() - first - ($vectors - 1) * V::LANES;
                            let last = left.min(V::LANES);
                            if let Some((chain, [row, _])) = chain {
                                chain.apply([row, 1], [first, last], &mut sums);
                            }
                            store::<V, $vectors>(&sums[0], out.as_mut_ptr().add(first), last);
                        }
                        $vectors * V::LANES
                    }};
                }
                column += match (width - column).div_ceil(V::LANES) {
                    4.. => block!(4),
                    3 => block!(3),
                    2 => block!(2),
                    _ => block!(1),
                };
            }
        }
    }
}

/// Writes vectors side by side, of the last one `last` elements.
///
/// # Safety
/// These can be written.
#[inline(always)]
unsafe fn store<V: Vector, const VECTORS: usize>(
    sums: &[V; VECTORS],
    out: *mut V::Scalar,
    last: usize,
) {
    for vector in 0..VECTORS {
        // SAFETY: the caller vouches for them.
        unsafe {
            let out = out.add(vector * V::LANES);
            match vector + 1 == VECTORS && last < V::LANES {
                true => store_first(sums[vector], out, last),
                false => sums[vector].store(out),
            }
        }
    }
}

/// The sums of some vectors of positions, as a tile of one row.
///
/// # Safety
/// `VECTORS` vectors are in bounds at `source` after every offset; weights are as many.
#[inline(always)]
unsafe fn sums<V: Vector, const VECTORS: usize>(
    weights: &[V::Scalar],
    source: *const V::Scalar,
    offsets: &[usize],
) -> [[V; VECTORS]; 1] {
    let mut sums = [V::splat(bytemuck::Zeroable::zeroed()); VECTORS];
    for (&offset, &weight) in offsets.iter().zip(weights) {
        let weight = V::splat(weight);
        for (vector, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller vouches for every offset.
            let values = unsafe { V::load(source.add(offset + vector * V::LANES)) };
            *sum = sum.multiply_add(weight, values);
        }
    }
    [sums]
}
