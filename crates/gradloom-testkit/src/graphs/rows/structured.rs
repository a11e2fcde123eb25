//! Rows of reductions, norms, products, windows, indexing and attention.

use gradloom_tensor::op::Window2d;
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::ops::convolution::{Conv2dOptions, ConvTranspose2dOptions};
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{Op, Tensor};

use super::{Row, row};
use crate::graphs::Parameters;

macro_rules! reductions {
    ($($name:ident $($argument:literal)?;)*) => {
        &[$(row(
            stringify!($name),
            concat!("{0}.", stringify!($name), "({axes}" $(, ", ", $argument)?, ")"),
            |x, p, _| x[0].$name(&p.axes[..] $(, $argument)?),
        )),*]
    };
}

/// Over any axes.
pub(crate) const REDUCTIONS: &[Row] = reductions! {
    sum; sum_keepdim; mean; mean_keepdim; max; max_keepdim; min; min_keepdim;
    var 1; var_keepdim 0; std 0; std_keepdim 1; any; any_keepdim; all; all_keepdim;
    count_nonzero; count_nonzero_keepdim; logsumexp; logsumexp_keepdim; norm; norm_keepdim;
};

macro_rules! along {
    ($($name:ident $($argument:literal)?;)*) => {
        [$(row(
            stringify!($name),
            concat!("{0}.", stringify!($name), "({axis}" $(, ", ", $argument)?, ")"),
            |x, p, _| x[0].$name(p.axes[0] $(, $argument)?),
        )),*]
    };
}

const ALONG: [Row; 10] = along! {
    argmax; argmax_keepdim; argmin; argmin_keepdim; cumsum; softmax; log_softmax; normalize 0.125;
    argsort true; glu;
};

