// Scatter-add: updates summed where their indices point.
//
//   out[outer, a, inner] = sum of updates[outer, u, inner] over u with index[outer, u, inner] = a
//
// The sum runs in the order of the updates, without atomics, so it is the same in every run: in blocks, and
// with SPLIT in parts of CHUNK updates, of which `split_sum.wgsl` adds the results.
//
// SORTED: the indices do not vary along `inner`; their stable sorting permutation is in scratch, and a
// binary search finds the updates of an output. Otherwise each output looks at every update.
//
// Grid: one thread per output element (with SPLIT: of each part), folded by GRID_X.
// Limits: indices out of range match no output.
//
// Spliced: constants (COUNT, SIZE: the output's axis, UPDATES: theirs, INNER; with SORTED: PADDED, the
// length of a sorted row; with SPLIT: OUTPUTS, CHUNK; alias Value); bindings; reads (read_index and read_update at an element of
// the updates' shape; with SORTED: read_key and read_order); epilogue
// or write_partial.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/long_sum.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

#ifdef SORTED
// `index` is an output element; only updates (in their sorted order) from `first` to `end` count.
fn accumulate(index: u32, first: u32, end: u32) -> Value {
    let inner = index % INNER;
    let place = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
    let row = outer * PADDED;
    // Keys are i32 with the sign bit flipped, so that they sort as u32.
    let key = place ^ 0x80000000u;
    var low = first;
    var high = end;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (read_key(row + middle) < key) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    var sum = LongSum();
    for (var at = low; at < end && read_key(row + at) == key; at++) {
        gl_add_term(&sum, read_update((outer * UPDATES + read_order(row + at)) * INNER + inner));
    }
    return gl_total(&sum);
}
#else
// `index` is an output element; only updates (in their sorted order) from `first` to `end` count.
fn accumulate(index: u32, first: u32, end: u32) -> Value {
    let inner = index % INNER;
    let place = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
    var sum = LongSum();
    for (var update = first; update < end; update++) {
        let element = (outer * UPDATES + update) * INNER + inner;
        if (bitcast<u32>(read_index(element)) == place) {
            gl_add_term(&sum, read_update(element));
        }
    }
    return gl_total(&sum);
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
#ifdef SPLIT
    let first = index / OUTPUTS * CHUNK;
    write_partial(index, accumulate(index % OUTPUTS, first, min(first + CHUNK, UPDATES)));
#else
    epilogue(index, accumulate(index, 0u, UPDATES));
#endif
}
