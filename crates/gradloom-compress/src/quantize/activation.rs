//! [`Activation`]: how the results of layers are integers.

use gradloom_tensor::{DType, Tensor};

use super::parameters::QuantizationParameters;
use crate::int8::{Finish, Integers};

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

    /// These integers of numbers between bounds.
    pub(super) fn within(self, bounds: [f32; 2]) -> Finish {
        Finish { bounds, to: Some(self.into()) }
    }

    /// The numbers of integers.
    #[track_caller]
    pub(super) fn dequantize(self, integers: &Tensor) -> Tensor {
        (integers.cast(DType::F32) - f64::from(self.zero_point)) * f64::from(self.scale)
    }
}
