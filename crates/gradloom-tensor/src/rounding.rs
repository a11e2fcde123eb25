//! Half precision from f64, rounded once: to nearest, ties to even.
//!
//! The conversions of the crate `half` leave out the lower half of an f64, and a way through f32 rounds
//! twice; both lose which side of a tie a number is on. A number that is first rounded to odd keeps that,
//! because f32 has more than two bits beyond both types.

use half::{bf16, f16};

/// The number as f32 if it is one, and otherwise that of its two neighbours whose last bit is 1: what f16
/// and bf16 can be rounded from as if from the number itself.
#[inline(always)]
pub fn to_odd(value: f64) -> f32 {
    let near = value as f32;
    let back = f64::from(near);
    // The neighbour towards zero; NaN stays NaN.
    let bits = near.to_bits() - u32::from(back.abs() > value.abs());
    f32::from_bits(bits | u32::from(back != value))
}

/// The integer as f64 if it is one, and otherwise that of its two neighbours whose last bit is 1.
#[inline(always)]
pub fn whole_to_odd(value: i64) -> f64 {
    let magnitude = value.unsigned_abs();
    // What is beyond the 53 bits of a f64 only counts as more than nothing.
    let beyond = 11u32.saturating_sub(magnitude.leading_zeros());
    let kept = magnitude >> beyond << beyond;
    let odd = if kept == magnitude { kept } else { kept | 1 << beyond };
    (odd as f64).copysign(value as f64)
}

/// The nearest f16.
#[inline(always)]
pub fn to_f16(value: f64) -> f16 {
    f16::from_f32(to_odd(value))
}

/// The nearest bf16.
#[inline(always)]
pub fn to_bf16(value: f64) -> bf16 {
    bf16::from_f32(to_odd(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number between two neighbours of a type goes to the nearer, and the middle to the even one.
    fn check(values: impl Iterator<Item = (f64, bool)>, convert: impl Fn(f64) -> f64) {
        let mut last: Option<(f64, bool)> = None;
        for (value, even) in values {
            assert_eq!(convert(value), value);
            if let Some((below, below_even)) = last {
                assert_ne!(even, below_even);
                let middle = (below + value) / 2.0;
                let tie = if even { value } else { below };
                for sign in [1.0, -1.0] {
                    assert_eq!(convert(sign * middle), sign * tie, "{middle}");
                    assert_eq!(convert(sign * middle.next_up()), sign * value, "{middle}");
                    assert_eq!(convert(sign * middle.next_down()), sign * below, "{middle}");
                }
            }
            last = Some((value, even));
        }
    }

    #[test]
    fn halves_are_nearest() {
        let all = (0..=0x7bff_u16).map(|bits| (f16::from_bits(bits).to_f64(), bits % 2 == 0));
        check(all, |value| to_f16(value).to_f64());
        let all = (0..=0x7f7f_u16).map(|bits| (bf16::from_bits(bits).to_f64(), bits % 2 == 0));
        check(all, |value| to_bf16(value).to_f64());
        assert_eq!(to_bf16(1.0 + 2f64.powi(-8) + 2f64.powi(-22)).to_f64(), 1.007_812_5);
        assert_eq!(to_bf16(1.0 + 2f64.powi(-8) + 2f64.powi(-45)).to_f64(), 1.007_812_5);
    }

    #[test]
    fn wide_integers_are_rounded_once() {
        for shift in 0..55 {
            let (one, tie) = (1i64 << shift, 1i64 << shift >> 8);
            assert_eq!(to_bf16(whole_to_odd(one + tie)).to_f64(), one as f64);
            if tie > 1 {
                let above = (one + 2 * tie) as f64;
                assert_eq!(to_bf16(whole_to_odd(one + tie + 1)).to_f64(), above, "{shift}");
                assert_eq!(to_bf16(whole_to_odd(-one - tie - 1)).to_f64(), -above, "{shift}");
                assert_eq!(to_bf16(whole_to_odd(one + tie - 1)).to_f64(), one as f64, "{shift}");
            }
        }
        assert_eq!(whole_to_odd(i64::MIN), -(2f64.powi(63)));
        assert_eq!(whole_to_odd(i64::MAX), (i64::MAX - 1023) as f64);
        assert_eq!(whole_to_odd(-5), -5.0);
    }

    #[test]
    fn what_is_no_finite_half_is_infinite_or_nan() {
        assert_eq!(to_f16(65_520.0), f16::INFINITY);
        assert_eq!(to_f16(65_520f64.next_down()), f16::MAX);
        assert_eq!(to_bf16(f64::MAX), bf16::INFINITY);
        assert_eq!(to_bf16(f64::NEG_INFINITY), bf16::NEG_INFINITY);
        assert!(to_f16(f64::NAN).is_nan() && to_bf16(-f64::NAN).is_nan());
        assert_eq!(to_f16(-0.0).to_bits(), 0x8000);
        assert_eq!(to_f16(-5e-324).to_bits(), 0x8000);
    }
}
