//! [`Vector`]: lanes in one register, for the few loops whose registers must be assigned by hand: the
//! tiles of products and convolutions. Everything else leaves vectors to LLVM.
//!
//! x86 has intrinsics; other processors use arrays, which LLVM keeps in registers.

mod lanes;
#[cfg(target_arch = "x86_64")]
mod x86;
mod dispatch;

pub(crate) use lanes::{Array, Real, Tiling, Vector, VectorTask, load_first, store_first, tiling};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{F32x8, F32x16, F64x4, F64x8, square_f32, square_f64};
