// Gather: elements picked along one axis.
//
//   out[outer, j, inner] = data[outer, index[outer, j, inner], inner]
//
// Grid: one thread per output element, folded by GRID_X.
// Limits: indices are clamped to the axis for memory safety; checks are made where they are computed.
//
// Spliced: constants (COUNT, PICKS: size of the axis in the output, SIZE: in the data, INNER; alias
// Value); bindings; reads (read0: data, read_index: index through its view); epilogue.

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
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
    epilogue(index, accumulate(index));
}
