// Convolution and its transposes as products of matrices: what stands at a row and a column, and where
// an element of the product belongs. A batch of the product is a group of channels.
//
//   forward: m = output channel, n = (image, od, oh, ow), k = (input channel, kd, kh, kw)
//   input:   m = input channel,  n = (image, z, y, x),    k = (output channel, kd, kh, kw)
//   weight:  m = output channel, n = (input channel, kd, kh, kw), k = (image, od, oh, ow)
//
// Depths are taken modulo their size, though they are below it: where that is one, all that is about
// depth goes.
//
// Needs the constants of `convolution.wgsl`, sizes of images (PLANE_*: of a picture, PIXELS_*: of all), and
// read0 and read1 for its two operands.

const PLANE_TAPS: u32 = KERNEL_H * KERNEL_W;
const TAPS: u32 = KERNEL_D * PLANE_TAPS;

// The input of one tap of one window, zero in the padding.
fn window_input(image: u32, channel: u32, pixel: u32, tap: u32) -> f32 {
    let od = pixel / PLANE_OUT % OUT_D;
    let kd = tap / PLANE_TAPS % KERNEL_D;
    let at = pixel - od * PLANE_OUT;
    let tap_at = tap - kd * PLANE_TAPS;
    let z = od * STRIDE_D + kd * DILATION_D - PAD_D;
    let y = at / OUT_W * STRIDE_H + tap_at / KERNEL_W * DILATION_H - PAD_H;
    let x = at % OUT_W * STRIDE_W + tap_at % KERNEL_W * DILATION_W - PAD_W;
    // Coordinates before the first wrap to large numbers.
    if (z >= IN_D || y >= IN_H || x >= IN_W) {
        return 0.0;
    }
    return read0((((image * CHANNELS + channel) * IN_D + z) * IN_H + y) * IN_W + x);
}

fn forward_lhs(group: u32, m: u32, k: u32) -> f32 {
    return read1((group * GROUP_OUT + m) * GROUP_IN * TAPS + k);
}

fn forward_rhs(group: u32, k: u32, n: u32) -> f32 {
    let channel = group * GROUP_IN + k / TAPS;
    return window_input(n / PIXELS_OUT, channel, n % PIXELS_OUT, k % TAPS);
}

fn forward_place(index: u32) -> u32 {
    let n = index % (BATCH * PIXELS_OUT);
    let channel = index / (BATCH * PIXELS_OUT);
    return (n / PIXELS_OUT * OUTPUTS + channel) * PIXELS_OUT + n % PIXELS_OUT;
}

fn input_lhs(group: u32, m: u32, k: u32) -> f32 {
    let channel = group * GROUP_OUT + k / TAPS;
    return read0((channel * GROUP_IN + m) * TAPS + k % TAPS);
}

fn input_rhs(group: u32, k: u32, n: u32) -> f32 {
    let pixel = n % PIXELS_IN;
    let in_z = pixel / PLANE_IN % IN_D;
    let kd = k % TAPS / PLANE_TAPS % KERNEL_D;
    let at = pixel - in_z * PLANE_IN;
    let tap_at = k % TAPS - kd * PLANE_TAPS;
    let z = in_z + PAD_D - kd * DILATION_D;
    let y = at / IN_W + PAD_H - tap_at / KERNEL_W * DILATION_H;
    let x = at % IN_W + PAD_W - tap_at % KERNEL_W * DILATION_W;
    let od = z / STRIDE_D;
    let oh = y / STRIDE_H;
    let ow = x / STRIDE_W;
    // What lies before the first window wraps to large numbers, and so do its quotients.
    if (z % STRIDE_D != 0u || y % STRIDE_H != 0u || x % STRIDE_W != 0u
        || od >= OUT_D || oh >= OUT_H || ow >= OUT_W
        || z >= 0x80000000u || y >= 0x80000000u || x >= 0x80000000u) {
        return 0.0;
    }
    let channel = group * GROUP_OUT + k / TAPS;
    return read1((((n / PIXELS_IN * OUTPUTS + channel) * OUT_D + od) * OUT_H + oh) * OUT_W + ow);
}

fn input_place(index: u32) -> u32 {
    let n = index % (BATCH * PIXELS_IN);
    let channel = index / (BATCH * PIXELS_IN);
    return (n / PIXELS_IN * CHANNELS + channel) * PIXELS_IN + n % PIXELS_IN;
}

fn weight_lhs(group: u32, m: u32, k: u32) -> f32 {
    let channel = group * GROUP_OUT + m;
    return read1((k / PIXELS_OUT * OUTPUTS + channel) * PIXELS_OUT + k % PIXELS_OUT);
}

fn weight_rhs(group: u32, k: u32, n: u32) -> f32 {
    let channel = group * GROUP_IN + n / TAPS;
    return window_input(k / PIXELS_OUT, channel, k % PIXELS_OUT, n % TAPS);
}

fn weight_place(index: u32) -> u32 {
    return index;
}
