// Dequantize: the numbers of a matrix in interleaved blocks.
//
//   acc[row, column] = scale * byte + shift    of the number's block
//
// Grid: one thread per 16 numbers of a row, folded by GRID_X; 16 neighbouring threads are the rows of a
// group, whose words are neighbours.
//
// Spliced: constants (COUNT: threads, ROWS, COLUMNS, SIXTEENS: of a row); bindings; reads (read_word,
// sixteen_0: 16 numbers of a row of a group); epilogue.

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
    let lane = item % 16u;
    let index = item / 16u % SIXTEENS;
    let group = item / 16u / SIXTEENS;
    let row = group * 16u + lane;
    if (item >= COUNT || row >= ROWS) {
        return;
    }
    let sixteen = sixteen_0(group, lane, index);
    let first = row * COLUMNS + index * 16u;
#unroll q 4
    let numbers$q = gl_numbers(sixteen, sixteen.words[$q]);
    epilogue(first + 4u * $qu, numbers$q.x);
    epilogue(first + 4u * $qu + 1u, numbers$q.y);
    epilogue(first + 4u * $qu + 2u, numbers$q.z);
    epilogue(first + 4u * $qu + 3u, numbers$q.w);
#end
}
