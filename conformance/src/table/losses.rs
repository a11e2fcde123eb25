//! Losses, and distances.

use gradloom::nn::functional::pairwise_distance;
use gradloom::nn::losses::{
    self, BceOptions, ClassOptions, CtcOptions, LossReduction, MultiMarginOptions,
};
use gradloom::{DType, Tensor};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

fn reduction(s: &Sample) -> Result<LossReduction, Skip> {
    Ok(match s.named("reduction").text_or("mean")?.as_str() {
        "mean" => LossReduction::Mean,
        "sum" => LossReduction::Sum,
        "none" => LossReduction::None,
        other => return Err(format!("reduction {other}")),
    })
}

/// Classes on axis 1, as PyTorch has them, or the only one.
fn classes(s: &Sample, position: usize) -> Result<ClassOptions, Skip> {
    let options = ClassOptions {
        reduction: reduction(s)?,
        weight: s.arg(position, "weight").maybe_tensor()?,
        ignore_index: Some(s.named("ignore_index").int_or(-100)? as i64),
        label_smoothing: s.named("label_smoothing").float_or(0.0)?,
        axis: if s.x()?.rank() < 2 { 0 } else { 1 },
    };
    Ok(options)
}

fn linear_cross_entropy(s: &Sample) -> Result<Tensor, Skip> {
    let known =
        ["linear_bias", "reduction", "weight", "ignore_index", "label_smoothing", "options"];
    s.only(2, &known)?;
    let (weight, targets) = (s.t(0, "linear_weight")?, s.t(1, "target")?);
    let bias = s.named("linear_bias").maybe_tensor()?;
    let chunk = match s.named("options") {
        Value::Text(text) => {
            let size = text.split_once("batch_chunk_size=").map(|(_, rest)| rest);
            let size = size.and_then(|rest| rest.split([',', ')']).next());
            match size.and_then(|size| size.parse().ok()) {
                Some(size) => Some(size),
                None => return Err("options without a chunk".into()),
            }
        }
        _ => None,
    };
    let options = classes(s, usize::MAX)?;
    Ok(losses::linear_cross_entropy(&s.x()?, &weight, bias.as_ref(), &targets, &options, chunk))
}

fn integers(value: &Value, s: &Sample) -> Result<Tensor, Skip> {
    match value {
        Value::List(_) => {
            let numbers: Vec<i32> = value.ints()?.into_iter().map(|number| number as i32).collect();
            let count = numbers.len();
            Tensor::from_vec(numbers, [count], &s.device).map_err(|error| error.to_string())
        }
        other => other.tensor(),
    }
}

fn ctc(s: &Sample) -> Result<Tensor, Skip> {
    s.only(3, &["reduction", "zero_infinity", "blank"])?;
    let (x, labels) = (s.x()?, s.t(0, "targets")?);
    let inputs = integers(&s.arg(1, "input_lengths"), s)?;
    let lengths = integers(&s.arg(2, "target_lengths"), s)?;
    let labels = match labels.rank() {
        1 => side_by_side(&labels, &lengths)?,
        _ => labels,
    };
    let options = CtcOptions {
        blank: s.named("blank").int_or(0)? as usize,
        reduction: reduction(s)?,
        zero_infinity: s.named("zero_infinity").bool_or(false)?,
    };
    let loss = losses::ctc(&x, &labels, &inputs, &lengths, &options);
    // PyTorch's gradient is that by what goes into `log_softmax`: the probabilities of the steps that count are
    // added to the derivative, which `log_softmax` would take away again.
    let step = Tensor::iota([x.size(0), x.size(1), 1], 0, x.device());
    let counts = step.lt(inputs.cast(DType::I32).reshape([1, x.size(1), 1]));
    let powers = counts.select(x.exp(), x.zeros_like()).sum([0, 2]);
    let powers = match options.reduction {
        LossReduction::Mean => (powers / lengths.cast(DType::F32).maximum(1.0)).mean(..),
        reduction => losses::reduce(&powers, reduction),
    };
    Ok(loss + (&powers - powers.detach()))
}

