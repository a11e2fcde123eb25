// pow of C in f32: the logarithm and its product with the exponent are carried as sums of two floats,
// since an error in them is multiplied by up to 88.

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
