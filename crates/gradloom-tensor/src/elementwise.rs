//! The table of elementwise ops: one row each, with the name, the reference closure in f64 and the
//! WGSL expression. Derivatives stand in `gradloom-autodiff`, vector code in `gradloom-cpu`.
//!
//! In WGSL expressions `a` and `b` are the operands; functions that begin with `gl_` are defined in
//! the shader library. Truth values are `bool` in expressions.

macro_rules! elementwise {
    (
        $(#[$meta:meta])* $name:ident($($operand:ident),+);
        $($(#[$doc:meta])* $variant:ident, $text:literal, $reference:expr, $wgsl:literal;)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every row of the table.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The op's name, as the tensor method has it.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The exact meaning, in f64. Truth values are 0 and 1.
            pub fn reference(self) -> fn($(elementwise!(@float $operand)),+) -> f64 {
                match self { $($name::$variant => $reference,)* }
            }

            /// The expression in WGSL for float operands (and for others where it means the same).
            pub fn wgsl(self) -> &'static str {
                match self { $($name::$variant => $wgsl,)* }
            }
        }
    };
    (@float $operand:ident) => { f64 };
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

elementwise! {
    /// Elementwise ops of one operand. The result has the operand's dtype unless said otherwise.
    Unary(a);
    /// `-a`
    Neg, "neg", |a| -a, "-a";
    /// `|a|`
    Abs, "abs", f64::abs, "abs(a)";
    /// -1, 0 or 1; NaN stays NaN.
    Sign, "sign", |a| if a.is_nan() { a } else if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 }, "gl_sign(a)";
    /// Largest integer not above.
    Floor, "floor", f64::floor, "floor(a)";
    /// Smallest integer not below.
    Ceil, "ceil", f64::ceil, "ceil(a)";
    /// Nearest integer, ties to even.
    Round, "round", f64::round_ties_even, "round(a)";
    /// Square root; NaN below zero.
    Sqrt, "sqrt", f64::sqrt, "gl_sqrt(a)";
    /// `1 / sqrt(a)`
    Rsqrt, "rsqrt", |a| 1.0 / a.sqrt(), "gl_rsqrt(a)";
    /// `1 / a`
    Reciprocal, "reciprocal", |a| 1.0 / a, "gl_div(1.0, a)";
    /// `e^a`
    Exp, "exp", f64::exp, "gl_exp(a)";
    /// `e^a - 1`, accurate near zero.
    Expm1, "expm1", f64::exp_m1, "gl_expm1(a)";
    /// Natural logarithm.
    Log, "log", f64::ln, "gl_log(a)";
    /// `ln(1 + a)`, accurate near zero.
    Log1p, "log1p", f64::ln_1p, "gl_log1p(a)";
    /// Sine of radians.
    Sin, "sin", f64::sin, "gl_sin(a)";
    /// Cosine of radians.
    Cos, "cos", f64::cos, "gl_cos(a)";
    /// Hyperbolic tangent.
    Tanh, "tanh", f64::tanh, "gl_tanh(a)";
    /// Error function.
    Erf, "erf", erf, "gl_erf(a)";
    /// `1 / (1 + e^-a)`
    Sigmoid, "sigmoid", |a| 1.0 / (1.0 + (-a).exp()), "gl_sigmoid(a)";
    /// `max(a, 0)`; NaN stays NaN.
    Relu, "relu", |a| if a <= 0.0 { 0.0 } else { a }, "gl_relu(a)";
    /// Truth value that is true for false; bool to bool.
    Not, "not", |a| truth(a == 0.0), "!a";
    /// True for NaN; float to bool.
    IsNan, "is_nan", |a| truth(a.is_nan()), "gl_is_nan(a)";
}

elementwise! {
    /// Elementwise ops of two operands of one dtype.
    Binary(a, b);
    /// `a + b`
    Add, "add", |a, b| a + b, "a + b";
    /// `a - b`
    Sub, "sub", |a, b| a - b, "a - b";
    /// `a * b`
    Mul, "mul", |a, b| a * b, "a * b";
    /// `a / b`; integers truncate and wrap, and division by zero gives 0.
    Div, "div", |a, b| a / b, "gl_div(a, b)";
    /// Remainder with the sign of the dividend, as Rust's `%`; integers modulo zero give 0.
    Rem, "rem", |a, b| a % b, "gl_rem(a, b)";
    /// `a^b`; floats only.
    Pow, "pow", f64::powf, "gl_pow(a, b)";
    /// The larger; NaN if either is NaN.
    Maximum, "maximum", |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }, "gl_max(a, b)";
    /// The smaller; NaN if either is NaN.
    Minimum, "minimum", |a, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }, "gl_min(a, b)";
    /// `a == b`, to bool.
    Eq, "eq", |a, b| truth(a == b), "a == b";
    /// `a != b`, to bool; true if either is NaN.
    Ne, "ne", |a, b| truth(a != b), "!(a == b)";
    /// `a < b`, to bool.
    Lt, "lt", |a, b| truth(a < b), "a < b";
    /// `a <= b`, to bool.
    Le, "le", |a, b| truth(a <= b), "a <= b";
    /// Logical and of bools, bitwise of integers.
    And, "and", |a, b| ((a as i64) & (b as i64)) as f64, "a & b";
    /// Logical or of bools, bitwise of integers.
    Or, "or", |a, b| ((a as i64) | (b as i64)) as f64, "a | b";
    /// Exclusive or of bools, bitwise of integers.
    Xor, "xor", |a, b| ((a as i64) ^ (b as i64)) as f64, "gl_xor(a, b)";
    /// Integer `a` times 2 to the power of `b`, wrapping; 0 if `b` is negative or no less than the width.
    LeftShift, "left_shift", |a, b| shifted_left(a as i64, b as i64) as f64, "gl_left_shift(a, b)";
    /// Integer `a` without its lowest `b` bits, rounded down; its sign (0 or -1) if `b` is negative or no
    /// less than the width.
    RightShift, "right_shift", |a, b| shifted_right(a as i64, b as i64) as f64, "gl_right_shift(a, b)";
}

impl Unary {
    /// The dtype of the result for an operand of `dtype`.
    pub fn result(self, dtype: crate::DType) -> crate::DType {
        match self {
            Unary::Not | Unary::IsNan => crate::DType::Bool,
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
    pub fn result(self, dtype: crate::DType) -> crate::DType {
        if self.is_comparison() { crate::DType::Bool } else { dtype }
    }
}

/// The error function to about 1e-16: its Taylor series near zero, a continued fraction of the
/// complement elsewhere (Abramowitz and Stegun 7.1.6 and 7.1.14).
pub fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let magnitude = x.abs();
    if magnitude < 2.5 {
        let (mut term, mut sum) = (magnitude, magnitude);
        for n in 1..80 {
            term *= 2.0 * magnitude * magnitude / f64::from(2 * n + 1);
            sum += term;
        }
        let value = std::f64::consts::FRAC_2_SQRT_PI * (-magnitude * magnitude).exp() * sum;
        return value.copysign(x);
    }
    if magnitude > 6.0 {
        return 1f64.copysign(x);
    }
    let mut fraction = magnitude;
    for k in (1..=60).rev() {
        fraction = magnitude + f64::from(k) / 2.0 / fraction;
    }
    let complement = (-magnitude * magnitude).exp() / (fraction * std::f64::consts::PI.sqrt());
    (1.0 - complement).copysign(x)
}
