//! Products of small integers and their scales.

use gradloom_tensor::op::{Groups, Window};
use gradloom_tensor::{DType, Tensor};

use super::parameters::QuantizationParameters;

/// Where u8 begins for integers that are signed elsewhere.
const MIDDLE: i32 = 128;

/// How u8 stand for numbers: `(q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Activation {
    pub(super) scale: f32,
    pub(super) zero_point: i32,
    pub(super) high: i32,
}

impl Activation {
    /// Signed integers are moved up, so that all begin at 0.
    pub(super) fn of(parameters: &QuantizationParameters) -> Activation {
        let [low, high] = parameters.scheme().bounds();
        Activation {
            scale: parameters.scales()[0],
            zero_point: parameters.zero_points()[0] - low,
            high: high - low,
        }
    }

    /// The integers of numbers.
    #[track_caller]
    pub(super) fn quantize(self, x: &Tensor) -> Tensor {
        self.within(x, [f32::NEG_INFINITY, f32::INFINITY])
    }

    /// The integers of numbers that are clamped first.
    #[track_caller]
    pub(super) fn within(self, x: &Tensor, [low, high]: [f32; 2]) -> Tensor {
        let inverse = 1.0 / self.scale;
        let bound = |bound: f32| (bound * inverse).round_ties_even() + self.zero_point as f32;
        let low = bound(low).max(0.0);
        let high = bound(high).min(self.high as f32).max(low);
        let integers = (x * f64::from(inverse)).round() + f64::from(self.zero_point);
        integers.clamp(f64::from(low), f64::from(high)).cast(DType::U8)
    }

    /// The numbers of integers.
    #[track_caller]
    pub(super) fn dequantize(self, integers: &Tensor) -> Tensor {
        (integers.cast(DType::F32) - f64::from(self.zero_point)) * f64::from(self.scale)
    }
}

/// `x [rows, K] u8, weight [O, K] i8, sums [O] i32 of the weight's rows -> [rows, O]` in f32, which are whole numbers:
/// sums of `(x - zero_point) * weight`.
#[track_caller]
pub(super) fn linear(x: &Tensor, zero_point: i32, weight: &Tensor, sums: &Tensor) -> Tensor {
    let signed = (x.cast(DType::I32) - MIDDLE).cast(DType::I8);
    let product = signed.matmul_as(&weight.t(), DType::I32);
    (product + sums * (MIDDLE - zero_point)).cast(DType::F32)
}

/// `x [N, C, ..] u8, weight [O, C / groups, ..] i8 -> [N, O, ..]` in f32, which are whole numbers.
#[track_caller]
pub(super) fn convolution(
    x: &Tensor,
    zero_point: i32,
    weight: &Tensor,
    window: Window,
    groups: Groups,
) -> Tensor {
    let shifted = x.cast(DType::F32) - f64::from(zero_point);
    Tensor::convolution(&shifted, &weight.cast(DType::F32), window, groups)
}

/// `x [rows, K] f32, weight [O, K] i8 -> [rows, O]` in f32, of rows that are rounded to 8 bits by their largest
/// magnitude. Sums are still to be multiplied with the weight's scales.
#[track_caller]
pub(super) fn dynamic_linear(x: &Tensor, weight: &Tensor) -> Tensor {
    let bound = x.abs().max_keepdim(1).maximum(f64::from(f32::MIN_POSITIVE));
    let scale = bound * (1.0 / 127.0);
    let integers = (x * scale.reciprocal()).round().cast(DType::I8);
    integers.matmul_as(&weight.t(), DType::I32).cast(DType::F32) * scale
}
