//! What layers compute.

use gradloom::nn::functional::{
    self, BagMode, DotProductOptions, EmbeddingBagOptions, MultiHeadOptions, Normalized,
};
use gradloom::{DType, Key, Tensor};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

/// `linear(x, weight, bias)`.
fn linear(s: &Sample) -> Result<Tensor, Skip> {
    let y = s.x()?.matmul(&{
        let weight = s.t(0, "weight")?;
        if weight.rank() == 2 { weight.t() } else { weight }
    });
    Ok(match s.arg(1, "bias").maybe_tensor()? {
        Some(bias) => y + &bias,
        None => y,
    })
}

/// A weight and a bias at two positions.
fn parameters(s: &Sample, at: usize) -> Result<[Option<Tensor>; 2], Skip> {
    Ok([s.arg(at, "weight").maybe_tensor()?, s.arg(at + 1, "bias").maybe_tensor()?])
}

/// The operands of `batch_norm`, whose statistics and flag stand where they are said to.
fn batch_norm(
    s: &Sample,
    parameters_at: usize,
    statistics_at: usize,
    training: bool,
    epsilon: f64,
) -> Result<Normalized, Skip> {
    let x = s.x()?;
    // One axis without elements counts as channels.
    let lines = if x.rank() < 2 { x.reshape([1, x.count()]) } else { x.clone() };
    let [weight, bias] = parameters(s, parameters_at)?;
    let statistics = [
        s.arg(statistics_at, "running_mean").maybe_tensor()?,
        s.arg(statistics_at.saturating_add(1), "running_var").maybe_tensor()?,
    ];
    let running = match &statistics {
        [Some(mean), Some(variance)] if !training => Some((mean, variance)),
        _ => None,
    };
    let found = functional::batch_norm(&lines, running, weight.as_ref(), bias.as_ref(), epsilon);
    Ok(Normalized { output: found.output.reshape(*x.shape()), ..found })
}

/// Statistics have no gradient in PyTorch.
fn with_statistics(found: Normalized) -> Vec<Tensor> {
    vec![found.output, found.mean.detach(), found.inverse_deviation.detach()]
}

fn native_batch_norm(s: &Sample) -> Result<Vec<Tensor>, Skip> {
    // Without running statistics the flag stands where they would.
    if let Value::Bool(training) = s.arg(2, "training") {
        return Ok(with_statistics(batch_norm(
            s,
            0,
            usize::MAX,
            training,
            s.arg(4, "eps").float()?,
        )?));
    }
    let (training, epsilon) = (s.arg(4, "training").bool_or(false)?, s.arg(6, "eps").float()?);
    let found = batch_norm(s, 0, 2, training, epsilon)?;
    // Running statistics are not given back.
    let none = || Tensor::zeros([0], DType::F32, &s.device);
    Ok(if training { with_statistics(found) } else { vec![found.output, none(), none()] })
}

/// A key where a sample is one of training.
fn key(s: &Sample) -> Result<Option<Key>, Skip> {
    Ok(s.named("training").bool_or(true)?.then(|| Key::new(1)))
}

/// As [`key`], where training is not what is usual.
fn key_if_said(s: &Sample) -> Result<Option<Key>, Skip> {
    Ok(s.named("training").bool_or(false)?.then(|| Key::new(1)))
}

type Dropout = fn(&Tensor, f64, Option<Key>) -> Tensor;

fn dropout(s: &Sample, key: Option<Key>, of: Dropout) -> Result<Tensor, Skip> {
    s.only(0, &["p", "training"])?;
    Ok(of(&s.x()?, s.named("p").float_or(0.5)?, key))
}

fn dot_product(s: &Sample) -> Result<(Tensor, Tensor, DotProductOptions), Skip> {
    let dropout = s.arg(3, "dropout_p").float_or(0.0)?;
    let scale = match s.named("scale") {
        Value::None => None,
        scale => Some(scale.float()?),
    };
    let options = DotProductOptions {
        mask: s.arg(2, "attn_mask").maybe_tensor()?,
        causal: s.arg(4, "is_causal").bool_or(false)?,
        scale,
        dropout,
        key: (dropout > 0.0).then(|| Key::new(1)),
        grouped: s.named("enable_gqa").bool_or(false)?,
    };
    Ok((s.t(0, "key")?, s.t(1, "value")?, options))
}

