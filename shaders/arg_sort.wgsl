// Arg-sort: the stable permutation that sorts along an axis, by a bitonic network on pairs of a key and
// a place; equal keys are told apart by their places, which makes the order stable.
//
//   in[outer, out[outer, 0, inner], inner] <= in[outer, out[outer, 1, inner], inner] <= ..
//
// A row is one (outer, inner), padded to PADDED, a power of two, with keys that sort last.
// SORT: sorts blocks of BLOCK, CAPACITY at most, in workgroup memory, from the input.
// STEP: one exchange at distance J of merges of length K, in scratch memory.
// MERGE: the exchanges of merges of length K at distances below BLOCK, in workgroup memory.
// WHOLE: the row is one block; the result goes to the epilogue. Otherwise FINISH copies it there.
// Grid: SORT and MERGE a workgroup per block, STEP a thread per pair, FINISH a thread per element;
// GROUPS workgroups folded by GRID_X.
//
// Spliced: constants; bindings; reads (sort_key(element), and of scratch get_key, get_place, set_key,
// set_place); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

fn element(row: u32, place: u32) -> u32 {
    return (row / INNER * LENGTH + place) * INNER + row % INNER;
}

#ifdef IN_WORKGROUP
var<workgroup> keys: array<u32, CAPACITY>;
var<workgroup> places: array<u32, CAPACITY>;

// Orders the pair at `low` and `low + distance`.
fn exchange(low: u32, distance: u32, ascending: bool) {
    let high = low + distance;
    let low_key = keys[low];
    let high_key = keys[high];
    let low_place = places[low];
    let high_place = places[high];
    let swapped = high_key < low_key || (high_key == low_key && high_place < low_place);
    if (swapped == ascending) {
        keys[low] = high_key;
        keys[high] = low_key;
        places[low] = high_place;
        places[high] = low_place;
    }
}

fn merge(thread: u32, block_start: u32, length: u32, distance_max: u32) {
    for (var distance = distance_max; distance > 0u; distance /= 2u) {
        for (var pair = thread; pair < BLOCK / 2u; pair += WORKGROUP) {
            let low = 2u * pair - (pair & (distance - 1u));
            exchange(low, distance, ((block_start + low) & length) == 0u);
        }
        workgroupBarrier();
    }
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
#ifdef IN_WORKGROUP
    if (group >= GROUPS) {
        return;
    }
    let row = group / (PADDED / BLOCK);
    let block_start = group % (PADDED / BLOCK) * BLOCK;
    for (var i = thread; i < BLOCK; i += WORKGROUP) {
        let place = block_start + i;
#ifdef SORT
        var key = 0xffffffffu;
        if (place < LENGTH) {
            key = sort_key(element(row, place));
        }
        keys[i] = key;
        places[i] = place;
#else
        keys[i] = get_key(row * PADDED + place);
        places[i] = get_place(row * PADDED + place);
#endif
    }
    workgroupBarrier();
#ifdef SORT
    for (var length = 2u; length <= BLOCK; length *= 2u) {
        merge(thread, block_start, length, length / 2u);
    }
#else
    merge(thread, block_start, K, BLOCK / 2u);
#endif
    for (var i = thread; i < BLOCK; i += WORKGROUP) {
        let place = block_start + i;
#ifdef WHOLE
        if (place < LENGTH) {
            epilogue(element(row, place), i32(places[i]));
        }
#else
        set_key(row * PADDED + place, keys[i]);
        set_place(row * PADDED + place, places[i]);
#endif
    }
#endif
#ifdef STEP
    let pair = group * WORKGROUP + thread;
    if (pair >= ROWS * (PADDED / 2u)) {
        return;
    }
    let in_row = pair % (PADDED / 2u);
    let start = pair / (PADDED / 2u) * PADDED;
    let low = 2u * in_row - (in_row & (J - 1u));
    let low_key = get_key(start + low);
    let high_key = get_key(start + low + J);
    let low_place = get_place(start + low);
    let high_place = get_place(start + low + J);
    let swapped = high_key < low_key || (high_key == low_key && high_place < low_place);
    if (swapped == ((low & K) == 0u)) {
        set_key(start + low, high_key);
        set_key(start + low + J, low_key);
        set_place(start + low, high_place);
        set_place(start + low + J, low_place);
    }
#endif
#ifdef FINISH
    let index = group * WORKGROUP + thread;
    if (index >= ROWS * LENGTH) {
        return;
    }
    let row = index / (INNER * LENGTH) * INNER + index % INNER;
    let place = index / INNER % LENGTH;
    epilogue(index, i32(get_place(row * PADDED + place)));
#endif
}
