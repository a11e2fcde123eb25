//! Elementwise ops as WGSL expressions: the table's text for floats, and what differs for integers
//! and truth values.

use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{DType, Error, Result};

use super::literal;

/// `op` applied to an operand of `dtype`.
pub(crate) fn unary(op: Unary, dtype: DType, a: &str) -> Result<String> {
    let unsupported = || {
        Err(Error::unsupported(format!(
            "{}: not defined for {dtype} on this device; convert the operand with `cast` first",
            op.name()
        )))
    };
    Ok(match (dtype.compute(), op) {
        (DType::F64 | DType::I64, _) => return unsupported(),
        (DType::F32, Unary::Not) => return unsupported(),
        // Not as the table has it: drivers fold `a + -a` to zero, whatever `a` is.
        (DType::F32, Unary::Neg) => format!("gl_neg({a})"),
        (DType::F32, _) => substitute(op.wgsl(), a, ""),
        (DType::Bool, Unary::Not) => format!("!{a}"),
        (DType::Bool, _) => return unsupported(),
        (_, Unary::IsNan) => "false".to_owned(),
        (_, Unary::Floor | Unary::Ceil | Unary::Round) => a.to_owned(),
        (DType::I32, Unary::Neg) => format!("-{a}"),
        (DType::I32, Unary::Abs) => format!("abs({a})"),
        (DType::I32, Unary::Sign) => format!("sign({a})"),
        (DType::I32, Unary::Relu) => format!("max({a}, 0i)"),
        (DType::I32, Unary::Not) => format!("~{a}"),
        (_, Unary::Neg) => format!("(0u - {a})"),
        (_, Unary::Abs | Unary::Relu) => a.to_owned(),
        (_, Unary::Sign) => format!("gl_sign_u32({a})"),
        (_, Unary::Not) => format!("~{a}"),
        _ => return unsupported(),
    })
}

/// `op` on floats of which those marked in `zero` are constants of zero, where it needs a form of its
/// own: drivers take `a * 0` and `0 / a` for zero whatever `a` is, and `a / 0` for `a` times infinity.
pub(crate) fn with_zero(op: Binary, a: &str, b: &str, zero: [bool; 2]) -> Option<String> {
    match (op, zero) {
        (Binary::Mul, [_, true]) => Some(format!("gl_times_zero({a}, {b})")),
        (Binary::Mul, [true, false]) => Some(format!("gl_times_zero({b}, {a})")),
        (Binary::Div, [_, true]) => Some(format!("gl_by_zero({a}, {b})")),
        (Binary::Div, [true, false]) => Some(format!("gl_zero_by({a}, {b})")),
        _ => None,
    }
}

/// `op` applied to operands of `dtype`.
pub(crate) fn binary(op: Binary, dtype: DType, a: &str, b: &str) -> Result<String> {
    let unsupported = || {
        Err(Error::unsupported(format!(
            "{}: not defined for {dtype} on this device; convert the operands with `cast` first",
            op.name()
        )))
    };
    let compute = dtype.compute();
    let suffix = if compute == DType::I32 { "i32" } else { "u32" };
    Ok(match (compute, op) {
        (DType::F64 | DType::I64, _) => return unsupported(),
        (
            DType::F32,
            Binary::And | Binary::Or | Binary::Xor | Binary::LeftShift | Binary::RightShift,
        ) => return unsupported(),
        // Not as the table has it: drivers fold `a - a` to zero, whatever `a` is.
        (DType::F32, Binary::Sub) => format!("gl_sub({a}, {b})"),
        (DType::F32, _) => substitute(op.wgsl(), a, b),
        (DType::Bool, Binary::And | Binary::Mul | Binary::Minimum) => format!("{a} & {b}"),
        (DType::Bool, Binary::Or | Binary::Add | Binary::Maximum) => format!("{a} | {b}"),
        (DType::Bool, Binary::Xor | Binary::Ne) => format!("{a} != {b}"),
        (DType::Bool, Binary::Eq) => format!("{a} == {b}"),
        (DType::Bool, Binary::Lt) => format!("!{a} & {b}"),
        (DType::Bool, Binary::Le) => format!("!{a} | {b}"),
        (DType::Bool, _) => return unsupported(),
        (_, Binary::Div) => format!("gl_div_{suffix}({a}, {b})"),
        (_, Binary::Rem) => format!("gl_rem_{suffix}({a}, {b})"),
        (_, Binary::Maximum) => format!("max({a}, {b})"),
        (_, Binary::Minimum) => format!("min({a}, {b})"),
        (_, Binary::Xor) => format!("{a} ^ {b}"),
        (_, Binary::LeftShift) => format!("gl_left_shift_{suffix}({a}, {b})"),
        (_, Binary::RightShift) => format!("gl_right_shift_{suffix}({a}, {b})"),
        (_, Binary::Pow) => return unsupported(),
        (_, _) => substitute(op.wgsl(), a, b),
    })
}

