//! Normalisation over batches, channels and neighbours, with the statistics where they are asked for.
//!
//! Letters: N batch, C channels, G groups.

use gradloom_tensor::{Called, Tensor, demand};

/// A normalised tensor and what it was normalised by.
#[derive(Clone, Debug)]
pub struct Normalized {
    /// `(x - mean) * inverse_deviation * weight + bias`
    pub output: Tensor,
    /// The mean, in the compute type.
    pub mean: Tensor,
    /// `1 / sqrt(variance + epsilon)`, in the compute type.
    pub inverse_deviation: Tensor,
}

/// Each channel of `[N, C, ..]` with mean 0 and variance 1 over all else, or by running statistics
/// `(mean [C], variance [C])`; then times a weight `[C]` plus a bias `[C]`. Statistics are `[C]`.
///
/// Float dtypes. PyTorch: `F.batch_norm(training=True)`, and with statistics `training=False`; its
/// `native_batch_norm`. Ioffe, Szegedy, "Batch normalization", 2015.
///
/// # Panics
/// If there are fewer than two axes, or shapes do not fit.
#[track_caller]
#[must_use]
pub fn batch_norm(
    x: &Tensor,
    running: Option<(&Tensor, &Tensor)>,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Normalized {
    const OP: &str = "batch_norm";
    let _called = Called::op(OP);
    let (shape, wide) = (*x.shape(), x.wide());
    demand!(shape.rank() >= 2, "{OP}: needs [N, C, ..], got shape {shape}");
    let axes: Vec<isize> = (0..shape.rank() as isize).filter(|&axis| axis != 1).collect();
    let (mean, variance) = match running {
        Some((mean, variance)) => (column(OP, x, mean), column(OP, x, variance)),
        None => {
            let mean = wide.mean_keepdim(&axes[..]);
            let variance = (&wide - &mean).square().mean_keepdim(&axes[..]);
            (mean, variance)
        }
    };
    let inverse = (variance + epsilon).rsqrt();
    let normal = (wide - &mean) * &inverse;
    Normalized {
        output: affine(OP, x, normal, weight, bias),
        mean: mean.reshape([shape[1]]),
        inverse_deviation: inverse.reshape([shape[1]]),
    }
}

/// [`batch_norm`] of each example on its own: each channel of `[N, C, ..]` over the axes after the first two.
/// PyTorch: `F.instance_norm`. Ulyanov et al., "Instance normalization", 2016.
///
/// # Panics
/// If there are fewer than three axes, or shapes do not fit.
#[track_caller]
#[must_use]
pub fn instance_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Tensor {
    const OP: &str = "instance_norm";
    let _called = Called::op(OP);
    demand!(x.rank() >= 3, "{OP}: needs [N, C, ..] with a third axis, got shape {}", x.shape());
    let axes: Vec<isize> = (2..x.rank() as isize).collect();
    affine(OP, x, standardized(&x.wide(), &axes, epsilon).output, weight, bias)
}

/// [`Tensor::layer_norm`] with its statistics, which have size one along the last `axes` axes. PyTorch:
/// `native_layer_norm`.
///
/// # Panics
/// As the method.
#[track_caller]
#[must_use]
pub fn layer_norm(
    x: &Tensor,
    axes: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Normalized {
    let _called = Called::op("layer_norm");
    let output = x.layer_norm(axes, weight, bias, epsilon);
    let last: Vec<isize> = (-(axes as isize)..0).collect();
    Normalized { output, ..standardized(&x.wide(), &last, epsilon) }
}

/// [`Tensor::group_norm`] with its statistics `[N, G]`. PyTorch: `native_group_norm`.
///
/// # Panics
/// As the method.
#[track_caller]
#[must_use]
pub fn group_norm(
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Normalized {
    let _called = Called::op("group_norm");
    let output = x.group_norm(groups, weight, bias, epsilon);
    let batch = x.size(0);
    let size = x.count() / (batch * groups).max(1);
    let of = standardized(&x.wide().reshape([batch, groups, size]), &[2], epsilon);
    Normalized {
        output,
        mean: of.mean.squeeze(2),
        inverse_deviation: of.inverse_deviation.squeeze(2),
    }
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` over the last `axes` axes, whose shape the weight has. PyTorch:
/// `F.rms_norm`. Zhang, Sennrich, "Root mean square layer normalization", 2019.
///
/// # Panics
/// If there are fewer axes, or shapes do not fit.
#[track_caller]
#[must_use]
pub fn rms_norm(x: &Tensor, axes: usize, weight: Option<&Tensor>, epsilon: f64) -> Tensor {
    let _called = Called::op("rms_norm");
    demand!(axes <= x.rank(), "rms_norm: {axes} axes asked of an input of shape {}", x.shape());
    let last: Vec<isize> = (-(axes as isize)..0).collect();
    let wide = x.wide();
    let normal = &wide * (wide.square().mean_keepdim(&last[..]) + epsilon).rsqrt();
    let normal = match weight {
        Some(weight) => normal * weight.wide(),
        None => normal,
    };
    normal.cast(x.dtype())
}

/// `x / (k + alpha * mean of the squares of size neighbouring channels)^beta` of `[N, C, ..]`; channels beyond
/// the ends count as zero. PyTorch: `F.local_response_norm`. Krizhevsky et al., "ImageNet classification", 2012.
///
/// # Panics
/// If there are fewer than three axes, or `size` is 0.
#[track_caller]
#[must_use]
pub fn local_response_norm(x: &Tensor, size: usize, alpha: f64, beta: f64, k: f64) -> Tensor {
    const OP: &str = "local_response_norm";
    let _called = Called::op(OP);
    demand!(x.rank() >= 3 && size > 0, "{OP}: {size} channels of a shape {}", x.shape());
    let mut padding = vec![(0, 0); x.rank()];
    padding[1] = (size / 2, (size - 1) / 2);
    let wide = x.wide();
    let means = wide.square().pad(&padding).sliding_windows(1, size, 1).mean(-1);
    (wide / (means * alpha + k).powf(beta)).cast(x.dtype())
}

/// Wide, without weight and bias.
#[track_caller]
fn standardized(x: &Tensor, axes: &[isize], epsilon: f64) -> Normalized {
    let mean = x.mean_keepdim(axes);
    let centred = x - &mean;
    let inverse_deviation = (centred.square().mean_keepdim(axes) + epsilon).rsqrt();
    Normalized { output: centred * &inverse_deviation, mean, inverse_deviation }
}

#[track_caller]
fn affine(
    op: &str,
    x: &Tensor,
    normal: Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
) -> Tensor {
    let scaled = match weight {
        Some(weight) => normal * column(op, x, weight),
        None => normal,
    };
    let shifted = match bias {
        Some(bias) => scaled + column(op, x, bias),
        None => scaled,
    };
    shifted.cast(x.dtype())
}

/// `[C]` beside `[N, C, ..]`, wide.
#[track_caller]
fn column(op: &str, x: &Tensor, vector: &Tensor) -> Tensor {
    let channels = x.size(1);
    demand!(
        vector.shape() == &[channels][..],
        "{op}: {} for {channels} channels of shape {}",
        vector.shape(),
        x.shape()
    );
    let mut aligned = vec![1; x.rank()];
    aligned[1] = channels;
    vector.wide().reshape(aligned)
}
