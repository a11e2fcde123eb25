//! Functions of f32 written without branches or calls, so that LLVM vectorises loops over them.
//!
//! Each states its largest error against the exact function; the tests measure it over every
//! exponent. `FMA` says whether `mul_add` is one instruction.
//!
//! A function of floats in the table of elementwise ops is the function here of the same name.

mod bessel;
mod erf;
mod exponential;
mod logarithm;
mod power;
mod special;
mod trigonometry;

pub(crate) use bessel::*;
pub(crate) use erf::*;
pub(crate) use exponential::*;
pub(crate) use logarithm::*;
pub(crate) use power::*;
pub(crate) use special::*;
pub(crate) use trigonometry::*;

#[inline(always)]
pub(crate) fn sqrt<const FMA: bool>(a: f32) -> f32 {
    a.sqrt()
}

#[inline(always)]
pub(crate) fn rsqrt<const FMA: bool>(a: f32) -> f32 {
    1.0 / a.sqrt()
}

#[inline(always)]
pub(crate) fn reciprocal<const FMA: bool>(a: f32) -> f32 {
    1.0 / a
}

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `a * b + c` in f64, fused where that is one instruction.
#[inline(always)]
pub(crate) fn fma64<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn polynomial<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut value = coefficients[0];
    let mut index = 1;
    while index < N {
        value = fma::<FMA>(value, x, coefficients[index]);
        index += 1;
    }
    value
}

/// The polynomial with these coefficients in f64, highest power first.
#[inline(always)]
fn polynomial64<const FMA: bool, const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut value = coefficients[0];
    let mut index = 1;
    while index < N {
        value = fma64::<FMA>(value, x, coefficients[index]);
        index += 1;
    }
    value
}

/// Adding this to a float of magnitude below 2^22 rounds it to an integer, which then stands in the
/// low bits: rounding without an instruction that the baseline lacks.
const ROUND: f32 = 12_582_912.0;

/// The nearest integer, as float and as integer, for magnitudes below 2^22.
#[inline(always)]
fn round(x: f32) -> (f32, i32) {
    let shifted = x + ROUND;
    (shifted - ROUND, shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32)
}

/// `2^exponent` for exponents of normal numbers.
#[inline(always)]
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits((exponent.wrapping_add(127) as u32) << 23)
}

#[cfg(test)]
mod tests;
