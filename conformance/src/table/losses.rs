//! Losses, norms and distances without a function of their own, as a few calls.

use gradloom::Tensor;

use super::layers::reduced;
use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

/// `sum(|x - y + epsilon|^power)^(1 / power)` of the last axis.
fn distance(x: &Tensor, y: &Tensor, power: f64, epsilon: f64) -> Tensor {
    let difference = x.sub(y).add(epsilon);
    match power {
        2.0 => difference.square().sum(-1).sqrt(),
        1.0 => difference.abs().sum(-1),
        _ => difference.abs().powf(power).sum(-1).powf(1.0 / power),
    }
}

/// Normalised over all axes but the first two.
fn instances(s: &Sample) -> Result<Tensor, Skip> {
    if !s.named("use_input_stats").bool_or(true)? {
        return Err("running statistics".into());
    }
    let (x, axes): (Tensor, Vec<isize>) = (s.x()?, (2..s.x()?.rank() as isize).collect());
    let epsilon = s.named("eps").float_or(1e-5)?;
    scaled_by_channel(s, normalised(&x, &axes, epsilon))
}

fn normalised(x: &Tensor, axes: &[isize], epsilon: f64) -> Tensor {
    let centred = x.sub(x.mean_keepdim(axes));
    centred.mul(x.var_keepdim(axes, 0).add(epsilon).rsqrt())
}

fn scaled_by_channel(s: &Sample, y: Tensor) -> Result<Tensor, Skip> {
    let mut shape = vec![1; y.rank()];
    shape[1] = y.shape()[1];
    let y = match s.arg(2, "weight").maybe_tensor()? {
        Some(weight) => y.mul(weight.reshape(&shape[..])),
        None => y,
    };
    Ok(match s.arg(3, "bias").maybe_tensor()? {
        Some(bias) => y.add(bias.reshape(&shape[..])),
        None => y,
    })
}

