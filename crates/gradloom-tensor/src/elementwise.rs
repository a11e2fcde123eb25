//! The table of elementwise ops: one row each, with the name, the exact meaning in f64, the WGSL
//! expression and the op's [`Nature`]. A function of floats gets its tensor method from its row. Derivatives
//! stand in `gradloom-autodiff`, vector code in `gradloom-cpu`.
//!
//! In WGSL expressions `a` and `b` are the operands; functions that begin with `gl_` are defined in
//! the shader library. Truth values are `bool` in expressions.

mod nature;
mod special;

pub use nature::{Accuracy, Domain, Nature, Variation, Wraps};
pub use special::erf;
pub(crate) use special::lgamma;

use crate::DType;
use Accuracy::{
    Basic, Elementary, Exponential, Periodic, Quotient, Reflected, ThroughZero, TwoQuotients,
};

/// Ops of one operand: first those of any numbers, with their meaning for integers, then functions of
/// floats, which get a method of [`Tensor`] of their name.
macro_rules! unary {
    (
        $dollar:tt
        numbers {$(
            $(#[$doc:meta])*
            $variant:ident $name:ident, $reference:expr, $integers:expr, $wgsl:literal, $nature:expr;
        )*}
        floats {$(
            $(#[$float_doc:meta])*
            $float:ident $method:ident, $float_reference:expr, $float_wgsl:literal, $float_nature:expr;
        )*}
    ) => {
        /// Elementwise ops of one operand. The result has the operand's dtype unless said otherwise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Unary {
            $($(#[$doc])* $variant,)*
            $($(#[$float_doc])* $float,)*
        }

        impl Unary {
            /// Every row of the table.
            pub const ALL: &'static [Unary] = &[$(Unary::$variant,)* $(Unary::$float,)*];

            /// The op's name, as the tensor method has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Unary::$variant => stringify!($name),)*
                    $(Unary::$float => stringify!($method),)*
                }
            }

            /// The exact meaning, in f64. Truth values are 0 and 1.
            pub fn reference(self) -> fn(f64) -> f64 {
                match self {
                    $(Unary::$variant => $reference,)*
                    $(Unary::$float => $float_reference,)*
                }
            }

            /// The meaning for integers and truth values, before it wraps. Functions of floats have none.
            pub fn integers(self) -> Option<fn(i64) -> i64> {
                match self {
                    $(Unary::$variant => Some($integers),)*
                    $(Unary::$float => None,)*
                }
            }

            /// The expression in WGSL for float operands (and for others where it means the same).
            pub fn wgsl(self) -> &'static str {
                match self {
                    $(Unary::$variant => $wgsl,)*
                    $(Unary::$float => $float_wgsl,)*
                }
            }

            /// Costs, errors and where it is smooth.
            pub fn nature(self) -> Nature {
                match self {
                    $(Unary::$variant => $nature,)*
                    $(Unary::$float => $float_nature,)*
                }
            }
        }

        /// Calls a macro with documentation, `Variant` and `method;` for each function of floats.
        macro_rules! documented_functions {
            ($dollar callback:ident) => {
                $dollar callback! { $($(#[$float_doc])* $float $method;)* }
            };
        }
        pub(crate) use documented_functions;

        /// Calls a macro with `Variant method;` for each function of floats.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! float_functions {
            ($dollar callback:ident) => {
                $dollar callback! { $($float $method;)* }
            };
        }
    };
}

/// Ops of two operands, with their meaning for integers.
macro_rules! binary {
    ($(
        $(#[$doc:meta])*
        $variant:ident $name:ident, $reference:expr, $integers:expr, $wgsl:literal, $nature:expr;
    )*) => {
        /// Elementwise ops of two operands of one dtype.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Binary {
            $($(#[$doc])* $variant,)*
        }

        impl Binary {
            /// Every row of the table.
            pub const ALL: &'static [Binary] = &[$(Binary::$variant,)*];

            /// The op's name, as the tensor method has it.
            pub fn name(self) -> &'static str {
                match self { $(Binary::$variant => stringify!($name),)* }
            }

            /// The exact meaning, in f64. Truth values are 0 and 1.
            pub fn reference(self) -> fn(f64, f64) -> f64 {
                match self { $(Binary::$variant => $reference,)* }
            }

            /// The meaning for integers and truth values, before it wraps.
            pub fn integers(self) -> fn(i64, i64) -> i64 {
                match self { $(Binary::$variant => $integers,)* }
            }

            /// The expression in WGSL for float operands (and for others where it means the same).
            pub fn wgsl(self) -> &'static str {
                match self { $(Binary::$variant => $wgsl,)* }
            }

            /// Costs and errors.
            pub fn nature(self) -> Nature {
                match self { $(Binary::$variant => $nature,)* }
            }
        }
    };
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// `value << count` before it wraps, for types of up to 64 bits.
pub fn shifted_left(value: i64, count: i64) -> i64 {
    if (0..64).contains(&count) { value << count } else { 0 }
}

/// `value >> count` with the sign bit repeated, for types of up to 64 bits.
pub fn shifted_right(value: i64, count: i64) -> i64 {
    value >> if (0..64).contains(&count) { count } else { 63 }
}

const EXACT: Nature = Nature::EXACT;

unary! {
    $
    numbers {
        /// `-a`
        Neg neg, |a| -a, i64::wrapping_neg, "-a", EXACT.wraps(Wraps::Always);
        /// `|a|`
        Abs abs, f64::abs, i64::wrapping_abs, "abs(a)",
            EXACT.wraps(Wraps::Signed).varies(Variation::Slope(1.0));
        /// -1, 0 or 1; NaN stays NaN.
        Sign sign, |a| if a.is_nan() { a } else if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 },
            i64::signum, "gl_sign(a)", EXACT;
        /// Largest integer not above.
        Floor floor, f64::floor, |a| a, "floor(a)", EXACT;
        /// Smallest integer not below.
        Ceil ceil, f64::ceil, |a| a, "ceil(a)", EXACT;
        /// Nearest integer, ties to even.
        Round round, f64::round_ties_even, |a| a, "round(a)", EXACT;
        /// `max(a, 0)`; NaN stays NaN.
        Relu relu, |a| if a <= 0.0 { 0.0 } else { a }, |a| a.max(0), "gl_relu(a)", EXACT;
        /// Truth value that is true for false; bool to bool.
        Not not, |a| truth(a == 0.0), |a| i64::from(a == 0), "!a", EXACT;
        /// True for NaN; float to bool.
        IsNan is_nan, |a| truth(a.is_nan()), |_| 0, "gl_is_nan(a)", EXACT;
    }
    floats {
        /// Square root; NaN below zero. PyTorch: `sqrt`.
        Sqrt sqrt, f64::sqrt, "gl_sqrt(a)", Nature::new(2, Quotient).on(Domain::Positive);
        /// `1 / sqrt(x)`. PyTorch: `rsqrt`.
        Rsqrt rsqrt, |a| 1.0 / a.sqrt(), "gl_rsqrt(a)",
            Nature::new(2, TwoQuotients).on(Domain::Positive);
        /// `1 / x`. PyTorch: `reciprocal`.
        Reciprocal reciprocal, |a| 1.0 / a, "gl_div(1.0, a)",
            Nature::new(2, Quotient).varies(Variation::Pole).on(Domain::Positive);
        /// `e^x`. PyTorch: `exp`.
        Exp exp, f64::exp, "gl_exp(a)", Nature::new(8, Exponential);
        /// `2^x`. PyTorch: `exp2`.
        Exp2 exp2, f64::exp2, "gl_exp2(a)", Nature::new(8, Exponential);
        /// `e^x - 1`, accurate near zero. PyTorch: `expm1`.
        Expm1 expm1, f64::exp_m1, "gl_expm1(a)", Nature::new(8, Exponential);
        /// Natural logarithm; NaN below zero. PyTorch: `log`.
        Log log, f64::ln, "gl_log(a)", Nature::new(8, ThroughZero).on(Domain::Positive);
        /// `ln(1 + x)`, accurate near zero. PyTorch: `log1p`.
        Log1p log1p, f64::ln_1p, "gl_log1p(a)", Nature::new(8, ThroughZero).on(Domain::Positive);
        /// Sine of radians. PyTorch: `sin`.
        Sin sin, f64::sin, "gl_sin(a)", Nature::new(8, Periodic).varies(Variation::Slope(1.0));
        /// Cosine of radians. PyTorch: `cos`.
        Cos cos, f64::cos, "gl_cos(a)", Nature::new(8, Periodic).varies(Variation::Slope(1.0));
        /// The angle in `-pi/2..=pi/2` whose sine is x; NaN outside of -1 to 1. PyTorch: `asin`, `arcsin`.
        Asin asin, f64::asin, "gl_asin(a)", Nature::new(8, Elementary).on(Domain::Unit);
        /// The angle in `0..=pi` whose cosine is x; NaN outside of -1 to 1. PyTorch: `acos`, `arccos`.
        Acos acos, f64::acos, "gl_acos(a)", Nature::new(8, ThroughZero).on(Domain::Unit);
        /// The angle in `-pi/2..=pi/2` whose tangent is x. PyTorch: `atan`, `arctan`.
        Atan atan, f64::atan, "gl_atan(a)", Nature::new(8, Elementary);
        /// Hyperbolic sine, `(e^x - e^-x) / 2`. PyTorch: `sinh`.
        Sinh sinh, f64::sinh, "gl_sinh(a)", Nature::new(8, Exponential);
        /// Hyperbolic cosine, `(e^x + e^-x) / 2`. PyTorch: `cosh`.
        Cosh cosh, f64::cosh, "gl_cosh(a)", Nature::new(8, Exponential).varies(Variation::Even);
        /// Hyperbolic tangent. PyTorch: `tanh`.
        Tanh tanh, f64::tanh, "gl_tanh(a)", Nature::new(8, Elementary);
        /// Error function, `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to x. PyTorch: `erf`.
        Erf erf, erf, "gl_erf(a)", Nature::new(8, ThroughZero);
        /// `1 - erf(x)`, accurate where that is small. PyTorch: `erfc`.
        Erfc erfc, special::erfc, "gl_erfc(a)", Nature::new(16, Elementary);
        /// `e^(x^2) erfc(x)`, which falls as `1 / x`. PyTorch: `special.erfcx`.
        Erfcx erfcx, special::erfcx, "gl_erfcx(a)", Nature::new(16, Exponential);
        /// The number whose error function is x; NaN outside of -1 to 1. PyTorch: `erfinv`.
        Erfinv erfinv, special::erfinv, "gl_erfinv(a)", Nature::new(16, Elementary).on(Domain::Unit);
        /// Logarithm of the gamma function's magnitude. PyTorch: `lgamma`.
        Lgamma lgamma, special::lgamma, "gl_lgamma(a)",
            Nature::new(32, Reflected).varies(Variation::Poles).on(Domain::Positive);
        /// Derivative of [`lgamma`](crate::Tensor::lgamma); NaN at its poles below zero. PyTorch: `digamma`.
        Digamma digamma, special::digamma, "gl_digamma(a)",
            Nature::new(32, Reflected).varies(Variation::Poles).on(Domain::Positive);
        /// Derivative of [`digamma`](crate::Tensor::digamma). PyTorch: `polygamma(1)`.
        Trigamma trigamma, special::trigamma, "gl_trigamma(a)",
            Nature::new(32, Elementary).varies(Variation::Poles).on(Domain::Positive);
        /// Modified Bessel function of the first kind, of order zero. PyTorch: `i0`, `special.i0`.
        I0 i0, special::i0, "gl_i0(a)", Nature::new(24, Exponential).varies(Variation::Even);
        /// `e^-|x| i0(x)`. PyTorch: `special.i0e`.
        I0e i0e, special::i0e, "gl_i0e(a)", Nature::new(24, Elementary).varies(Variation::Slope(1.0));
        /// Modified Bessel function of the first kind, of order one. PyTorch: `special.i1`.
        I1 i1, special::i1, "gl_i1(a)", Nature::new(24, Exponential);
        /// `e^-|x| i1(x)`. PyTorch: `special.i1e`.
        I1e i1e, special::i1e, "gl_i1e(a)", Nature::new(24, Elementary).varies(Variation::Slope(0.5));
        /// `1 / (1 + e^-x)`. PyTorch: `sigmoid`.
        Sigmoid sigmoid, |a| 1.0 / (1.0 + (-a).exp()), "gl_sigmoid(a)", Nature::new(8, Exponential);
    }
}

binary! {
    /// `a + b`
    Add add, |a, b| a + b, i64::wrapping_add, "a + b", Nature::new(1, Basic).wraps(Wraps::Always);
    /// `a - b`
    Sub sub, |a, b| a - b, i64::wrapping_sub, "a - b", Nature::new(1, Basic).wraps(Wraps::Always);
    /// `a * b`
    Mul mul, |a, b| a * b, i64::wrapping_mul, "a * b", Nature::new(1, Basic).wraps(Wraps::Always);
    /// `a / b`; integers truncate and wrap, and division by zero gives 0.
    Div div, |a, b| a / b, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }, "gl_div(a, b)",
        Nature::new(2, Quotient).varies(Variation::Pole).wraps(Wraps::Signed);
    /// Remainder with the sign of the dividend, as Rust's `%`; integers modulo zero give 0.
    Rem rem, |a, b| a % b, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }, "gl_rem(a, b)",
        Nature::new(2, Accuracy::Remainder);
    /// `a^b`; floats only.
    Pow pow, f64::powf, |a, b| (a as f64).powf(b as f64) as i64, "gl_pow(a, b)",
        Nature::new(16, Accuracy::Power).wraps(Wraps::Always);
    /// The larger; NaN if either is NaN.
    Maximum maximum, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) },
        |a, b| a.max(b), "gl_max(a, b)", EXACT;
    /// The smaller; NaN if either is NaN.
    Minimum minimum, |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) },
        |a, b| a.min(b), "gl_min(a, b)", EXACT;
    /// `a == b`, to bool.
    Eq eq, |a, b| truth(a == b), |a, b| i64::from(a == b), "a == b", EXACT;
    /// `a != b`, to bool; true if either is NaN.
    Ne ne, |a, b| truth(a != b), |a, b| i64::from(a != b), "!(a == b)", EXACT;
    /// `a < b`, to bool.
    Lt lt, |a, b| truth(a < b), |a, b| i64::from(a < b), "a < b", EXACT;
    /// `a <= b`, to bool.
    Le le, |a, b| truth(a <= b), |a, b| i64::from(a <= b), "a <= b", EXACT;
    /// Logical and of bools, bitwise of integers.
    And and, |a, b| ((a as i64) & (b as i64)) as f64, |a, b| a & b, "a & b", EXACT;
    /// Logical or of bools, bitwise of integers.
    Or or, |a, b| ((a as i64) | (b as i64)) as f64, |a, b| a | b, "a | b", EXACT;
    /// Exclusive or of bools, bitwise of integers.
    Xor xor, |a, b| ((a as i64) ^ (b as i64)) as f64, |a, b| a ^ b, "gl_xor(a, b)", EXACT;
    /// Integer `a` times 2 to the power of `b`, wrapping; 0 if `b` is negative or no less than the width.
    LeftShift left_shift, |a, b| shifted_left(a as i64, b as i64) as f64, shifted_left,
        "gl_left_shift(a, b)", EXACT.wraps(Wraps::Always);
    /// Integer `a` without its lowest `b` bits, rounded down; its sign (0 or -1) if `b` is negative or no
    /// less than the width.
    RightShift right_shift, |a, b| shifted_right(a as i64, b as i64) as f64, shifted_right,
        "gl_right_shift(a, b)", EXACT;
}

impl Unary {
    /// The dtype of the result for an operand of `dtype`.
    pub fn result(self, dtype: DType) -> DType {
        match self {
            Unary::Not | Unary::IsNan => DType::Bool,
            _ => dtype,
        }
    }
}

impl Binary {
    /// True for comparisons, whose result is bool.
    pub fn is_comparison(self) -> bool {
        matches!(self, Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le)
    }

    /// The dtype of the result for operands of `dtype`.
    pub fn result(self, dtype: DType) -> DType {
        if self.is_comparison() { DType::Bool } else { dtype }
    }
}
