// Matmul of bytes: a tiled product of signed bytes, summed in 32 bits, which wrap.
//
//   acc[batch, m, n] = sum over k of lhs[batch, m, k] * rhs[batch, k, n]
//
// Grid: a workgroup per TILE x TILE tile of one batch; tiles along n follow one another; GROUPS workgroups
// folded by GRID_X.
// A step copies TILE_K words of four neighbours along k, of TILE rows of lhs and columns of rhs, to
// workgroup memory, four rows or columns as a vec4; then each thread adds products of words for 4 x 4
// results. Rows of workgroup memory are one vec4 longer than the tile, which spreads them over the banks.
// LHS_ALONG, RHS_ALONG: four neighbours along k are a word in memory. LHS_ACROSS, RHS_ACROSS: four
// neighbours along m (n) are one. Otherwise elements are read one by one.
// PACKED_DOT: the language has dot4I8Packed; without it words are taken apart.
// QUADS: N is a multiple of four: four neighbours are stored at once.
// Limits: WORKGROUP = TILE / 4 * TILE_K = TILE / 4 * TILE / 4; index arithmetic in 32 bits; workgroup memory
// of TILE_K * (TILE + 4) * 8 bytes.
// Order: none, integers are exact.
//
// Spliced: constants (M, N, K, BATCHES, TILES_M, TILES_N); bindings; operands (lhs_index, rhs_index: the
// element at coordinates; lhs_word, rhs_word: a word); finish (epilogue_quad, or epilogue).

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@operands
//@finish

const ROW: u32 = TILE / 4u + 1u;

var<workgroup> lhs_tile: array<vec4<u32>, TILE_K * ROW>;
var<workgroup> rhs_tile: array<vec4<u32>, TILE_K * ROW>;

fn dot_bytes(a: u32, b: u32) -> i32 {
#ifdef PACKED_DOT
    return dot4I8Packed(a, b);
#else
    let products = gl_load_four_signed_bytes(a) * gl_load_four_signed_bytes(b);
    return products.x + products.y + products.z + products.w;
#endif
}

fn dots(a: u32, b: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(dot_bytes(a, b.x), dot_bytes(a, b.y), dot_bytes(a, b.z), dot_bytes(a, b.w));
}

// Byte `lane` of each of four words as one word.
fn column(words: vec4<u32>, lane: u32) -> u32 {
    let bytes = words >> vec4<u32>(lane * 8u);
    return gl_pack_bytes(bytes.x, bytes.y, bytes.z, bytes.w);
}

fn turned(words: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(column(words, 0u), column(words, 1u), column(words, 2u), column(words, 3u));
}

// Words of elements `k` to `k + 3` of rows `m` to `m + 3`, zero beyond the end of both.
fn lhs_words(batch: u32, m: u32, k: u32) -> vec4<u32> {
    var words = vec4<u32>();
#ifdef LHS_ALONG
    if (k < K) {
        if (m < M) { words.x = lhs_word(lhs_index(batch, m, k) / 4u); }
        if (m + 1u < M) { words.y = lhs_word(lhs_index(batch, m + 1u, k) / 4u); }
        if (m + 2u < M) { words.z = lhs_word(lhs_index(batch, m + 2u, k) / 4u); }
        if (m + 3u < M) { words.w = lhs_word(lhs_index(batch, m + 3u, k) / 4u); }
    }
    return words;
#else
#ifdef LHS_ACROSS
    if (m < M) {
        if (k < K) { words.x = lhs_word(lhs_index(batch, m, k) / 4u); }
        if (k + 1u < K) { words.y = lhs_word(lhs_index(batch, m, k + 1u) / 4u); }
        if (k + 2u < K) { words.z = lhs_word(lhs_index(batch, m, k + 2u) / 4u); }
        if (k + 3u < K) { words.w = lhs_word(lhs_index(batch, m, k + 3u) / 4u); }
    }
    return turned(words);
#else
    for (var lane = 0u; lane < 4u && k + lane < K; lane++) {
        var bytes = vec4<u32>();
        if (m < M) { bytes.x = lhs_byte(batch, m, k + lane); }
        if (m + 1u < M) { bytes.y = lhs_byte(batch, m + 1u, k + lane); }
        if (m + 2u < M) { bytes.z = lhs_byte(batch, m + 2u, k + lane); }
        if (m + 3u < M) { bytes.w = lhs_byte(batch, m + 3u, k + lane); }
        words |= bytes << vec4<u32>(lane * 8u);
    }
    return words;
#endif
#endif
}

fn lhs_byte(batch: u32, m: u32, k: u32) -> u32 {
    let index = lhs_index(batch, m, k);
    return gl_load_byte(lhs_word(index / 4u), index);
}

