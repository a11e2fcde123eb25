// Scan: running sum along an axis.
//
//   out[outer, k, inner] = sum of in[outer, j, inner] over j <= k    (j >= k with REVERSE)
//
// A line is one (outer, inner). Without LINE_PER_GROUP a thread walks a line. With it a workgroup walks
// a chunk of CHUNK elements, WORKGROUP at a time: a scan in workgroup memory, plus what the blocks before
// summed to. A line of several chunks takes two dispatches: with PARTIAL a chunk is only summed, to
// partial [line, chunk]; with CHUNKED it starts from the sum of the partials before its own. Some drivers
// end an invocation's loops after 65,535 turns, which a workgroup would need for 1.7 million elements.
// Grid: LINES threads, or GROUPS = LINES * CHUNKS workgroups, folded by GRID_X.
//
// Spliced: constants (LENGTH, INNER, LINES, CHUNK, CHUNKS; alias Value); bindings; reads (read0, and
// write_partial or read_partial); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/long_sum.wgsl"

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

// The sum of all threads' values, in a tree.
fn total_of_group(value: Value, thread: u32) -> Value {
    memory[thread] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if (thread < half) {
            memory[thread] = memory[thread] + memory[thread + half];
        }
        workgroupBarrier();
    }
    let total = memory[0];
    workgroupBarrier();
    return total;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
    let line = group / CHUNKS;
    if (line >= LINES) {
        return;
    }
    let chunk = group % CHUNKS;
    let first = chunk * CHUNK;
    let end = min(first + CHUNK, LENGTH);
#ifdef PARTIAL
    var sum = LongSum();
    for (var step = first + thread; step < end; step += WORKGROUP) {
        gl_add_term(&sum, read0(element(line, step)));
    }
    let total = total_of_group(gl_total(&sum), thread);
    if (thread == 0u) {
        write_partial(group, total);
    }
#else
    var before = Value(0);
#ifdef CHUNKED
    var sum = Value(0);
    for (var other = thread; other < chunk; other += WORKGROUP) {
        sum += read_partial(line * CHUNKS + other);
    }
    before = total_of_group(sum, thread);
#endif
    // What the last few blocks summed to is added to what was before them only then.
    var recent = Value(0);
    var turn = 0u;
    for (var start = first; start < end; start += WORKGROUP) {
        let step = start + thread;
        let inside = step < end;
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
            epilogue(element(line, step), before + (recent + value));
        }
        recent = recent + memory[WORKGROUP - 1u];
        turn += 1u;
        if ((turn & 31u) == 0u) {
            before = before + recent;
            recent = Value(0);
        }
        workgroupBarrier();
    }
#endif
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
    var before = Value(0);
    var sum = Value(0);
    for (var step = 0u; step < LENGTH; step++) {
        let at = element(line, step);
        sum += read0(at);
        epilogue(at, before + sum);
        if ((step & 127u) == 127u) {
            before += sum;
            sum = Value(0);
        }
    }
}
#endif
