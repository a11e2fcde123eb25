// Blocks: 16 numbers of a matrix in interleaved blocks, for each format.
//
// A number is `scale * byte + shift`. Rows lie in groups of 16, side by side: four bytes at offset
// `offset` of a block of row `lane` are word `at + 4 * offset + lane`, where `at` is the first word of
// the group's 16 blocks.
// The module that imports this has `read_word(part, at)`, a word of the matrix `part`; `part` is a
// constant wherever it matters, so that compilers drop the other matrices.
//
// gl_FORMAT(part, at, lane, index): numbers 16 * index and on of the block of row `lane`.

// Word c holds the bytes of numbers 4 c and on.
struct Sixteen {
    scale: f32,
    shift: f32,
    words: vec4<u32>,
}

// Numbers 4 c and on, from word c.
fn gl_numbers(sixteen: Sixteen, word: u32) -> vec4<f32> {
    let bytes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    return fma(vec4<f32>(bytes), vec4<f32>(sixteen.scale), vec4<f32>(sixteen.shift));
}

fn gl_field(part: u32, at: u32, lane: u32, offset: u32) -> u32 {
    return read_word(part, at + 4u * offset + lane);
}

// Sixteen bytes.
fn gl_fields(part: u32, at: u32, lane: u32, offset: u32) -> vec4<u32> {
    let first = at + 4u * offset + lane;
    return vec4<u32>(
        read_word(part, first),
        read_word(part, first + 16u),
        read_word(part, first + 32u),
        read_word(part, first + 48u),
    );
}

// The f16 at an offset: of these, two rows share a word.
fn gl_half(part: u32, at: u32, lane: u32, offset: u32) -> f32 {
    let pair = unpack2x16float(read_word(part, at + 4u * offset + lane / 2u));
    return select(pair.x, pair.y, (lane & 1u) == 1u);
}

fn gl_byte(word: u32, index: u32) -> u32 {
    return (word >> (8u * index)) & 0xffu;
}

// `count` bits of each byte from bit `first` on.
fn gl_bits_of(words: vec4<u32>, first: u32, count: u32) -> vec4<u32> {
    return (words >> vec4<u32>(first)) & vec4<u32>(0x01010101u * ((1u << count) - 1u));
}

// Bits 16 * index and on, one in each byte.
fn gl_spread(bits: u32, index: u32) -> vec4<u32> {
    let nibbles = vec4<u32>(bits >> (16u * index)) >> vec4<u32>(0u, 4u, 8u, 12u);
    return ((nibbles & vec4<u32>(0xfu)) * 0x00204081u) & vec4<u32>(0x01010101u);
}

fn gl_q4_0(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let scale = gl_half(part, at, lane, 0u);
    let words = gl_bits_of(gl_fields(part, at, lane, 2u), 4u * index, 4u);
    return Sixteen(scale, -8.0 * scale, words);
}

fn gl_q4_1(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let words = gl_bits_of(gl_fields(part, at, lane, 4u), 4u * index, 4u);
    return Sixteen(gl_half(part, at, lane, 0u), gl_half(part, at, lane, 2u), words);
}

fn gl_q5_0(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let scale = gl_half(part, at, lane, 0u);
    let low = gl_bits_of(gl_fields(part, at, lane, 6u), 4u * index, 4u);
    let fifth = gl_spread(gl_field(part, at, lane, 2u), index);
    return Sixteen(scale, -16.0 * scale, low | (fifth << vec4<u32>(4u)));
}

fn gl_q5_1(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let low = gl_bits_of(gl_fields(part, at, lane, 8u), 4u * index, 4u);
    let fifth = gl_spread(gl_field(part, at, lane, 4u), index);
    let words = low | (fifth << vec4<u32>(4u));
    return Sixteen(gl_half(part, at, lane, 0u), gl_half(part, at, lane, 2u), words);
}

// Signed bytes, moved up by 128.
fn gl_q8_0(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let scale = gl_half(part, at, lane, 0u);
    let words = gl_fields(part, at, lane, 2u + 16u * index) ^ vec4<u32>(0x80808080u);
    return Sixteen(scale, -128.0 * scale, words);
}

