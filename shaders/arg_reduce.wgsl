// Arg-reduce: the index of the first extreme along an axis; NaN is the most extreme value.
//
//   out[outer, inner] = first k that maximises (minimises) in[outer, k, inner]
//
// Grid: a workgroup holds ROWS_PER_GROUP outputs and THREADS threads for each, which take every
// THREADS-th element, PLACES in a turn; GROUPS workgroups are folded by GRID_X.
//
// Spliced: constants (COUNT, LENGTH, INNER; alias Value: the input's type); bindings; reads (read0,
// better: strictly more extreme); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

const NONE: u32 = 0xffffffffu;
var<workgroup> values: array<Value, WORKGROUP>;
var<workgroup> places: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
    if (group >= GROUPS) {
        return;
    }
    let lane = thread % THREADS;
    let unclamped = group * ROWS_PER_GROUP + thread / THREADS;
    let index = min(unclamped, COUNT - 1u);
    let first = index / INNER * LENGTH * INNER + index % INNER;
    var best = NONE;
    var best_value = Value(0);
    for (var start = lane; start < LENGTH; start += THREADS * PLACES) {
#unroll i PLACES
        let place$i = start + $iu * THREADS;
        if (place$i < LENGTH) {
            let value = read0(first + place$i * INNER);
            if (best == NONE || better(value, best_value)) {
                best = place$i;
                best_value = value;
            }
        }
#end
    }
    values[thread] = best_value;
    places[thread] = best;
    workgroupBarrier();
    for (var reach = THREADS / 2u; reach > 0u; reach /= 2u) {
        if (lane < reach) {
            let other = places[thread + reach];
            let other_value = values[thread + reach];
            let wins = better(other_value, best_value)
                || (other < best && !better(best_value, other_value));
            if (other != NONE && (best == NONE || wins)) {
                best = other;
                best_value = other_value;
            }
            values[thread] = best_value;
            places[thread] = best;
        }
        workgroupBarrier();
    }
    if (lane == 0u && unclamped < COUNT) {
        epilogue(index, i32(select(best, 0u, best == NONE)));
    }
}
