//! Division, remainders, bits and shifts, with a value for every pair of integers on every device.
//!
//! - Arithmetic wraps at the dtype's width; so does the least integer divided by -1.
//! - Whatever is divided by zero is 0, and so is its remainder, where PyTorch raises an error: a kernel
//!   that is lazy and on a GPU has nobody to raise it to.
//! - Shifts by less than zero or no less than the width shift everything out: 0, and -1 for a negative
//!   number that is shifted right.
//!
//! Only the truncating quotient, its remainder and the shifts are ops; the others are formulas of them.

use super::Operand;
use crate::error::OrFail;
use crate::op::Binary;
use crate::promotion::{self, Typed, result_type};
use crate::{DType, Scalar, Tensor, shape_rules};

impl Tensor {
    /// Every bit of integers turned over; truth values negated. PyTorch: `bitwise_not`.
    ///
    /// Panics on floats.
    #[track_caller]
    #[must_use]
    pub fn bitnot(&self) -> Tensor {
        if self.dtype() == DType::Bool {
            return self.logical_not();
        }
        shape_rules::int("bitnot", self.dtype()).or_fail();
        let ones = match self.dtype().int_range() {
            Some((0, largest)) => largest,
            _ => -1,
        };
        let ones = self.constant_like(Scalar::Int(ones));
        Tensor::binary_node(Binary::Xor, self.clone(), ones)
    }

    /// See [`Tensor::true_divide`].
    #[track_caller]
    pub(super) fn true_quotient(&self, other: Operand) -> Tensor {
        let dtype = result_type("true_divide", [Typed::from(self), Typed::from(&other)]).or_fail();
        let dtype = if dtype.is_float() { dtype } else { promotion::FLOAT };
        let other = match other {
            Operand::Tensor(other) => Operand::Tensor(other.cast(dtype)),
            Operand::Scalar(_) => other,
        };
        let (lhs, rhs) = self.cast(dtype).meet("true_divide", other);
        Tensor::binary_node(Binary::Div, lhs, rhs)
    }

    /// See [`Tensor::trunc_divide`].
    #[track_caller]
    pub(super) fn truncated_quotient(&self, other: Operand) -> Tensor {
        let (lhs, rhs) = self.meet_as_numbers("trunc_divide", other);
        if !lhs.dtype().is_float() {
            return Tensor::binary_node(Binary::Div, lhs, rhs);
        }
        // A quotient of halves that was rounded up to a whole number would keep it.
        let dtype = lhs.dtype();
        Tensor::binary_node(Binary::Div, lhs.wide(), rhs.wide()).trunc().cast(dtype)
    }

    /// See [`Tensor::floor_divide`].
    #[track_caller]
    pub(super) fn floor_quotient(&self, other: Operand) -> Tensor {
        let (a, b) = self.meet_as_numbers("floor_divide", other);
        let dtype = a.dtype();
        if dtype.is_unsigned_int() {
            return Tensor::binary_node(Binary::Div, a, b);
        }
        let (a, b) = (a.wide(), b.wide());
        let rest = Tensor::binary_node(Binary::Rem, a.clone(), b.clone());
        let below = signs_differ(&rest, &b);
        if !dtype.is_float() {
            let quotient = Tensor::binary_node(Binary::Div, a, b);
            return below.select(quotient.sub(quotient.constant_like(1)), &quotient);
        }
        // The floor of a rounded quotient is one too many where rounding reaches a whole number; what is
        // left when the remainder is gone is a whole number but for rounding.
        let whole = Tensor::binary_node(Binary::Div, a.sub(&rest), b.clone()).round();
        let floor = below.select(whole.plus(-1.0), &whole);
        let by_zero = b.eq(b.constant_like(0.0));
        by_zero.select(Tensor::binary_node(Binary::Div, a, b), floor).cast(dtype)
    }

    /// See [`Tensor::remainder`].
    #[track_caller]
    pub(super) fn floored_remainder(&self, other: Operand) -> Tensor {
        let (a, b) = self.meet_as_numbers("remainder", other);
        let dtype = a.dtype();
        let (a, b) = (a.wide(), b.wide());
        let rest = Tensor::binary_node(Binary::Rem, a, b.clone());
        if dtype.is_unsigned_int() {
            return rest;
        }
        signs_differ(&rest, &b).select(rest.add(&b), &rest).cast(dtype)
    }

    #[track_caller]
    pub(super) fn bitwise(&self, op: &str, binary: Binary, other: Operand) -> Tensor {
        let (lhs, rhs) = self.meet(op, other);
        if lhs.dtype() != DType::Bool {
            shape_rules::int(op, lhs.dtype()).or_fail();
        }
        Tensor::binary_node(binary, lhs, rhs)
    }

    #[track_caller]
    pub(super) fn shifted(&self, binary: Binary, other: Operand) -> Tensor {
        let (lhs, rhs) = self.meet(binary.name(), other);
        shape_rules::int(binary.name(), lhs.dtype()).or_fail();
        Tensor::binary_node(binary, lhs, rhs)
    }
}

/// True where a remainder is not zero and its sign is another than the divisor's.
#[track_caller]
fn signs_differ(rest: &Tensor, divisor: &Tensor) -> Tensor {
    let zero = rest.constant_like(0);
    let negative = |x: &Tensor| Tensor::binary_node(Binary::Lt, x.clone(), zero.clone());
    let other = Tensor::binary_node(Binary::Xor, negative(rest), negative(divisor));
    let some = Tensor::binary_node(Binary::Ne, rest.clone(), zero.clone());
    Tensor::binary_node(Binary::And, some, other)
}
