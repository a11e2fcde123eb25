// Direct convolution and its two transposes: the variant for grouped channels, where tiles would be
// nearly empty.
//
//   FORWARD: out[n, o, od, oh, ow] = sum over c, kd, kh, kw of in[n, c, z, y, x] * weight[o, c, kd, kh, kw]
//   INPUT:   out[n, c, z, y, x]    = sum over o, kd, kh, kw of weight[o, c, kd, kh, kw] * gradient[n, o, od, oh, ow]
//   WEIGHT:  out[o, c, kd, kh, kw] = sum over n, od, oh, ow of in[n, c, z, y, x] * gradient[n, o, od, oh, ow]
//   with y = oh * STRIDE_H + kh * DILATION_H - PAD_H, likewise z and x, and c within the group of o.
//
// Grid: one thread per output element, folded by GRID_X. With SPLIT (of WEIGHT) one for each part of CHUNK
// positions of each element, of which `split_sum.wgsl` adds the results.
// Order: sums of volumes, then of channels; those of WEIGHT in blocks.
//
// Spliced: constants (COUNT, BATCH, CHANNELS, OUTPUTS, GROUP_IN and GROUP_OUT: channels of a group,
// IN_*, OUT_*, KERNEL_*, STRIDE_*, PAD_*, DILATION_*; with WEIGHT: POSITIONS; with SPLIT: WEIGHTS, CHUNK;
// alias Value); bindings; reads (read0, read1); epilogue or write_partial.

#import "shared/math.wgsl"
#import "shared/random.wgsl"
#import "shared/check.wgsl"
#import "shared/grid.wgsl"
#import "shared/long_sum.wgsl"
#import "shared/windows.wgsl"

//@constants
//@bindings
//@reads
//@epilogue

#ifdef FORWARD
fn accumulate(index: u32) -> Value {
    let ow = index % OUT_W;
    let oh = index / OUT_W % OUT_H;
    let od = index / (OUT_W * OUT_H) % OUT_D;
    let o = index / (OUT_W * OUT_H * OUT_D) % OUTPUTS;
    let n = index / (OUT_W * OUT_H * OUT_D * OUTPUTS);
    let first_channel = o / GROUP_OUT * GROUP_IN;
    var sum = Value(0);
    for (var c = 0u; c < GROUP_IN; c++) {
        let channel = n * CHANNELS + first_channel + c;
        var volume = Value(0);
        for (var kd = 0u; kd < KERNEL_D; kd++) {
            let z = od * STRIDE_D + kd * DILATION_D;
            if (z < PAD_D || z - PAD_D >= IN_D) {
                continue;
            }
            for (var kh = 0u; kh < KERNEL_H; kh++) {
                let y = oh * STRIDE_H + kh * DILATION_H;
                if (y < PAD_H || y - PAD_H >= IN_H) {
                    continue;
                }
                let in_row = ((channel * IN_D + z - PAD_D) * IN_H + y - PAD_H) * IN_W;
                let taps = (((o * GROUP_IN + c) * KERNEL_D + kd) * KERNEL_H + kh) * KERNEL_W;
                for (var kw = 0u; kw < KERNEL_W; kw++) {
                    let x = ow * STRIDE_W + kw * DILATION_W;
                    if (x < PAD_W || x - PAD_W >= IN_W) {
                        continue;
                    }
                    volume += read0(in_row + x - PAD_W) * read1(taps + kw);
                }
            }
        }
        sum += volume;
    }
    return sum;
}
#endif
#ifdef INPUT
fn accumulate(index: u32) -> Value {
    let x = index % IN_W;
    let y = index / IN_W % IN_H;
    let z = index / (IN_W * IN_H) % IN_D;
    let channel = index / (IN_W * IN_H * IN_D) % CHANNELS;
    let n = index / (IN_W * IN_H * IN_D * CHANNELS);
    let first_output = channel / GROUP_IN * GROUP_OUT;
    let c = channel % GROUP_IN;
    var sum = Value(0);
    for (var within = 0u; within < GROUP_OUT; within++) {
        let o = first_output + within;
        var volume = Value(0);
        for (var kd = 0u; kd < KERNEL_D; kd++) {
            let od = gl_window(z, PAD_D, kd * DILATION_D, STRIDE_D, OUT_D);
            if (od == OUT_D) {
                continue;
            }
            for (var kh = 0u; kh < KERNEL_H; kh++) {
                let oh = gl_window(y, PAD_H, kh * DILATION_H, STRIDE_H, OUT_H);
                if (oh == OUT_H) {
                    continue;
                }
                let out_row = (((n * OUTPUTS + o) * OUT_D + od) * OUT_H + oh) * OUT_W;
                let taps = (((o * GROUP_IN + c) * KERNEL_D + kd) * KERNEL_H + kh) * KERNEL_W;
                for (var kw = 0u; kw < KERNEL_W; kw++) {
                    let ow = gl_window(x, PAD_W, kw * DILATION_W, STRIDE_W, OUT_W);
                    if (ow == OUT_W) {
                        continue;
                    }
                    volume += read0(taps + kw) * read1(out_row + ow);
                }
            }
        }
        sum += volume;
    }
    return sum;
}
#endif
#ifdef WEIGHT
// `index` is an element of the weights; positions are those of all images, one after another.
fn accumulate(index: u32, first: u32, end: u32) -> Value {
    let kw = index % KERNEL_W;
    let kh = index / KERNEL_W % KERNEL_H;
    let kd = index / (KERNEL_W * KERNEL_H) % KERNEL_D;
    let c = index / (KERNEL_W * KERNEL_H * KERNEL_D) % GROUP_IN;
    let o = index / (KERNEL_W * KERNEL_H * KERNEL_D * GROUP_IN);
    let channel = o / GROUP_OUT * GROUP_IN + c;
    var sum = LongSum();
    for (var position = first; position < end; position++) {
        let ow = position % OUT_W;
        let oh = position / OUT_W % OUT_H;
        let od = position / (OUT_W * OUT_H) % OUT_D;
        let n = position / (OUT_W * OUT_H * OUT_D);
        let z = od * STRIDE_D + kd * DILATION_D;
        let y = oh * STRIDE_H + kh * DILATION_H;
        let x = ow * STRIDE_W + kw * DILATION_W;
        if (z >= PAD_D && z - PAD_D < IN_D && y >= PAD_H && y - PAD_H < IN_H
            && x >= PAD_W && x - PAD_W < IN_W) {
            let in_plane = (n * CHANNELS + channel) * IN_D + z - PAD_D;
            let out_plane = (n * OUTPUTS + o) * OUT_D + od;
            gl_add_term(&sum, read0((in_plane * IN_H + y - PAD_H) * IN_W + x - PAD_W)
                * read1((out_plane * OUT_H + oh) * OUT_W + ow));
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
