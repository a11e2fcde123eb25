// Quantized matmul of few rows: each number of the matrices is read once and used for all rows.
//
//   acc[m, n] = sum over k of lhs[m, k] * matrix[n, k]
//
// The matrices, PARTS of them, follow one another along n; each has a format of its own and its rows
// in groups of 16.
//
// Grid: a workgroup per group of 16 matrix rows and M rows of lhs, folded by GRID_X; 16 neighbouring
// threads are the group's rows, whose words are neighbours, and SPLITS sets of them share the inner
// axis: set s takes units s, s + SPLITS, .. of it.
// Order: each thread adds its units in ascending order, then the sets are added in ascending order.
// Limits: M * WORKGROUP * 4 bytes of workgroup memory.
//
// Spliced: constants (ROWS: of lhs, M: of them in a workgroup, N, SPLITS, PARTS, GROUPS: of 16 rows; for
// each part FIRST_GROUP, PART_GROUPS, FIRST_COLUMN, PART_ROWS, and UNITS of SIXTEENS times 16 numbers);
// bindings; reads (lhs_quad, read_word, sixteen_0 ..); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/blocks.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

var<workgroup> partial: array<f32, M * WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = gl_group(workgroup);
    let group = block % GROUPS;
    let first_row = block / GROUPS * M;
    if (first_row >= ROWS) {
        return;
    }
    let lane = thread % 16u;
    let split = thread / 16u;
#unroll m M
    var sum$m = 0.0f;
#end
    var column = N;
#unroll p PARTS
    if (group >= FIRST_GROUP_$p && group < FIRST_GROUP_$p + PART_GROUPS_$p) {
        let own = group - FIRST_GROUP_$p;
        let row = own * 16u + lane;
        column = select(N, FIRST_COLUMN_$p + row, row < PART_ROWS_$p);
        for (var unit = split; unit < UNITS_$p; unit += SPLITS) {
            for (var place = 0u; place < SIXTEENS_$p; place++) {
                let index = unit * SIXTEENS_$p + place;
                let sixteen = sixteen_$p(own, lane, index);
#unroll q 4
                let numbers$q = gl_numbers(sixteen, sixteen.words[$q]);
#unroll m M
                sum$m += dot(numbers$q, lhs_quad(min(first_row + $mu, ROWS - 1u), index * 4u + $qu));
#end
#end
            }
        }
    }
#end
#unroll m M
    partial[$mu * WORKGROUP + thread] = sum$m;
#end
    workgroupBarrier();
    // Set s finishes rows s, s + SPLITS, ..
    for (var m = split; m < M; m += SPLITS) {
        var sum = 0.0f;
        for (var s = 0u; s < SPLITS; s++) {
            sum += partial[m * WORKGROUP + s * 16u + lane];
        }
        if (column < N && first_row + m < ROWS) {
            epilogue((first_row + m) * N + column, sum);
        }
    }
}
