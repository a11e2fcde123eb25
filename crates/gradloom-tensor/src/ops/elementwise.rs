//! Elementwise ops: how operands meet (dtypes, scalars, broadcasting), and the named methods of the
//! table in [`crate::elementwise`].
//!
//! Composed functions stand in `math.rs`, division and bits of integers in `integer.rs`, the operators
//! `+ - * / %` in `operators.rs`. Operands of different dtypes meet by the rule of
//! [`promotion`](crate::promotion).

mod functions;
mod math;
mod integer;
mod operand;
mod operators;
mod polynomials;
mod special;

pub use operand::Operand;
use operand::beside;
pub(crate) use operand::fit;
pub use polynomials::Degree;

use crate::called::Called;
use crate::error::OrFail;
use crate::op::{Binary, Op, Unary};
use crate::promotion::{Typed, result_type};
use crate::{DType, Scalar, Shape, Tensor, shape_rules};

impl Tensor {
    /// Repeated to `shape`: leading axes by reshape, axes of size one by expand. Constants and
    /// arguments are made anew in that shape, so that no view stands in the way of fusion.
    #[track_caller]
    pub(crate) fn expand_to(&self, shape: Shape) -> Tensor {
        if *self.shape() == shape {
            return self.clone();
        }
        shape_rules::broadcast_to("broadcast_to", self.shape(), &shape).or_fail();
        if let (Op::Constant(_) | Op::Argument(_), None) = (self.op(), self.value()) {
            let op = self.op().clone();
            return Tensor::from_op(op, Vec::new(), shape, self.dtype(), self.device());
        }
        let missing = shape.rank() - self.rank();
        let aligned =
            std::iter::repeat_n(1, missing).chain(self.shape().iter().copied()).collect::<Shape>();
        let source = self.reshape_to(aligned);
        if aligned == shape {
            return source;
        }
        Tensor::from_op(Op::Expand, vec![source], shape, self.dtype(), self.device())
    }

    /// The same elements under a shape with the same count; no node if it is the same shape.
    #[track_caller]
    pub(crate) fn reshape_to(&self, shape: Shape) -> Tensor {
        debug_assert_eq!(self.count(), shape.count());
        if *self.shape() == shape {
            return self.clone();
        }
        Tensor::from_op(Op::Reshape, vec![self.clone()], shape, self.dtype(), self.device())
    }

    /// Panics unless the tensor is floating-point.
    #[track_caller]
    pub(crate) fn require_float(&self, op: &str) {
        shape_rules::float(op, self.dtype()).or_fail();
    }

    /// This tensor and the other operand with one dtype and one shape.
    #[track_caller]
    fn meet(&self, op: &str, other: Operand) -> (Tensor, Tensor) {
        let dtype = result_type(op, [Typed::from(self), Typed::from(&other)]).or_fail();
        let lhs = self.cast(dtype);
        match other {
            Operand::Scalar(scalar) => (lhs.clone(), lhs.argument_like(op, scalar)),
            Operand::Tensor(other) => {
                let shape = shape_rules::broadcast(op, lhs.shape(), other.shape()).or_fail();
                (lhs.expand_to(shape), other.cast(dtype).expand_to(shape))
            }
        }
    }

    /// A scalar operand beside this tensor: same shape and dtype, an argument of the plan.
    #[track_caller]
    fn argument_like(&self, op: &str, scalar: Scalar) -> Tensor {
        let scalar = beside(op, scalar, self.dtype()).or_fail();
        let op = Op::Argument(scalar);
        Tensor::from_op(op, Vec::new(), *self.shape(), self.dtype(), self.device())
    }

    /// The dtype that this tensor and the other operand of an elementwise op meet in.
    ///
    /// Panics if there is none. PyTorch: `torch.result_type`; see [`promotion`](crate::promotion).
    #[track_caller]
    pub fn result_type(&self, other: impl Into<Operand>) -> DType {
        let other = other.into();
        result_type("result_type", [Typed::from(self), Typed::from(&other)]).or_fail()
    }

    #[track_caller]
    fn unary(&self, unary: Unary) -> Tensor {
        let dtype = unary.result(self.dtype());
        let op = Op::Unary(unary);
        Tensor::from_op(op, vec![self.clone()], *self.shape(), dtype, self.device())
    }

    /// A function of the table that only floats have.
    #[track_caller]
    fn float_unary(&self, unary: Unary) -> Tensor {
        self.require_float(unary.name());
        self.unary(unary)
    }

