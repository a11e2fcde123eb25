// Elementary functions in f32, each to a few ulp whatever the driver's builtins do, plus integer
// variants with a suffix `_i32` or `_u32` where the meaning differs.
//
// Rules that every function keeps:
// - NaN is found by its bits: compilers turn `x != x` into an ordered compare, which is false for NaN.
// - Infinities and NaN are made by `gl_bits`, since WGSL refuses constant expressions that yield them.
// - No result depends on a builtin outside the range where all drivers agree (tanh and exp overflow on
//   some, log(0) is finite on others).
// - Where rounding errors are computed on purpose, `gl_keep` stands between the steps: some compilers
//   reassociate float arithmetic (Mesa turns n * a + (n * b + c) into n * (a + b) + c).
// Polynomials follow the Cephes library (S. Moshier) unless a function says otherwise.

#import "shared/power.wgsl"
#import "shared/trigonometry.wgsl"
#import "shared/special.wgsl"
#import "shared/bessel.wgsl"
#import "shared/convert.wgsl"
#import "shared/packed.wgsl"

fn gl_bits(word: u32) -> f32 {
    return bitcast<f32>(word);
}

// The same value (but for one NaN), about which compilers know nothing.
fn gl_keep(a: f32) -> f32 {
    return bitcast<f32>(min(bitcast<u32>(a), 0xfffffffeu));
}

fn gl_inf() -> f32 {
    return gl_bits(0x7f800000u);
}

fn gl_nan() -> f32 {
    return gl_bits(0x7fc00000u);
}

fn gl_is_nan(a: f32) -> bool {
    return (bitcast<u32>(a) & 0x7fffffffu) > 0x7f800000u;
}

fn gl_is_inf(a: f32) -> bool {
    return (bitcast<u32>(a) & 0x7fffffffu) == 0x7f800000u;
}

// The larger; NaN if either is NaN.
fn gl_max(a: f32, b: f32) -> f32 {
    return select(b, a, a > b || gl_is_nan(a));
}

// The smaller; NaN if either is NaN.
fn gl_min(a: f32, b: f32) -> f32 {
    return select(b, a, a < b || gl_is_nan(a));
}

fn gl_relu(a: f32) -> f32 {
    return select(0.0, a, a > 0.0 || gl_is_nan(a));
}

fn gl_sign(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    return select(select(0.0, -1.0, a < 0.0), 1.0, a > 0.0);
}

fn gl_sign_u32(a: u32) -> u32 {
    return min(a, 1u);
}

fn gl_sqrt(a: f32) -> f32 {
    if (a < 0.0) {
        return gl_nan();
    }
    if (a == 0.0 || gl_is_nan(a) || gl_is_inf(a)) {
        return a;
    }
    return sqrt(a);
}

fn gl_rsqrt(a: f32) -> f32 {
    if (a < 0.0) {
        return gl_nan();
    }
    if (a == 0.0) {
        return gl_bits((bitcast<u32>(a) & 0x80000000u) | 0x7f800000u);
    }
    if (gl_is_inf(a)) {
        return 0.0;
    }
    if (gl_is_nan(a)) {
        return a;
    }
    return inverseSqrt(a);
}

// The difference, in a form that compilers do not take for zero where b is a.
fn gl_sub(a: f32, b: f32) -> f32 {
    return a - gl_keep(b);
}

fn gl_neg(a: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(a) ^ 0x80000000u);
}

// a times zero of either sign: NaN if a is no finite number.
fn gl_times_zero(a: f32, zero: f32) -> f32 {
    if (gl_is_nan(a) || gl_is_inf(a)) {
        return gl_nan();
    }
    return bitcast<f32>((bitcast<u32>(a) ^ bitcast<u32>(zero)) & 0x80000000u);
}

// a divided by zero of either sign.
fn gl_by_zero(a: f32, zero: f32) -> f32 {
    if (gl_is_nan(a) || a == 0.0) {
        return gl_nan();
    }
    return gl_bits(((bitcast<u32>(a) ^ bitcast<u32>(zero)) & 0x80000000u) | 0x7f800000u);
}

// Zero of either sign divided by b.
fn gl_zero_by(zero: f32, b: f32) -> f32 {
    if (gl_is_nan(b) || b == 0.0) {
        return gl_nan();
    }
    return bitcast<f32>((bitcast<u32>(b) ^ bitcast<u32>(zero)) & 0x80000000u);
}

