// Call: an op from outside of this project, on its own WGSL.
//
// Grid: ELEMENTS one thread per index below COUNT; WORKGROUPS one workgroup per index below COUNT; FINISH
// one thread per element of the result. WORKGROUP threads per workgroup, folded by GRID_X.
// Limits: COUNT < 2^32. With text from outside the module is compiled with checks of every access.
//
// FINISH: what was written as words goes through the epilogue into the memory of the result.
//
// Spliced: constants; bindings (storage buffers); access (`readN`, `writeN`; with FINISH `get`); source
// (`element` or `group`); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
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
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
#ifdef FINISH
    epilogue(index, get(index));
#else
    element(index);
#endif
#endif
}
