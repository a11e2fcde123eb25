// Attention of few rows for each key head, as when one token follows another: keys and values are read
// once, where they lie, for all rows.
//
//   acc[b, t, h, :] = sum over s of softmax_s(scale * query[b, h, t] . key[b, h / GROUP, s]) * value[s]
//
// A row is a query of one of the GROUP heads that share a key head: row `t * GROUP + h % GROUP`.
//
// Grid: a workgroup per M rows of a batch element and key head, and per part of the keys that are seen
// (SPLITS of equal length); GROUPS workgroups folded by GRID_X. With SPLIT the results are partial:
// sums of values, the largest score, the sum of weights; `attention_combine.wgsl` joins them.
// A step takes TILE_K keys: LANES_D threads share a key's dot products, LANES threads of a row turn
// scores to weights, then thread (slot, four features) adds the values of keys slot, slot + SLOTS, ..
// Order: keys ascending within a slot, then slots ascending.
// Limits: workgroup memory of 16 * (M * D4 + WORKGROUP) + 4 * M * ((LANES_D + 1) * (TILE_K + 4) +
// 2 * LANES + 3) bytes. A row that sees nothing gives zeros.
//
// Spliced: constants (ROWS: of a key head, M, CHUNKS of M rows, PAIRS: batch elements times key heads,
// GROUP, QUERIES, HEADS, SHARED: key heads, D4 and E4: fours of features, FEATURES: of values, LANES_E,
// SLOTS); bindings; reads (query_quad, key_quad, value_quad, scale, first_position, seen_begin,
// seen_end, masked); epilogue, or with QUADS,
// where FEATURES is a multiple of four, epilogue_quad, or with SPLIT write_partial.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

const PITCH: u32 = TILE_K + 4u;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> queries: array<vec4<f32>, M * D4>;
var<workgroup> dots: array<f32, M * LANES_D * PITCH>;
var<workgroup> scores: array<f32, M * PITCH>;
var<workgroup> maxima: array<f32, M * LANES>;
var<workgroup> sums: array<f32, M * LANES>;
var<workgroup> largest: array<f32, M>;
var<workgroup> factors: array<f32, M>;
var<workgroup> totals: array<f32, M>;
var<workgroup> results: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = gl_group(workgroup);
    if (group >= GROUPS) {
        return;
    }
    let split = group % SPLITS;
    let first_row = group / SPLITS % CHUNKS * M;
    let pair = group / (SPLITS * CHUNKS);
    let key_head = pair % SHARED;
    let batch = pair / SHARED;
    let first = first_position(batch);
    let seen_first = seen_begin(first, first_row / GROUP);
    let seen_last = seen_end(first, (min(first_row + M, ROWS) - 1u) / GROUP);
    let share = (max(seen_last, seen_first) - seen_first + SPLITS - 1u) / SPLITS;
    let begin = seen_first + split * share;
    let end = min(begin + share, seen_last);

    for (var item = thread; item < M * D4; item += WORKGROUP) {
        let row = min(first_row + item / D4, ROWS - 1u);
        let head = key_head * GROUP + row % GROUP;
        queries[item] = query_quad(batch, head, row / GROUP, item % D4) * scale();
    }
    if (thread < M) {
        largest[thread] = LOWEST;
        totals[thread] = 0.0;
    }
    workgroupBarrier();

    // The row whose scores this thread turns to weights, with LANES - 1 others; M and more for none.
    let own = thread / LANES;
    let lane = thread % LANES;
    let own_row = min(first_row + own, ROWS - 1u);
    let own_query = own_row / GROUP;
    let own_head = key_head * GROUP + own_row % GROUP;
    let own_begin = seen_begin(first, own_query);
    let own_end = min(seen_end(first, own_query), end);

    let slot = thread / LANES_E;
    let quad = thread % LANES_E;
#unroll m M
    var acc$m = vec4<f32>();
