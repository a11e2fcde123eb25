//! [`Fill`]: what the elements of a leaf are.

use gradloom_tensor::{DType, Device, Shape, Tensor};

use super::Rng;
use crate::case;

/// Patterns of elements; each fits its dtype.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// Quarters between -2 and 2: arithmetic on them is exact, and ties are common.
    Quarters,
    /// Numbers between -2 and 2 with all their digits.
    Fine,
    /// Numbers between 0.25 and 2.25.
    Positive,
    /// Numbers of about 300: squares reach the limit of f16.
    Hundreds,
    /// Numbers up to 60,000, near the limit of f16.
    Far,
    /// Quarters, among them NaN, infinities and negative zero.
    Edges,
    /// Integers between -9 and 9, or below 10 where there are no negative ones.
    Small,
    /// Integers near the ends of the dtype.
    Ends,
    /// Indices below a size.
    Below(usize),
    /// Truth values.
    Truth,
    /// One number everywhere.
    All(f64),
}

/// The elements of a fill, the same on every run.
pub(super) fn values(fill: Fill, seed: u64, count: usize, dtype: DType) -> Vec<f64> {
    let mut rng = Rng::new(seed ^ 0xF111);
    let unsigned = matches!(dtype, DType::U32 | DType::U8);
    (0..count)
        .map(|_| match fill {
            Fill::Quarters => rng.below(17) as f64 / 4.0 - 2.0,
            Fill::Fine => f64::from((rng.unit() * 4.0 - 2.0) as f32),
            Fill::Positive => f64::from((rng.unit() * 2.0 + 0.25) as f32),
            Fill::Hundreds => (rng.below(161) as f64 + 220.0) * if rng.chance(50) { 1.0 } else { -1.0 },
            Fill::Far => (rng.below(121) as f64 - 60.0) * 1000.0,
            Fill::Edges => match rng.below(12) {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                3 => -0.0,
                _ => rng.below(17) as f64 / 4.0 - 2.0,
            },
            Fill::Small if unsigned => rng.below(10) as f64,
            Fill::Small => rng.below(19) as f64 - 9.0,
            Fill::Ends => {
                let (least, largest) = match dtype {
                    DType::U8 => (0.0, 255.0),
                    DType::U32 => (0.0, f64::from(u32::MAX)),
                    _ => (f64::from(i32::MIN), f64::from(i32::MAX)),
                };
                let step = rng.below(100) as f64;
                if rng.chance(70) { largest - step } else { least + step }
            }
            Fill::Below(size) => rng.below(size.max(1)) as f64,
            Fill::Truth => rng.below(2) as f64,
            Fill::All(value) => value,
        })
        .collect()
}

/// A tensor of elements given as f64.
///
/// # Panics
/// If the device refuses them.
#[track_caller]
pub fn leaf(values: &[f64], shape: &[usize], dtype: DType, device: &Device) -> Tensor {
    case::tensor(values, Shape::new(shape), dtype, device)
        .unwrap_or_else(|error| panic!("leaf: {error}"))
}

/// A tensor of a fill.
///
/// # Panics
/// If the device refuses it.
#[track_caller]
pub fn filled(fill: Fill, seed: u64, shape: &[usize], dtype: DType, device: &Device) -> Tensor {
    leaf(&values(fill, seed, shape.iter().product(), dtype), shape, dtype, device)
}