    #[track_caller]
    fn binary_node(binary: Binary, lhs: Tensor, rhs: Tensor) -> Tensor {
        let (shape, dtype, device) =
            (*lhs.shape(), binary.result(lhs.dtype()), lhs.device().clone());
        Tensor::from_op(Op::Binary(binary), vec![lhs, rhs], shape, dtype, &device)
    }

    /// A binary op on dtypes that have arithmetic.
    #[track_caller]
    fn arithmetic(&self, binary: Binary, other: Operand) -> Tensor {
        let (lhs, rhs) = self.meet_as_numbers(binary.name(), other);
        Tensor::binary_node(binary, lhs, rhs)
    }

    /// As [`Tensor::meet`], in a dtype that has arithmetic.
    #[track_caller]
    fn meet_as_numbers(&self, op: &str, other: Operand) -> (Tensor, Tensor) {
        let (lhs, rhs) = self.meet(op, other);
        lhs.require_number(op);
        (lhs, rhs)
    }

    #[track_caller]
    fn require_number(&self, op: &str) {
        shape_rules::number(op, self.dtype()).or_fail();
    }

    #[track_caller]
    fn logical(&self, op: &str, binary: Binary, other: Operand) -> Tensor {
        let (lhs, rhs) = self.meet(op, other);
        shape_rules::boolean(op, lhs.dtype()).or_fail();
        Tensor::binary_node(binary, lhs, rhs)
    }
}