#end

    for (var start = begin; start < end; start += TILE_K) {
        let part = thread % LANES_D;
        for (var place = thread / LANES_D; place < TILE_K; place += WORKGROUP / LANES_D) {
            let key = min(start + place, end - 1u);
#unroll m M
            var dot$m = 0.0f;
#end
            for (var four = part; four < D4; four += LANES_D) {
                let features = key_quad(batch, key_head, key, four);
#unroll m M
                dot$m += dot(queries[$mu * D4 + four], features);
#end
            }
#unroll m M
            dots[($mu * LANES_D + part) * PITCH + place] = dot$m;
#end
        }
        workgroupBarrier();

        if (own < M) {
            var highest = LOWEST;
            for (var place = lane; place < TILE_K; place += LANES) {
                let key = start + place;
                if (key >= own_begin && key < own_end) {
                    var score = 0.0f;
                    for (var other = 0u; other < LANES_D; other++) {
                        score += dots[(own * LANES_D + other) * PITCH + place];
                    }
                    score = masked(score, batch, own_head, own_query, key);
                    scores[own * PITCH + place] = score;
                    highest = max(highest, score);
                }
            }
            maxima[thread] = highest;
        }
        workgroupBarrier();

        var factor = 1.0f;
        var highest = LOWEST;
        if (own < M) {
            let before = largest[own];
            highest = before;
            for (var other = 0u; other < LANES; other++) {
                highest = max(highest, maxima[own * LANES + other]);
            }
            var sum = 0.0f;
            for (var place = lane; place < TILE_K; place += LANES) {
                let key = start + place;
                var weight = 0.0f;
                if (key >= own_begin && key < own_end) {
                    weight = gl_exp(scores[own * PITCH + place] - highest);
                }
                scores[own * PITCH + place] = weight;
                sum += weight;
            }
            sums[thread] = sum;
            factor = gl_exp(before - highest);
            if (lane == 0u) {
                factors[own] = factor;
            }
        }
        workgroupBarrier();

        if (own < M && lane == 0u) {
            var total = totals[own] * factor;
            for (var other = 0u; other < LANES; other++) {
                total += sums[own * LANES + other];
            }
            totals[own] = total;
            largest[own] = highest;
        }
#unroll m M
        acc$m *= factors[$m];
#end
        if (quad < E4) {
            for (var place = slot; place < min(TILE_K, end - start); place += SLOTS) {
                let value = value_quad(batch, key_head, start + place, quad);
#unroll m M
                acc$m = fma(vec4<f32>(scores[$mu * PITCH + place]), value, acc$m);
#end
            }
        }
        workgroupBarrier();
    }

#unroll m M
    results[thread] = acc$m;
    workgroupBarrier();
    if (slot == 0u && quad < E4) {
        var sum$m = vec4<f32>();
        for (var other = 0u; other < SLOTS; other++) {
            sum$m += results[other * LANES_E + quad];
        }
        finish(batch, key_head, split, first_row + $mu, quad, sum$m, vec2<f32>(largest[$m], totals[$m]));
    }
    workgroupBarrier();
#end
}

fn finish(
    batch: u32, key_head: u32, split: u32, row: u32, quad: u32, sum: vec4<f32>, state: vec2<f32>,
) {
    if (row >= ROWS) {
        return;
    }
    let rest = FEATURES - quad * 4u;
#ifdef SPLIT
    let record = ((split * PAIRS + batch * SHARED + key_head) * ROWS + row) * (FEATURES + 2u);
    let first = record + quad * 4u;
    write_partial(first, sum.x);
    if (rest > 1u) { write_partial(first + 1u, sum.y); }
    if (rest > 2u) { write_partial(first + 2u, sum.z); }
    if (rest > 3u) { write_partial(first + 3u, sum.w); }
    if (quad == 0u) {
        write_partial(record + FEATURES, state.x);
        write_partial(record + FEATURES + 1u, state.y);
    }
#else
    let result = sum * select(1.0 / state.y, 0.0, state.y == 0.0);
    let head = key_head * GROUP + row % GROUP;
    let first = ((batch * QUERIES + row / GROUP) * HEADS + head) * FEATURES + quad * 4u;
#ifdef QUADS
    epilogue_quad(first, result.x, result.y, result.z, result.w);
#else
    epilogue(first, result.x);
    if (rest > 1u) { epilogue(first + 1u, result.y); }
    if (rest > 2u) { epilogue(first + 2u, result.z); }
    if (rest > 3u) { epilogue(first + 3u, result.w); }
#endif
#endif
}
