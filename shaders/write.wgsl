// Write: an update at the places that another operand gives.
//
//   out[outer, start[b] + j, inner] = program[outer, j, inner]    for j in 0..PICKS
//   out = data elsewhere                                           with COPY
//
// where b is the first axis of outer.
//
// Grid: one thread per element of the update; with COPY one per element of the data, folded by GRID_X.
// Without COPY the output has the data's memory, and nothing else of it is touched.
// Limits: starts are clamped for memory safety; checks are made where they are computed.
//
// Spliced: constants (COUNT: threads, SIZE: of the data's axis, PICKS: of the update's, INNER, HEADS:
// outer elements of a b; alias Value); bindings; reads (read_start; with COPY read0: data); update (fn
// update: the program at an element of the update; fn store).

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

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
    let inner = index % INNER;
#ifdef COPY
    let place = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
    let pick = place - start_of(outer);
    if (pick < PICKS) {
        store(index, update((outer * PICKS + pick) * INNER + inner));
    } else {
        store(index, read0(index));
    }
#else
    let pick = index / INNER % PICKS;
    let outer = index / (INNER * PICKS);
    store((outer * SIZE + start_of(outer) + pick) * INNER + inner, update(index));
#endif
}