/// Methods of two operands; the second is a tensor that broadcasts, or a number. The bodies are pasted,
/// not called as closures, so that nodes know the caller's line.
macro_rules! binary_methods {
    ($($(#[$doc:meta])* $name:ident => |$lhs:ident, $rhs:ident| $body:expr;)*) => {
        impl Tensor {
            $($(#[$doc])*
            #[track_caller]
            #[must_use]
            pub fn $name(&self, other: impl Into<Operand>) -> Tensor {
                let ($lhs, $rhs) = (self, other.into());
                $body
            })*
        }
    };
}

binary_methods! {
    /// `self + other`, broadcast; integers wrap. Panics if shapes or dtypes do not fit. PyTorch: `add`.
    add => |a, b| a.arithmetic(Binary::Add, b);
    /// `self - other`, broadcast; integers wrap. Panics if shapes or dtypes do not fit. PyTorch: `sub`.
    sub => |a, b| a.arithmetic(Binary::Sub, b);
    /// `self * other`, broadcast; integers wrap. Panics if shapes or dtypes do not fit. PyTorch: `mul`.
    mul => |a, b| a.arithmetic(Binary::Mul, b);
    /// `self / other`, broadcast. Integers truncate as in Rust, wrap (the least one divided by -1 is
    /// itself), and divided by zero give 0; [`Tensor::true_divide`] gives fractions,
    /// [`Tensor::floor_divide`] rounds down. PyTorch: `div` (with `rounding_mode="trunc"` for integers).
    div => |a, b| a.arithmetic(Binary::Div, b);
    /// Remainder with the sign of `self`, broadcast; integers modulo zero give 0. PyTorch: `fmod`.
    /// [`Tensor::remainder`] has the sign of `other`.
    rem => |a, b| a.arithmetic(Binary::Rem, b);
    /// `self ^ other`, broadcast; floats, or an integer and a float. For a fixed exponent prefer
    /// [`Tensor::powf`] or [`Tensor::powi`], which takes integers. PyTorch: `pow`.
    pow => |a, b| {
        let (a, b) = a.meet("pow", b);
        a.require_float("pow");
        Tensor::binary_node(Binary::Pow, a, b)
    };
    /// The larger of two elements, NaN if either is NaN; broadcast. PyTorch: `maximum`.
    maximum => |a, b| a.arithmetic(Binary::Maximum, b);
    /// The smaller of two elements, NaN if either is NaN; broadcast. PyTorch: `minimum`.
    minimum => |a, b| a.arithmetic(Binary::Minimum, b);
    /// `self == other` as bool, broadcast; any dtype. PyTorch: `eq`.
    eq => |a, b| { let (a, b) = a.meet("eq", b); Tensor::binary_node(Binary::Eq, a, b) };
    /// `self != other` as bool, broadcast; true if either is NaN. PyTorch: `ne`.
    ne => |a, b| { let (a, b) = a.meet("ne", b); Tensor::binary_node(Binary::Ne, a, b) };
    /// `self < other` as bool, broadcast; numbers. PyTorch: `lt`.
    lt => |a, b| a.arithmetic(Binary::Lt, b);
    /// `self <= other` as bool, broadcast; numbers. PyTorch: `le`.
    le => |a, b| a.arithmetic(Binary::Le, b);
    /// `self > other` as bool, broadcast; numbers. PyTorch: `gt`.
    gt => |a, b| {
        let (a, b) = a.meet_as_numbers("gt", b);
        Tensor::binary_node(Binary::Lt, b, a)
    };
    /// `self >= other` as bool, broadcast; numbers. PyTorch: `ge`.
    ge => |a, b| {
        let (a, b) = a.meet_as_numbers("ge", b);
        Tensor::binary_node(Binary::Le, b, a)
    };
    /// Both are true; bool, broadcast. PyTorch: `logical_and`.
    logical_and => |a, b| a.logical("logical_and", Binary::And, b);
    /// At least one is true; bool, broadcast. PyTorch: `logical_or`.
    logical_or => |a, b| a.logical("logical_or", Binary::Or, b);
    /// Exactly one is true; bool, broadcast. PyTorch: `logical_xor`.
    logical_xor => |a, b| a.logical("logical_xor", Binary::Xor, b);
    /// The quotient with its fraction, broadcast: integers and truth values become f32 first.
    /// PyTorch: `true_divide`, `/`.
    true_divide => |a, b| a.true_quotient(b);
    /// The quotient without its fraction, towards zero, broadcast; integers divided by zero give 0.
    /// PyTorch: `div(rounding_mode="trunc")`.
    trunc_divide => |a, b| a.truncated_quotient(b);
    /// The largest whole number not above the quotient, broadcast; integers divided by zero give 0,
    /// floats an infinity or NaN. PyTorch: `floor_divide`, `div(rounding_mode="floor")`, `//`.
    floor_divide => |a, b| a.floor_quotient(b);
    /// `self - other * floor(self / other)`, broadcast: the remainder with the sign of `other`; integers
    /// modulo zero give 0, floats NaN. [`Tensor::rem`] has the sign of `self`. PyTorch: `remainder`, `%`.
    remainder => |a, b| a.floored_remainder(b);
    /// Remainder with the sign of `self`, broadcast: PyTorch's name of [`Tensor::rem`].
    fmod => |a, b| {
        let _called = Called::op("fmod");
        a.arithmetic(Binary::Rem, b)
    };
    /// Bitwise and of integers, logical of truth values, broadcast. PyTorch: `bitwise_and`.
    bitand => |a, b| a.bitwise("bitand", Binary::And, b);
    /// Bitwise or of integers, logical of truth values, broadcast. PyTorch: `bitwise_or`.
    bitor => |a, b| a.bitwise("bitor", Binary::Or, b);
    /// Bitwise exclusive or of integers, logical of truth values, broadcast. PyTorch: `bitwise_xor`.
    bitxor => |a, b| a.bitwise("bitxor", Binary::Xor, b);
    /// Integers times 2 to the power of `other`, wrapping, broadcast; 0 where `other` is negative or no
    /// less than the width. PyTorch: `bitwise_left_shift`.
    left_shift => |a, b| a.shifted(Binary::LeftShift, b);
    /// Integers without their lowest `other` bits, rounded down, broadcast; 0 (-1 for negative numbers)
    /// where `other` is negative or no less than the width. PyTorch: `bitwise_right_shift`.
    right_shift => |a, b| a.shifted(Binary::RightShift, b);
}

/// The functions of floats in the table, each as a method.
macro_rules! float_methods {
    ($($(#[$doc:meta])* $variant:ident $method:ident;)*) => {
        impl Tensor {
            $($(#[$doc])*
            ///
            /// Panics on dtypes that are not floating-point.
            #[track_caller]
            #[must_use]
            pub fn $method(&self) -> Tensor {
                self.float_unary(Unary::$variant)
            })*
        }
    };
}

crate::elementwise::documented_functions!(float_methods);

impl Tensor {
    /// `-x`; integers wrap. Panics on bool. PyTorch: `neg`.
    #[track_caller]
    #[must_use]
    pub fn neg(&self) -> Tensor {
        self.require_number("neg");
        match self.dtype() {
            dtype if dtype.is_unsigned_int() => {
                Tensor::binary_node(Binary::Sub, self.constant_like(0), self.clone())
            }
            _ => self.unary(Unary::Neg),
        }
    }

    /// `|x|`; the least integer stays. Panics on bool. PyTorch: `abs`.
    #[track_caller]
    #[must_use]
    pub fn abs(&self) -> Tensor {
        self.require_number("abs");
        match self.dtype() {
            dtype if dtype.is_unsigned_int() => self.clone(),
            _ => self.unary(Unary::Abs),
        }
    }

    /// -1, 0 or 1 by the sign; NaN stays NaN. Panics on bool. PyTorch: `sgn`.
    #[track_caller]
    #[must_use]
    pub fn sign(&self) -> Tensor {
        self.require_number("sign");
        match self.dtype() {
            dtype if dtype.is_unsigned_int() => self.least(1),
            _ => self.unary(Unary::Sign),
        }
    }

    /// Largest integer not above, in the same dtype; integers stay. Panics on bool. PyTorch: `floor`.
    #[track_caller]
    #[must_use]
    pub fn floor(&self) -> Tensor {
        self.rounded(Unary::Floor)
    }

    /// Smallest integer not below, in the same dtype; integers stay. Panics on bool. PyTorch: `ceil`.
    #[track_caller]
    #[must_use]
    pub fn ceil(&self) -> Tensor {
        self.rounded(Unary::Ceil)
    }

    /// Nearest integer, ties to even, in the same dtype; integers stay. Panics on bool. PyTorch: `round`.
    #[track_caller]
    #[must_use]
    pub fn round(&self) -> Tensor {
        self.rounded(Unary::Round)
    }

    #[track_caller]
    fn rounded(&self, unary: Unary) -> Tensor {
        self.require_number(unary.name());
        if self.dtype().is_int() { self.clone() } else { self.unary(unary) }
    }

    /// `max(x, 0)`; NaN stays NaN. Panics on bool. PyTorch: `relu`.
    #[track_caller]
    #[must_use]
    pub fn relu(&self) -> Tensor {
        self.require_number("relu");
        if self.dtype().is_float() { self.unary(Unary::Relu) } else { self.greatest(0) }
    }

    /// True for NaN; bool result. Integers and bools are never NaN. PyTorch: `isnan`.
    #[track_caller]
    #[must_use]
    pub fn is_nan(&self) -> Tensor {
        if self.dtype().is_float() { self.unary(Unary::IsNan) } else { self.always(false) }
    }

    /// `!x` of bools. Panics on other dtypes. PyTorch: `logical_not`.
    #[track_caller]
    #[must_use]
    pub fn logical_not(&self) -> Tensor {
        shape_rules::boolean("logical_not", self.dtype()).or_fail();
        self.unary(Unary::Not)
    }

    /// The elements converted to `dtype`; floats to integers truncate towards zero and saturate, NaN
    /// gives 0, integers to narrower ones keep their lowest bits, numbers to bool are true unless zero,
    /// and what becomes a float is rounded once. The same dtype makes no node. PyTorch: `to`.
    ///
    /// ```
    /// # use gradloom_tensor::{DType, Tensor};
    /// # fn main() -> gradloom_tensor::Result<()> { let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([1.7f32, -1.7], &device)?;
    /// assert_eq!(x.cast(DType::I32).to_vec::<i32>()?, [1, -1]);
    /// # Ok(()) }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Tensor {
        if self.dtype() == dtype {
            return self.clone();
        }
        Tensor::from_op(Op::Cast, vec![self.clone()], *self.shape(), dtype, self.device())
    }

    /// This tensor as arithmetic on its dtype is done ([`DType::compute`]): f16 and bf16 as f32, all
    /// others as they are.
    ///
    /// A formula of several ops begins with it and ends with a [`Tensor::cast`] back, so that halves
    /// are rounded once at its end and not at each op, where squares and sums would overflow. Every
    /// formula of this library does so. PyTorch: the `opmath_t` of its kernels.
    #[track_caller]
    #[must_use]
    pub fn wide(&self) -> Tensor {
        if self.dtype().is_float() { self.cast(self.dtype().compute()) } else { self.clone() }
    }

    /// The same integers; an element outside `0..size` fails the evaluation with an error that names
    /// `op`. Panics on dtypes that are not integers.
    ///
    /// With `op: facts` the error is that message, for numbers that are no index.
    #[track_caller]
    #[must_use]
    pub fn check_index(&self, size: usize, op: &'static str) -> Tensor {
        shape_rules::int(op, self.dtype()).or_fail();
        let op = if op.contains(": ") { op } else { Called::name_or(op) };
        if matches!(self.op(), Op::CheckIndex { size: checked, .. } if *checked <= size) {
            return self.clone();
        }
        let check = Op::CheckIndex { size, op };
        Tensor::from_op(check, vec![self.clone()], *self.shape(), self.dtype(), self.device())
    }

    /// Zeros, i32, where this is true; an element that is false fails the evaluation with a message
    /// `op: facts`.
    #[track_caller]
    pub(crate) fn zero_if_true(&self, message: &'static str) -> Tensor {
        self.logical_not().cast(DType::I32).check_index(1, message)
    }
}
