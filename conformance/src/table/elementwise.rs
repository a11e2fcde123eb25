//! Elementwise operators.

use gradloom::{DType, Operand, Tensor};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

/// The input as a tensor, or a number in the shape of the first operand.
fn first(s: &Sample) -> Result<Tensor, Skip> {
    match s.input() {
        Value::Tensor(tensor) => Ok(tensor.clone()),
        number => {
            let like = s.t(0, "other")?;
            let number = number.float()?;
            let dtype = if like.dtype().is_float() { like.dtype() } else { DType::F32 };
            Ok(Tensor::scalar(number, dtype, &s.device))
        }
    }
}

fn other(s: &Sample) -> Result<Operand, Skip> {
    s.arg(0, "other").operand()
}

/// The other operand times `alpha`.
fn scaled_other(s: &Sample) -> Result<Operand, Skip> {
    s.only(1, &["other", "alpha"])?;
    Ok(match (s.arg(0, "other"), s.named("alpha")) {
        (other, Value::None) => other.operand()?,
        (Value::Tensor(other), alpha) => Operand::from(other.mul(alpha.operand()?)),
        (other, alpha) => Operand::from(other.float()? * alpha.float()?),
    })
}

fn bounds(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let low = s.arg(0, "min");
    let high = s.arg(1, "max");
    Ok(match (low, high) {
        (Value::None, high) => x.minimum(high.operand()?),
        (low, Value::None) => x.maximum(low.operand()?),
        (low, high) => x.clamp(low.operand()?, high.operand()?),
    })
}

/// A float of integers and truth values, as PyTorch's functions of floats take them.
fn float(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    Ok(if x.dtype().is_float() { x } else { x.cast(DType::F32) })
}

