// Row: an elementwise program with reductions over the trailing axes of a space (softmax, norms, sums,
// maxima).
//
//   acc_r[row] = reduce_r over columns of program_r(row, column)    pass by pass
//   out_j[row] or out_j[row, column] = program_j(acc, row, column)
//
// Grid: a workgroup holds ROWS_PER_GROUP rows and THREADS threads for each; thread `lane` of a row
// takes columns lane, lane + THREADS, ... Neighbouring threads are neighbouring columns, or with
// ROW_FASTEST neighbouring rows, whichever is contiguous in memory. GROUPS workgroups are folded by
// GRID_X; with CHUNKS > 1 the columns are split, CHUNK each, and the results are partial.
// Order: each thread adds its columns in ascending order, many in blocks, then a binary tree combines the
// threads: the same order in every run.
// Limits: ROWS * COLUMNS < 2^32; WORKGROUP = ROWS_PER_GROUP * THREADS, a power of two.
//
// Spliced: constants; bindings; combine (one tree per reduction and type); program (statements on
// `row`, `alive`, `lane`, `first_column`, `end_column`).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@combine

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
    if (group >= GROUPS) {
        return;
    }
    let block = group / CHUNKS;
    let chunk = group % CHUNKS;
#ifdef ROW_FASTEST
    let slot = thread % ROWS_PER_GROUP;
    let lane = thread / ROWS_PER_GROUP;
#else
    let slot = thread / THREADS;
    let lane = thread % THREADS;
#endif
    let unclamped_row = block * ROWS_PER_GROUP + slot;
    // Threads beyond the last row repeat it, so that all reach the barriers, and store nothing.
    let alive = unclamped_row < ROWS;
    let row = min(unclamped_row, ROWS - 1u);
    let first_column = chunk * CHUNK;
    let end_column = min(first_column + CHUNK, COLUMNS);
//@program
}