fn gl_div(a: f32, b: f32) -> f32 {
    return a / b;
}

// Truncates; division by zero gives 0, the least integer by -1 wraps.
fn gl_div_i32(a: i32, b: i32) -> i32 {
    if (b == 0) {
        return 0;
    }
    if (b == -1) {
        return bitcast<i32>(0u - bitcast<u32>(a));
    }
    return a / b;
}

fn gl_div_u32(a: u32, b: u32) -> u32 {
    if (b == 0u) {
        return 0u;
    }
    return a / b;
}

// Shifts by less than zero or no less than the width shift everything out.
fn gl_left_shift_i32(a: i32, b: i32) -> i32 {
    return select(0, a << (bitcast<u32>(b) & 31u), bitcast<u32>(b) < 32u);
}

fn gl_left_shift_u32(a: u32, b: u32) -> u32 {
    return select(0u, a << (b & 31u), b < 32u);
}

fn gl_right_shift_i32(a: i32, b: i32) -> i32 {
    return a >> min(bitcast<u32>(b), 31u);
}

fn gl_right_shift_u32(a: u32, b: u32) -> u32 {
    return select(0u, a >> (b & 31u), b < 32u);
}

// The exact remainder with the sign of the dividend: long division by doublings of the divisor.
fn gl_rem(a: f32, b: f32) -> f32 {
    let divisor = abs(b);
    if (gl_is_nan(a) || gl_is_nan(b) || gl_is_inf(a) || divisor == 0.0) {
        return gl_nan();
    }
    var rest = abs(a);
    if (gl_is_inf(b)) {
        return a;
    }
    for (var turn = 0u; turn < 300u && rest >= divisor; turn++) {
        let shift = gl_exponent(rest) - gl_exponent(divisor);
        var step = gl_scale(divisor, shift);
        if (step > rest) {
            step = gl_scale(divisor, shift - 1);
        }
        rest = rest - step;
    }
    return bitcast<f32>(bitcast<u32>(rest) | (bitcast<u32>(a) & 0x80000000u));
}

fn gl_rem_i32(a: i32, b: i32) -> i32 {
    if (b == 0 || b == -1) {
        return 0;
    }
    return a % b;
}

fn gl_rem_u32(a: u32, b: u32) -> u32 {
    if (b == 0u) {
        return 0u;
    }
    return a % b;
}

// The exponent of a normal positive number; -127 for subnormal ones.
fn gl_exponent(a: f32) -> i32 {
    return i32((bitcast<u32>(a) >> 23u) & 0xffu) - 127;
}

