//! Errors in units of the last place against the reference closures in f64.

use gradloom_tensor::op::{Binary, Unary};

/// Distance in units of the last place of the exact value as f32.
fn ulps(value: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if value == rounded || (value.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    if !value.is_finite() || !rounded.is_finite() {
        // One step beyond the largest float counts as one unit.
        return if value.is_finite() != rounded.is_finite() && exact.abs() > 3.4e38 {
            1.0
        } else {
            1e9
        };
    }
    let exponent = rounded.abs().max(f32::MIN_POSITIVE).log2().floor() as i32;
    (f64::from(value) - exact).abs() / 2f64.powi(exponent - 23)
}

/// Floats of every exponent and both signs, with special values.
fn arguments() -> Vec<f32> {
    let mut values = vec![0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0, -1.0];
    let mut bits = 1u32;
    while bits < f32::INFINITY.to_bits() {
        values.extend([f32::from_bits(bits), -f32::from_bits(bits)]);
        bits += 7919;
    }
    values
}

fn check(name: &str, op: Unary, limit: f64, functions: [fn(f32) -> f32; 2], keep: fn(f32) -> bool) {
    let reference = op.reference();
    for (function, kind) in functions.into_iter().zip(["fused", "unfused"]) {
        let mut worst = (0.0, 0.0);
        for x in arguments().into_iter().filter(|&x| keep(x)) {
            let error = ulps(function(x), reference(f64::from(x)));
            if error > worst.0 {
                worst = (error, x);
            }
        }
        println!("{name} {kind}: {:.2} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 <= limit, "{name} {kind}: {} ulp at {:e}", worst.0, worst.1);
    }
}

/// Every function of floats in the table; sine and cosine where their reduction holds.
#[test]
fn functions_of_floats_are_within_four_ulp() {
    fn near(x: f32) -> bool {
        !(x.abs() > super::REDUCTION_MAX && x.is_finite())
    }
    macro_rules! functions {
        ($($variant:ident $name:ident;)*) => {
            $(
                let kept: fn(f32) -> bool = match Unary::$variant {
                    Unary::Sin | Unary::Cos => near,
                    _ => |_| true,
                };
                let functions = [super::$name::<true>, super::$name::<false>];
                check(stringify!($name), Unary::$variant, 4.0, functions, kept);
            )*
        };
    }
    gradloom_tensor::float_functions!(functions);
}

#[test]
fn the_most_used_functions_are_within_two_ulp() {
    use super::{exp, log};
    check("exp", Unary::Exp, 2.0, [exp::<true>, exp::<false>], |_| true);
    check("log", Unary::Log, 2.0, [log::<true>, log::<false>], |_| true);
}

#[test]
fn power_is_within_one_ulp_and_knows_the_special_cases() {
    let reference = Binary::Pow.reference();
    let special = [
        0.0f32,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        3.0,
        -3.0,
        0.5,
        -0.5,
        1.5,
        16_777_216.0,
        16_777_217.0,
        1e-40,
        -1e-40,
        f32::MAX,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let mut pairs = Vec::new();
    for &x in &special {
        pairs.extend(special.iter().map(|&y| (x, y)));
    }
    let mut state = 1u32;
    for _ in 0..200_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let x = f32::from_bits(state >> 1);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let y = (state as f32 / 4e9 - 0.5) * 200.0 / x.log2().abs().max(0.1);
        pairs.push((x, y));
    }
    for function in [super::pow::<true>, super::pow::<false>] {
        for &(x, y) in &pairs {
            let exact = reference(f64::from(x), f64::from(y));
            let error = ulps(function(x, y), exact);
            assert!(error <= 1.0, "pow({x:e}, {y:e}) = {:e}, not {exact:e}", function(x, y));
        }
    }
}
