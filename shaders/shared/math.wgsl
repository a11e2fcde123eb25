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

// Two minimax polynomials: of erf(a) / a near zero, of ln(1 - erf(|a|)) elsewhere (N. Juffa).
fn gl_erf(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let t = min(abs(a), 4.0);
    let s = t * t;
    if (t <= 0.927734375) {
        var p = -5.96761703e-4;
        p = fma(p, s, 4.99119423e-3);
        p = fma(p, s, -2.67681349e-2);
        p = fma(p, s, 1.12819925e-1);
        p = fma(p, s, -3.76125336e-1);
        p = fma(p, s, 1.28379166e-1);
        return fma(p, a, a);
    }
    var q = fma(-1.72853470e-5, t, 3.83197126e-4);
    q = fma(q, s, fma(-3.88396438e-3, t, 2.42546219e-2));
    q = fma(q, t, -1.06777877e-1);
    q = fma(q, t, -6.34846687e-1);
    q = fma(q, t, -1.28717512e-1);
    q = fma(q, t, -t);
    let y = 1.0 - gl_exp(q);
    return select(y, -y, a < 0.0);
}

// The upper and lower words of a 32 x 32 bit product.
fn gl_multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
    return vec2<u32>(high, a * b);
}

// Payne and Hanek: |a| modulo pi/2 for large arguments, from the bits of 2/pi that matter.
// Gives (remainder in -pi/4..pi/4, quadrant).
fn gl_reduce_large(a: f32) -> vec2<f32> {
    // The bits of 2/pi, two places to the right so that the product's top two bits are the quadrant.
    var table = array<u32, 7>(
        0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau);
    let word = bitcast<u32>(a) & 0x7fffffffu;
    let mantissa = (word << 8u) | 0x80000000u;
    let exponent = (word >> 23u) - 126u;
    let index = exponent >> 5u;
    let shift = exponent & 31u;
    var high = 0u;
    if (index > 0u) {
        high = table[index - 1u];
    }
    var middle = table[index];
    var low = table[index + 1u];
    if (shift > 0u) {
        let next = table[index + 2u];
        high = (high << shift) | (middle >> (32u - shift));
        middle = (middle << shift) | (low >> (32u - shift));
        low = (low << shift) | (next >> (32u - shift));
    }
    let first = gl_multiply_wide(mantissa, low);
    let second = gl_multiply_wide(mantissa, middle);
    var p_low = second.y + first.x;
    var p_high = second.x + mantissa * high + select(0u, 1u, p_low < second.y);
    var quadrant = p_high >> 30u;
    p_high = p_high & 0x3fffffffu;
    var negative = false;
    if (p_high >= 0x20000000u) {
        quadrant += 1u;
        negative = true;
        // 2^62 - p: the distance to the next quadrant.
        p_low = 0u - p_low;
        p_high = 0x40000000u - p_high - select(0u, 1u, p_low != 0u);
    }
    // (high * 2^32 + low) * 2^-62 * pi / 2.
    let fraction = f32(p_high) * 9.31322574615478515625e-10 + f32(p_low) * 2.168404344971009e-19;
    let rest = fraction * 1.57079632679489662;
    return vec2<f32>(select(rest, -rest, negative), f32(quadrant & 3u));
}

// |a| modulo pi/2 as (remainder, quadrant), for finite a.
fn gl_reduce(a: f32) -> vec2<f32> {
    let x = abs(a);
    if (x > 4096.0) {
        return gl_reduce_large(x);
    }
    // pi/2 in four pieces of eleven bits, so that the first products are exact.
    let q = round(x * 0.636619772367581343);
    var r = gl_keep(fma(q, -1.5703125, x));
    r = gl_keep(fma(q, -4.837512969970703125e-4, r));
    r = gl_keep(fma(q, -7.549533620476723e-8, r));
    r = fma(q, -2.5633440682570896e-12, r);
    return vec2<f32>(r, f32(u32(q) & 3u));
}

