// Keys: the keys of random numbers at a step of a loop, which fold its number in.
//
//   arena[list[i].w] = fold(key of arena[list[i].x] and arena[list[i].y], step)[list[i].z]
//
// Grid: one thread per word, folded by GRID_X.
//
// Spliced: constants (COUNT: words); bindings (turn, list, arena).

#import "shared/random.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let word = gl_group(workgroup) * WORKGROUP + thread;
    if (word >= COUNT) {
        return;
    }
    let entry = list[word];
    // Counters with a second word of one are those of keys.
    let folded = gl_threefry(vec2<u32>(arena[entry.x], arena[entry.y]), vec2<u32>(turn.x, 1u));
    arena[entry.w] = select(folded.x, folded.y, entry.z == 1u);
}
