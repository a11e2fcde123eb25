// Quantized matmul: a tiled product with the transpose of matrices in interleaved blocks.
//
//   acc[m, n] = sum over k of lhs[m, k] * matrix[n, k]
//
// The matrices, PARTS of them, follow one another along n; each has a format of its own. No tile
// reaches over the end of a matrix.
//
// Grid: a workgroup per TILE_M x TILE_N tile; tiles along m follow one another, so that neighbours read
// the same blocks; GROUPS workgroups folded by GRID_X.
// A step copies TILE_K columns of lhs to workgroup memory, and numbers of the matrix, 16 by a thread;
// both tiles hold four neighbours along k as one vec4, and rows one vec4 longer than the tile, which
// spreads them over the banks. Each thread adds products of EACH_M x EACH_N rows that lie THREADS_M and
// THREADS_N apart.
// Order: k ascending.
// Limits: workgroup memory of (TILE_M + TILE_N) * (TILE_K + 4) * 4 bytes.
//
// Spliced: constants (ROWS: of lhs, N, K, PARTS; for each part FIRST_TILE, PART_TILES, FIRST_COLUMN,
// PART_ROWS); bindings; reads (lhs_quad, read_word, sixteen_0 ..); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/blocks.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

const QUADS: u32 = TILE_K / 4u;
const ROW: u32 = QUADS + 1u;
const SIXTEENS: u32 = TILE_K / 16u;
const THREADS_M: u32 = TILE_M / EACH_M;
const THREADS_N: u32 = TILE_N / EACH_N;

var<workgroup> lhs_tile: array<vec4<f32>, TILE_M * ROW>;
var<workgroup> rhs_tile: array<vec4<f32>, TILE_N * ROW>;

fn sixteen(part: u32, row: u32, index: u32) -> Sixteen {
#unroll p PARTS
    if (part == $pu) {
        let own = min(row, PART_ROWS_$p - 1u);
        return sixteen_$p(own / 16u, own % 16u, index);
    }
#end
    return Sixteen();
}

fn finish(m: u32, row: u32, rows: u32, first_column: u32, value: f32) {
    if (m < ROWS && row < rows) {
        epilogue(m * N + first_column + row, value);
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
    if (group >= GROUPS) {
        return;
    }
    let tile_m = group % TILES_M * TILE_M;
    let tile = group / TILES_M;
    var part = 0u;
    var rows = 0u;
    var first_column = 0u;
    var tile_n = 0u;
#unroll p PARTS
    if (tile >= FIRST_TILE_$p && tile < FIRST_TILE_$p + PART_TILES_$p) {
        part = $pu;
        rows = PART_ROWS_$p;
        first_column = FIRST_COLUMN_$p;
        tile_n = (tile - FIRST_TILE_$p) * TILE_N;
    }
#end
    let thread_n = thread % THREADS_N;
    let thread_m = thread / THREADS_N;

#unroll i EACH_M
#unroll j EACH_N
    var acc$i_$j = 0.0f;
#end
#end

    for (var start = 0u; start < K; start += TILE_K) {
        for (var item = thread; item < TILE_M * QUADS; item += WORKGROUP) {
            let m = item / QUADS;
            let quad = item % QUADS;
            lhs_tile[m * ROW + quad] = lhs_quad(min(tile_m + m, ROWS - 1u), start / 4u + quad);
        }
        for (var item = thread; item < TILE_N * SIXTEENS; item += WORKGROUP) {
            let n = item % TILE_N;
            let index = item / TILE_N;
            let own = sixteen(part, tile_n + n, start / 16u + index);
            let first = n * ROW + index * 4u;
            rhs_tile[first] = gl_numbers(own, own.words.x);
            rhs_tile[first + 1u] = gl_numbers(own, own.words.y);
            rhs_tile[first + 2u] = gl_numbers(own, own.words.z);
            rhs_tile[first + 3u] = gl_numbers(own, own.words.w);
        }
        workgroupBarrier();
        for (var quad = 0u; quad < QUADS; quad++) {
#unroll i EACH_M
            let a$i = lhs_tile[(thread_m + $iu * THREADS_M) * ROW + quad];
#end
#unroll j EACH_N
            let b$j = rhs_tile[(thread_n + $ju * THREADS_N) * ROW + quad];
#end
#unroll i EACH_M
#unroll j EACH_N
            acc$i_$j += dot(a$i, b$j);
#end
#end
        }
        workgroupBarrier();
    }

#unroll i EACH_M
#unroll j EACH_N
    finish(
        tile_m + thread_m + $iu * THREADS_M,
        tile_n + thread_n + $ju * THREADS_N,
        rows, first_column, acc$i_$j,
    );
#end
#end
}
