//! [`Level`]: which vector instructions the processor has, found once at run time.
//!
//! Inner loops are ordinary Rust over slices in `#[inline(always)]` functions. [`Level::run`] compiles
//! each of them for every level, under other target features, and LLVM vectorises every copy for its own.
//! There is no intrinsic here; `vector` holds the few that products and convolutions need.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "a function with target features may only run where they exist")
)]

use std::sync::OnceLock;

/// A set of vector instructions that this processor has. Only [`Level::available`] makes one, so to
/// hold a level proves that its instructions exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Features);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Features {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// True if the baseline itself multiplies and adds in one instruction.
pub(crate) const BASELINE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// A loop that [`Level::run`] compiles for every set of features. `run` must be `#[inline(always)]`,
/// and so must all it calls, or the copies lose their features.
pub(crate) trait Vectorized {
    type Output;
    /// False if the widest vectors would gain nothing that is worth one more copy to compile: the loop waits
    /// for memory, or is rarely what a program waits for.
    const WIDE: bool;
    /// `FMA` says whether `mul_add` is one instruction; without it `mul_add` calls the C library.
    fn run<const FMA: bool>(self) -> Self::Output;
}

impl Level {
    /// Every level of this processor, the best last.
    pub fn available() -> Vec<Level> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "x86 adds more"))]
        let mut levels = vec![Level(Features::Baseline)];
        #[cfg(target_arch = "x86_64")]
        {
            let has = [
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl"),
            ];
            if has[0] {
                levels.push(Level(Features::Avx2));
            }
            if has[0] && has[1] {
                levels.push(Level(Features::Avx512));
            }
        }
        levels
    }

    /// What this processor does best, or the level that `GRADLOOM_SIMD` names: `avx512`, `avx2` or `portable`.
    ///
    /// # Panics
    /// If `GRADLOOM_SIMD` names another, or one that this processor does not have.
    pub fn best() -> Level {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| {
            let available = Level::available();
            let Some(wanted) = std::env::var_os("GRADLOOM_SIMD") else {
                return available.last().copied().unwrap_or(Level(Features::Baseline));
            };
            let name = if wanted == "portable" { "baseline".into() } else { wanted.clone() };
            let found = available.iter().find(|level| name == level.name());
            *found.unwrap_or_else(|| {
                let names: Vec<&str> = available.iter().map(|level| level.name()).collect();
                panic!(
                    "GRADLOOM_SIMD={}: this processor has {}",
                    wanted.display(),
                    names.join(", ")
                )
            })
        })
    }

    /// `avx512`, `avx2` or `baseline`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Features::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Features::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Features::Avx512 => "avx512",
        }
    }

    /// The level of half as wide vectors where this one has the widest: for loops that read a row per lane,
    /// of which the first-level cache holds only some if their distance is a power of two.
    pub(crate) fn narrow(self) -> Level {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Features::Avx512 => Level(Features::Avx2),
            _ => self,
        }
    }

    /// Runs the copy of the loop that was compiled for this level.
    #[inline]
    pub(crate) fn run<K: Vectorized>(self, kernel: K) -> K::Output {
        match self.0 {
            Features::Baseline => kernel.run::<BASELINE_FMA>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a level with these features is only made where the processor has them.
            Features::Avx2 => unsafe { run_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Features::Avx512 if K::WIDE => unsafe { run_avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above; AVX-512 comes with AVX2.
            Features::Avx512 => unsafe { run_avx2(kernel) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Vectorized>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn run_avx512<K: Vectorized>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

/// Declares a function whose body is compiled for every [`Level`]; callers pass the level first. In
/// the body `FMA` is the constant of [`Vectorized::run`].
///
/// Lifetimes and type parameters stand in brackets: `fn name['a][T: Bound](x: &'a [T]) -> T { .. }`. After
/// them `wide(constant)` may give [`Vectorized::WIDE`], which is true otherwise.
macro_rules! vectorized {
    ($(
        $(#[$meta:meta])*
        $visibility:vis fn $name:ident [$($life:lifetime),*] [$($generic:ident : $bound:path),*]
            $(wide($wide:expr))?
            ($($argument:ident : $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )*) => {$(
        $(#[$meta])*
        #[inline]
        $visibility fn $name<$($life,)* $($generic: $bound),*>(
            level: $crate::simd::Level, $($argument: $type),*
        ) $(-> $result)? {
            struct Kernel<$($life,)* $($generic: $bound),*> {
                $($argument: $type,)*
            }
            impl<$($life,)* $($generic: $bound),*> $crate::simd::Vectorized
                for Kernel<$($life,)* $($generic),*>
            {
                type Output = vectorized!(@result $($result)?);
                const WIDE: bool = vectorized!(@wide $($wide)?);
                #[inline(always)]
                fn run<const FMA: bool>(self) -> Self::Output {
                    let Kernel { $($argument),* } = self;
                    $body
                }
            }
            level.run(Kernel { $($argument),* })
        }
    )*};
    (@result $result:ty) => { $result };
    (@result) => { () };
    (@wide $wide:expr) => { $wide };
    (@wide) => { true };
}
pub(crate) use vectorized;