// 2^n for n in -126..=127.
fn gl_power_of_two(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

// a * 2^n for n in -252..=254, rounded once at most.
fn gl_scale(a: f32, n: i32) -> f32 {
    let half = n >> 1u;
    return a * gl_power_of_two(half) * gl_power_of_two(n - half);
}

// e^r - 1 - r for |r| <= ln(2) / 2.
fn gl_exp_tail(r: f32) -> f32 {
    var p = 1.9875691500e-4;
    p = fma(p, r, 1.3981999507e-3);
    p = fma(p, r, 8.3334519073e-3);
    p = fma(p, r, 4.1665795894e-2);
    p = fma(p, r, 1.6666665459e-1);
    p = fma(p, r, 5.0000001201e-1);
    return p * r * r;
}

fn gl_exp(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    if (a > 88.72284) {
        return gl_inf();
    }
    if (a < -103.98) {
        return 0.0;
    }
    let n = round(a * 1.44269504088896341);
    let r = fma(n, 2.12194440e-4, gl_keep(fma(n, -0.693359375, a)));
    return gl_scale((gl_exp_tail(r) + r) + 1.0, i32(n));
}

fn gl_exp2(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    if (a >= 128.0) {
        return gl_inf();
    }
    if (a < -150.0) {
        return 0.0;
    }
    let n = round(a);
    let r = (a - n) * 0.693147180559945;
    return gl_scale((gl_exp_tail(r) + r) + 1.0, i32(n));
}

fn gl_expm1(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    if (a > 80.0) {
        return gl_exp(a);
    }
    if (a < -18.0) {
        return -1.0;
    }
    let n = round(a * 1.44269504088896341);
    let r = fma(n, 2.12194440e-4, gl_keep(fma(n, -0.693359375, a)));
    let p = gl_exp_tail(r) + r;
    if (n == 0.0) {
        // Keeps the sign of zero and tiny values exactly.
        return select(p, a, abs(a) < 1.0e-7);
    }
    let scale = gl_power_of_two(i32(n));
    return fma(p, scale, scale - 1.0);
}

// ln(1 + f) - f for 1 + f between sqrt(1/2) and sqrt(2).
fn gl_log_tail(f: f32) -> f32 {
    let z = f * f;
    var p = 7.0376836292e-2;
    p = fma(p, f, -1.1514610310e-1);
    p = fma(p, f, 1.1676998740e-1);
    p = fma(p, f, -1.2420140846e-1);
    p = fma(p, f, 1.4249322787e-1);
    p = fma(p, f, -1.6668057665e-1);
    p = fma(p, f, 2.0000714765e-1);
    p = fma(p, f, -2.4999993993e-1);
    p = fma(p, f, 3.3333331174e-1);
    return fma(p * f, z, -0.5 * z);
}

// a = m * 2^n with m between sqrt(1/2) and sqrt(2), for positive finite a: (m, n).
fn gl_split(a: f32) -> vec2<f32> {
    var value = a;
    var shift = 0;
    if (bitcast<u32>(a) < 0x00800000u) {
        value = a * 8388608.0;
        shift = -23;
    }
    let word = bitcast<u32>(value);
    // The offset makes mantissas from sqrt(2) on count with the next power of two.
    let n = i32((word + 0x004afb0du) >> 23u) - 127;
    let m = bitcast<f32>(word - (u32(n) << 23u));
    return vec2<f32>(m, f32(n + shift));
}

fn gl_log(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    if (a < 0.0) {
        return gl_nan();
    }
    if (a == 0.0) {
        return -gl_inf();
    }
    if (gl_is_inf(a)) {
        return a;
    }
    let parts = gl_split(a);
    let f = parts.x - 1.0;
    let n = parts.y;
    let low = gl_keep(fma(n, -2.12194440e-4, gl_log_tail(f)));
    return fma(n, 0.693359375, gl_keep(f + low));
}

fn gl_log1p(a: f32) -> f32 {
    if (a > -0.29 && a < 0.41) {
        return select(a + gl_log_tail(a), a, abs(a) < 5.0e-8);
    }
    return gl_log(1.0 + a);
}

// From e^(|a| / 2), whose square overflows where the result does.
fn gl_cosh(a: f32) -> f32 {
    let root = gl_exp(0.5 * abs(a));
    let inverse = 1.0 / root;
    return select(fma(0.5 * root, root, 0.5 * inverse * inverse), root, gl_is_inf(root));
}

fn gl_sinh(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let x = abs(a);
    if (x < 1.0) {
        let s = a * a;
        var p = 2.7557319e-6;
        p = fma(p, s, 1.9841270e-4);
        p = fma(p, s, 8.3333333e-3);
        p = fma(p, s, 1.6666667e-1);
        return select(fma(p * s, a, a), a, x < 1.0e-7);
    }
    let root = gl_exp(0.5 * x);
    let inverse = 1.0 / root;
    let y = select(fma(0.5 * root, root, -0.5 * inverse * inverse), root, gl_is_inf(root));
    return select(y, -y, a < 0.0);
}

fn gl_tanh(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let x = abs(a);
    if (x < 0.625) {
        let z = a * a;
        var p = -5.70498872745e-3;
        p = fma(p, z, 2.06390887954e-2);
        p = fma(p, z, -5.37397155531e-2);
        p = fma(p, z, 1.33314422036e-1);
        p = fma(p, z, -3.33332819422e-1);
        return fma(p * z, a, a);
    }
    let y = 1.0 - 2.0 / (gl_exp(2.0 * min(x, 10.0)) + 1.0);
    return select(y, -y, a < 0.0);
}

fn gl_sigmoid(a: f32) -> f32 {
    let e = gl_exp(-abs(a));
    return select(1.0, e, a < 0.0) / (1.0 + e);
}
