// Call: an op from outside of this project, on its own WGSL.
//
// Grid: ELEMENTS one thread per index below COUNT; WORKGROUPS one workgroup per index below COUNT; FINISH
// one thread per four elements of the result, COUNT in all. WORKGROUP threads per workgroup, folded by GRID_X.
// Limits: COUNT < 2^32. With text from outside the module is compiled with checks of every access.
//
// FINISH: what was written as words goes through the epilogue into the memory of the result, whose
// elements share words.
//
// PACKED_DOT: the language has dot4I8Packed; without it words are taken apart.
//
// Spliced: constants; bindings (storage buffers); access (`readN`, `wordN`, `writeN`; with FINISH `read_written`);
// source (`element` or `group`); epilogue (`epilogue_quad`).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings

// The sum of four products of signed bytes.
fn dot_bytes(a: u32, b: u32) -> i32 {
#ifdef PACKED_DOT
    return dot4I8Packed(a, b);
#else
    let products = gl_load_four_signed_bytes(a) * gl_load_four_signed_bytes(b);
    return products.x + products.y + products.z + products.w;
#endif
}

//@access
//@source
#ifdef FINISH
//@epilogue
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
#ifdef WORKGROUPS
    let index = gl_group(workgroup);
    if (index < COUNT) {
        group(index, thread);
    }
#else
#ifdef FINISH
    let index = (gl_group(workgroup) * WORKGROUP + thread) * 4u;
    if (index >= COUNT) {
        return;
    }
    let last = COUNT - 1u;
    epilogue_quad(
        index,
        read_written(index),
        read_written(min(index + 1u, last)),
        read_written(min(index + 2u, last)),
        read_written(min(index + 3u, last)),
    );
#else
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index < COUNT) {
        element(index);
    }
#endif
#endif
}
