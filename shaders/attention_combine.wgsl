// Attention combine: joins the results of parts of the keys, made by `attention_few.wgsl`.
//
//   acc[b, t, h, e] = sum over p of w_p * sum_p[e] / sum over p of w_p * total_p
//   w_p = exp(largest_p - largest of all parts)
//
// Grid: one thread per output element, folded by GRID_X.
// Order: parts ascending.
//
// Spliced: constants (COUNT, ROWS: of a key head, SPLITS, PAIRS: batch elements times key heads, GROUP,
// QUERIES, HEADS, SHARED: key heads, FEATURES); bindings; reads (read_partial); epilogue.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
    let feature = index % FEATURES;
    let head = index / FEATURES % HEADS;
    let query = index / (FEATURES * HEADS) % QUERIES;
    let batch = index / (FEATURES * HEADS * QUERIES);
    let pair = batch * SHARED + head / GROUP;
    let first = (pair * ROWS + query * GROUP + head % GROUP) * (FEATURES + 2u);
    let step = PAIRS * ROWS * (FEATURES + 2u);
    var largest = read_partial(first + FEATURES);
    for (var split = 1u; split < SPLITS; split++) {
        largest = max(largest, read_partial(first + split * step + FEATURES));
    }
    var sum = 0.0f;
    var total = 0.0f;
    for (var split = 0u; split < SPLITS; split++) {
        let record = first + split * step;
        let weight = gl_exp(read_partial(record + FEATURES) - largest);
        sum = fma(weight, read_partial(record + feature), sum);
        total = fma(weight, read_partial(record + FEATURES + 1u), total);
    }
    epilogue(index, sum * select(1.0 / total, 0.0, total == 0.0));
}