fn multi_head(s: &Sample) -> Result<Vec<Tensor>, Skip> {
    if s.named("use_separate_proj_weight").bool_or(false)? {
        return Err("separate projections".into());
    }
    let bias_key_value = match (s.arg(6, "bias_k"), s.arg(7, "bias_v")) {
        (Value::Tensor(key), Value::Tensor(value)) => Some((key, value)),
        _ => None,
    };
    let options = MultiHeadOptions {
        heads: s.arg(3, "num_heads").int()? as usize,
        in_proj_weight: s.t(4, "in_proj_weight")?,
        in_proj_bias: s.arg(5, "in_proj_bias").maybe_tensor()?,
        out_proj_weight: s.t(10, "out_proj_weight")?,
        out_proj_bias: s.arg(11, "out_proj_bias").maybe_tensor()?,
        bias_key_value,
        add_zero: s.arg(8, "add_zero_attn").bool_or(false)?,
        mask: s.named("attn_mask").maybe_tensor()?,
        dropout: s.arg(9, "dropout_p").float_or(0.0)?,
        key: key(s)?,
    };
    let (key, value) = (s.t(0, "key")?, s.t(1, "value")?);
    let (result, weights) = functional::multi_head_attention(&s.x()?, &key, &value, &options);
    Ok(vec![result, weights])
}

