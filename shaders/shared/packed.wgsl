// Elements narrower than a word, packed in words, the first in the lowest bits.
//
// gl_load_T(word, element): the element that lies in the word; element counts from the buffer's start.
// gl_load_four_T: four neighbours, the first of which begins a word.
// gl_pack_T: a word of elements.

fn gl_load_f16(word: u32, element: u32) -> f32 {
    return gl_unpack_f16(word >> ((element & 1u) * 16u)).x;
}

// Some drivers take infinities for NaN.
fn gl_unpack_f16(word: u32) -> vec2<f32> {
    let halves = vec2<u32>(word << 16u, word & 0xffff0000u);
    let wide = (halves & vec2<u32>(0x80000000u)) | vec2<u32>(0x7f800000u)
        | ((halves & vec2<u32>(0x03ff0000u)) >> vec2<u32>(3u));
    let special = (halves & vec2<u32>(0x7c000000u)) == vec2<u32>(0x7c000000u);
    return select(unpack2x16float(word), vec2<f32>(gl_bits(wide.x), gl_bits(wide.y)), special);
}

fn gl_load_bf16(word: u32, element: u32) -> f32 {
    return gl_bits((word >> ((element & 1u) * 16u)) << 16u);
}

fn gl_load_byte(word: u32, element: u32) -> u32 {
    return (word >> ((element & 3u) * 8u)) & 0xffu;
}

fn gl_load_signed_byte(word: u32, element: u32) -> i32 {
    return extractBits(bitcast<i32>(word), (element & 3u) * 8u, 8u);
}

fn gl_load_four_f16(low: u32, high: u32) -> vec4<f32> {
    return vec4<f32>(gl_unpack_f16(low), gl_unpack_f16(high));
}

fn gl_load_four_bf16(low: u32, high: u32) -> vec4<f32> {
    return vec4<f32>(
        gl_bits(low << 16u), gl_bits(low & 0xffff0000u),
        gl_bits(high << 16u), gl_bits(high & 0xffff0000u),
    );
}

fn gl_load_four_bytes(word: u32) -> vec4<u32> {
    return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
}

fn gl_load_four_signed_bytes(word: u32) -> vec4<i32> {
    let all = bitcast<i32>(word);
    return vec4<i32>(
        extractBits(all, 0u, 8u), extractBits(all, 8u, 8u),
        extractBits(all, 16u, 8u), extractBits(all, 24u, 8u),
    );
}

fn gl_pack_f16(a: f32, b: f32) -> u32 {
    return gl_bits_f16(a) | (gl_bits_f16(b) << 16u);
}

// The nearest half's bits. Drivers round and saturate in ways of their own.
fn gl_bits_f16(a: f32) -> u32 {
    let rounded = gl_round_f16(a);
    let word = bitcast<u32>(rounded) & 0x7fffffffu;
    let small = u32(bitcast<f32>(min(word, 0x38800000u)) * 16777216.0);
    var half = select((word - 0x38000000u) >> 13u, small, word < 0x38800000u);
    if (word >= 0x7f800000u) {
        half = select(0x7c00u, 0x7e00u, word > 0x7f800000u);
    }
    return ((bitcast<u32>(rounded) >> 16u) & 0x8000u) | half;
}

// The upper half of the nearest bfloat16's bits; a NaN stays one whatever its lower bits were.
fn gl_bits_bf16(a: f32) -> u32 {
    return select(bitcast<u32>(gl_round_bf16(a)) >> 16u, 0x7fc0u, gl_is_nan(a));
}

fn gl_pack_bf16(a: f32, b: f32) -> u32 {
    return gl_bits_bf16(a) | (gl_bits_bf16(b) << 16u);
}

fn gl_pack_bytes(a: u32, b: u32, c: u32, d: u32) -> u32 {
    return (a & 0xffu) | ((b & 0xffu) << 8u) | ((c & 0xffu) << 16u) | (d << 24u);
}
