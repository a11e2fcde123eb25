// Pack: what a kernel has left as a word for each element, packed.
//
//   out[i] = narrow(in[i])
//
// Kernels whose threads own single elements cannot store parts of words that others write too.
//
// Grid: one thread per word of the output, folded by GRID_X.
//
// Spliced: constants (COUNT: words); bindings; pack (a statement that stores word `word`).

#import "shared/math.wgsl"
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
//@pack
}
