// Map: an elementwise program at every element of a space.
//
//   out_j[i] = program_j(i)    for i in 0..COUNT
//
// Grid: one thread per LANES neighbouring elements, WORKGROUP threads per workgroup, GROUPS workgroups
// folded by GRID_X.
// Limits: COUNT < 2^32; LANES is 1 or 4, and with 4 the innermost axis is a multiple of 4.
//
// Spliced: constants; bindings (storage buffers); program (statements on `index`, the first element).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = (gl_group(workgroup) * WORKGROUP + thread) * LANES;
    if (index >= COUNT) {
        return;
    }
//@program
}