fn gl_sin_polynomial(r: f32) -> f32 {
    let z = r * r;
    var p = -1.9515295891e-4;
    p = fma(p, z, 8.3321608736e-3);
    p = fma(p, z, -1.6666654611e-1);
    return fma(p * z, r, r);
}

fn gl_cos_polynomial(r: f32) -> f32 {
    let z = r * r;
    var p = 2.443315711809948e-5;
    p = fma(p, z, -1.388731625493765e-3);
    p = fma(p, z, 4.166664568298827e-2);
    return fma(p, z * z, fma(-0.5, z, 1.0));
}

fn gl_sin_quadrant(r: f32, quadrant: u32) -> f32 {
    var y = gl_sin_polynomial(r);
    if ((quadrant & 1u) == 1u) {
        y = gl_cos_polynomial(r);
    }
    return select(y, -y, (quadrant & 2u) == 2u);
}

fn gl_sin(a: f32) -> f32 {
    if (gl_is_nan(a) || gl_is_inf(a)) {
        return gl_nan();
    }
    let reduced = gl_reduce(a);
    let y = gl_sin_quadrant(reduced.x, u32(reduced.y));
    return select(y, -y, a < 0.0);
}

fn gl_cos(a: f32) -> f32 {
    if (gl_is_nan(a) || gl_is_inf(a)) {
        return gl_nan();
    }
    let reduced = gl_reduce(a);
    return gl_sin_quadrant(reduced.x, u32(reduced.y) + 1u);
}

// The upper twelve bits of the significand: products of two such numbers are exact.
fn gl_high(a: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
}

// a * b as an unevaluated sum of two floats.
fn gl_multiply_exact(a: f32, b: f32) -> vec2<f32> {
    let a_high = gl_high(a);
    let a_low = a - a_high;
    let b_high = gl_high(b);
    let b_low = b - b_high;
    let product = gl_high(a * b);
    var error = gl_keep(fma(a_high, b_high, -product));
    error = gl_keep(fma(a_low, b_high, error));
    error = gl_keep(fma(a_high, b_low, error));
    return vec2<f32>(product, fma(a_low, b_low, error));
}

// ln(a) of a positive finite number as a sum of two floats, to about 2^-32: the series of
// 2 * atanh(s) with s = (m - 1) / (m + 1), of which only the first term needs the extra precision.
fn gl_log_exact(a: f32) -> vec2<f32> {
    let parts = gl_split(a);
    let f = parts.x - 1.0;
    let divisor = gl_keep(parts.x + 1.0);
    let divisor_low = parts.x - (divisor - 1.0);
    let s = f / divisor;
    let check = gl_multiply_exact(s, divisor);
    let s_low = (((f - check.x) - check.y) - s * divisor_low) / divisor;
    let z = s * s;
    var p = 0.23076923;
    p = fma(p, z, 0.18181818);
    p = fma(p, z, 0.22222222);
    p = fma(p, z, 0.28571429);
    p = fma(p, z, 0.4);
    p = fma(p, z, 0.66666667);
    let cube = gl_multiply_exact(z, s);
    // s_low enters the cube three times over.
    let tail = p * (cube.x + cube.y) + 2.0 * s_low + 2.0 * z * s_low;
    // ln(2) with a first piece of twelve bits.
    let n = parts.y;
    let big = gl_keep(n * 0.693115234375);
    let small = gl_keep(n * 3.1946184945309415e-5);
    let lead = gl_keep(big + 2.0 * s);
    let lead_low = select((big - lead) + 2.0 * s, (2.0 * s - lead) + big, abs(big) < abs(2.0 * s));
    let rest = (lead_low + tail) + small;
    let sum = gl_keep(lead + rest);
    return vec2<f32>(sum, (lead - sum) + rest);
}

