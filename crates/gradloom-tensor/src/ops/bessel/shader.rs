//! The functions in WGSL and f32: the same pieces and series, cut where f32 ends.

use super::coefficients::*;
use super::function::Function;

/// Coefficients below this part of the largest are nothing in f32.
const CUT: f64 = 1e-8;

/// The text of a function of this name: Clenshaw's recurrence.
fn series(name: &str, coefficients: &[f64]) -> String {
    let largest = coefficients.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let last = coefficients.iter().rposition(|value| value.abs() > CUT * largest).unwrap_or(0);
    let mut text = format!(
        "fn {name}(t: f32) -> f32 {{\n    var a = 0.0;\n    var b = 0.0;\n    var c = 0.0;\n"
    );
    for coefficient in coefficients[1..=last].iter().rev() {
        text += &format!(
            "    c = fma(2.0 * t, a, {:e} - b);\n    b = a;\n    a = c;\n",
            *coefficient as f32
        );
    }
    text + &format!("    return fma(t, a, {:e} - b);\n}}\n", (0.5 * coefficients[0]) as f32)
}

/// A shader that applies a function to `count` elements.
pub(super) fn source(function: Function) -> String {
    let bessel = "
// Cosine and sine of x less an odd number of eighths of a turn.
fn turning(order: u32, x: f32) -> vec2<f32> {
    let scale = gl_sqrt(0.63661977 / x) * 0.70710678;
    let sine = gl_sin(x);
    let cosine = gl_cos(x);
    if (order == 0u) {
        return scale * vec2<f32>(sine + cosine, sine - cosine);
    }
    return scale * vec2<f32>(sine - cosine, -sine - cosine);
}
fn near_j0(x: f32) -> f32 {
    return j0_near(x * x / 32.0 - 1.0);
}
fn near_j1(x: f32) -> f32 {
    return x * j1_near(x * x / 32.0 - 1.0);
}
";
    let falling = "
fn near_k0(x: f32) -> f32 {
    let t = 0.5 * x * x - 1.0;
    return k0_near(t) - gl_log(0.5 * x) * i0_near(t);
}
fn near_k1(x: f32) -> f32 {
    let t = 0.5 * x * x - 1.0;
    return fma(x, k1_near(t) + gl_log(0.5 * x) * i1_near(t), 1.0 / x);
}
";
    let all = |list: &[(&str, &[f64])]| -> String {
        list.iter().map(|(name, values)| series(name, values)).collect()
    };
    let turns = || {
        let near: &[(&str, &[f64])] = &[("j0_near", &J0_NEAR), ("j1_near", &J1_NEAR)];
        all(near) + bessel
    };
    let falls = || {
        let near: &[(&str, &[f64])] = &[
            ("k0_near", &K0_NEAR),
            ("k1_near", &K1_NEAR),
            ("i0_near", &I0_NEAR),
            ("i1_near", &I1_NEAR),
        ];
        all(near) + falling
    };
    let (parts, body) = match function {
        Function::J0 => (
            turns() + &all(&[("p", &P0), ("q", &Q0)]),
            "let y = abs(x);
    if (y < 8.0) { return near_j0(y); }
    if (gl_is_inf(x)) { return 0.0; }
    let turn = turning(0u, y);
    return p(16.0 / y - 1.0) * turn.x - q(16.0 / y - 1.0) * turn.y;",
        ),
        Function::J1 => (
            turns() + &all(&[("p", &P1), ("q", &Q1)]),
            "let y = abs(x);
    if (y < 8.0) { return near_j1(x); }
    if (gl_is_inf(x)) { return 0.0; }
    let turn = turning(1u, y);
    let value = p(16.0 / y - 1.0) * turn.x - q(16.0 / y - 1.0) * turn.y;
    return select(value, -value, x < 0.0);",
        ),
        Function::Y0 => (
            turns() + &all(&[("p", &P0), ("q", &Q0), ("near", &Y0_NEAR)]),
            "if (x < 0.0) { return gl_nan(); }
    if (x == 0.0) { return -gl_inf(); }
    if (x < 8.0) {
        return fma(0.63661977 * gl_log(x), near_j0(x), near(x * x / 32.0 - 1.0));
    }
    if (gl_is_inf(x)) { return 0.0; }
    let turn = turning(0u, x);
    return p(16.0 / x - 1.0) * turn.y + q(16.0 / x - 1.0) * turn.x;",
        ),
        Function::Y1 => (
            turns() + &all(&[("p", &P1), ("q", &Q1), ("near", &Y1_NEAR)]),
            "if (x < 0.0) { return gl_nan(); }
    if (x == 0.0) { return -gl_inf(); }
    if (x < 8.0) {
        let pole = 0.63661977 * (gl_log(x) * near_j1(x) - 1.0 / x);
        return fma(x, near(x * x / 32.0 - 1.0), pole);
    }
    if (gl_is_inf(x)) { return 0.0; }
    let turn = turning(1u, x);
    return p(16.0 / x - 1.0) * turn.y + q(16.0 / x - 1.0) * turn.x;",
        ),
        Function::K0 { scaled } => (
            falls() + &all(&[("far", &K0_FAR)]),
            match scaled {
                false => {
                    "if (x < 0.0) { return gl_nan(); }
    if (x == 0.0) { return gl_inf(); }
    if (x < 2.0) { return near_k0(x); }
    if (gl_is_inf(x)) { return 0.0; }
    return far(4.0 / x - 1.0) * gl_rsqrt(x) * gl_exp(-x);"
                }
                true => {
                    "if (x < 0.0) { return gl_nan(); }
    if (x == 0.0) { return gl_inf(); }
    if (x < 2.0) { return near_k0(x) * gl_exp(x); }
    if (gl_is_inf(x)) { return 0.0; }
    return far(4.0 / x - 1.0) * gl_rsqrt(x);"
                }
            },
        ),
        Function::K1 { scaled } => (
            falls() + &all(&[("far", &K1_FAR)]),
            match scaled {
                false => {
                    "if (x < 0.0) { return gl_nan(); }
    if (x == 0.0) { return gl_inf(); }
    if (x < 2.0) { return near_k1(x); }
    if (gl_is_inf(x)) { return 0.0; }
    return far(4.0 / x - 1.0) * gl_rsqrt(x) * gl_exp(-x);"
                }
                true => {
                    "if (x < 0.0) { return gl_nan(); }
    if (x == 0.0) { return gl_inf(); }
    if (x < 2.0) { return near_k1(x) * gl_exp(x); }
    if (gl_is_inf(x)) { return 0.0; }
    return far(4.0 / x - 1.0) * gl_rsqrt(x);"
                }
            },
        ),
        Function::AiryAi => (
            all(&[
                ("middle", &AI_MIDDLE),
                ("right", &AI_RIGHT),
                ("left_cosine", &AI_LEFT_COS),
                ("left_sine", &AI_LEFT_SIN),
            ]),
            "if (gl_is_inf(x)) { return 0.0; }
    let root = gl_sqrt(abs(x));
    let phase = 0.6666667 * abs(x) * root;
    if (x < -5.0) {
        let t = 14.907120 / phase - 1.0;
        let sine = gl_sin(phase);
        let cosine = gl_cos(phase);
        let sum = left_cosine(t) * (sine + cosine) + left_sine(t) * (sine - cosine);
        return 0.70710678 * sum * gl_rsqrt(root);
    }
    if (x < 1.0) { return middle((x + 2.0) / 3.0); }
    return right(1.3333333 / phase - 1.0) * gl_exp(-phase) * gl_rsqrt(root);",
        ),
        Function::AiryAiSlope => (
            all(&[
                ("middle", &AI_SLOPE_MIDDLE),
                ("right", &AI_SLOPE_RIGHT),
                ("left_cosine", &AI_SLOPE_LEFT_COS),
                ("left_sine", &AI_SLOPE_LEFT_SIN),
            ]),
            "if (gl_is_inf(x)) { return select(gl_nan(), 0.0, x > 0.0); }
    let root = gl_sqrt(abs(x));
    let phase = 0.6666667 * abs(x) * root;
    if (x < -5.0) {
        let t = 14.907120 / phase - 1.0;
        let sine = gl_sin(phase);
        let cosine = gl_cos(phase);
        let sum = left_cosine(t) * (sine + cosine) + left_sine(t) * (sine - cosine);
        return 0.70710678 * sum * gl_sqrt(root);
    }
    if (x < 1.0) { return middle((x + 2.0) / 3.0); }
    return right(1.3333333 / phase - 1.0) * gl_exp(-phase) * gl_sqrt(root);",
        ),
    };
    format!(
        "{parts}fn value(x: f32) -> f32 {{
    if (gl_is_nan(x)) {{ return x; }}
    {body}
}}
fn element(index: u32) {{
    write0(index, value(read0(index)));
}}"
    )
}
