// Concat: tensors one after another along one axis.
//
//   out[outer, start_p + j, inner] = part_p[outer, j, inner]
//
// Grid: one thread per output element, folded by GRID_X.
//
// Spliced: constants (COUNT, SIZE: the output's axis, INNER; alias Value); bindings; reads (read0 ..);
// parts (a statement per part on outer, place, inner); epilogue.

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
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
    epilogue(index, accumulate(index));
}
