// Conversions between dtypes, and the logic that WGSL lacks for truth values.

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

// A whole number whose lower bits are gone where f32 has no room for them, except for the lowest kept one,
// which is 1 if any of them was: rounded to bf16 it gives what the number itself gives.
fn gl_to_odd_u32(a: u32) -> f32 {
    let odd = (a & 0xffffff00u) | 0x100u;
    return f32(select(a, odd, a >= 0x1000000u && (a & 0xffu) != 0u));
}

fn gl_to_odd_i32(a: i32) -> f32 {
    let magnitude = gl_to_odd_u32(bitcast<u32>(abs(a)));
    return select(magnitude, -magnitude, a < 0i);
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