fn gl_q2_k(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let scales = gl_byte(gl_field(part, at, lane, index / 4u * 4u), index % 4u);
    let fields = gl_fields(part, at, lane, 16u + index / 8u * 32u + index % 2u * 16u);
    return Sixteen(
        gl_half(part, at, lane, 80u) * f32(scales & 0xfu),
        -gl_half(part, at, lane, 82u) * f32(scales >> 4u),
        gl_bits_of(fields, 2u * (index / 2u % 4u), 2u),
    );
}

// A scale has four bits among the first eight bytes of twelve and two among the last four.
fn gl_q3_k(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let low = gl_byte(gl_field(part, at, lane, 96u + index % 8u / 4u * 4u), index % 4u);
    let high = gl_byte(gl_field(part, at, lane, 104u), index % 4u);
    let bits = ((low >> (4u * (index / 8u))) & 0xfu) | (((high >> (2u * (index / 4u))) & 3u) << 4u);
    let scale = gl_half(part, at, lane, 108u) * (f32(bits) - 32.0);
    let column = index % 2u * 16u;
    let fields = gl_fields(part, at, lane, 32u + index / 8u * 32u + column);
    let two = gl_bits_of(fields, 2u * (index / 2u % 4u), 2u);
    let third = gl_bits_of(gl_fields(part, at, lane, column), index / 2u, 1u);
    return Sixteen(scale, -4.0 * scale, two | (third << vec4<u32>(2u)));
}

// Scale and minimum of 32 numbers of Q4_K or Q5_K: six bits each from twelve bytes.
fn gl_scale_and_minimum(part: u32, at: u32, lane: u32, index: u32) -> vec2<f32> {
    let place = index % 4u;
    let first = gl_byte(gl_field(part, at, lane, 4u), place);
    let second = gl_byte(gl_field(part, at, lane, 8u), place);
    var scale = first & 0x3fu;
    var minimum = second & 0x3fu;
    if (index >= 4u) {
        let low = gl_byte(gl_field(part, at, lane, 12u), place);
        scale = (low & 0xfu) | ((first >> 6u) << 4u);
        minimum = (low >> 4u) | ((second >> 6u) << 4u);
    }
    return vec2<f32>(
        gl_half(part, at, lane, 0u) * f32(scale),
        -gl_half(part, at, lane, 2u) * f32(minimum),
    );
}

fn gl_q4_k(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let pair = gl_scale_and_minimum(part, at, lane, index / 2u);
    let fields = gl_fields(part, at, lane, 16u + index / 4u * 32u + index % 2u * 16u);
    return Sixteen(pair.x, pair.y, gl_bits_of(fields, 4u * (index / 2u % 2u), 4u));
}

fn gl_q5_k(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let pair = gl_scale_and_minimum(part, at, lane, index / 2u);
    let column = index % 2u * 16u;
    let low = gl_fields(part, at, lane, 48u + index / 4u * 32u + column);
    let fifth = gl_bits_of(gl_fields(part, at, lane, 16u + column), index / 2u, 1u);
    let words = gl_bits_of(low, 4u * (index / 2u % 2u), 4u) | (fifth << vec4<u32>(4u));
    return Sixteen(pair.x, pair.y, words);
}

fn gl_q6_k(part: u32, at: u32, lane: u32, index: u32) -> Sixteen {
    let quarter = index / 2u % 4u;
    let column = index % 2u * 16u;
    let low = gl_fields(part, at, lane, index / 8u * 64u + quarter % 2u * 32u + column);
    let high = gl_fields(part, at, lane, 128u + index / 8u * 32u + column);
    let bits = gl_byte(gl_field(part, at, lane, 192u + index / 4u * 4u), index % 4u);
    // A signed byte: to the top of the word, and back with its sign.
    let scale = gl_half(part, at, lane, 208u) * f32(bitcast<i32>(bits << 24u) >> 24u);
    let six = gl_bits_of(low, 4u * (quarter / 2u), 4u)
        | (gl_bits_of(high, 2u * quarter, 2u) << vec4<u32>(4u));
    return Sixteen(scale, -32.0 * scale, six);
}
