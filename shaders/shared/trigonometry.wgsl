// Sine and cosine in f32 for every argument: small ones are reduced with a pi/2 of four pieces, large
// ones with the bits of 2/pi that matter (Payne and Hanek).

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

// An eighth or a quarter turn, and the tangent of what is left to it.
fn gl_atan(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let x = abs(a);
    var turn = 0.0;
    var r = x;
    if (x > 2.41421366) {
        turn = 1.57079637;
        r = select(-1.0 / x, 0.0, gl_is_inf(a));
    } else if (x > 0.414213568) {
        turn = 0.785398185;
        r = (x - 1.0) / (x + 1.0);
    }
    let s = r * r;
    var p = 8.0599234507e-2;
    p = fma(p, s, -1.3879739290e-1);
    p = fma(p, s, 1.9977916697e-1);
    p = fma(p, s, -3.3332955034e-1);
    let y = turn + fma(p * s, r, r);
    return select(y, -y, a < 0.0);
}

// Above a half, half the angle to a quarter turn: asin(sqrt((1 - x) / 2)); below, asin(x).
fn gl_arc(x: f32) -> f32 {
    var s = x * x;
    var r = x;
    if (x > 0.5) {
        s = 0.5 - 0.5 * x;
        r = gl_sqrt(s);
    }
    var p = 4.2230550418e-2;
    p = fma(p, s, 2.4140987134e-2);
    p = fma(p, s, 4.5478343496e-2);
    p = fma(p, s, 7.4952326644e-2);
    p = fma(p, s, 1.6666754131e-1);
    return fma(p * s, r, r);
}

fn gl_asin(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let x = abs(a);
    let angle = gl_arc(x);
    let y = select(angle, fma(-2.0, angle, 1.57079637), x > 0.5);
    return select(y, -y, a < 0.0);
}

fn gl_acos(a: f32) -> f32 {
    if (gl_is_nan(a)) {
        return a;
    }
    let x = abs(a);
    let angle = gl_arc(x);
    if (x <= 0.5) {
        return 1.57079637 - select(angle, -angle, a < 0.0);
    }
    return select(2.0 * angle, fma(-2.0, angle, 3.14159274), a < 0.0);
}