fn embedding_bag(s: &Sample) -> Result<Tensor, Skip> {
    let known =
        ["offsets", "mode", "per_sample_weights", "padding_idx", "include_last_offset", "sparse"];
    s.only(1, &known)?;
    let table = s.x()?;
    let padding_index = match s.named("padding_idx") {
        Value::None => None,
        index => Some(index.int()?.rem_euclid(table.size(0) as isize) as usize),
    };
    let options = EmbeddingBagOptions {
        mode: match s.named("mode").text_or("mean")?.as_str() {
            "mean" => BagMode::Mean,
            "sum" => BagMode::Sum,
            "max" => BagMode::Max,
            other => return Err(format!("mode {other}")),
        },
        offsets: s.named("offsets").maybe_tensor()?,
        weights: s.named("per_sample_weights").maybe_tensor()?,
        padding_index,
        include_last_offset: s.named("include_last_offset").bool_or(false)?,
    };
    Ok(functional::embedding_bag(&table, &s.t(0, "input")?, &options))
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "nn.functional.linear" => |s| linear(s)?;
        "nn.functional.bilinear" => |s| {
            let bias = s.arg(2, "bias").maybe_tensor()?;
            functional::bilinear(&s.x()?, &s.t(0, "input2")?, &s.t(1, "weight")?, bias.as_ref())
        };
        "nn.functional.embedding" => |s| {
            s.only(1, &[])?;
            s.x()?.embedding(&s.t(0, "input")?)
        };
        "nn.functional.embedding_bag" => |s| embedding_bag(s)?;
        "nn.functional.layer_norm" => |s| {
            let axes = s.arg(0, "normalized_shape").ints()?.len();
            let [weight, bias] = parameters(s, 1)?;
            let epsilon = s.arg(3, "eps").float_or(1e-5)?;
            s.x()?.layer_norm(axes, weight.as_ref(), bias.as_ref(), epsilon)
        };
        "nn.functional.group_norm" => |s| {
            let groups = s.arg(0, "num_groups").int()? as usize;
            let [weight, bias] = parameters(s, 1)?;
            let epsilon = s.arg(3, "eps").float_or(1e-5)?;
            s.x()?.group_norm(groups, weight.as_ref(), bias.as_ref(), epsilon)
        };
        "nn.functional.instance_norm" => |s| {
            if !s.named("use_input_stats").bool_or(true)? {
                return Err("running statistics".into());
            }
            let [weight, bias] = parameters(s, 2)?;
            let epsilon = s.named("eps").float_or(1e-5)?;
            functional::instance_norm(&s.x()?, weight.as_ref(), bias.as_ref(), epsilon)
        };
        "nn.functional.batch_norm" => |s| {
            let training = s.named("training").bool_or(false)?;
            batch_norm(s, 2, 0, training, s.named("eps").float_or(1e-5)?)?.output
        };
        "nn.functional.rms_norm" => |s| {
            let axes = s.arg(0, "normalized_shape").ints()?.len();
            let weight = s.arg(1, "weight").maybe_tensor()?;
            let epsilon = s.named("eps").float_or(f64::from(f32::EPSILON))?;
            functional::rms_norm(&s.x()?, axes, weight.as_ref(), epsilon)
        };
        "nn.functional.local_response_norm" => |s| {
            let (x, size) = (s.x()?, s.arg(0, "size").int()? as usize);
            let (alpha, beta) = (s.named("alpha").float_or(1e-4)?, s.named("beta").float_or(0.75)?);
            functional::local_response_norm(&x, size, alpha, beta, s.named("k").float_or(1.0)?)
        };
        "nn.functional.normalize" => |s| {
            s.only(3, &["p", "dim", "eps"])?;
            let (axis, epsilon) = (s.arg(1, "dim").int_or(1)?, s.arg(2, "eps").float_or(1e-12)?);
            s.x()?.normalize_by(s.arg(0, "p").float_or(2.0)?, axis, epsilon)
        };
        "torch.ops.aten._safe_softmax.default" => |s| s.x()?.safe_softmax(s.arg(0, "dim").int()?);
        "_softmax_backward_data" => |s| {
            s.x()?.softmax_gradient(&s.t(0, "output")?, s.arg(1, "dim").int()?)
        };
        "nn.functional.dropout" => |s| dropout(s, key(s)?, functional::dropout)?;
        "nn.functional.dropout2d" => |s| dropout(s, key(s)?, functional::dropout_channels)?;
        "nn.functional.dropout3d" => |s| dropout(s, key(s)?, functional::dropout_channels)?;
        "nn.functional.alpha_dropout" => |s| dropout(s, key_if_said(s)?, functional::alpha_dropout)?;
        "nn.functional.feature_alpha_dropout.with_train" => |s| {
            dropout(s, key_if_said(s)?, functional::feature_alpha_dropout)?
        };
        "nn.functional.feature_alpha_dropout.without_train" => |s| {
            dropout(s, key_if_said(s)?, functional::feature_alpha_dropout)?
        };
        "native_dropout_backward" => |s| {
            functional::dropout_gradient(&s.x()?, &s.t(0, "mask")?, s.arg(1, "scale").float()?)
        };
        "nn.functional.rrelu" => |s| {
            let lower = s.named("lower").float_or(1.0 / 8.0)?;
            let upper = s.named("upper").float_or(1.0 / 3.0)?;
            functional::rrelu(&s.x()?, lower, upper, key_if_said(s)?)
        };
        "nn.functional.scaled_dot_product_attention" => |s| {
            let (key, value, options) = dot_product(s)?;
            functional::scaled_dot_product_attention(&s.x()?, &key, &value, &options)
        };
    };
    let several = many! {
        "native_batch_norm" => |s| native_batch_norm(s)?;
        "_native_batch_norm_legit" => |s| native_batch_norm(s)?;
        "_batch_norm_with_update" => |s| {
            let found = batch_norm(s, 0, 2, true, s.arg(5, "eps").float()?)?;
            let mut results = with_statistics(found);
            results.push(Tensor::zeros([0], DType::U8, &s.device));
            results
        };
        "native_layer_norm" => |s| {
            let axes = s.arg(0, "normalized_shape").ints()?.len();
            let [weight, bias] = parameters(s, 1)?;
            let epsilon = s.arg(3, "eps").float()?;
            with_statistics(functional::layer_norm(
                &s.x()?,
                axes,
                weight.as_ref(),
                bias.as_ref(),
                epsilon,
            ))
        };
        "native_group_norm" => |s| {
            let [weight, bias] = parameters(s, 0)?;
            let (groups, epsilon) = (s.arg(5, "group").int()? as usize, s.arg(6, "eps").float()?);
            let (weight, bias) = (weight.as_ref(), bias.as_ref());
            let found = functional::group_norm(&s.x()?, groups, weight, bias, epsilon);
            // Of these statistics PyTorch has the gradient.
            vec![found.output, found.mean, found.inverse_deviation]
        };
        "nn.functional.multi_head_attention_forward" => |s| multi_head(s)?;
        "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu" => |s| {
            let (key, value) = (s.t(0, "key")?, s.t(1, "value")?);
            let options = DotProductOptions {
                mask: s.named("attn_mask").maybe_tensor()?,
                causal: s.named("is_causal").bool_or(false)?,
                ..Default::default()
            };
            let sums = functional::attention_logsumexp(&s.x()?, &key, &options);
            vec![
                functional::scaled_dot_product_attention(&s.x()?, &key, &value, &options),
                sums.detach(),
            ]
        };
    };
    [&single[..], &several[..]].concat()
}
