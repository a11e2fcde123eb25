//! Layers and losses.

use gradloom::Tensor;
use gradloom::ops::loss::{CrossEntropyOptions, LossReduction};

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

/// A loss that has every reduction.
pub(super) fn reduced(s: &Sample, losses: &Tensor) -> Result<Tensor, Skip> {
    Ok(gradloom::nn::losses::reduce(losses, reduction(s)?))
}

/// Classes on axis 1 moved to the end.
fn classes_last(x: &Tensor) -> Tensor {
    let rank = x.rank() as isize;
    let mut order: Vec<isize> = (0..rank).filter(|&axis| axis != 1 || rank == 1).collect();
    if rank > 1 {
        order.push(1);
    }
    x.permute(&order)
}

fn cross_entropy(s: &Sample) -> Result<Tensor, Skip> {
    s.only(1, &["reduction", "ignore_index", "label_smoothing"])?;
    let (x, target) = (s.x()?, s.t(0, "target")?);
    if target.dtype().is_float() {
        return Err("probabilities as targets".into());
    }
    let options = CrossEntropyOptions::default()
        .reduction(reduction(s)?)
        .label_smoothing(s.named("label_smoothing").float_or(0.0)?)
        .ignore_index(s.named("ignore_index").int_or(-100)? as i32);
    Ok(classes_last(&x).cross_entropy_with(&target, &options))
}

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

pub(super) fn table() -> Vec<Row> {
    rows! {
        "nn.functional.linear" => |s| linear(s)?;
        "nn.functional.cross_entropy" => |s| cross_entropy(s)?;
        "nn.functional.mse_loss" => |s| {
            s.only(1, &["reduction"])?;
            reduced(s, &(s.x()? - &s.t(0, "target")?).square())?
        };
        "nn.functional.l1_loss" => |s| {
            s.only(1, &["reduction"])?;
            reduced(s, &(s.x()? - &s.t(0, "target")?).abs())?
        };
        "nn.functional.embedding" => |s| {
            s.only(1, &[])?;
            s.x()?.embedding(&s.t(0, "input")?)
        };
        "nn.functional.layer_norm" => |s| {
            let axes = s.arg(0, "normalized_shape").ints()?.len();
            let (weight, bias) =
                (s.arg(1, "weight").maybe_tensor()?, s.arg(2, "bias").maybe_tensor()?);
            let epsilon = s.arg(3, "eps").float_or(1e-5)?;
            s.x()?.layer_norm(axes, weight.as_ref(), bias.as_ref(), epsilon)
        };
        "nn.functional.group_norm" => |s| {
            let groups = s.arg(0, "num_groups").int()? as usize;
            let (weight, bias) =
                (s.arg(1, "weight").maybe_tensor()?, s.arg(2, "bias").maybe_tensor()?);
            let epsilon = s.arg(3, "eps").float_or(1e-5)?;
            s.x()?.group_norm(groups, weight.as_ref(), bias.as_ref(), epsilon)
        };
        "nn.functional.normalize" => |s| {
            s.only(3, &["p", "dim", "eps"])?;
            if s.arg(0, "p").float_or(2.0)? != 2.0 || s.x()?.rank() < 2 {
                return Err("another norm".into());
            }
            s.x()?.normalize(s.arg(1, "dim").int_or(1)?, s.arg(2, "eps").float_or(1e-12)?)
        };
        "nn.functional.huber_loss" => |s| {
            s.only(1, &["delta"])?;
            match s.named("reduction") {
                Value::None => s.x()?.huber_loss(&s.t(0, "target")?, s.named("delta").float_or(1.0)?),
                other => return Err(format!("reduction {}", other.kind())),
            }
        };
        "nn.functional.smooth_l1_loss" => |s| {
            s.only(1, &["beta"])?;
            let beta = s.named("beta").float_or(1.0)?;
            if beta == 0.0 {
                return Err("beta 0".into());
            }
            s.x()?.smooth_l1_loss(&s.t(0, "target")?, beta)
        };
        "nn.functional.binary_cross_entropy_with_logits" => |s| {
            s.only(1, &["weight", "pos_weight", "reduction"])?;
            let options = gradloom::nn::losses::BceOptions {
                weight: s.named("weight").maybe_tensor()?,
                positive_weight: s.named("pos_weight").maybe_tensor()?,
                reduction: reduction(s)?,
            };
            gradloom::nn::losses::bce_with_logits(&s.x()?, &s.t(0, "target")?, &options)
        };
        "nn.functional.binary_cross_entropy" => |s| {
            s.only(1, &[])?;
            s.x()?.binary_cross_entropy(&s.t(0, "target")?)
        };
        "nn.functional.cosine_similarity" => |s| {
            s.only(1, &["dim"])?;
            if s.x()?.rank() == 0 {
                return Err("no axis".into());
            }
            s.x()?.cosine_similarity(&s.t(0, "x2")?, s.named("dim").int_or(1)?)
        };
    }
    .to_vec()
}