/// Labels one after another as rows.
fn side_by_side(labels: &Tensor, lengths: &Tensor) -> Result<Tensor, Skip> {
    let numbers =
        |x: &Tensor| x.cast(DType::I32).to_vec::<i32>().map_err(|error| error.to_string());
    let (all, lengths) = (numbers(labels)?, numbers(lengths)?);
    let longest = lengths.iter().copied().max().unwrap_or(0) as usize;
    let (mut rows, mut first) = (Vec::new(), 0);
    for &length in &lengths {
        let mut row = all[first..first + length as usize].to_vec();
        row.resize(longest, 0);
        rows.extend(row);
        first += length as usize;
    }
    Tensor::from_vec(rows, [lengths.len(), longest], labels.device())
        .map_err(|error| error.to_string())
}

fn triplet(s: &Sample) -> Result<Tensor, Skip> {
    let (power, epsilon) = (s.named("p").float_or(2.0)?, s.named("eps").float_or(1e-6)?);
    match s.named("distance_function") {
        Value::None => {}
        Value::Text(name) if name == "PairwiseDistance()" => {}
        other => return Err(other.kind()),
    }
    let (x, positive, negative) = (s.x()?, s.t(0, "positive")?, s.t(1, "negative")?);
    Ok(losses::triplet_with(
        |x, y| pairwise_distance(x, y, power, epsilon),
        [&x, &positive, &negative],
        s.named("margin").float_or(1.0)?,
        s.named("swap").bool_or(false)?,
        reduction(s)?,
    ))
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "nn.functional.cross_entropy" => |s| {
            s.only(1, &["weight", "reduction", "ignore_index", "label_smoothing"])?;
            let (targets, mut options) = (s.t(0, "target")?, classes(s, usize::MAX)?);
            if targets.dtype().is_float() {
                options.ignore_index = None;
            }
            losses::cross_entropy(&s.x()?, &targets, &options)
        };
        "nn.functional.nll_loss" => |s| {
            s.only(1, &["weight", "reduction", "ignore_index"])?;
            losses::nll(&s.x()?, &s.t(0, "target")?, &classes(s, usize::MAX)?)
        };
        "nn.functional.linear_cross_entropy" => |s| linear_cross_entropy(s)?;
        "nn.functional.linear_cross_entropy.chunked" => |s| linear_cross_entropy(s)?;
        "nn.functional.linear_cross_entropy.chunked_none" => |s| linear_cross_entropy(s)?;
        "nn.functional.ctc_loss" => |s| ctc(s)?;
        "nn.functional.mse_loss" => |s| {
            s.only(1, &["reduction"])?;
            losses::mse(&s.x()?, &s.t(0, "target")?, reduction(s)?)
        };
        "nn.functional.l1_loss" => |s| {
            s.only(1, &["reduction"])?;
            losses::l1(&s.x()?, &s.t(0, "target")?, reduction(s)?)
        };
        "nn.functional.huber_loss" => |s| {
            s.only(1, &["reduction", "delta"])?;
            let delta = s.named("delta").float_or(1.0)?;
            losses::huber(&s.x()?, &s.t(0, "target")?, delta, reduction(s)?)
        };
        "nn.functional.smooth_l1_loss" => |s| {
            s.only(1, &["reduction", "beta"])?;
            let beta = s.named("beta").float_or(1.0)?;
            losses::smooth_l1(&s.x()?, &s.t(0, "target")?, beta, reduction(s)?)
        };
        "nn.functional.binary_cross_entropy_with_logits" => |s| {
            s.only(1, &["weight", "pos_weight", "reduction"])?;
            let options = BceOptions {
                weight: s.named("weight").maybe_tensor()?,
                positive_weight: s.named("pos_weight").maybe_tensor()?,
                reduction: reduction(s)?,
            };
            losses::bce_with_logits(&s.x()?, &s.t(0, "target")?, &options)
        };
        "nn.functional.binary_cross_entropy" => |s| {
            s.only(2, &["weight", "reduction"])?;
            let weight = s.arg(1, "weight").maybe_tensor()?;
            losses::binary_cross_entropy(&s.x()?, &s.t(0, "target")?, weight.as_ref(), reduction(s)?)
        };
        "nn.functional.multi_margin_loss" => |s| {
            s.only(1, &["p", "margin", "weight", "reduction"])?;
            let options = MultiMarginOptions {
                power: s.named("p").float_or(1.0)?,
                margin: s.named("margin").float_or(1.0)?,
                weight: s.named("weight").maybe_tensor()?,
                reduction: reduction(s)?,
            };
            losses::multi_margin(&s.x()?, &s.t(0, "target")?, &options)
        };
        "nn.functional.multilabel_margin_loss" => |s| {
            s.only(1, &["reduction"])?;
            losses::multilabel_margin(&s.x()?, &s.t(0, "target")?, reduction(s)?)
        };
        "nn.functional.multilabel_soft_margin_loss" => |s| {
            s.only(1, &["weight", "reduction"])?;
            let weight = s.named("weight").maybe_tensor()?;
            losses::multilabel_soft_margin(&s.x()?, &s.t(0, "target")?, weight.as_ref(), reduction(s)?)
        };
        "nn.functional.soft_margin_loss" => |s| {
            losses::soft_margin(&s.x()?, &s.t(0, "target")?, reduction(s)?)
        };
        "nn.functional.margin_ranking_loss" => |s| {
            let (right, targets) = (s.t(0, "input2")?, s.t(1, "target")?);
            let margin = s.named("margin").float_or(0.0)?;
            losses::margin_ranking(&s.x()?, &right, &targets, margin, reduction(s)?)
        };
        "nn.functional.hinge_embedding_loss" => |s| {
            let margin = s.named("margin").float_or(1.0)?;
            losses::hinge_embedding(&s.x()?, &s.t(0, "target")?, margin, reduction(s)?)
        };
        "nn.functional.cosine_embedding_loss" => |s| {
            let (right, targets) = (s.t(0, "input2")?, s.t(1, "target")?);
            let margin = s.named("margin").float_or(0.0)?;
            losses::cosine_embedding(&s.x()?, &right, &targets, margin, reduction(s)?)
        };
        "nn.functional.triplet_margin_loss" => |s| triplet(s)?;
        "nn.functional.triplet_margin_with_distance_loss" => |s| triplet(s)?;
        "nn.functional.poisson_nll_loss" => |s| {
            losses::poisson_nll(
                &s.x()?,
                &s.t(0, "target")?,
                s.named("log_input").bool_or(true)?,
                s.named("full").bool_or(false)?,
                s.named("eps").float_or(1e-8)?,
                reduction(s)?,
            )
        };
        "nn.functional.gaussian_nll_loss" => |s| {
            let x = s.x()?;
            let variance = match s.arg(1, "var") {
                Value::Tensor(variance) => variance,
                other => x.full_like(other.float()?),
            };
            let short = variance.rank() + 1 == x.rank();
            let variance = if short { variance.unsqueeze(-1) } else { variance };
            let (full, epsilon) = (s.named("full").bool_or(false)?, s.named("eps").float_or(1e-6)?);
            losses::gaussian_nll(&x, &s.t(0, "target")?, &variance, full, epsilon, reduction(s)?)
        };
        "nn.functional.kl_div" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let log_target = s.named("log_target").bool_or(false)?;
            match s.named("reduction").text_or("mean")?.as_str() {
                "batchmean" => {
                    losses::kl_div(&x, &target, log_target, LossReduction::Sum).div(x.size(0) as f64)
                }
                _ => losses::kl_div(&x, &target, log_target, reduction(s)?),
            }
        };
        "nn.functional.pairwise_distance" => |s| {
            let (power, epsilon) = (s.named("p").float_or(2.0)?, s.named("eps").float_or(1e-6)?);
            let found = pairwise_distance(&s.x()?, &s.t(0, "x2")?, power, epsilon);
            if s.named("keepdim").bool_or(false)? { found.unsqueeze(-1) } else { found }
        };
        "nn.functional.pdist" => |s| s.x()?.pdist(s.arg(0, "p").float_or(2.0)?);
        "nn.functional.cosine_similarity" => |s| {
            s.only(1, &["dim", "eps"])?;
            let (axis, epsilon) = (s.named("dim").int_or(1)?, s.named("eps").float_or(1e-8)?);
            s.x()?.cosine_similarity_with(&s.t(0, "x2")?, axis, epsilon)
        };
    }
    .to_vec()
}
