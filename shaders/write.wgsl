// Write: an update at the places that another operand gives.
//
//   out[outer, start[b] + j, inner] = program[outer, j, inner]    for j in 0..PICKS
//   out = data elsewhere                                           with COPY
//
// where b is the first axis of outer.
//
// With COPY every element is made, else those of the update: the output has the data's memory then, and
// nothing else of it is touched. With PACKED a thread makes a whole word, EACH elements; without COPY the
// rows of SIZE * INNER elements begin at words, or there is but one: no word belongs to two of them.
//
// Grid: one thread per element or word, without COPY but PACKED WORDS threads per outer; folded by GRID_X.
// Limits: starts are clamped for memory safety; checks are made where they are computed.
//
// Spliced: constants (COUNT: threads, SIZE: of the data's axis, PICKS: of the update's, INNER, HEADS:
// outer elements of a b, LENGTH: of the data, EACH; alias Value); bindings; reads (read_start; with COPY
// or PACKED read0: data); update (fn update: the program at an element of the update); store (of `value`
// at element `place`, or of `value0` and on at word `word`).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@update

fn start_of(outer: u32) -> u32 {
    return u32(clamp(read_start(outer / HEADS), 0i, i32(SIZE - PICKS)));
}

#ifdef COPY
fn element(index: u32) -> Value {
    let inner = index % INNER;
    let place = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
    let pick = place - start_of(outer);
    if (pick < PICKS) {
        return update((outer * PICKS + pick) * INNER + inner);
    }
    return read0(index);
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
#ifdef PACKED
#ifdef COPY
    let word = index;
#unroll e EACH
    let value$e = element(min(word * EACH + $eu, LENGTH - 1u));
#end
#else
    let outer = index / WORDS;
    let begin = (outer * SIZE + start_of(outer)) * INNER;
    let end = begin + PICKS * INNER;
    let word = begin / EACH + index % WORDS;
    if (word * EACH >= end) {
        return;
    }
#unroll e EACH
    let at$e = word * EACH + $eu;
    var value$e: Value;
    if (at$e >= begin && at$e < end) {
        value$e = update(outer * PICKS * INNER + at$e - begin);
    } else {
        value$e = read0(at$e);
    }
#end
#endif
#else
#ifdef COPY
    let place = index;
    let value = element(index);
#else
    let inner = index % INNER;
    let pick = index / INNER % PICKS;
    let outer = index / (INNER * PICKS);
    let place = (outer * SIZE + start_of(outer) + pick) * INNER + inner;
    let value = update(index);
#endif
#endif
//@store
}
