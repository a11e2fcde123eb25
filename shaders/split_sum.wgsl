// Split sum: the second stage of products whose inner axis was split.
//
//   acc[i] = sum over s of partial[s, i]    in the order of s
//
// Grid: one thread per element of the product, with QUADS per four neighbours of it; folded by GRID_X.
//
// Spliced: constants (COUNT: threads, ELEMENTS: of the product, SPLITS); bindings; reads (read_partial);
// finish (place: where element i of the product lies in the output, and epilogue; with QUADS
// epilogue_quad).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/convolution.wgsl"

//@constants
//@bindings
//@reads
//@finish

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = gl_group(workgroup) * WORKGROUP + thread;
    if (item >= COUNT) {
        return;
    }
#ifdef QUADS
    let index = item * 4u;
    var sum = vec4<f32>();
    for (var split = 0u; split < SPLITS; split++) {
        let first = split * ELEMENTS + index;
        sum += vec4<f32>(
            read_partial(first), read_partial(first + 1u),
            read_partial(first + 2u), read_partial(first + 3u),
        );
    }
    epilogue_quad(index, sum.x, sum.y, sum.z, sum.w);
#else
    var sum = 0.0f;
    for (var split = 0u; split < SPLITS; split++) {
        sum += read_partial(split * ELEMENTS + item);
    }
    epilogue(place(item), sum);
#endif
}