// |a|^b for finite positive |a|: e^(b * ln |a|) with the product in two floats.
fn gl_pow_positive(a: f32, b: f32) -> f32 {
    let logarithm = gl_log_exact(a);
    let estimate = logarithm.x * b;
    if (estimate > 89.0) {
        return gl_inf();
    }
    if (estimate < -104.5) {
        return 0.0;
    }
    let product = gl_multiply_exact(logarithm.x, b);
    let low = product.y + logarithm.y * b;
    let n = round(estimate * 1.44269504088896341);
    // The first piece of ln(2) times n is exact, so the leading parts cancel without error.
    let r = gl_keep(fma(n, -0.693115234375, product.x))
        + gl_keep(fma(n, -3.1946184945309415e-5, low));
    return gl_scale((gl_exp_tail(r) + r) + 1.0, i32(n));
}

// As pow of C: negative bases with whole exponents, and its table of zeros and infinities.
fn gl_pow(a: f32, b: f32) -> f32 {
    if (b == 0.0 || a == 1.0) {
        return 1.0;
    }
    if (gl_is_nan(a) || gl_is_nan(b)) {
        return gl_nan();
    }
    let x = abs(a);
    if (gl_is_inf(b)) {
        if (x == 1.0) {
            return 1.0;
        }
        return select(0.0, gl_inf(), (x > 1.0) == (b > 0.0));
    }
    let whole = floor(b) == b;
    let odd = whole && abs(b) < 16777216.0 && (u32(min(abs(b), 16777215.0)) & 1u) == 1u;
    let negative = (bitcast<u32>(a) & 0x80000000u) != 0u;
    var y: f32;
    if (x == 0.0) {
        y = select(0.0, gl_inf(), b < 0.0);
    } else if (gl_is_inf(a)) {
        y = select(gl_inf(), 0.0, b < 0.0);
    } else if (negative && !whole) {
        return gl_nan();
    } else if (b == 1.0) {
        y = x;
    } else if (b == 2.0) {
        y = x * x;
    } else {
        y = gl_pow_positive(x, b);
    }
    return select(y, -y, negative && odd);
}

fn gl_xor(a: bool, b: bool) -> bool {
    return a != b;
}

// Truncates towards zero and saturates; NaN gives 0.
fn gl_to_i32(a: f32) -> i32 {
    if (gl_is_nan(a)) {
        return 0;
    }
    if (a >= 2147483648.0) {
        return 2147483647;
    }
    return i32(max(a, -2147483648.0));
}

fn gl_to_u32(a: f32) -> u32 {
    if (gl_is_nan(a) || a <= 0.0) {
        return 0u;
    }
    if (a >= 4294967296.0) {
        return 0xffffffffu;
    }
    return u32(a);
}

fn gl_to_u8(a: f32) -> u32 {
    return min(gl_to_u32(a), 255u);
}

// The nearest bfloat16, ties to even, as f32.
fn gl_round_bf16(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let word = bitcast<u32>(a);
    return gl_bits((word + 0x7fffu + ((word >> 16u) & 1u)) & 0xffff0000u);
}

// The nearest half-precision number, ties to even, as f32. Drivers may drop a conversion there and
// back, so the rounding is spelled out.
fn gl_round_f16(a: f32) -> f32 {
    let word = bitcast<u32>(a) & 0x7fffffffu;
    let sign = bitcast<u32>(a) & 0x80000000u;
    if (word > 0x7f800000u) {
        return a;
    }
    if (word < 0x38800000u) {
        // Subnormal halves are multiples of 2^-24.
        let y = round(bitcast<f32>(word) * 16777216.0) * 5.9604644775390625e-8;
        return bitcast<f32>(bitcast<u32>(y) | sign);
    }
    let rounded = (word + 0xfffu + ((word >> 13u) & 1u)) & 0xffffe000u;
    return gl_bits(select(rounded, 0x7f800000u, rounded >= 0x47800000u) | sign);
}
