//! Transforms on the host: `rustfft` and `realfft`, lines side by side.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytemuck::Pod;
use num_complex::Complex;
use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftNum, FftPlanner};

/// Numbers up to which all lines are done by the caller.
const SEQUENTIAL_MAX: usize = 16 * 1024;
/// Least numbers of a task.
const TASK_MIN: usize = 8 * 1024;
/// Plans that are kept.
const PLANS_MAX: usize = 256;

/// Plans by length.
struct Plans<K, P: ?Sized>(Mutex<HashMap<K, Arc<P>>>);

impl<K: Eq + Hash, P: ?Sized> Default for Plans<K, P> {
    fn default() -> Self {
        Plans(Mutex::default())
    }
}

impl<K: Eq + Hash, P: ?Sized> Plans<K, P> {
    fn get(&self, key: K, make: impl FnOnce() -> Arc<P>) -> Arc<P> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= PLANS_MAX && !plans.contains_key(&key) {
            plans.clear();
        }
        Arc::clone(plans.entry(key).or_insert_with(make))
    }
}

/// Numbers that transforms are computed in.
pub(crate) trait Real: FftNum + Pod {
    fn complex_plan(n: usize, inverse: bool) -> Arc<dyn Fft<Self>>;
    fn real_plan(n: usize) -> Arc<dyn RealToComplex<Self>>;
    fn real_inverse_plan(n: usize) -> Arc<dyn ComplexToReal<Self>>;
    fn of(value: f64) -> Self;
}

macro_rules! real {
    ($type:ty) => {
        impl Real for $type {
            fn complex_plan(n: usize, inverse: bool) -> Arc<dyn Fft<Self>> {
                static PLANS: LazyLock<Plans<(usize, bool), dyn Fft<$type>>> =
                    LazyLock::new(Plans::default);
                PLANS.get((n, inverse), || match inverse {
                    true => FftPlanner::new().plan_fft_inverse(n),
                    false => FftPlanner::new().plan_fft_forward(n),
                })
            }

            fn real_plan(n: usize) -> Arc<dyn RealToComplex<Self>> {
                static PLANS: LazyLock<Plans<usize, dyn RealToComplex<$type>>> =
                    LazyLock::new(Plans::default);
                PLANS.get(n, || RealFftPlanner::new().plan_fft_forward(n))
            }

            fn real_inverse_plan(n: usize) -> Arc<dyn ComplexToReal<Self>> {
                static PLANS: LazyLock<Plans<usize, dyn ComplexToReal<$type>>> =
                    LazyLock::new(Plans::default);
                PLANS.get(n, || RealFftPlanner::new().plan_fft_inverse(n))
            }

            fn of(value: f64) -> Self {
                value as $type
            }
        }
    };
}

real!(f32);
real!(f64);

/// Runs `work` on blocks of lines, input and output, each thread with scratch memory of its own.
fn blocks<I: Sync, O: Send, S>(
    (input, from): (&[I], usize),
    (output, to): (&mut [O], usize),
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&[I], &mut [O], &mut S) + Sync,
) {
    if from == 0 || to == 0 {
        return;
    }
    let count = TASK_MIN.div_ceil(from.max(to));
    if output.len().max(input.len()) <= SEQUENTIAL_MAX {
        let mut own = scratch();
        let pairs = input.chunks(count * from).zip(output.chunks_mut(count * to));
        return pairs.for_each(|(input, output)| work(input, output, &mut own));
    }
    let tasks = output.par_chunks_mut(count * to).zip(input.par_chunks(count * from));
    tasks.for_each_init(&scratch, |own, (output, input)| work(input, output, own));
}

/// As [`blocks`], on each pair of an input and an output line.
fn lines<I: Sync, O: Send, S>(
    (input, from): (&[I], usize),
    (output, to): (&mut [O], usize),
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&[I], &mut [O], &mut S) + Sync,
) {
    blocks((input, from), (output, to), scratch, |input, output, own| {
        let pairs = input.chunks_exact(from).zip(output.chunks_exact_mut(to));
        pairs.for_each(|(input, output)| work(input, output, own));
    });
}

fn zero<T: Real>() -> Complex<T> {
    Complex { re: T::of(0.0), im: T::of(0.0) }
}

fn scaled<T: Real>(values: &mut [T], factor: f64) {
    if factor != 1.0 {
        values.iter_mut().for_each(|value| *value = *value * T::of(factor));
    }
}

/// Transforms of pairs.
pub(crate) fn complex<T: Real>(
    input: &[T],
    output: &mut [T],
    n: usize,
    inverse: bool,
    factor: f64,
) {
    if n == 0 {
        return;
    }
    let plan = T::complex_plan(n, inverse);
    let scratch = || vec![zero::<T>(); plan.get_immutable_scratch_len()];
    // Many lines by one call: for short ones a call costs as much as the line.
    blocks((input, 2 * n), (output, 2 * n), scratch, |input, output, scratch| {
        let pairs = bytemuck::cast_slice_mut(output);
        plan.process_immutable_with_scratch(bytemuck::cast_slice(input), pairs, scratch);
        scaled(output, factor);
    });
}

/// First halves of transforms of real numbers.
pub(crate) fn real<T: Real>(input: &[T], output: &mut [T], n: usize, factor: f64) {
    if n == 0 {
        return;
    }
    let plan = T::real_plan(n);
    let scratch = || (vec![T::of(0.0); n], plan.make_scratch_vec());
    lines((input, n), (output, 2 * (n / 2 + 1)), scratch, |input, output, (copy, scratch)| {
        copy.copy_from_slice(input);
        // It fails for wrong lengths alone.
        let done = plan.process_with_scratch(copy, bytemuck::cast_slice_mut(output), scratch);
        debug_assert!(done.is_ok());
        scaled(output, factor);
    });
}

/// Inverse transforms to real numbers.
pub(crate) fn real_inverse<T: Real>(input: &[T], output: &mut [T], n: usize, factor: f64) {
    if n == 0 {
        return;
    }
    let plan = T::real_inverse_plan(n);
    let half = n / 2 + 1;
    let scratch = || (vec![zero::<T>(); half], plan.make_scratch_vec());
    lines((input, 2 * half), (output, n), scratch, |input, output, (copy, scratch)| {
        copy.copy_from_slice(bytemuck::cast_slice(input));
        // These are real: what is given instead does not count.
        copy[0].im = T::of(0.0);
        if n.is_multiple_of(2) {
            copy[half - 1].im = T::of(0.0);
        }
        let done = plan.process_with_scratch(copy, output, scratch);
        debug_assert!(done.is_ok());
        scaled(output, factor);
    });
}
