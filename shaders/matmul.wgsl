// Matmul: a tiled product; also convolution and its transposes, whose operands are matrices that exist
// only as index arithmetic (implicit GEMM).
//
//   acc[batch, m, n] = sum over k of lhs[batch, m, k] * rhs[batch, k, n]
//
// Grid: a workgroup per TILE_M x TILE_N tile of one batch (and, with SPLIT, of one part of k); tiles
// along n follow one another; GROUPS workgroups folded by GRID_X.
// A step copies TILE_K columns of lhs and rows of rhs to workgroup memory, as vec4 along m and n; then
// each thread adds products of VECTORS_M x VECTORS_N blocks of 4 x 4. Rows of workgroup memory are one
// vec4 longer than the tile, which spreads them over the banks.
// LHS_K_FASTEST, RHS_K_FASTEST: neighbouring threads read neighbours along k, which is contiguous.
// LHS_VECTOR, RHS_VECTOR: four neighbours along m (n) are one vec4 in memory.
// QUADS: N is a multiple of four, and the output has the product's order: four neighbours are stored at
// once.
// Limits: index arithmetic in 32 bits; workgroup memory of TILE_K * (TILE_M + TILE_N + 8) * 4 bytes.
// Order: k ascending within a part; parts are added in ascending order by `split_sum.wgsl`. With TOTALS a
// part is long and its sums are moved to totals every BLOCK_K.
//
// Spliced: constants; bindings; operands (lhs_at, rhs_at, or lhs_vector, rhs_vector); finish
// (epilogue_quad, or place and epilogue, or write_partial).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/convolution.wgsl"

//@constants
//@bindings
//@operands
//@finish

const LHS_ROW: u32 = TILE_M / 4u + 1u;
const RHS_ROW: u32 = TILE_N / 4u + 1u;
const THREADS_M: u32 = TILE_M / (4u * VECTORS_M);
const THREADS_N: u32 = TILE_N / (4u * VECTORS_N);

var<workgroup> lhs_tile: array<vec4<f32>, TILE_K * LHS_ROW>;
var<workgroup> rhs_tile: array<vec4<f32>, TILE_K * RHS_ROW>;

fn lhs_quad(batch: u32, m: u32, k: u32) -> vec4<f32> {
    var quad = vec4<f32>();
#ifdef LHS_VECTOR
    if (k < K && m < M) {
        quad = lhs_vector(batch, m, k);
    }
#else
    if (k < K) {
        if (m < M) { quad.x = lhs_at(batch, m, k); }
        if (m + 1u < M) { quad.y = lhs_at(batch, m + 1u, k); }
        if (m + 2u < M) { quad.z = lhs_at(batch, m + 2u, k); }
        if (m + 3u < M) { quad.w = lhs_at(batch, m + 3u, k); }
    }
#endif
    return quad;
}

fn rhs_quad(batch: u32, k: u32, n: u32) -> vec4<f32> {
    var quad = vec4<f32>();
#ifdef RHS_VECTOR
    if (k < K && n < N) {
        quad = rhs_vector(batch, k, n);
    }
#else
    if (k < K) {
        if (n < N) { quad.x = rhs_at(batch, k, n); }
        if (n + 1u < N) { quad.y = rhs_at(batch, k, n + 1u); }
        if (n + 2u < N) { quad.z = rhs_at(batch, k, n + 2u); }
        if (n + 3u < N) { quad.w = rhs_at(batch, k, n + 3u); }
    }
#endif
    return quad;
}

#ifdef QUADS
fn finish_quad(split: u32, batch: u32, m: u32, n: u32, values: vec4<f32>) {
    if (m < M && n < N) {
        epilogue_quad((batch * M + m) * N + n, values.x, values.y, values.z, values.w);
    }
}
#else
fn finish_one(split: u32, batch: u32, m: u32, n: u32, value: f32) {
    if (n < N) {
        let index = (batch * M + m) * N + n;
#ifdef SPLIT
        write_partial(split * (BATCHES * M * N) + index, value);
#else
        epilogue(place(index), value);
#endif
    }
}

