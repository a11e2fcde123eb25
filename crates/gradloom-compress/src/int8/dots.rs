//! [`Dots`]: lanes of 32-bit sums, to which four products of bytes each are added at once.
#![expect(unsafe_code, reason = "intrinsics, and loads by pointer")]

/// Sums side by side. Methods may only be called where the type's features exist.
pub(super) trait Dots: Copy {
    /// Number of sums.
    const LANES: usize;

    fn zero() -> Self;

    /// # Safety
    /// Four bytes for each lane can be read.
    unsafe fn load(pointer: *const u8) -> Self;

    /// The same four bytes for every lane.
    ///
    /// # Safety
    /// Four bytes can be read.
    unsafe fn splat(pointer: *const u8) -> Self;

    /// Adds the products of unsigned and signed bytes, exactly.
    fn add_dots(self, unsigned: Self, signed: Self) -> Self;

    /// # Safety
    /// A sum for each lane can be written.
    unsafe fn store(self, pointer: *mut i32);
}

/// Lanes as an array.
#[derive(Clone, Copy)]
pub(super) struct Plain([i32; 4]);

impl Dots for Plain {
    const LANES: usize = 4;

    #[inline(always)]
    fn zero() -> Self {
        Plain([0; 4])
    }

    #[inline(always)]
    unsafe fn load(pointer: *const u8) -> Self {
        // SAFETY: the caller vouches for sixteen bytes.
        Plain(unsafe { pointer.cast::<[i32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn splat(pointer: *const u8) -> Self {
        // SAFETY: the caller vouches for four bytes.
        Plain([unsafe { pointer.cast::<i32>().read_unaligned() }; 4])
    }

    #[inline(always)]
    fn add_dots(mut self, unsigned: Self, signed: Self) -> Self {
        for lane in 0..4 {
            let (a, b) = (unsigned.0[lane].to_ne_bytes(), signed.0[lane].to_ne_bytes());
            for (a, b) in a.into_iter().zip(b) {
                self.0[lane] += i32::from(a) * i32::from(b as i8);
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn store(self, pointer: *mut i32) {
        // SAFETY: the caller vouches for four sums.
        unsafe { pointer.cast::<[i32; 4]>().write_unaligned(self.0) }
    }
}

/// Work on sums of any kind, of which `ROWS x COLUMNS` fit into the registers. `run` and all it calls must be
/// `#[inline(always)]`.
pub(super) trait Task {
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(self);
}

/// Runs a task with the best sums that this processor has and `GRADLOOM_SIMD` allows.
pub(super) fn dispatch(level: Level, task: impl Task) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a level is only found where its features exist.
        Level::Vnni => unsafe { x86::run_vnni(task) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { x86::run_avx2(task) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        Level::Neon => unsafe { neon::run(task) },
        Level::Plain => task.run::<Plain, 4, 1>(),
    }
}

/// Which sums there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Plain,
}

impl Level {
    /// Of this processor, the best first.
    pub(super) fn available() -> Vec<Level> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            if wide
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
            {
                levels.push(Level::Vnni);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Level::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            levels.push(Level::Neon);
        }
        levels.push(Level::Plain);
        levels
    }

    /// The best, or the best that `GRADLOOM_SIMD` allows.
    pub(super) fn best() -> Level {
        #[cfg(test)]
        if let Some(level) = tests::forced() {
            return level;
        }
        static BEST: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| {
            let named = std::env::var("GRADLOOM_SIMD").unwrap_or_default();
            let allowed = |level: &Level| match (named.as_str(), *level) {
                ("portable" | "baseline", level) => level == Level::Plain,
                #[cfg(target_arch = "x86_64")]
                ("avx2", level) => level != Level::Vnni,
                _ => true,
            };
            Level::available().into_iter().find(allowed).unwrap_or(Level::Plain)
        })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Dots, Task};

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
    pub(super) fn run_vnni(task: impl Task) {
        task.run::<Vnni, 8, 3>();
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run_avx2(task: impl Task) {
        task.run::<Avx2, 4, 2>();
    }

    #[derive(Clone, Copy)]
    pub(super) struct Vnni(__m512i);

    impl Dots for Vnni {
        const LANES: usize = 16;

        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the type is only used in functions with its features.
            Vnni(unsafe { _mm512_setzero_si512() })
        }

        #[inline(always)]
        unsafe fn load(pointer: *const u8) -> Self {
            // SAFETY: as above, and the caller vouches for the bytes.
            Vnni(unsafe { _mm512_loadu_si512(pointer.cast()) })
        }

        #[inline(always)]
        unsafe fn splat(pointer: *const u8) -> Self {
            // SAFETY: as above.
            Vnni(unsafe { _mm512_set1_epi32(pointer.cast::<i32>().read_unaligned()) })
        }

        #[inline(always)]
        fn add_dots(self, unsigned: Self, signed: Self) -> Self {
            // SAFETY: as above.
            Vnni(unsafe { _mm512_dpbusd_epi32(self.0, unsigned.0, signed.0) })
        }

        #[inline(always)]
        unsafe fn store(self, pointer: *mut i32) {
            // SAFETY: as above, and the caller vouches for the sums.
            unsafe { _mm512_storeu_si512(pointer.cast(), self.0) }
        }
    }

    /// Products of bytes that are widened to 16 bits first, because those of 8 bits saturate.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256i);

    impl Dots for Avx2 {
        const LANES: usize = 8;

        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the type is only used in functions with its features.
            Avx2(unsafe { _mm256_setzero_si256() })
        }

        #[inline(always)]
        unsafe fn load(pointer: *const u8) -> Self {
            // SAFETY: as above, and the caller vouches for the bytes.
            Avx2(unsafe { _mm256_loadu_si256(pointer.cast()) })
        }

        #[inline(always)]
        unsafe fn splat(pointer: *const u8) -> Self {
            // SAFETY: as above.
            Avx2(unsafe { _mm256_set1_epi32(pointer.cast::<i32>().read_unaligned()) })
        }

        #[inline(always)]
        fn add_dots(self, unsigned: Self, signed: Self) -> Self {
            // SAFETY: as above.
            unsafe {
                let even = _mm256_madd_epi16(
                    _mm256_and_si256(unsigned.0, _mm256_set1_epi16(0xff)),
                    _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(signed.0)),
                );
                let odd = _mm256_madd_epi16(
                    _mm256_srli_epi16::<8>(unsigned.0),
                    _mm256_srai_epi16::<8>(signed.0),
                );
                Avx2(_mm256_add_epi32(self.0, _mm256_add_epi32(even, odd)))
            }
        }

        #[inline(always)]
        unsafe fn store(self, pointer: *mut i32) {
            // SAFETY: as above, and the caller vouches for the sums.
            unsafe { _mm256_storeu_si256(pointer.cast(), self.0) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Dots, Task};

    #[target_feature(enable = "neon")]
    pub(super) fn run(task: impl Task) {
        task.run::<Neon, 4, 4>();
    }

    /// Products of bytes that are widened to 16 bits first.
    #[derive(Clone, Copy)]
    pub(super) struct Neon(int32x4_t);

    impl Dots for Neon {
        const LANES: usize = 4;

        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the type is only used in functions with its features.
            Neon(unsafe { vdupq_n_s32(0) })
        }

        #[inline(always)]
        unsafe fn load(pointer: *const u8) -> Self {
            // SAFETY: as above, and the caller vouches for the bytes.
            Neon(unsafe { vreinterpretq_s32_u8(vld1q_u8(pointer)) })
        }

        #[inline(always)]
        unsafe fn splat(pointer: *const u8) -> Self {
            // SAFETY: as above.
            Neon(unsafe { vdupq_n_s32(pointer.cast::<i32>().read_unaligned()) })
        }

        #[inline(always)]
        fn add_dots(self, unsigned: Self, signed: Self) -> Self {
            // SAFETY: as above.
            unsafe {
                let (a, b) = (vreinterpretq_u8_s32(unsigned.0), vreinterpretq_s8_s32(signed.0));
                let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a)));
                let high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(a)));
                let (other_low, other_high) = (vmovl_s8(vget_low_s8(b)), vmovl_s8(vget_high_s8(b)));
                // A product has room in 16 bits, the sum of two has not.
                let low = vpaddlq_s16(vmulq_s16(low, other_low));
                let high = vpaddlq_s16(vmulq_s16(high, other_high));
                Neon(vaddq_s32(self.0, vpaddq_s32(low, high)))
            }
        }

        #[inline(always)]
        unsafe fn store(self, pointer: *mut i32) {
            // SAFETY: as above, and the caller vouches for the sums.
            unsafe { vst1q_s32(pointer, self.0) }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Level;

    /// One more than the place of a level among those of this processor, for tests that go through all.
    static FORCED: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn forced() -> Option<Level> {
        let place = FORCED.load(Ordering::Relaxed).checked_sub(1)?;
        Level::available().get(place).copied()
    }

    /// Runs a check on every level. Others that run meanwhile may see them too, which changes no result.
    pub(in crate::int8) fn on_every_level(mut check: impl FnMut(Level)) {
        for (place, level) in Level::available().into_iter().enumerate() {
            FORCED.store(place + 1, Ordering::Relaxed);
            check(level);
        }
        FORCED.store(0, Ordering::Relaxed);
    }
}
