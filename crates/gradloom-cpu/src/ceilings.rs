//! What the processor can do at most, measured: multiplications in registers, and copies from memory to
//! memory.
#![expect(unsafe_code, reason = "stores the lanes of a vector")]

use std::hint::black_box;
use std::time::Instant;

use gradloom_plan::profile::Ceilings;
use rayon::prelude::*;

use crate::simd::Level;
use crate::vector::{Real, Vector, VectorTask};

/// Accumulators that hide the latency of a multiplication.
const ACCUMULATORS: usize = 12;
/// Multiplications of each accumulator in a round.
const STEPS: usize = 200_000;
/// Bytes that a round copies: more than caches hold.
const COPIED: usize = 64 << 20;
/// Rounds, of which the fastest counts.
const ROUNDS: usize = 3;

/// The ceilings of all threads together. Takes some tens of milliseconds.
pub(crate) fn measure(level: Level) -> Ceilings {
    let threads = rayon::current_num_threads();
    let best = |work: &dyn Fn()| {
        let seconds = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        });
        seconds.fold(f64::INFINITY, f64::min).max(1e-9)
    };
    let lanes = crate::vector::tiling::<f32>(level).lanes;
    let seconds = best(&|| {
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            black_box(<f32 as Real>::dispatch(level, Multiplications { factor: black_box(0.999) }));
        });
    });
    let flops = 2.0 * (ACCUMULATORS * STEPS * lanes * threads) as f64 / seconds;
    let source = vec![1u8; COPIED];
    let mut target = vec![0u8; COPIED];
    let part = COPIED.div_ceil(threads);
    let mut seconds = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let parts = target.par_chunks_mut(part).zip(source.par_chunks(part));
        parts.for_each(|(target, source)| target.copy_from_slice(source));
        black_box(&mut target);
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    Ceilings { flops, bytes: 2.0 * COPIED as f64 / seconds.max(1e-9) }
}

/// Nothing but multiplications and additions.
struct Multiplications {
    factor: f32,
}

impl VectorTask<f32> for Multiplications {
    type Output = f32;

    #[inline(always)]
    fn run<V: Vector<Scalar = f32>, const ROWS: usize, const COLUMNS: usize>(self) -> f32 {
        let factor = V::splat(self.factor);
        let mut sums = [factor; ACCUMULATORS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = factor.multiply_add(*sum, factor);
            }
        }
        let sum = sums.into_iter().fold(V::splat(0.0), V::plus);
        let mut lanes = [0f32; 64];
        // SAFETY: no vector has more than 64 lanes.
        unsafe { sum.store(lanes.as_mut_ptr()) };
        lanes[0]
    }
}
