// Scatter-add: updates summed where their indices point.
//
//   out[outer, a, inner] = sum of updates[outer, u, inner] over u with index[outer, u, inner] = a
//
// The sum runs in the order of the updates, without atomics, so it is the same in every run.
//
// SORTED: the indices do not vary along `inner`; their stable sorting permutation is in scratch, and a
// binary search finds the updates of an output. Otherwise each output looks at every update.
//
// Grid: one thread per output element, folded by GRID_X.
// Limits: indices out of range match no output.
//
// Spliced: constants (COUNT, SIZE: the output's axis, UPDATES: theirs, INNER; with SORTED: PADDED, the
// length of a sorted row; alias Value); bindings; reads (read_index and read_update at an element of
// the updates' shape; with SORTED: read_key and read_order); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

#ifdef SORTED
fn accumulate(index: u32) -> Value {
    let inner = index % INNER;
    let place = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
    let row = outer * PADDED;
    // Keys are i32 with the sign bit flipped, so that they sort as u32.
    let key = place ^ 0x80000000u;
    var low = 0u;
    var high = UPDATES;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (read_key(row + middle) < key) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    var sum = Value(0);
    for (var at = low; at < UPDATES && read_key(row + at) == key; at++) {
        sum += read_update((outer * UPDATES + read_order(row + at)) * INNER + inner);
    }
    return sum;
}
#else
fn accumulate(index: u32) -> Value {
    let inner = index % INNER;
    let place = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
    var sum = Value(0);
    for (var update = 0u; update < UPDATES; update++) {
        let element = (outer * UPDATES + update) * INNER + inner;
        if (bitcast<u32>(read_index(element)) == place) {
            sum += read_update(element);
        }
    }
    return sum;
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
    epilogue(index, accumulate(index));
}