/// A value of `from` converted to `to`.
pub(crate) fn cast(from: DType, to: DType, a: &str) -> String {
    let float = |a: String| match to {
        DType::F16 => format!("gl_round_f16({a})"),
        DType::BF16 => format!("gl_round_bf16({a})"),
        DType::F32
        | DType::F64
        | DType::I32
        | DType::I64
        | DType::I8
        | DType::U32
        | DType::U8
        | DType::Bool => a,
    };
    let byte = |a: String| match to {
        DType::U8 => format!("({a} & 255u)"),
        DType::I8 => literal::signed_byte(&a),
        _ => a,
    };
    match (from.compute(), to.compute()) {
        (DType::Bool, DType::Bool) => a.to_owned(),
        (DType::I32, DType::I32) => byte(a.to_owned()),
        (DType::Bool, DType::F32 | DType::F64) => format!("select(0.0f, 1.0f, {a})"),
        (DType::Bool, DType::I32) => format!("select(0i, 1i, {a})"),
        (DType::Bool, _) => format!("select(0u, 1u, {a})"),
        (DType::F32 | DType::F64, DType::F32 | DType::F64) => float(a.to_owned()),
        (DType::I32, DType::F32) if to == DType::BF16 => float(format!("gl_to_odd_i32({a})")),
        (DType::U32, DType::F32) if to == DType::BF16 => float(format!("gl_to_odd_u32({a})")),
        (_, DType::F32 | DType::F64) => float(format!("f32({a})")),
        (DType::F32 | DType::F64, DType::Bool) => format!("!({a} == 0.0f)"),
        (DType::I32, DType::Bool) => format!("({a} != 0i)"),
        (_, DType::Bool) => format!("({a} != 0u)"),
        (DType::F32 | DType::F64, DType::I32) if to == DType::I8 => {
            format!("clamp(gl_to_i32({a}), -128i, 127i)")
        }
        (DType::F32 | DType::F64, DType::I32) => format!("gl_to_i32({a})"),
        (DType::F32 | DType::F64, _) if to == DType::U8 => format!("gl_to_u8({a})"),
        (DType::F32 | DType::F64, _) => format!("gl_to_u32({a})"),
        (_, DType::I32) => byte(format!("bitcast<i32>({a})")),
        (DType::I32, _) => byte(format!("bitcast<u32>({a})")),
        (_, _) => byte(a.to_owned()),
    }
}

/// The table's expression with its operands `a` and `b` replaced.
fn substitute(expression: &str, a: &str, b: &str) -> String {
    let mut text = String::new();
    let mut word = String::new();
    for character in expression.chars().chain([' ']) {
        if character.is_ascii_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        match word.as_str() {
            "a" => text.push_str(a),
            "b" => text.push_str(b),
            other => text.push_str(other),
        }
        word.clear();
        text.push(character);
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::substitute;

    #[test]
    fn operands_are_replaced_as_words() {
        assert_eq!(substitute("gl_max(a, b)", "v1", "v2"), "gl_max(v1, v2)");
        assert_eq!(substitute("abs(a)", "v1", ""), "abs(v1)");
        assert_eq!(substitute("!(a == b)", "v1", "v2"), "!(v1 == v2)");
    }
}
