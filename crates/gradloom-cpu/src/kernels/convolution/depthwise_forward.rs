//! Depthwise convolution: rows of taken apart planes, scaled and added in registers.
#![expect(unsafe_code, reason = "loads and stores by pointer; bounds are checked once before them")]

use super::forward::copy_rows;
use super::geometry::Geometry;
use super::phases::Phases;
use super::tile::{DEPTH, add};
use crate::kernels::cascade::Cascade;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::vector::{Real, Vector, VectorTask, tiling};

/// A convolution whose groups have one input channel each.
pub(super) struct Depthwise<'a> {
    level: Level,
    geometry: &'a Geometry,
    phases: Phases,
    /// Positions of a plane, those between its rows too, in whole vectors.
    positions: usize,
}

impl<'a> Depthwise<'a> {
    pub(super) fn new<T: Real>(level: Level, geometry: &'a Geometry) -> Depthwise<'a> {
        let phases = Phases::new(geometry);
        let [height, width] = geometry.output;
        let walked = (height - 1) * phases.size[1] + width;
        let positions = walked.next_multiple_of(tiling::<T>(level).lanes);
        Depthwise { level, geometry, phases, positions }
    }

    /// Some groups of one image, with weights and output from the first of them on.
    pub(super) fn groups<T: Real>(&self, weights: &[T], input: &[T], out: &mut [T]) {
        let geometry = self.geometry;
        let room = self.positions;
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
                for (out, weights) in planes.zip(weights.chunks_exact(geometry.inner())) {
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
                    taps::<V, $vectors>(weights, source, offsets, out);
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

/// Some vectors of positions.
///
/// # Safety
/// `VECTORS` vectors are in bounds at `out`, and at `source` after every offset; weights are as many.
#[inline(always)]
unsafe fn taps<V: Vector, const VECTORS: usize>(
    weights: &[V::Scalar],
    source: *const V::Scalar,
    offsets: &[usize],
    out: *mut V::Scalar,
) {
    let mut sums = [V::splat(bytemuck::Zeroable::zeroed()); VECTORS];
    for (&offset, &weight) in offsets.iter().zip(weights) {
        let weight = V::splat(weight);
        for (vector, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller vouches for every offset.
            let values = unsafe { V::load(source.add(offset + vector * V::LANES)) };
            *sum = sum.multiply_add(weight, values);
        }
    }
    for (vector, sum) in sums.into_iter().enumerate() {
        // SAFETY: as above.
        unsafe { sum.store(out.add(vector * V::LANES)) };
    }
}