// The same of columns `n` to `n + 3`.
fn rhs_words(batch: u32, k: u32, n: u32) -> vec4<u32> {
    var words = vec4<u32>();
#ifdef RHS_ALONG
    if (k < K) {
        if (n < N) { words.x = rhs_word(rhs_index(batch, k, n) / 4u); }
        if (n + 1u < N) { words.y = rhs_word(rhs_index(batch, k, n + 1u) / 4u); }
        if (n + 2u < N) { words.z = rhs_word(rhs_index(batch, k, n + 2u) / 4u); }
        if (n + 3u < N) { words.w = rhs_word(rhs_index(batch, k, n + 3u) / 4u); }
    }
    return words;
#else
#ifdef RHS_ACROSS
    if (n < N) {
        if (k < K) { words.x = rhs_word(rhs_index(batch, k, n) / 4u); }
        if (k + 1u < K) { words.y = rhs_word(rhs_index(batch, k + 1u, n) / 4u); }
        if (k + 2u < K) { words.z = rhs_word(rhs_index(batch, k + 2u, n) / 4u); }
        if (k + 3u < K) { words.w = rhs_word(rhs_index(batch, k + 3u, n) / 4u); }
    }
    return turned(words);
#else
    for (var lane = 0u; lane < 4u && k + lane < K; lane++) {
        var bytes = vec4<u32>();
        if (n < N) { bytes.x = rhs_byte(batch, k + lane, n); }
        if (n + 1u < N) { bytes.y = rhs_byte(batch, k + lane, n + 1u); }
        if (n + 2u < N) { bytes.z = rhs_byte(batch, k + lane, n + 2u); }
        if (n + 3u < N) { bytes.w = rhs_byte(batch, k + lane, n + 3u); }
        words |= bytes << vec4<u32>(lane * 8u);
    }
    return words;
#endif
#endif
}

fn rhs_byte(batch: u32, k: u32, n: u32) -> u32 {
    let index = rhs_index(batch, k, n);
    return gl_load_byte(rhs_word(index / 4u), index);
}

fn finish_quad(batch: u32, m: u32, n: u32, values: vec4<i32>) {
    if (m >= M) {
        return;
    }
    let index = (batch * M + m) * N + n;
#ifdef QUADS
    if (n < N) {
        epilogue_quad(index, values.x, values.y, values.z, values.w);
    }
#else
    if (n < N) { epilogue(index, values.x); }
    if (n + 1u < N) { epilogue(index + 1u, values.y); }
    if (n + 2u < N) { epilogue(index + 2u, values.z); }
    if (n + 3u < N) { epilogue(index + 3u, values.w); }
#endif
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
    let tile_n = group % TILES_N * TILE;
    let tile_m = group / TILES_N % TILES_M * TILE;
    let batch = group / (TILES_N * TILES_M);
    let thread_n = thread % (TILE / 4u);
    let thread_m = thread / (TILE / 4u);

    var acc_x = vec4<i32>();
    var acc_y = vec4<i32>();
    var acc_z = vec4<i32>();
    var acc_w = vec4<i32>();
    for (var start = 0u; start < K; start += 4u * TILE_K) {
#ifdef LHS_ALONG
        let lhs_k = thread % TILE_K;
        let lhs_m = thread / TILE_K;
#else
        let lhs_k = thread / (TILE / 4u);
        let lhs_m = thread % (TILE / 4u);
#endif
        lhs_tile[lhs_k * ROW + lhs_m] = lhs_words(batch, tile_m + lhs_m * 4u, start + lhs_k * 4u);
#ifdef RHS_ALONG
        let rhs_k = thread % TILE_K;
        let rhs_n = thread / TILE_K;
#else
        let rhs_k = thread / (TILE / 4u);
        let rhs_n = thread % (TILE / 4u);
#endif
        rhs_tile[rhs_k * ROW + rhs_n] = rhs_words(batch, start + rhs_k * 4u, tile_n + rhs_n * 4u);
        workgroupBarrier();
        for (var k = 0u; k < TILE_K; k++) {
            let a = lhs_tile[k * ROW + thread_m];
            let b = rhs_tile[k * ROW + thread_n];
            acc_x += dots(a.x, b);
            acc_y += dots(a.y, b);
            acc_z += dots(a.z, b);
            acc_w += dots(a.w, b);
        }
        workgroupBarrier();
    }
    let m = tile_m + thread_m * 4u;
    let n = tile_n + thread_n * 4u;
    finish_quad(batch, m, n, acc_x);
    finish_quad(batch, m + 1u, n, acc_y);
    finish_quad(batch, m + 2u, n, acc_z);
    finish_quad(batch, m + 3u, n, acc_w);
}