/// The order of a family of functions.
fn order(s: &Sample, name: &str) -> Result<usize, Skip> {
    Ok(s.arg(0, name).int()? as usize)
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "abs" => |s| s.x()?.abs();
        "acos" => |s| float(s)?.acos();
        "asin" => |s| float(s)?.asin();
        "atan" => |s| float(s)?.atan();
        "ceil" => |s| s.x()?.ceil();
        "cos" => |s| float(s)?.cos();
        "cosh" => |s| float(s)?.cosh();
        "erf" => |s| float(s)?.erf();
        "erfc" => |s| float(s)?.erfc();
        "erfinv" => |s| float(s)?.erfinv();
        "exp" => |s| float(s)?.exp();
        "exp2" => |s| float(s)?.exp2();
        "expm1" => |s| float(s)?.expm1();
        "digamma" => |s| float(s)?.digamma();
        "lgamma" => |s| float(s)?.lgamma();
        "mvlgamma.mvlgamma_p_1" => |s| float(s)?.mvlgamma(order(s, "p")?);
        "mvlgamma.mvlgamma_p_3" => |s| float(s)?.mvlgamma(order(s, "p")?);
        "mvlgamma.mvlgamma_p_5" => |s| float(s)?.mvlgamma(order(s, "p")?);
        "polygamma.polygamma_n_0" => |s| float(s)?.polygamma(order(s, "n")?);
        "polygamma.polygamma_n_1" => |s| float(s)?.polygamma(order(s, "n")?);
        "polygamma.polygamma_n_2" => |s| float(s)?.polygamma(order(s, "n")?);
        "polygamma.polygamma_n_3" => |s| float(s)?.polygamma(order(s, "n")?);
        "polygamma.polygamma_n_4" => |s| float(s)?.polygamma(order(s, "n")?);
        "special.polygamma.special_polygamma_n_0" => |s| float(s)?.polygamma(order(s, "n")?);
        "i0" => |s| float(s)?.i0();
        "special.i0e" => |s| float(s)?.i0e();
        "special.i1" => |s| float(s)?.i1();
        "special.i1e" => |s| float(s)?.i1e();
        "special.modified_bessel_i0" => |s| float(s)?.i0();
        "special.modified_bessel_i1" => |s| float(s)?.i1();
        "special.entr" => |s| float(s)?.entr();
        "special.erfcx" => |s| float(s)?.erfcx();
        "special.log_ndtr" => |s| float(s)?.log_ndtr();
        "special.ndtr" => |s| float(s)?.ndtr();
        "special.ndtri" => |s| float(s)?.ndtri();
        "floor" => |s| s.x()?.floor();
        "isfinite" => |s| s.x()?.is_finite();
        "isinf" => |s| s.x()?.is_inf();
        "isnan" => |s| s.x()?.is_nan();
        "log" => |s| float(s)?.log();
        "log10" => |s| float(s)?.log10();
        "log1p" => |s| float(s)?.log1p();
        "log2" => |s| float(s)?.log2();
        "logical_not" => |s| s.x()?.cast(DType::Bool).logical_not();
        "neg" => |s| s.x()?.neg();
        "positive" => |s| s.x()?;
        "reciprocal" => |s| float(s)?.reciprocal();
        "round" => |s| { s.only(0, &[])?; s.x()?.round() };
        "rsqrt" => |s| float(s)?.rsqrt();
        "sgn" => |s| s.x()?.sign();
        "sigmoid" => |s| float(s)?.sigmoid();
        "sign" => |s| s.x()?.sign();
        "sin" => |s| float(s)?.sin();
        "sinh" => |s| float(s)?.sinh();
        "sqrt" => |s| float(s)?.sqrt();
        "square" => |s| s.x()?.square();
        "tan" => |s| float(s)?.tan();
        "tanh" => |s| float(s)?.tanh();
        "trunc" => |s| s.x()?.trunc();
        "clone" => |s| s.x()?;
        "contiguous" => |s| s.x()?;
        "alias_copy" => |s| s.x()?;
        "real" => |s| s.x()?;
        "conj" => |s| s.x()?;
        "conj_physical" => |s| s.x()?;
        "resolve_conj" => |s| s.x()?;
        "resolve_neg" => |s| s.x()?;

        "add" => |s| { let other = scaled_other(s)?; first(s)?.add(other) };
        "sub" => |s| { let other = scaled_other(s)?; first(s)?.sub(other) };
        "mul" => |s| first(s)?.mul(other(s)?);
        "true_divide" => |s| first(s)?.true_divide(other(s)?);
        "div.no_rounding_mode" => |s| first(s)?.true_divide(other(s)?);
        "div.floor_rounding" => |s| first(s)?.floor_divide(other(s)?);
        "div.trunc_rounding" => |s| first(s)?.trunc_divide(other(s)?);
        "floor_divide" => |s| first(s)?.floor_divide(other(s)?);
        "fmod" => |s| first(s)?.fmod(other(s)?);
        "remainder" => |s| first(s)?.remainder(other(s)?);
        "pow" => |s| first(s)?.pow(other(s)?);
        "float_power" => |s| first(s)?.pow(other(s)?);
        "maximum" => |s| s.x()?.maximum(other(s)?);
        "minimum" => |s| s.x()?.minimum(other(s)?);
        "max.binary" => |s| s.x()?.maximum(other(s)?);
        "min.binary" => |s| s.x()?.minimum(other(s)?);
        "eq" => |s| first(s)?.eq(other(s)?);
        "ne" => |s| first(s)?.ne(other(s)?);
        "lt" => |s| first(s)?.lt(other(s)?);
        "le" => |s| first(s)?.le(other(s)?);
        "gt" => |s| first(s)?.gt(other(s)?);
        "ge" => |s| first(s)?.ge(other(s)?);
        "logical_and" => |s| {
            s.x()?.cast(DType::Bool).logical_and(s.t(0, "other")?.cast(DType::Bool))
        };
        "logical_or" => |s| {
            s.x()?.cast(DType::Bool).logical_or(s.t(0, "other")?.cast(DType::Bool))
        };
        "logical_xor" => |s| {
            s.x()?.cast(DType::Bool).logical_xor(s.t(0, "other")?.cast(DType::Bool))
        };
        "rsub" => |s| {
            s.only(1, &["other", "alpha"])?;
            let x = s.x()?.mul(s.named("alpha").float_or(1.0)?);
            match s.arg(0, "other") {
                Value::Tensor(other) => other.sub(&x),
                number => x.neg().add(number.operand()?),
            }
        };
        "__radd__" => |s| s.x()?.add(other(s)?);
        "__rmul__" => |s| s.x()?.mul(other(s)?);
        "__rsub__" => |s| s.x()?.neg().add(other(s)?);
        "__rdiv__" => |s| s.x()?.reciprocal().mul(other(s)?);
        "clamp" => |s| bounds(s)?;
        "clamp_min" => |s| s.x()?.maximum(s.arg(0, "min").operand()?);
        "clamp_max" => |s| s.x()?.minimum(s.arg(0, "max").operand()?);
        "lerp" => |s| s.x()?.lerp(&s.t(0, "end")?, s.arg(1, "weight").operand()?);
        "where" => |s| s.t(0, "condition")?.select(s.x()?, s.arg(1, "other").operand()?);
        "masked_fill" => |s| s.x()?.masked_fill(&s.t(0, "mask")?, s.arg(1, "value").operand()?);
        "addcmul" => |s| {
            let product = s.t(0, "tensor1")?.mul(&s.t(1, "tensor2")?);
            s.x()?.add(product.mul(s.named("value").float_or(1.0)?))
        };
        "addcdiv" => |s| {
            let quotient = s.t(0, "tensor1")?.div(&s.t(1, "tensor2")?);
            s.x()?.add(quotient.mul(s.named("value").float_or(1.0)?))
        };

        "acosh" => |s| float(s)?.acosh();
        "asinh" => |s| float(s)?.asinh();
        "atanh" => |s| float(s)?.atanh();
        "atan2" => |s| s.x()?.atan2(other(s)?);
        "hypot" => |s| s.x()?.hypot(other(s)?);
        "copysign" => |s| s.x()?.copysign(other(s)?);
        "signbit" => |s| s.x()?.signbit();
        "frac" => |s| s.x()?.frac();
        "sinc" => |s| float(s)?.sinc();
        "xlogy" => |s| first(s)?.xlogy(other(s)?);
        "special.xlog1py" => |s| first(s)?.xlog1py(other(s)?);
        "logaddexp" => |s| s.x()?.logaddexp(other(s)?);
        "fmax" => |s| s.x()?.fmax(other(s)?);
        "fmin" => |s| s.x()?.fmin(other(s)?);
        "nan_to_num" => |s| {
            let end = |value: Value| match value {
                Value::None => Ok(None),
                value => value.float().map(Some),
            };
            let nan = s.arg(0, "nan").float_or(0.0)?;
            s.x()?.nan_to_num(nan, end(s.arg(1, "posinf"))?, end(s.arg(2, "neginf"))?)
        };
        "isclose" => |s| {
            let (relative, absolute) =
                (s.arg(1, "rtol").float_or(1e-5)?, s.arg(2, "atol").float_or(1e-8)?);
            let equal_nan = s.arg(3, "equal_nan").bool_or(false)?;
            s.x()?.isclose(&s.t(0, "other")?, relative, absolute, equal_nan)
        };
        "logit" => |s| match s.arg(0, "eps") {
            Value::None => float(s)?.logit(None),
            epsilon => float(s)?.logit(Some(epsilon.float()?)),
        };
        "heaviside" => |s| s.x()?.heaviside(&s.t(0, "values")?);
        "isposinf" => |s| s.x()?.eq(f64::INFINITY);
        "isneginf" => |s| s.x()?.eq(f64::NEG_INFINITY);
        "isreal" => |s| s.x()?.is_nan().logical_or(true);
        "deg2rad" => |s| float(s)?.mul(std::f64::consts::PI / 180.0);
        "rad2deg" => |s| float(s)?.mul(180.0 / std::f64::consts::PI);
        "nn.functional.celu" => |s| s.x()?.celu(s.arg(0, "alpha").float_or(1.0)?);
        "nn.functional.hardshrink" => |s| s.x()?.hardshrink(s.arg(0, "lambd").float_or(0.5)?);
        "nn.functional.softshrink" => |s| s.x()?.softshrink(s.arg(0, "lambd").float_or(0.5)?);
        "nn.functional.threshold" => |s| {
            s.x()?.threshold(s.arg(0, "threshold").float()?, s.arg(1, "value").float()?)
        };
        "logaddexp2" => |s| {
            let (x, y) = (s.x()?.mul(std::f64::consts::LN_2), s.t(0, "other")?);
            x.logaddexp(y.mul(std::f64::consts::LN_2)).mul(std::f64::consts::LOG2_E)
        };
        "ldexp" => |s| s.x()?.mul(s.t(0, "other")?.cast(DType::F32).exp2());
        "round.decimals_0" => |s| s.x()?.round();
        "round.decimals_3" => |s| s.x()?.mul(1000.0).round().div(1000.0);
        "round.decimals_neg_3" => |s| s.x()?.div(1000.0).round().mul(1000.0);
        "isin" => |s| {
            s.only(1, &[])?;
            let elements = s.t(0, "test_elements")?;
            let elements = elements.reshape([elements.count()]);
            s.x()?.unsqueeze(-1).eq(&elements).any(-1)
        };
        "__rmod__" => |s| match s.arg(0, "other") {
            Value::Tensor(other) => other.remainder(&s.x()?),
            other => { let x = s.x()?; x.full_like(other.float()?).remainder(&x) }
        };
        "__rpow__" => |s| match s.arg(0, "other") {
            Value::Tensor(other) => other.pow(&s.x()?),
            other => { let x = s.x()?; x.full_like(other.float()?).pow(&x) }
        };
        "zero_" => |s| s.x()?.mul(0.0);
        "nn.functional.relu" => |s| s.x()?.relu();
        "nn.functional.relu6" => |s| s.x()?.relu6();
        "nn.functional.elu" => |s| {
            s.only(1, &["alpha", "inplace"])?;
            s.x()?.elu(s.arg(0, "alpha").float_or(1.0)?)
        };
        "nn.functional.selu" => |s| s.x()?.selu();
        "nn.functional.silu" => |s| s.x()?.silu();
        "nn.functional.mish" => |s| s.x()?.mish();
        "nn.functional.gelu" => |s| match s.named("approximate").text_or("none")?.as_str() {
            "tanh" => s.x()?.gelu_tanh(),
            _ => s.x()?.gelu(),
        };
        "nn.functional.hardtanh" => |s| {
            s.x()?.clamp(s.arg(0, "min_val").float_or(-1.0)?, s.arg(1, "max_val").float_or(1.0)?)
        };
        "nn.functional.hardsigmoid" => |s| s.x()?.hardsigmoid();
        "nn.functional.hardswish" => |s| s.x()?.hardswish();
        "nn.functional.logsigmoid" => |s| s.x()?.log_sigmoid();
        "nn.functional.softsign" => |s| s.x()?.softsign();
        "nn.functional.softplus" => |s| {
            s.only(0, &["beta", "threshold"])?;
            let (beta, bound) = (s.named("beta").float_or(1.0)?, s.named("threshold").float_or(20.0)?);
            s.x()?.softplus_with(beta, bound)
        };
        "nn.functional.leaky_relu" => |s| {
            s.x()?.leaky_relu(s.arg(0, "negative_slope").float_or(0.01)?)
        };
        "nn.functional.tanhshrink" => |s| { let x = s.x()?; &x - x.tanh() };
        "nn.functional.glu" => |s| s.x()?.glu(s.arg(0, "dim").int_or(-1)?);
        "nn.functional.prelu" => |s| s.x()?.prelu(&s.t(0, "weight")?);
    }
    .to_vec()
}
