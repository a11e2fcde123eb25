// Convolution and its transposes as products of matrices: what stands at a row and a column, and where
// an element of the product belongs. A batch of the product is a group of channels.
//
//   forward: m = output channel, n = (image, oh, ow), k = (input channel, kh, kw)
//   input:   m = input channel,  n = (image, y, x),   k = (output channel, kh, kw)
//   weight:  m = output channel, n = (input channel, kh, kw), k = (image, oh, ow)
//
// Needs the constants of `convolution.wgsl`, and read0 and read1 for its two operands.

const TAPS: u32 = KERNEL_H * KERNEL_W;

// The input of one tap of one window, zero in the padding.
fn window_input(image: u32, channel: u32, pixel: u32, tap: u32) -> f32 {
    let y = pixel / OUT_W * STRIDE_H + tap / KERNEL_W * DILATION_H - PAD_H;
    let x = pixel % OUT_W * STRIDE_W + tap % KERNEL_W * DILATION_W - PAD_W;
    // Coordinates before the first wrap to large numbers.
    if (y >= IN_H || x >= IN_W) {
        return 0.0;
    }
    return read0(((image * CHANNELS + channel) * IN_H + y) * IN_W + x);
}

fn forward_lhs(group: u32, m: u32, k: u32) -> f32 {
    return read1((group * GROUP_OUT + m) * GROUP_IN * TAPS + k);
}

fn forward_rhs(group: u32, k: u32, n: u32) -> f32 {
    let channel = group * GROUP_IN + k / TAPS;
    return window_input(n / (OUT_H * OUT_W), channel, n % (OUT_H * OUT_W), k % TAPS);
}

fn forward_place(index: u32) -> u32 {
    let n = index % (BATCH * (OUT_H * OUT_W));
    let channel = index / (BATCH * (OUT_H * OUT_W));
    return (n / (OUT_H * OUT_W) * OUTPUTS + channel) * (OUT_H * OUT_W) + n % (OUT_H * OUT_W);
}

fn input_lhs(group: u32, m: u32, k: u32) -> f32 {
    let channel = group * GROUP_OUT + k / TAPS;
    return read0((channel * GROUP_IN + m) * TAPS + k % TAPS);
}

fn input_rhs(group: u32, k: u32, n: u32) -> f32 {
    let tap = k % TAPS;
    let pixel = n % (IN_H * IN_W);
    let y = pixel / IN_W + PAD_H - tap / KERNEL_W * DILATION_H;
    let x = pixel % IN_W + PAD_W - tap % KERNEL_W * DILATION_W;
    let oh = y / STRIDE_H;
    let ow = x / STRIDE_W;
    // What lies before the first window wraps to large numbers, and so do its quotients.
    if (y % STRIDE_H != 0u || x % STRIDE_W != 0u || oh >= OUT_H || ow >= OUT_W
        || y >= 0x80000000u || x >= 0x80000000u) {
        return 0.0;
    }
    let channel = group * GROUP_OUT + k / TAPS;
    return read1(((n / (IN_H * IN_W) * OUTPUTS + channel) * OUT_H + oh) * OUT_W + ow);
}

fn input_place(index: u32) -> u32 {
    let n = index % (BATCH * (IN_H * IN_W));
    let channel = index / (BATCH * (IN_H * IN_W));
    return (n / (IN_H * IN_W) * CHANNELS + channel) * (IN_H * IN_W) + n % (IN_H * IN_W);
}

fn weight_lhs(group: u32, m: u32, k: u32) -> f32 {
    let channel = group * GROUP_OUT + m;
    return read1((k / (OUT_H * OUT_W) * OUTPUTS + channel) * (OUT_H * OUT_W) + k % (OUT_H * OUT_W));
}

fn weight_rhs(group: u32, k: u32, n: u32) -> f32 {
    let channel = group * GROUP_IN + n / TAPS;
    return window_input(k / (OUT_H * OUT_W), channel, k % (OUT_H * OUT_W), n % TAPS);
}

fn weight_place(index: u32) -> u32 {
    return index;
}
