//! Convolutions whose outputs read one channel each.

use super::dots::{Dots, Task};
use super::finish::{Finished, OfOutputs};

/// Some positions of a picture.
pub(super) struct Plane<'a, T> {
    pub(super) source: &'a [u8],
    /// Where the window of each position begins, and each of its elements in it.
    pub(super) starts: &'a [usize],
    pub(super) offsets: &'a [usize],
    /// Of each element, those of all channels.
    pub(super) weights: &'a [i8],
    pub(super) of_outputs: OfOutputs<'a>,
    pub(super) out: &'a mut [T],
}

impl<T: Finished> Task for Plane<'_, T> {
    #[inline(always)]
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(mut self) {
        let channels = self.of_outputs.factor.len();
        let mut first = 0;
        while channels - first >= 32 {
            self.channels::<32>(first);
            first += 32;
        }
        while channels - first >= 8 {
            self.channels::<8>(first);
            first += 8;
        }
        for channel in first..channels {
            self.channels::<1>(channel);
        }
    }
}

impl<T: Finished> Plane<'_, T> {
    /// Some channels at all positions.
    #[inline(always)]
    fn channels<const COUNT: usize>(&mut self, first: usize) {
        let Plane { source, starts, offsets, weights, of_outputs, out } = self;
        let channels = of_outputs.factor.len();
        let of_outputs = of_outputs.part(first, COUNT);
        for (&start, out) in starts.iter().zip(out.chunks_exact_mut(channels)) {
            let mut sums = [0i32; COUNT];
            for (&offset, weights) in offsets.iter().zip(weights.chunks_exact(channels)) {
                let values = &source[start + offset + first..][..COUNT];
                let weights = &weights[first..][..COUNT];
                for index in 0..COUNT {
                    // A product of u8 and i8 is less than 2^15.
                    sums[index] += i32::from(i16::from(values[index]) * i16::from(weights[index]));
                }
            }
            of_outputs.finish(&sums, 1.0, &mut out[first..][..COUNT]);
        }
    }
}
