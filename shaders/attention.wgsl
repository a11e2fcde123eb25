// Attention: softmax over keys and the sum of values, tile by tile of keys, so that no matrix of scores
// is stored (Dao et al., "FlashAttention", 2022).
//
//   acc[b, t, h, :] = sum over s of softmax_s(scale * query[b, h, t] . key[b, h / GROUP, s]) * value[s]
//
// A row is a query of one of the GROUP heads that share a key head: row `t * GROUP + h % GROUP`.
//
// Grid: a workgroup per TILE_Q rows of a batch element and key head; GROUPS workgroups folded by GRID_X.
// A step takes TILE_K keys: they are copied to workgroup memory, each thread computes EACH_Q x EACH_K
// scores, LANES threads of a row find its largest score and turn scores to weights, and each thread adds
// weighted values to OUT_Q x EACH_E results of four features. What came before is scaled down when a
// larger score appears. Keys that no row of the tile sees are not read.
// Order: keys ascending by tiles; with LONG those of a tile are added before they are added to the rest.
// Limits: D and E up to 256; workgroup memory of
// 16 * (TILE_Q * (D4 + 1) + TILE_K * (WIDTH + 1)) + 4 * (TILE_Q * (TILE_K + 4) + 2 * WORKGROUP) bytes.
// A row that sees nothing gives zeros.
//
// Spliced: constants (ROWS: of a key head, GROUP, QUERIES, HEADS, SHARED: key heads, D4 and E4: fours of
// features, FEATURES: of values, WIDTH: the larger, TILES: of rows, LANES_E); bindings; reads
// (query_quad, key_quad, value_quad, scale, first_position, seen_begin, seen_end, masked); epilogue, or
// with QUADS, where FEATURES is a multiple of four, epilogue_quad.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

const D_PITCH: u32 = D4 + 1u;
const PITCH: u32 = WIDTH + 1u;
const SCORE_PITCH: u32 = TILE_K + 1u;
const THREADS_Q: u32 = TILE_Q / EACH_Q;
const THREADS_K: u32 = TILE_K / EACH_K;
const OUT_THREADS: u32 = TILE_Q / OUT_Q;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> queries: array<vec4<f32>, TILE_Q * D_PITCH>;
// Keys, then values.
var<workgroup> tile: array<vec4<f32>, TILE_K * PITCH>;
var<workgroup> scores: array<f32, TILE_Q * SCORE_PITCH>;
var<workgroup> maxima: array<f32, WORKGROUP>;
var<workgroup> sums: array<f32, WORKGROUP>;
var<workgroup> largest: array<f32, TILE_Q>;
var<workgroup> factors: array<f32, TILE_Q>;
var<workgroup> totals: array<f32, TILE_Q>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
    if (group >= GROUPS) {
        return;
    }
    let first_row = group % TILES * TILE_Q;
    let key_head = group / TILES % SHARED;
    let batch = group / (TILES * SHARED);
    let first = first_position(batch);
    let begin = seen_begin(first, first_row / GROUP);
    let end = seen_end(first, (min(first_row + TILE_Q, ROWS) - 1u) / GROUP);

    for (var item = thread; item < TILE_Q * D4; item += WORKGROUP) {
        let row = min(first_row + item / D4, ROWS - 1u);
        let head = key_head * GROUP + row % GROUP;
        let quad = query_quad(batch, head, row / GROUP, item % D4);
        queries[item / D4 * D_PITCH + item % D4] = quad * scale();
    }
    for (var row = thread; row < TILE_Q; row += WORKGROUP) {
        largest[row] = LOWEST;
        totals[row] = 0.0;
    }
    workgroupBarrier();

    // The row whose scores this thread turns to weights, with LANES - 1 others.
    let own = thread / LANES;
    let lane = thread % LANES;
    let own_row = min(first_row + own, ROWS - 1u);
    let own_query = own_row / GROUP;
    let own_head = key_head * GROUP + own_row % GROUP;
    let own_begin = seen_begin(first, own_query);
    let own_end = seen_end(first, own_query);

    let out_row = thread / LANES_E;
    let out_lane = thread % LANES_E;
#unroll i OUT_Q
#unroll j EACH_E
    var acc$i_$j = vec4<f32>();
