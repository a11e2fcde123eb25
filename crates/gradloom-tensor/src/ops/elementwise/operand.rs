//! [`Operand`]: the second operand of an elementwise method, a tensor or a number.

use crate::{DType, Error, Result, Scalar, Tensor, bf16, f16};

/// A tensor or a number. A number takes the dtype of the tensor beside it.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A tensor, which broadcasts.
    Tensor(Tensor),
    /// A number; it becomes an argument of the plan, so its value may change without a new plan.
    Scalar(Scalar),
}

impl Operand {
    /// The dtype of a tensor; a number has none.
    pub(super) fn dtype(&self) -> Option<DType> {
        match self {
            Operand::Tensor(tensor) => Some(tensor.dtype()),
            Operand::Scalar(_) => None,
        }
    }

    /// [`Tensor::wide`] of a tensor; a number is as it is.
    #[track_caller]
    pub(super) fn wide(self) -> Operand {
        match self {
            Operand::Tensor(tensor) => Operand::Tensor(tensor.wide()),
            Operand::Scalar(scalar) => Operand::Scalar(scalar),
        }
    }
}

impl From<Tensor> for Operand {
    fn from(tensor: Tensor) -> Self {
        Operand::Tensor(tensor)
    }
}

impl From<&Tensor> for Operand {
    fn from(tensor: &Tensor) -> Self {
        Operand::Tensor(tensor.clone())
    }
}

impl From<&&Tensor> for Operand {
    fn from(tensor: &&Tensor) -> Self {
        Operand::Tensor((*tensor).clone())
    }
}

impl From<Scalar> for Operand {
    fn from(scalar: Scalar) -> Self {
        Operand::Scalar(scalar)
    }
}

macro_rules! operand_from_number {
    ($($number:ty),*) => {
        $(impl From<$number> for Operand {
            fn from(number: $number) -> Self {
                Operand::Scalar(number.into())
            }
        })*
    };
}

operand_from_number!(f32, f64, f16, bf16, i32, i64, u32, u8, bool);

/// The value in the variant of `dtype`, if the dtype can hold it: no fraction is dropped, no integer
/// wraps, truth values and numbers do not mix.
pub(crate) fn fit(op: &str, scalar: Scalar, dtype: DType) -> Result<Scalar> {
    let range = match dtype {
        DType::I32 => f64::from(i32::MIN)..=f64::from(i32::MAX),
        DType::U32 => 0.0..=f64::from(u32::MAX),
        DType::U8 => 0.0..=255.0,
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 | DType::Bool => {
            return if matches!(scalar, Scalar::Bool(_)) == (dtype == DType::Bool) {
                Ok(scalar.cast(dtype))
            } else {
                Err(misfit(op, scalar, dtype))
            };
        }
    };
    let value = scalar.as_f64();
    if matches!(scalar, Scalar::Bool(_)) || value.fract() != 0.0 || !range.contains(&value) {
        return Err(misfit(op, scalar, dtype));
    }
    Ok(scalar.cast(dtype))
}

fn misfit(op: &str, scalar: Scalar, dtype: DType) -> Error {
    let message = format!("{op}: {scalar} is no value of a {dtype} tensor; convert it with cast");
    Error::shape(message)
}