fn batches(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    if x.rank() < 2 {
        return Err("no axis of channels".into());
    }
    let epsilon = s.named("eps").float_or(1e-5)?;
    let axes: Vec<isize> = (0..x.rank() as isize).filter(|&axis| axis != 1).collect();
    let mut shape = vec![1; x.rank()];
    shape[1] = x.shape()[1];
    let y = match s.named("training").bool_or(false)? {
        true => normalised(&x, &axes, epsilon),
        false => {
            let mean = s.t(0, "running_mean")?.reshape(&shape[..]);
            let variance = s.t(1, "running_var")?.reshape(&shape[..]);
            x.sub(mean).mul(variance.add(epsilon).rsqrt())
        }
    };
    scaled_by_channel(s, y)
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "nn.functional.instance_norm" => |s| instances(s)?;
        "nn.functional.batch_norm" => |s| batches(s)?;
        "nn.functional.rms_norm" => |s| {
            let (dtype, x) = (s.x()?.dtype(), s.x()?.wide());
            let count = s.arg(0, "normalized_shape").ints()?.len() as isize;
            let axes: Vec<isize> = (-count..0).collect();
            let epsilon = s.named("eps").float_or(f64::from(f32::EPSILON))?;
            let y = x.mul(x.square().mean_keepdim(&axes[..]).add(epsilon).rsqrt());
            match s.arg(1, "weight").maybe_tensor()? {
                Some(weight) => y.mul(weight.wide()),
                None => y,
            }
            .cast(dtype)
        };
        "nn.functional.local_response_norm" => |s| {
            let (x, size) = (s.x()?, s.arg(0, "size").int()? as usize);
            let (alpha, beta) = (s.named("alpha").float_or(1e-4)?, s.named("beta").float_or(0.75)?);
            let mut padding = vec![(0, 0); x.rank()];
            padding[1] = (size / 2, (size - 1) / 2);
            let sums = x.square().pad(&padding).sliding_windows(1, size, 1).mean(-1);
            x.div(sums.mul(alpha).add(s.named("k").float_or(1.0)?).powf(beta))
        };
        "nn.functional.bilinear" => |s| {
            let (x, y, weight) = (s.x()?, s.t(0, "input2")?, s.t(1, "weight")?);
            let z = Tensor::einsum("...i,oij,...j->...o", &[x, weight, y]);
            match s.arg(2, "bias").maybe_tensor()? {
                Some(bias) => z.add(bias),
                None => z,
            }
        };
        "nn.functional.soft_margin_loss" => |s| {
            reduced(s, &s.x()?.mul(&s.t(0, "target")?).neg().softplus())?
        };
        "nn.functional.margin_ranking_loss" => |s| {
            let difference = s.x()?.sub(&s.t(0, "input2")?);
            let margin = s.named("margin").float_or(0.0)?;
            reduced(s, &s.t(1, "target")?.neg().mul(difference).add(margin).relu())?
        };
        "nn.functional.hinge_embedding_loss" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let margin = s.named("margin").float_or(1.0)?;
            let zero = x.zeros_like();
            let apart = target.ne(1.0).select(x.neg().add(margin).relu(), &zero);
            reduced(s, &apart.add(target.ne(-1.0).select(&x, &zero)))?
        };
        "nn.functional.poisson_nll_loss" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let losses = match s.named("log_input").bool_or(true)? {
                true => x.exp().sub(target.mul(&x)),
                false => x.sub(target.mul(x.add(s.named("eps").float_or(1e-8)?).log())),
            };
            let losses = match s.named("full").bool_or(false)? {
                true => {
                    let large = target.gt(1.0);
                    let safe = large.select(&target, target.ones_like());
                    let stirling =
                        safe.mul(safe.log()).sub(&safe).add(safe.mul(std::f64::consts::TAU).log().mul(0.5));
                    losses.add(large.select(stirling, target.zeros_like()))
                }
                false => losses,
            };
            reduced(s, &losses)?
        };
        "nn.functional.gaussian_nll_loss" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let variance = match s.arg(1, "var") {
                Value::Tensor(variance) => variance,
                other => x.full_like(other.float()?),
            };
            let variance = if variance.rank() + 1 == x.rank() { variance.unsqueeze(-1) } else { variance };
            let floor = s.named("eps").float_or(1e-6)?;
            // The gradient goes by the bound as if it were not there, as in PyTorch.
            let raised = variance.add(variance.maximum(floor).sub(&variance).detach());
            let losses = raised.log().add(x.sub(&target).square().div(&raised)).mul(0.5);
            let full = s.named("full").bool_or(false)?;
            let losses = losses.add(if full { 0.5 * std::f64::consts::TAU.ln() } else { 0.0 });
            reduced(s, &losses)?
        };
        "nn.functional.kl_div" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let losses = match s.named("log_target").bool_or(false)? {
                true => target.exp().mul(target.sub(&x)),
                false => target.xlogy(&target).sub(target.mul(&x)),
            };
            match s.named("reduction").text_or("mean")?.as_str() {
                "batchmean" => losses.sum(..).div(x.size(0) as f64),
                _ => reduced(s, &losses)?,
            }
        };
        "nn.functional.pairwise_distance" => |s| {
            let (power, epsilon) = (s.named("p").float_or(2.0)?, s.named("eps").float_or(1e-6)?);
            let found = distance(&s.x()?, &s.t(0, "x2")?, power, epsilon);
            if s.named("keepdim").bool_or(false)? { found.unsqueeze(-1) } else { found }
        };
        "nn.functional.triplet_margin_loss" => |s| {
            let (power, epsilon) = (s.named("p").float_or(2.0)?, s.named("eps").float_or(1e-6)?);
            let (x, positive, negative) = (s.x()?, s.t(0, "positive")?, s.t(1, "negative")?);
            let near = distance(&x, &positive, power, epsilon);
            let mut far = distance(&x, &negative, power, epsilon);
            if s.named("swap").bool_or(false)? {
                far = far.minimum(distance(&positive, &negative, power, epsilon));
            }
            reduced(s, &near.sub(far).add(s.named("margin").float_or(1.0)?).relu())?
        };
        "nn.functional.cosine_embedding_loss" => |s| {
            let (x, y, target) = (s.x()?, s.t(0, "input2")?, s.t(1, "target")?);
            let margin = s.named("margin").float_or(0.0)?;
            let epsilon = 1e-12;
            let lengths = x.square().sum(-1).add(epsilon).mul(y.square().sum(-1).add(epsilon));
            let cosine = x.mul(&y).sum(-1).div(lengths.sqrt());
            let zero = cosine.zeros_like();
            let alike = target.eq(1.0).select(cosine.neg().add(1.0), &zero);
            let apart = target.eq(-1.0).select(cosine.sub(margin).relu(), &zero);
            reduced(s, &alike.add(apart))?
        };
        "nn.functional.nll_loss" => |s| {
            s.only(1, &["weight", "reduction"])?;
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let rank = x.rank() as isize;
            let axis = if rank == 1 { 0 } else { 1 };
            let picked = x.gather(axis, &target.unsqueeze(axis)).squeeze(axis).neg();
            match s.named("weight").maybe_tensor()? {
                None => reduced(s, &picked)?,
                Some(weight) => {
                    let weights = weight.take(0, &target);
                    let losses = picked.mul(&weights);
                    match s.named("reduction").text_or("mean")?.as_str() {
                        "mean" => losses.sum(..).div(weights.sum(..)),
                        _ => reduced(s, &losses)?,
                    }
                }
            }
        };
    }
    .to_vec()
}