#end
#end

    for (var start = begin; start < end; start += TILE_K) {
        for (var item = thread; item < TILE_K * D4; item += WORKGROUP) {
            let key = min(start + item / D4, end - 1u);
            tile[item / D4 * PITCH + item % D4] = key_quad(batch, key_head, key, item % D4);
        }
        workgroupBarrier();

        if (thread < THREADS_Q * THREADS_K) {
            let row = thread / THREADS_K;
            let key = thread % THREADS_K;
#unroll i EACH_Q
#unroll j EACH_K
            var score$i_$j = 0.0f;
#end
#end
            for (var quad = 0u; quad < D4; quad++) {
#unroll i EACH_Q
                let a$i = queries[(row + $iu * THREADS_Q) * D_PITCH + quad];
#end
#unroll j EACH_K
                let b$j = tile[(key + $ju * THREADS_K) * PITCH + quad];
#end
#unroll i EACH_Q
#unroll j EACH_K
                score$i_$j += dot(a$i, b$j);
#end
#end
            }
#unroll i EACH_Q
#unroll j EACH_K
            scores[(row + $iu * THREADS_Q) * SCORE_PITCH + key + $ju * THREADS_K] = score$i_$j;
#end
#end
        }
        workgroupBarrier();

        for (var item = thread; item < TILE_K * E4; item += WORKGROUP) {
            let key = min(start + item / E4, end - 1u);
            tile[item / E4 * PITCH + item % E4] = value_quad(batch, key_head, key, item % E4);
        }
        var highest = LOWEST;
        for (var place = lane; place < TILE_K; place += LANES) {
            let key = start + place;
            if (key >= own_begin && key < own_end) {
                let at = own * SCORE_PITCH + place;
                let score = masked(scores[at], batch, own_head, own_query, key);
                scores[at] = score;
                highest = max(highest, score);
            }
        }
        maxima[thread] = highest;
        workgroupBarrier();

        let before = largest[own];
        highest = before;
        for (var other = 0u; other < LANES; other++) {
            highest = max(highest, maxima[own * LANES + other]);
        }
        var sum = 0.0f;
        for (var place = lane; place < TILE_K; place += LANES) {
            let key = start + place;
            let at = own * SCORE_PITCH + place;
            var weight = 0.0f;
            if (key >= own_begin && key < own_end) {
                weight = gl_exp(scores[at] - highest);
            }
            scores[at] = weight;
            sum += weight;
        }
        sums[thread] = sum;
        let factor = gl_exp(before - highest);
        if (lane == 0u) {
            factors[own] = factor;
        }
        workgroupBarrier();

        if (lane == 0u) {
            var total = totals[own] * factor;
            for (var other = 0u; other < LANES; other++) {
                total += sums[own * LANES + other];
            }
            totals[own] = total;
            largest[own] = highest;
        }
#unroll i OUT_Q
        let factor$i = factors[out_row + $iu * OUT_THREADS];
#unroll j EACH_E
        acc$i_$j *= factor$i;
#end
#end
#ifdef LONG
#unroll i OUT_Q
#unroll j EACH_E
        var part$i_$j = vec4<f32>();
#end
#end
#endif
        for (var place = 0u; place < TILE_K; place++) {
#unroll j EACH_E
            let value$j = tile[place * PITCH + min(out_lane + $ju * LANES_E, E4 - 1u)];
#end
#unroll i OUT_Q
            let weight$i = scores[(out_row + $iu * OUT_THREADS) * SCORE_PITCH + place];
#unroll j EACH_E
#ifdef LONG
            part$i_$j = fma(vec4<f32>(weight$i), value$j, part$i_$j);
#else
            acc$i_$j = fma(vec4<f32>(weight$i), value$j, acc$i_$j);
#endif
#end
#end
        }
#ifdef LONG
#unroll i OUT_Q
#unroll j EACH_E
        acc$i_$j += part$i_$j;
#end
#end
#endif
        workgroupBarrier();
    }

#unroll i OUT_Q
    let row$i = out_row + $iu * OUT_THREADS;
#unroll j EACH_E
    finish(batch, key_head, first_row + row$i, out_lane + $ju * LANES_E, acc$i_$j, totals[row$i]);
#end
#end
}

fn finish(batch: u32, key_head: u32, row: u32, quad: u32, sum: vec4<f32>, total: f32) {
    if (row >= ROWS || quad >= E4) {
        return;
    }
    let result = sum * select(1.0 / total, 0.0, total == 0.0);
    let head = key_head * GROUP + row % GROUP;
    let first = ((batch * QUERIES + row / GROUP) * HEADS + head) * FEATURES + quad * 4u;
#ifdef QUADS
    epilogue_quad(first, result.x, result.y, result.z, result.w);
#else
    let rest = FEATURES - quad * 4u;
    epilogue(first, result.x);
    if (rest > 1u) { epilogue(first + 1u, result.y); }
    if (rest > 2u) { epilogue(first + 2u, result.z); }
    if (rest > 3u) { epilogue(first + 3u, result.w); }
#endif
}