pub(super) const ROWS: &[Row] = &{
    let [a, b, c, d, e, f, g, h, i, j] = ALONG;
    [
        a, b, c, d, e, f, g, h, i, j,
        row("argsort up", "{0}.argsort({axis}, false)", |x, p, _| x[0].argsort(p.axes[0], false)),
        row("sort", "{0}.sort({axis}, false).0", |x, p, _| x[0].sort(p.axes[0], false).0),
        row("topk", "{0}.topk({s0}, {axis}, true).0", |x, p, _| x[0].topk(p.sizes[0], p.axes[0], true).0),
        row(
            "cumsum back",
            "Tensor::from_op(Op::Scan { axis: {axis}, reverse: true }, vec![{0}.clone()], *{0}.shape(), {0}.dtype(), &device)",
            |x, p, device| {
                let op = Op::Scan { axis: p.axes[0] as usize, reverse: true };
                Tensor::from_op(op, vec![x[0].clone()], *x[0].shape(), x[0].dtype(), device)
            },
        ),
        row("layer_norm", "{0}.layer_norm({s0}, None, None, 0.125)", |x, p, _| {
            x[0].layer_norm(p.sizes[0], None, None, 0.125)
        }),
        row("layer_norm affine", "{0}.layer_norm(1, Some(&{1}), Some(&{2}), 0.125)", |x, _, _| {
            x[0].layer_norm(1, Some(x[1]), Some(x[2]), 0.125)
        }),
        row("rms_norm", "{0}.rms_norm(Some(&{1}), 0.125)", |x, _, _| x[0].rms_norm(Some(x[1]), 0.125)),
        row("group_norm", "{0}.group_norm({s0}, None, None, 0.125)", |x, p, _| {
            x[0].group_norm(p.sizes[0], None, None, 0.125)
        }),
        row("cross_entropy", "{0}.cross_entropy(&{1})", |x, _, _| x[0].cross_entropy(x[1])),
        row("mse_loss", "{0}.mse_loss(&{1})", |x, _, _| x[0].mse_loss(x[1])),
        row("matmul", "{0}.matmul(&{1})", |x, _, _| x[0].matmul(x[1])),
        row("matmul of blocks", "{0}.matmul(&{1}.t())", |x, _, _| x[0].matmul(&x[1].t())),
        row(
            "conv2d",
            "{0}.conv2d(&{1}, &Conv2dOptions { stride: [{s0}, {s1}], padding: [{s2}, {s3}], dilation: [{s4}, {s5}], groups: {s6} })",
            |x, p, _| x[0].conv2d(x[1], &convolution(p)),
        ),
        row(
            "conv_transpose2d",
            "{0}.conv_transpose2d(&{1}, &ConvTranspose2dOptions { stride: [{s0}, {s1}], padding: [{s2}, {s3}], groups: {s6}, ..Default::default() })",
            |x, p, _| {
                let Conv2dOptions { stride, padding, groups, .. } = convolution(p);
                let options = ConvTranspose2dOptions { stride, padding, groups, ..Default::default() };
                x[0].conv_transpose2d(x[1], &options)
            },
        ),
        row(
            "max_pool2d",
            "{0}.max_pool2d(&PoolOptions::new([{s0}, {s1}]).stride([{s2}, {s3}]).padding([{s4}, {s5}]).dilation([{s6}, {s7}]))",
            |x, p, _| x[0].max_pool2d(&pooling(p)),
        ),
        row(
            "avg_pool2d",
            "{0}.avg_pool2d(&PoolOptions::new([{s0}, {s1}]).stride([{s2}, {s3}]).padding([{s4}, {s5}]).dilation([{s6}, {s7}]))",
            |x, p, _| x[0].avg_pool2d(&pooling(p)),
        ),
        row(
            "avg_pool2d of real elements",
            "{0}.avg_pool2d(&PoolOptions::new([{s0}, {s1}]).stride([{s2}, {s3}]).padding([{s4}, {s5}]).dilation([{s6}, {s7}]).count_include_pad(false))",
            |x, p, _| x[0].avg_pool2d(&pooling(p).count_include_pad(false)),
        ),
        row(
            "pool_max_scatter",
            "Tensor::pool_max_scatter(&{0}, &{1}, Window2d::new([{s0}, {s1}]))",
            |x, p, _| Tensor::pool_max_scatter(x[0], x[1], Window2d::new([p.sizes[0], p.sizes[1]])),
        ),
        row("gather", "{0}.gather({axis}, &{1})", |x, p, _| x[0].gather(p.axes[0], x[1])),
        row("index_select", "{0}.index_select({axis}, &{1})", |x, p, _| {
            x[0].index_select(p.axes[0], x[1])
        }),
        row("take", "{0}.take({axis}, &{1})", |x, p, _| x[0].take(p.axes[0], x[1])),
        row("scatter_add", "{0}.scatter_add({axis}, &{1}, &{2})", |x, p, _| {
            x[0].scatter_add(p.axes[0], x[1], x[2])
        }),
        row("one_hot", "{0}.one_hot({s0})", |x, p, _| x[0].one_hot(p.sizes[0])),
        row("write", "{0}.write({axis}, &{1}, &{2})", |x, p, _| x[0].write(p.axes[0], x[1], x[2])),
        row(
            "attention",
            "Tensor::attention(&{0}, &{1}, &{2}, &AttentionOptions::default().causal({s0} > 0))",
            |x, p, _| Tensor::attention(x[0], x[1], x[2], &attention(p)),
        ),
        row(
            "attention in a window",
            "Tensor::attention(&{0}, &{1}, &{2}, &AttentionOptions::default().causal({s0} > 0).window({s1}))",
            |x, p, _| Tensor::attention(x[0], x[1], x[2], &attention(p).window(p.sizes[1])),
        ),
        row(
            "attention with a mask",
            "Tensor::attention(&{0}, &{1}, &{2}, &AttentionOptions::default().causal({s0} > 0).mask(&{3}))",
            |x, p, _| Tensor::attention(x[0], x[1], x[2], &attention(p).mask(x[3])),
        ),
        row(
            "attention from a start",
            "Tensor::attention(&{0}, &{1}, &{2}, &AttentionOptions::default().causal({s0} > 0).start(&{3}))",
            |x, p, _| Tensor::attention(x[0], x[1], x[2], &attention(p).start(x[3])),
        ),
    ]
};

fn attention(p: &Parameters) -> AttentionOptions {
    AttentionOptions::default().causal(p.sizes[0] > 0)
}

fn convolution(p: &Parameters) -> Conv2dOptions {
    let [a, b, c, d, e, f, groups] = p.sizes[..] else { return Conv2dOptions::default() };
    Conv2dOptions { stride: [a, b], padding: [c, d], dilation: [e, f], groups }
}

fn pooling(p: &Parameters) -> PoolOptions {
    let [a, b, c, d, e, f, g, h] = p.sizes[..] else { return PoolOptions::new([1, 1]) };
    PoolOptions::new([a, b]).stride([c, d]).padding([e, f]).dilation([g, h])
}
