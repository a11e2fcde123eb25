//! [`Activation`]: how the results of layers are integers.

use gradloom_tensor::{DType, Tensor};

use super::parameters::QuantizationParameters;
use crate::int8::Integers;

/// How u8 stand for numbers: `(q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Activation {
    pub(super) scale: f32,
    pub(super) zero_point: i32,
    pub(super) high: i32,
}

impl From<Activation> for Integers {
    fn from(own: Activation) -> Integers {
        Integers { scale: own.scale, zero_point: own.zero_point as u8, high: own.high as u8 }
    }
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
