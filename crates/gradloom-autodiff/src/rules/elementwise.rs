//! Derivatives of elementwise ops. `x`, `a` and `b` are operands, `y` is the value, `g` its gradient; all
//! are wide ([`Tensor::wide`]), so that a derivative of halves is rounded once.

use gradloom_tensor::Tensor;
use gradloom_tensor::op::{Binary, Unary};

use crate::custom::custom_grad;

/// `g * constant`, the constant being part of the formula.
fn scaled(g: &Tensor, constant: f64) -> Tensor {
    g * &g.constant_like(constant)
}

pub(super) fn unary(unary: Unary, x: &Tensor, y: &Tensor, g: &Tensor) -> Option<Tensor> {
    let derivative = unary_wide(unary, &x.wide(), &y.wide(), &g.wide())?;
    Some(derivative.cast(x.dtype()))
}

fn unary_wide(unary: Unary, x: &Tensor, y: &Tensor, g: &Tensor) -> Option<Tensor> {
    Some(match unary {
        Unary::Neg => -g,
        Unary::Abs => g * &x.sign(),
        Unary::Sqrt => scaled(g, 0.5) / y,
        Unary::Rsqrt => scaled(g, -0.5) * (y * y * y),
        Unary::Reciprocal => -(g * (y * y)),
        Unary::Exp => g * y,
        Unary::Expm1 => g * (y + &y.constant_like(1.0)),
        Unary::Log => g / x,
        Unary::Log1p => g / (x + &x.constant_like(1.0)),
        Unary::Sin => g * x.cos(),
        Unary::Cos => -(g * x.sin()),
        Unary::Asin => g * slope_of_arc(x),
        Unary::Acos => -(g * slope_of_arc(x)),
        Unary::Sinh => g * x.cosh(),
        Unary::Cosh => g * x.sinh(),
        Unary::Exp2 => scaled(g, std::f64::consts::LN_2) * y,
        Unary::Atan => g / (x.constant_like(1.0) + x * x),
        Unary::Tanh => g * (y.constant_like(1.0) - y * y),
        Unary::Erf => scaled(g, std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp(),
        Unary::Erfc => scaled(g, -std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp(),
        Unary::Erfcx => {
            g * (scaled(&(x * y), 2.0) - x.constant_like(std::f64::consts::FRAC_2_SQRT_PI))
        }
        Unary::Erfinv => scaled(g, 1.0 / std::f64::consts::FRAC_2_SQRT_PI) * (y * y).exp(),
        Unary::Lgamma => g * x.digamma(),
        Unary::Digamma => g * x.trigamma(),
        Unary::Trigamma => g * x.polygamma(2),
        Unary::I0 => g * x.i1(),
        Unary::I0e => g * (x.i1e() - x.sign() * y),
        Unary::I1 => g * (x.i0() - by_order(x, y)),
        Unary::I1e => g * (x.i0e() - (by_order(x, y) + x.sign() * y)),
        Unary::Sigmoid => g * (y * (y.constant_like(1.0) - y)),
        Unary::Relu => y.gt(y.constant_like(0.0)).select(g, g.constant_like(0.0)),
        Unary::Sign | Unary::Floor | Unary::Ceil | Unary::Round | Unary::Not | Unary::IsNan => {
            return None;
        }
    })
}

/// `y / x` of a function with slope one half at zero.
fn by_order(x: &Tensor, y: &Tensor) -> Tensor {
    let at_zero = x.eq(x.constant_like(0.0));
    let safe = at_zero.select(x.constant_like(1.0), x);
    at_zero.select(x.constant_like(0.5), y / &safe)
}

/// `1 / sqrt(1 - x^2)`, accurate near one. Its slope is written out: that of the product is zero times
/// infinity at one.
fn slope_of_arc(x: &Tensor) -> Tensor {
    let one = &x.constant_like(1.0);
    let slope = ((one - x) * (one + x)).rsqrt();
    custom_grad(&slope, std::slice::from_ref(x), |operands, y, g| {
        vec![Some(g * &operands[0] * (y * y * y))]
    })
}

pub(super) fn binary(
    binary: Binary,
    a: &Tensor,
    b: &Tensor,
    y: &Tensor,
    g: &Tensor,
    needs: &[bool],
) -> Vec<Option<Tensor>> {
    let dtype = a.dtype();
    if binary == Binary::Add {
        return needs.iter().map(|needed| needed.then(|| g.clone())).collect();
    }
    let (a, b, y, g) = (&a.wide(), &b.wide(), &y.wide(), &g.wide());
    let both = |da: &dyn Fn() -> Tensor, db: &dyn Fn() -> Tensor| {
        vec![needs[0].then(|| da().cast(dtype)), needs[1].then(|| db().cast(dtype))]
    };
    match binary {
        Binary::Sub => both(&|| g.clone(), &|| -g),
        Binary::Mul => both(&|| g * b, &|| g * a),
        Binary::Div => both(&|| g / b, &|| -(g * y) / b),
        // a % b = a - trunc(a / b) b, and trunc(a / b) = (a - y) / b.
        // The quotient is whole: it does not change with its operands.
        Binary::Rem => both(&|| g.clone(), &|| -(g * ((a - y) / b).round())),
        Binary::Pow => both(&|| pow_base(a, b, g), &|| pow_exponent(a, y, g)),
        Binary::Maximum => both(&|| winner(g, b, a), &|| winner(g, a, b)),
        Binary::Minimum => both(&|| winner(g, a, b), &|| winner(g, b, a)),
        Binary::Add
        | Binary::Eq
        | Binary::Ne
        | Binary::Lt
        | Binary::Le
        | Binary::And
        | Binary::Or
        | Binary::Xor
        | Binary::LeftShift
        | Binary::RightShift => vec![None, None],
    }
}

/// `b a^(b-1) g`, and 0 where `b` is 0 even if `a` is too.
fn pow_base(a: &Tensor, b: &Tensor, g: &Tensor) -> Tensor {
    let slope = b * a.pow(b - &b.constant_like(1.0));
    let zero = g.constant_like(0.0);
    b.eq(b.constant_like(0.0)).select(&zero, g * slope)
}

/// `y ln(a) g`, and 0 where `a` is 0, as in PyTorch.
fn pow_exponent(a: &Tensor, y: &Tensor, g: &Tensor) -> Tensor {
    let at_zero = a.eq(a.constant_like(0.0));
    let safe = at_zero.select(a.constant_like(1.0), a);
    at_zero.select(g.constant_like(0.0), g * (y * safe.log()))
}

/// The gradient where `larger > smaller`, half of it where they tie.
fn winner(g: &Tensor, smaller: &Tensor, larger: &Tensor) -> Tensor {
    let zero = g.constant_like(0.0);
    let tie = smaller.eq(larger);
    tie.select(scaled(g, 0.5), smaller.lt(larger).select(g, &zero))
}

pub(super) fn select(condition: &Tensor, g: &Tensor, needs: &[bool]) -> Vec<Option<Tensor>> {
    let zero = g.constant_like(0.0);
    vec![
        None,
        needs[1].then(|| condition.select(g, &zero)),
        needs[2].then(|| condition.select(&zero, g)),
    ]
}