fn finish_quad(split: u32, batch: u32, m: u32, n: u32, values: vec4<f32>) {
    if (m < M) {
        finish_one(split, batch, m, n, values.x);
        finish_one(split, batch, m, n + 1u, values.y);
        finish_one(split, batch, m, n + 2u, values.z);
        finish_one(split, batch, m, n + 3u, values.w);
    }
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
    if (group >= GROUPS) {
        return;
    }
    let tile_n = group % TILES_N * TILE_N;
    let tile_m = group / TILES_N % TILES_M * TILE_M;
    let batch = group / (TILES_N * TILES_M) % BATCHES;
    let split = group / (TILES_N * TILES_M * BATCHES);
    let first_k = split * CHUNK;
    let end_k = min(first_k + CHUNK, K);
    let thread_n = thread % THREADS_N;
    let thread_m = thread / THREADS_N;

#unroll i VECTORS_M
#unroll j VECTORS_N
    var acc$ix$j = vec4<f32>();
    var acc$iy$j = vec4<f32>();
    var acc$iz$j = vec4<f32>();
    var acc$iw$j = vec4<f32>();
#ifdef TOTALS
    var total$ix$j = vec4<f32>();
    var total$iy$j = vec4<f32>();
    var total$iz$j = vec4<f32>();
    var total$iw$j = vec4<f32>();
#endif
#end
#end

    for (var start = first_k; start < end_k; start += TILE_K) {
        for (var quad = thread; quad < TILE_K * TILE_M / 4u; quad += WORKGROUP) {
#ifdef LHS_K_FASTEST
            let k = quad % TILE_K;
            let m = quad / TILE_K;
#else
            let k = quad / (TILE_M / 4u);
            let m = quad % (TILE_M / 4u);
#endif
            lhs_tile[k * LHS_ROW + m] = lhs_quad(batch, tile_m + m * 4u, start + k);
        }
        for (var quad = thread; quad < TILE_K * TILE_N / 4u; quad += WORKGROUP) {
#ifdef RHS_K_FASTEST
            let k = quad % TILE_K;
            let n = quad / TILE_K;
#else
            let k = quad / (TILE_N / 4u);
            let n = quad % (TILE_N / 4u);
#endif
            rhs_tile[k * RHS_ROW + n] = rhs_quad(batch, start + k, tile_n + n * 4u);
        }
        workgroupBarrier();
        for (var k = 0u; k < TILE_K; k++) {
#unroll i VECTORS_M
            let a$i = lhs_tile[k * LHS_ROW + thread_m + $iu * THREADS_M];
#end
#unroll j VECTORS_N
            let b$j = rhs_tile[k * RHS_ROW + thread_n + $ju * THREADS_N];
#end
#unroll i VECTORS_M
#unroll j VECTORS_N
            acc$ix$j = fma(vec4<f32>(a$i.x), b$j, acc$ix$j);
            acc$iy$j = fma(vec4<f32>(a$i.y), b$j, acc$iy$j);
            acc$iz$j = fma(vec4<f32>(a$i.z), b$j, acc$iz$j);
            acc$iw$j = fma(vec4<f32>(a$i.w), b$j, acc$iw$j);
#end
#end
        }
        workgroupBarrier();
#ifdef TOTALS
        if ((start - first_k) % BLOCK_K == BLOCK_K - TILE_K) {
#unroll i VECTORS_M
#unroll j VECTORS_N
            total$ix$j += acc$ix$j;
            total$iy$j += acc$iy$j;
            total$iz$j += acc$iz$j;
            total$iw$j += acc$iw$j;
            acc$ix$j = vec4<f32>();
            acc$iy$j = vec4<f32>();
            acc$iz$j = vec4<f32>();
            acc$iw$j = vec4<f32>();
#end
#end
        }
#endif
    }
#ifdef TOTALS
#unroll i VECTORS_M
#unroll j VECTORS_N
    acc$ix$j += total$ix$j;
    acc$iy$j += total$iy$j;
    acc$iz$j += total$iz$j;
    acc$iw$j += total$iw$j;
#end
#end
#endif

#unroll i VECTORS_M
    let m$i = tile_m + (thread_m + $iu * THREADS_M) * 4u;
#unroll j VECTORS_N
    let n$i_$j = tile_n + (thread_n + $ju * THREADS_N) * 4u;
    finish_quad(split, batch, m$i, n$i_$j, acc$ix$j);
    finish_quad(split, batch, m$i + 1u, n$i_$j, acc$iy$j);
    finish_quad(split, batch, m$i + 2u, n$i_$j, acc$iz$j);
    finish_quad(split, batch, m$i + 3u, n$i_$j, acc$iw$j);
#end
#end
}
