// Concat: tensors one after another along one axis.
//
//   out[outer, start_p + j, inner] = part_p[outer, j, inner]
//
// Grid: one thread per output element, with QUADS per four of them, folded by GRID_X.
//
// Spliced: constants (COUNT, SIZE: the output's axis, INNER; alias Value); bindings; reads (read0 ..);
// parts (a statement per part on outer, place, inner); epilogue (with QUADS epilogue_quad).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

fn accumulate(index: u32) -> Value {
    let inner = index % INNER;
    let place = index / INNER % SIZE;
    let outer = index / (INNER * SIZE);
//@parts
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
#ifdef QUADS
    let index = (gl_group(workgroup) * WORKGROUP + thread) * 4u;
    if (index >= COUNT) {
        return;
    }
    let last = COUNT - 1u;
    epilogue_quad(
        index,
        accumulate(index),
        accumulate(min(index + 1u, last)),
        accumulate(min(index + 2u, last)),
        accumulate(min(index + 3u, last)),
    );
#else
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
    epilogue(index, accumulate(index));
#endif
}
