//! Rows of elementwise methods.

use gradloom_tensor::{DType, Scalar};

use super::leaves::scalar;
use super::{Row, row};

macro_rules! methods {
    ($($name:ident)*) => {
        &[$(row(stringify!($name), concat!("{0}.", stringify!($name), "()"), |x, _, _| x[0].$name())),*]
    };
}

macro_rules! pairs {
    ($($name:ident)*) => {
        &[$(row(stringify!($name), concat!("{0}.", stringify!($name), "(&{1})"), |x, _, _| x[0].$name(x[1]))),*]
    };
}

/// An operand's number is an argument of the plan.
macro_rules! scalars {
    ($($row:literal $name:ident)*) => {
        &[$(Row {
            is_argument: true,
            ..row($row, concat!("{0}.", stringify!($name), "({number})"), |x, p, _| {
                x[0].$name(Scalar::Float(p.number).cast(x[0].dtype()))
            })
        }),*]
    };
}

/// Floats to floats, of any size and with values of any size.
pub(crate) const SMOOTH: &[Row] = methods! {
    sin cos tanh erf sigmoid gelu gelu_tanh silu mish softplus softsign hardtanh hardsigmoid hardswish
    relu6 log_sigmoid selu is_finite is_nan is_inf
};

/// Floats to floats that want operands of moderate size, some of them above zero.
pub(crate) const STEEP: &[Row] = methods! {
    exp expm1 exp2 sinh cosh tan log log1p log2 log10 sqrt rsqrt reciprocal
};

/// Numbers to numbers.
pub(crate) const NUMBERS: &[Row] = methods! { neg abs sign floor ceil round relu trunc square detach };

/// Bool to bool.
pub(crate) const LOGIC: &[Row] = methods! { logical_not };

/// Two numbers to a number.
pub(crate) const BINARY: &[Row] = pairs! { add sub mul div maximum minimum rem };

/// Two numbers to a truth value.
pub(crate) const COMPARISONS: &[Row] = pairs! { eq ne lt le gt ge };

/// Two integers to an integer.
pub(crate) const INTEGERS: &[Row] = pairs! { bitand bitor bitxor };

/// Two truth values to one.
pub(crate) const TESTS: &[Row] = pairs! { logical_and logical_or logical_xor };

/// A number and an argument.
pub(crate) const SCALARS: &[Row] = scalars! {
    "add number" add "sub number" sub "mul number" mul "div number" div "maximum number" maximum
    "minimum number" minimum "rem number" rem "gt number" gt "le number" le "eq number" eq
};

const OTHERS: &[Row] = &[
    row("tracked", "{0}.tracked()", |x, _, _| x[0].tracked()),
    row("pow", "{0}.pow(&{1})", |x, _, _| x[0].pow(x[1])),
    row("powi", "{0}.powi({s0})", |x, p, _| x[0].powi(p.sizes[0] as i32)),
    row("powf", "{0}.powf({number})", |x, p, _| x[0].powf(p.number)),
    row("leaky_relu", "{0}.leaky_relu({number})", |x, p, _| x[0].leaky_relu(p.number)),
    row("elu", "{0}.elu({number})", |x, p, _| x[0].elu(p.number)),
    row("cast", "{0}.cast({dtype})", |x, p, _| x[0].cast(p.dtype)),
    row("select", "{0}.select(&{1}, &{2})", |x, _, _| x[0].select(x[1], x[2])),
    Row {
        is_argument: true,
        ..row("masked_fill", "{0}.masked_fill(&{1}, {number})", |x, p, _| {
            let value = scalar(&super::Parameters { dtype: x[0].dtype(), ..p.clone() });
            x[0].masked_fill(x[1], value)
        })
    },
    row("clamp", "{0}.clamp(-1.5, 1.25)", |x, _, _| x[0].clamp(-1.5, 1.25)),
    row("lerp", "{0}.lerp(&{1}, 0.25)", |x, _, _| x[0].lerp(x[1], 0.25)),
    // Indices from any numbers: a remainder in range.
    row(
        "index",
        "({0}.cast(DType::F32).abs().minimum(1e6).floor() % {s0}.0).cast(DType::I32)",
        |x, p, _| {
            let number = x[0].cast(DType::F32).abs().minimum(1e6).floor();
            number.rem(p.sizes[0] as f64).cast(DType::I32)
        },
    ),
];

pub(super) const TABLES: [&[Row]; 10] =
    [SMOOTH, STEEP, NUMBERS, LOGIC, BINARY, COMPARISONS, INTEGERS, TESTS, SCALARS, OTHERS];
