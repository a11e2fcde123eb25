// Scan: running sum along an axis.
//
//   out[outer, k, inner] = sum of in[outer, j, inner] over j <= k    (j >= k with REVERSE)
//
// A line is one (outer, inner). Without LINE_PER_GROUP a thread walks a line; with it a workgroup does,
// WORKGROUP elements at a time: a scan in workgroup memory, plus what the blocks before summed to.
// Grid: LINES threads, or GROUPS = LINES workgroups, folded by GRID_X.
//
// Spliced: constants (LENGTH, INNER, LINES; alias Value); bindings; reads (read0); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

fn element(line: u32, step: u32) -> u32 {
#ifdef REVERSE
    let k = LENGTH - 1u - step;
#else
    let k = step;
#endif
    return (line / INNER * LENGTH + k) * INNER + line % INNER;
}

#ifdef LINE_PER_GROUP
var<workgroup> memory: array<Value, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let line = gl_group(workgroup);
    if (line >= LINES) {
        return;
    }
    var before = Value(0);
    for (var start = 0u; start < LENGTH; start += WORKGROUP) {
        let step = start + thread;
        let inside = step < LENGTH;
        var value = Value(0);
        if (inside) {
            value = read0(element(line, step));
        }
        memory[thread] = value;
        workgroupBarrier();
        for (var reach = 1u; reach < WORKGROUP; reach *= 2u) {
            var other = Value(0);
            if (thread >= reach) {
                other = memory[thread - reach];
            }
            workgroupBarrier();
            value = other + value;
            memory[thread] = value;
            workgroupBarrier();
        }
        if (inside) {
            epilogue(element(line, step), before + value);
        }
        before = before + memory[WORKGROUP - 1u];
        workgroupBarrier();
    }
}
#else
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let line = gl_group(workgroup) * WORKGROUP + thread;
    if (line >= LINES) {
        return;
    }
    var sum = Value(0);
    for (var step = 0u; step < LENGTH; step++) {
        let at = element(line, step);
        sum += read0(at);
        epilogue(at, sum);
    }
}
#endif
