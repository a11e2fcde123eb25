//! [`Operand`]: the second operand of an elementwise method, a tensor or a number.

use crate::{DType, Error, Result, Scalar, Tensor, bf16, f16};

/// A tensor or a number. A number takes the dtype of the tensor beside it, unless it is a float beside
/// integers or a number beside truth values: see [`promotion`](crate::promotion).
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

operand_from_number!(f32, f64, f16, bf16, i8, i32, i64, u8, u32, bool);

/// As [`fit`], for a number beside tensors: a truth value beside numbers is one of them.
pub(super) fn beside(op: &str, scalar: Scalar, dtype: DType) -> Result<Scalar> {
    match scalar {
        Scalar::Bool(_) => Ok(scalar.cast(dtype)),
        Scalar::Int(_) | Scalar::Float(_) => fit(op, scalar, dtype),
    }
}

/// The value in the variant of `dtype`, if the dtype can hold it: no fraction is dropped, no integer
/// wraps, truth values and numbers do not mix.
pub(crate) fn fit(op: &str, scalar: Scalar, dtype: DType) -> Result<Scalar> {
    let fits = match (scalar, dtype.int_range()) {
        (Scalar::Bool(_), _) => dtype == DType::Bool,
        (Scalar::Int(_) | Scalar::Float(_), _) if dtype == DType::Bool => false,
        (Scalar::Int(value), Some((least, largest))) => (least..=largest).contains(&value),
        (Scalar::Float(value), Some((least, largest))) => {
            let range = i128::from(least)..=i128::from(largest);
            value.fract() == 0.0 && range.contains(&(value as i128))
        }
        (Scalar::Int(_) | Scalar::Float(_), None) => true,
    };
    if fits {
        return Ok(scalar.cast(dtype));
    }
    let message = format!("{op}: {scalar} is no value of a {dtype} tensor; convert it with cast");
    Err(Error::shape(message))
}
