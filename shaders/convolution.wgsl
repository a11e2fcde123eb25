// Direct convolution and its two transposes: the variant for grouped channels, where tiles would be
// nearly empty.
//
//   FORWARD: out[n, o, oh, ow] = sum over c, kh, kw of in[n, c, y, x] * weight[o, c, kh, kw]
//   INPUT:   out[n, c, y, x]   = sum over o, kh, kw of weight[o, c, kh, kw] * gradient[n, o, oh, ow]
//   WEIGHT:  out[o, c, kh, kw] = sum over n, oh, ow of in[n, c, y, x] * gradient[n, o, oh, ow]
//   with y = oh * STRIDE_H + kh * DILATION_H - PAD_H, likewise x, and c within the group of o.
//
// Grid: one thread per output element, folded by GRID_X. With SPLIT (of WEIGHT) one for each part of CHUNK
// positions of each element, of which `split_sum.wgsl` adds the results.
// Order: sums of planes, then of channels; those of WEIGHT in blocks.
//
// Spliced: constants (COUNT, BATCH, CHANNELS, OUTPUTS, GROUP_IN and GROUP_OUT: channels of a group,
// IN_*, OUT_*, KERNEL_*, STRIDE_*, PAD_*, DILATION_*; with WEIGHT: POSITIONS; with SPLIT: WEIGHTS, CHUNK;
// alias Value); bindings; reads (read0, read1); epilogue or write_partial.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/long_sum.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

#ifdef FORWARD
fn accumulate(index: u32) -> Value {
    let ow = index % OUT_W;
    let oh = index / OUT_W % OUT_H;
    let o = index / (OUT_W * OUT_H) % OUTPUTS;
    let n = index / (OUT_W * OUT_H * OUTPUTS);
    let first_channel = o / GROUP_OUT * GROUP_IN;
    var sum = Value(0);
    for (var c = 0u; c < GROUP_IN; c++) {
        var plane = Value(0);
        for (var kh = 0u; kh < KERNEL_H; kh++) {
            let y = oh * STRIDE_H + kh * DILATION_H;
            if (y < PAD_H || y - PAD_H >= IN_H) {
                continue;
            }
            for (var kw = 0u; kw < KERNEL_W; kw++) {
                let x = ow * STRIDE_W + kw * DILATION_W;
                if (x < PAD_W || x - PAD_W >= IN_W) {
                    continue;
                }
                let channel = n * CHANNELS + first_channel + c;
                plane += read0((channel * IN_H + y - PAD_H) * IN_W + x - PAD_W)
                    * read1(((o * GROUP_IN + c) * KERNEL_H + kh) * KERNEL_W + kw);
            }
        }
        sum += plane;
    }
    return sum;
}
#endif
#ifdef INPUT
fn accumulate(index: u32) -> Value {
    let x = index % IN_W;
    let y = index / IN_W % IN_H;
    let channel = index / (IN_W * IN_H) % CHANNELS;
    let n = index / (IN_W * IN_H * CHANNELS);
    let first_output = channel / GROUP_IN * GROUP_OUT;
    let c = channel % GROUP_IN;
    var sum = Value(0);
    for (var within = 0u; within < GROUP_OUT; within++) {
        let o = first_output + within;
        var plane = Value(0);
        for (var kh = 0u; kh < KERNEL_H; kh++) {
            let reach_h = kh * DILATION_H;
            if (y + PAD_H < reach_h || (y + PAD_H - reach_h) % STRIDE_H != 0u) {
                continue;
            }
            let oh = (y + PAD_H - reach_h) / STRIDE_H;
            if (oh >= OUT_H) {
                continue;
            }
            for (var kw = 0u; kw < KERNEL_W; kw++) {
                let reach_w = kw * DILATION_W;
                if (x + PAD_W < reach_w || (x + PAD_W - reach_w) % STRIDE_W != 0u) {
                    continue;
                }
                let ow = (x + PAD_W - reach_w) / STRIDE_W;
                if (ow >= OUT_W) {
                    continue;
                }
                plane += read0(((o * GROUP_IN + c) * KERNEL_H + kh) * KERNEL_W + kw)
                    * read1(((n * OUTPUTS + o) * OUT_H + oh) * OUT_W + ow);
            }
        }
        sum += plane;
    }
    return sum;
}
#endif
#ifdef WEIGHT
// `index` is an element of the weights; positions are those of all images, one after another.
fn accumulate(index: u32, first: u32, end: u32) -> Value {
    let kw = index % KERNEL_W;
    let kh = index / KERNEL_W % KERNEL_H;
    let c = index / (KERNEL_W * KERNEL_H) % GROUP_IN;
    let o = index / (KERNEL_W * KERNEL_H * GROUP_IN);
    let channel = o / GROUP_OUT * GROUP_IN + c;
    var sum = LongSum();
    for (var position = first; position < end; position++) {
        let ow = position % OUT_W;
        let oh = position / OUT_W % OUT_H;
        let n = position / (OUT_W * OUT_H);
        let y = oh * STRIDE_H + kh * DILATION_H;
        let x = ow * STRIDE_W + kw * DILATION_W;
        if (y >= PAD_H && y - PAD_H < IN_H && x >= PAD_W && x - PAD_W < IN_W) {
            gl_add_term(&sum, read0(((n * CHANNELS + channel) * IN_H + y - PAD_H) * IN_W + x - PAD_W)
                * read1(((n * OUTPUTS + o) * OUT_H + oh) * OUT_W + ow));
        }
    }
    return gl_total(&sum);
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = gl_group(workgroup) * WORKGROUP + thread;
    if (index >= COUNT) {
        return;
    }
#ifdef SPLIT
    let first = index / WEIGHTS * CHUNK;
    write_partial(index, accumulate(index % WEIGHTS, first, min(first + CHUNK, POSITIONS)));
#else
#ifdef WEIGHT
    epilogue(index, accumulate(index, 0u, POSITIONS));
#else
    epilogue(index, accumulate(index));
#endif
#endif
}
