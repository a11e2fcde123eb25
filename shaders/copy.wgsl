// Copy: parts of buffers at a step of a loop, a number of bytes that may begin anywhere in a word.
//
//   target[step target_stride + i] = source[step source_stride + i], for i below bytes
//
// Steps run one after another, so words at the edge of a part belong to one thread at a time.
//
// Grid: one thread per word of a target that a part may touch, the parts one after another, folded by GRID_X.
//
// Spliced: constants; bindings (turn: the step's number); copies (a function for each part); parts
// (statements that call the one which owns workgroup `group`).

#import "shared/grid.wgsl"

//@constants
//@bindings

// What a thread copies: word `place` of the target, where `mask` is set, from word `second` of the source and
// the one before it.
struct Piece {
    place: u32,
    mask: u32,
    second: u32,
    shift: u32,
    reads_first: bool,
    reads_second: bool,
}

fn piece(thread: u32, step: u32, source_stride: u32, target_stride: u32, bytes: u32) -> Piece {
    let begin = step * target_stride;
    let end = begin + bytes;
    let place = begin / 4u + thread;
    // Bytes of the word that are copied.
    let low = max(begin, place * 4u) - place * 4u;
    let high = min(end, place * 4u + 4u) - place * 4u;
    // Where the word's first byte is in the source; it wraps where that lies before the source.
    let from_byte = step * source_stride - begin + place * 4u;
    let shift = from_byte % 4u;
    var mask = (0xffffffffu << (low * 8u)) & (0xffffffffu >> ((4u - high) * 8u));
    if (place * 4u >= end) { mask = 0u; }
    let reads_first = low + shift < 4u;
    let reads_second = high + shift > 4u;
    return Piece(
        place,
        mask,
        (from_byte - shift + 4u) / 4u,
        shift * 8u,
        reads_first,
        reads_second,
    );
}

fn joined(own: Piece, first: u32, second: u32, old: u32) -> u32 {
    var value = first >> own.shift;
    if (own.shift > 0u) { value |= second << (32u - own.shift); }
    return (old & ~own.mask) | (value & own.mask);
}

//@copies

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
//@parts
}
