//! Merging: one model of several that began as the same.

use gradloom_nn::StateDict;
use gradloom_tensor::{DType, Error, ErrorKind, Result, Tensor, eval};

/// The weighted mean of models; weights need not add up to one, they are divided by their sum. Integers and bools are
/// the first model's.
///
/// Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
/// inference time", 2022.
///
/// # Errors
/// If there are no models or not as many weights, these add up to zero, or names, shapes or dtypes differ.
pub fn mean(models: &[&StateDict], weights: &[f64]) -> Result<StateDict> {
    let sum: f64 = weights.iter().sum();
    if weights.len() != models.len() || sum == 0.0 || !sum.is_finite() {
        return Err(invalid(format!("merge: {} models and the weights {weights:?}", models.len())));
    }
    combined(models, |tensors| {
        let shares =
            tensors.iter().zip(weights).map(|(tensor, weight)| tensor.wide() * (weight / sum));
        shares.reduce(|sum, share| sum + share).unwrap_or_else(|| tensors[0].clone())
    })
}

/// `base + scale * sum of (model - base)`: what each model has learnt, added up. A negative scale takes it away.
///
/// Ilharco et al., "Editing models with task arithmetic", 2023.
///
/// # Errors
/// If there are no models, or names, shapes or dtypes differ.
pub fn task_arithmetic(base: &StateDict, models: &[&StateDict], scale: f64) -> Result<StateDict> {
    if models.is_empty() {
        return Err(invalid("merge: no models"));
    }
    let all = [&[base], models].concat();
    combined(&all, |tensors| {
        let base = tensors[0].wide();
        let learnt = tensors[1..].iter().map(|tensor| tensor.wide() - &base);
        let sum = learnt.reduce(|sum, learnt| sum + learnt).unwrap_or_else(|| base.zeros_like());
        base + sum * scale
    })
}

/// Along the arc between two models instead of the chord, so that norms stay: `part` 0 is the first, 1 the second.
/// Each tensor has an angle of its own; nearly parallel ones are mixed along the chord.
///
/// Shoemake, "Animating rotation with quaternion curves", 1985.
///
/// # Errors
/// If the part is not finite, or names, shapes or dtypes differ.
pub fn slerp(first: &StateDict, second: &StateDict, part: f64) -> Result<StateDict> {
    const PARALLEL: f64 = 0.9995;
    if !part.is_finite() {
        return Err(invalid(format!("merge: {part} of the way")));
    }
    combined(&[first, second], |tensors| {
        let [left, right] = [tensors[0].wide(), tensors[1].wide()];
        let norm = |tensor: &Tensor| tensor.square().sum(..).sqrt() + 1e-12;
        let cosine = (&left * &right).sum(..) / (norm(&left) * norm(&right));
        let is_parallel = cosine.abs().gt(PARALLEL);
        let cosine = is_parallel.select(cosine.zeros_like(), cosine);
        let angle = cosine.acos();
        let sine = angle.sin();
        let [from, to] = [1.0 - part, part];
        let share = |part: f64| {
            let along = (&angle * part).sin() / &sine;
            is_parallel.select(along.full_like(part), along)
        };
        left * share(from) + right * share(to)
    })
}

/// TIES: of what each model has learnt the largest `density` is kept, each element's sign is that of the larger sum, and
/// those that agree with it are averaged; `scale` of that is added to the base.
///
/// Yadav et al., "TIES-merging: resolving interference when merging models", 2023.
///
/// # Errors
/// If there are no models, the density is not within `0..=1`, or names, shapes or dtypes differ.
pub fn ties(
    base: &StateDict,
    models: &[&StateDict],
    density: f64,
    scale: f64,
) -> Result<StateDict> {
    if models.is_empty() || !(0.0..=1.0).contains(&density) {
        return Err(invalid(format!("merge: {} models at a density of {density}", models.len())));
    }
    let all = [&[base], models].concat();
    combined(&all, |tensors| {
        let base = tensors[0].wide();
        let learnt: Vec<Tensor> =
            tensors[1..].iter().map(|tensor| trimmed(&(tensor.wide() - &base), density)).collect();
        let total = |parts: &mut dyn Iterator<Item = Tensor>| parts.reduce(|sum, part| sum + part);
        let Some(sum) = total(&mut learnt.iter().cloned()) else { return base };
        let sign = sum.sign();
        let agrees = |own: &Tensor| (own.sign() * &sign).gt(0.0);
        let kept = total(&mut learnt.iter().map(|own| agrees(own).select(own, own.zeros_like())));
        let count = total(&mut learnt.iter().map(|own| agrees(own).cast(sum.dtype())));
        match kept.zip(count) {
            Some((kept, count)) => base + kept / count.maximum(1.0) * scale,
            None => base,
        }
    })
}

/// The largest part by absolute value; of equal ones the last.
fn trimmed(learnt: &Tensor, density: f64) -> Tensor {
    let count = learnt.count();
    let removed = count - (count as f64 * density).round() as usize;
    let rank = learnt.abs().reshape([count]).argsort(0, false).argsort(0, false);
    rank.ge(removed as i32).reshape(*learnt.shape()).select(learnt, learnt.zeros_like())
}

/// A function of the tensors of each name, in f32, as the dtype of the first; computed.
fn combined(models: &[&StateDict], combine: impl Fn(&[Tensor]) -> Tensor) -> Result<StateDict> {
    let Some((first, others)) = models.split_first() else {
        return Err(invalid("merge: no models"));
    };
    for (number, other) in others.iter().enumerate() {
        if let Some((name, _)) = other.iter().find(|(name, _)| first.get(name).is_none()) {
            return Err(mismatch(format!(
                "merge: model {} has {name}, the first has not",
                number + 2
            )));
        }
    }
    let mut merged = Vec::new();
    for (name, tensor) in first.iter() {
        let mut tensors = vec![tensor.clone()];
        for (number, other) in others.iter().enumerate() {
            let number = number + 2;
            let Some(own) = other.get(name) else {
                return Err(mismatch(format!("merge: model {number} has no {name}")));
            };
            if own.shape() != tensor.shape() || own.dtype() != tensor.dtype() {
                return Err(mismatch(format!(
                    "merge: {name} is {} {} in model {number} and {} {} in the first",
                    own.dtype(),
                    own.shape(),
                    tensor.dtype(),
                    tensor.shape()
                )));
            }
            tensors.push(own.to_device(tensor.device()));
        }
        let floats = tensor.dtype().is_float() && tensor.dtype() != DType::Bool;
        let result = if floats { combine(&tensors).cast(tensor.dtype()) } else { tensor.clone() };
        merged.push((name.to_owned(), result.detach()));
    }
    eval(merged.iter().map(|(_, tensor)| tensor)).map_err(|error| error.context("merge"))?;
    Ok(merged.into_iter().collect())
}

fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
