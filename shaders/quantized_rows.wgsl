// Quantized rows: rows of a matrix in interleaved blocks, picked by indices.
//
//   acc[pick, column] = matrix[index[pick], column]
//
// Grid: one thread per 16 numbers of a pick, folded by GRID_X.
// Limits: indices are clamped to the rows for memory safety; checks are made where they are computed.
//
// Spliced: constants (COUNT: threads, ROWS: of the matrix, COLUMNS, SIXTEENS: of a row); bindings;
// reads (read_word, sixteen_0: 16 numbers of a row of a group; read_index); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/blocks.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = gl_group(workgroup) * WORKGROUP + thread;
    if (item >= COUNT) {
        return;
    }
    let pick = item / SIXTEENS;
    let index = item % SIXTEENS;
    let row = u32(clamp(read_index(pick), 0i, i32(ROWS) - 1i));
    let sixteen = sixteen_0(row / 16u, row % 16u, index);
    let first = pick * COLUMNS + index * 16u;
#unroll q 4
    let numbers$q = gl_numbers(sixteen, sixteen.words[$q]);
    epilogue(first + 4u * $qu, numbers$q.x);
    epilogue(first + 4u * $qu + 1u, numbers$q.y);
    epilogue(first + 4u * $qu + 2u, numbers$q.z);
    epilogue(first + 4u * $qu + 3u, numbers$q.w);
#end
}
