//! The operators `+ - * / %` and unary `-`, for tensors and references in any combination and with
//! numbers on either side.
//!
//! `f32` is absent on purpose: with two float types `x * 2.0` could not be inferred. Named methods
//! (`x.mul(scale)`) take every number type.

use super::Operand;
use crate::Tensor;

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        operator!(@tensors $trait, $method, Tensor, Tensor);
        operator!(@tensors $trait, $method, Tensor, &Tensor);
        operator!(@tensors $trait, $method, &Tensor, Tensor);
        operator!(@tensors $trait, $method, &Tensor, &Tensor);
        operator!(@number $trait, $method, f64);
        operator!(@number $trait, $method, i32);
    };
    (@tensors $trait:ident, $method:ident, $lhs:ty, $rhs:ty) => {
        impl std::ops::$trait<$rhs> for $lhs {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, other: $rhs) -> Tensor {
                Tensor::$method(&self, other)
            }
        }
    };
    (@number $trait:ident, $method:ident, $number:ty) => {
        operator!(@tensors $trait, $method, Tensor, $number);
        operator!(@tensors $trait, $method, &Tensor, $number);
        operator!(@reversed $trait, $method, $number, Tensor);
        operator!(@reversed $trait, $method, $number, &Tensor);
    };
    (@reversed $trait:ident, $method:ident, $number:ty, $tensor:ty) => {
        impl std::ops::$trait<$tensor> for $number {
            type Output = Tensor;

            #[track_caller]
            fn $method(self, other: $tensor) -> Tensor {
                let (other, number) = other.meet(stringify!($method), Operand::from(self));
                number.$method(other)
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);
operator!(Rem, rem);

impl std::ops::Neg for Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(&self)
    }
}

impl std::ops::Neg for &Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(self)
    }
}
