// Gather: elements picked along one axis.
//
//   out[outer, j, inner] = data[outer, index[outer, j, inner], inner]
//
// Grid: one thread per output element, with QUADS per four of them, folded by GRID_X.
// Limits: indices are clamped to the axis for memory safety; checks are made where they are computed.
//
// Spliced: constants (COUNT, PICKS: size of the axis in the output, SIZE: in the data, INNER; alias
// Value); bindings; reads (read0: data, read_index: index through its view); epilogue (with QUADS
// epilogue_quad).

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
    let outer = index / (INNER * PICKS);
    let pick = u32(clamp(read_index(index), 0i, i32(SIZE) - 1i));
    return read0((outer * SIZE + pick) * INNER + inner);
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
