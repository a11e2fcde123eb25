//! Drawing convolutions and pooling.
//!
//! Letters: N batch, C input channels, O output channels, H and W height and width, K kernel.

use super::Maker;
use super::builder::Builder;
use crate::graphs::Parameters;

pub(super) const MAKERS: &[(usize, Maker)] = &[(5, convolution), (2, transposed), (5, pooling)];

/// A step `[N, C, H, W]`.
fn picture(builder: &mut Builder) -> Option<usize> {
    let at = builder.float_of_rank(4, 4);
    (builder.shape(at).count() <= 3000).then_some(at)
}

fn convolution(builder: &mut Builder) -> Option<()> {
    let at = picture(builder)?;
    let shape = builder.shape(at);
    let [batch, channels, height, width] = [shape[0], shape[1], shape[2], shape[3]];
    if channels == 0 || batch == 0 {
        return None;
    }
    let groups: Vec<usize> = (1..=channels).filter(|groups| channels % groups == 0).collect();
    let groups = if builder.rng.chance(60) { 1 } else { *builder.rng.choose(&groups) };
    let outputs = groups * builder.rng.between(1, 3);
    let kernel = [builder.rng.between(1, 3), builder.rng.between(1, 3)];
    let stride = [builder.rng.between(1, 2), builder.rng.between(1, 3)];
    let padding = [builder.rng.below(3), builder.rng.below(2)];
    let dilation = [builder.rng.between(1, 2), 1];
    let fits = |size: usize, axis: usize| {
        size + 2 * padding[axis] > dilation[axis] * (kernel[axis] - 1)
    };
    if !fits(height, 0) || !fits(width, 1) {
        return None;
    }
    let dtype = builder.dtype(at);
    let weight = builder.operand(&[outputs, channels / groups, kernel[0], kernel[1]], dtype);
    let magnitude = builder.magnitude(at) * builder.magnitude(weight) * 9.0 * channels as f64;
    let sizes = [stride[0], stride[1], padding[0], padding[1], dilation[0], dilation[1], groups];
    builder.sized("conv2d", &[at, weight], &sizes);
    builder.magnitude_is(magnitude);
    Some(())
}

fn transposed(builder: &mut Builder) -> Option<()> {
    let at = picture(builder)?;
    let shape = builder.shape(at);
    if shape.count() == 0 || shape.count() > 1000 {
        return None;
    }
    let groups = if shape[1] % 2 == 0 && builder.rng.chance(40) { 2 } else { 1 };
    let kernel = [builder.rng.between(1, 3), builder.rng.between(1, 3)];
    let stride = [builder.rng.between(1, 2), builder.rng.between(1, 2)];
    let outputs = builder.rng.between(1, 3);
    let dtype = builder.dtype(at);
    let weight = builder.operand(&[shape[1], outputs, kernel[0], kernel[1]], dtype);
    let magnitude = builder.magnitude(at) * builder.magnitude(weight) * 9.0 * shape[1] as f64;
    builder.sized(
        "conv_transpose2d",
        &[at, weight],
        &[stride[0], stride[1], 0, 0, 1, 1, groups],
    );
    builder.magnitude_is(magnitude);
    Some(())
}

fn pooling(builder: &mut Builder) -> Option<()> {
    let at = picture(builder)?;
    let shape = builder.shape(at);
    let kernel = [builder.rng.between(1, 3), builder.rng.between(1, 3)];
    let stride = [builder.rng.between(1, 3), builder.rng.between(1, 2)];
    let dilation = [1, builder.rng.between(1, 2)];
    let extent = [kernel[0], dilation[1] * (kernel[1] - 1) + 1];
    let padding = [builder.rng.between(0, extent[0] / 2), builder.rng.between(0, extent[1] / 2)];
    let fits = |axis: usize| shape[axis + 2] + 2 * padding[axis] >= extent[axis];
    if !fits(0) || !fits(1) {
        return None;
    }
    let plain = stride == [1, 1] && padding == [0, 0] && dilation == [1, 1];
    if plain && builder.rng.chance(50) {
        let values = [shape[0], shape[1], shape[2] + 1 - kernel[0], shape[3] + 1 - kernel[1]];
        let values = builder.operand(&values, builder.dtype(at));
        builder.sized("pool_max_scatter", &[at, values], &kernel);
        return Some(());
    }
    let name =
        *builder.rng.choose(&["max_pool2d", "max_pool2d", "avg_pool2d", "avg_pool2d of real elements"]);
    // Every window needs an element that is no padding.
    let covered = padding[0] < kernel[0] && padding[1] < extent[1] && shape[2] > 0 && shape[3] > 0;
    if !covered {
        return None;
    }
    let sizes = [
        kernel[0], kernel[1], stride[0], stride[1], padding[0], padding[1], dilation[0], dilation[1],
    ];
    builder.named(name, &[at], Parameters { sizes: sizes.to_vec(), ..Parameters::default() });
    Some(())
}
