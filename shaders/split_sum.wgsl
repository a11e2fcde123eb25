// Split sum: the second stage of sums that were split.
//
//   acc[i] = sum over s of partial[s, i]    in the order of s, in blocks
//
// Grid: one thread per element of the product, folded by GRID_X.
//
// Spliced: constants (COUNT, SPLITS; alias Value); bindings; reads (read_partial); place (where element i of the
// product lies in the output); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/convolution.wgsl"
#import "shared/long_sum.wgsl"

//@constants
//@bindings
//@reads
//@place
//@epilogue

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
    var sum = LongSum();
    for (var split = 0u; split < SPLITS; split++) {
        gl_add_term(&sum, read_partial(split * COUNT + index));
    }
    epilogue(place(index), gl_total(&sum));
}
