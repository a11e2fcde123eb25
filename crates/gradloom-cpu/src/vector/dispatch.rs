//! Which vectors f32 and f64 have on each level.

use super::lanes::{Array, Real, VectorTask};
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::simd::{BASELINE_FMA, Level};

impl Real for f32 {
    const ONE: f32 = 1.0;

    #[inline(always)]
    fn fused<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
        if FMA { a.mul_add(b, c) } else { a * b + c }
    }

    #[inline]
    fn dispatch<K: VectorTask<f32>>(level: Level, task: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        let task = match x86::f32_dispatch(level, task) {
            Ok(output) => return output,
            Err(task) => task,
        };
        let _ = level;
        task.run::<Array<f32, 4, BASELINE_FMA>, 4, 2>()
    }
}

impl Real for f64 {
    const ONE: f64 = 1.0;

    #[inline(always)]
    fn fused<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
        if FMA { a.mul_add(b, c) } else { a * b + c }
    }

    #[inline]
    fn dispatch<K: VectorTask<f64>>(level: Level, task: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        let task = match x86::f64_dispatch(level, task) {
            Ok(output) => return output,
            Err(task) => task,
        };
        let _ = level;
        task.run::<Array<f64, 2, BASELINE_FMA>, 4, 2>()
    }
}
