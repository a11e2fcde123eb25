//! Losses that need more than the methods of [`Tensor`] have: weights of classes or samples, another
//! reduction, pairs and triplets, labels without places; and penalties on scores that depend on a group of people
//! and on what must not be said.
//!
//! The plain ones (`cross_entropy`, `mse_loss`, `bce_with_logits`...) are methods of [`Tensor`].
//! All are computed wide ([`Tensor::wide`]). Letters: B batch, C classes, D features.

mod classes;
mod ctc;
mod fairness;
mod likelihoods;
mod margins;
mod unlikelihood;

pub use classes::{ClassOptions, cross_entropy, linear_cross_entropy, nll};
pub use ctc::{CtcOptions, ctc};
pub use fairness::{demographic_parity, equalised_odds, squared_correlation};
use gradloom_tensor::ops::loss::CrossEntropyOptions;
pub use gradloom_tensor::ops::loss::LossReduction;
use gradloom_tensor::{Called, Tensor, demand, shape_rules};
pub use likelihoods::{binary_cross_entropy, gaussian_nll, huber, kl_div, poisson_nll, smooth_l1};
pub use margins::{
    MultiMarginOptions, cosine_embedding, hinge_embedding, margin_ranking, multi_margin,
    multilabel_margin, multilabel_soft_margin, soft_margin, triplet_with,
};
pub use unlikelihood::{banned_sequences, harm, repeated_tokens, unlikelihood};

/// The losses of the elements as a mean, as a sum, or as they are.
#[track_caller]
#[must_use]
pub fn reduce(losses: &Tensor, reduction: LossReduction) -> Tensor {
    match reduction {
        LossReduction::Mean => losses.mean(..),
        LossReduction::Sum => losses.sum(..),
        LossReduction::None => losses.clone(),
    }
}

/// `(x - target)^2` of each element, reduced. PyTorch: `F.mse_loss`.
///
/// # Panics
/// If shapes or dtypes differ.
#[track_caller]
#[must_use]
pub fn mse(x: &Tensor, target: &Tensor, reduction: LossReduction) -> Tensor {
    let _called = Called::op("mse");
    same("mse", x, target);
    reduce(&(x.wide() - target.wide()).square(), reduction).cast(x.dtype())
}

/// `|x - target|` of each element, reduced. PyTorch: `F.l1_loss`.
///
/// # Panics
/// If shapes or dtypes differ.
#[track_caller]
#[must_use]
pub fn l1(x: &Tensor, target: &Tensor, reduction: LossReduction) -> Tensor {
    let _called = Called::op("l1");
    same("l1", x, target);
    reduce(&(x.wide() - target.wide()).abs(), reduction).cast(x.dtype())
}

/// Options of [`bce_with_logits`].
#[derive(Clone, Debug, Default)]
pub struct BceOptions {
    /// Factor of each element's loss, broadcast.
    pub weight: Option<Tensor>,
    /// Factor of the positive part of each loss, broadcast: above one for rare classes.
    pub positive_weight: Option<Tensor>,
    /// How the losses become the result.
    pub reduction: LossReduction,
}

/// `-w (p y log s + (1 - y) log(1 - s))` with `s = sigmoid(x)`, positive weight `p` and weight `w`,
/// without overflow.
///
/// PyTorch: `F.binary_cross_entropy_with_logits(x, y, weight, pos_weight=...)`.
///
/// # Panics
/// If shapes or dtypes do not fit.
#[track_caller]
#[must_use]
pub fn bce_with_logits(x: &Tensor, target: &Tensor, options: &BceOptions) -> Tensor {
    let _called = Called::op("bce_with_logits");
    same("bce_with_logits", x, target);
    for factor in [&options.weight, &options.positive_weight].into_iter().flatten() {
        let broadcast = shape_rules::broadcast("bce_with_logits", x.shape(), factor.shape());
        demand!(
            broadcast.is_ok_and(|shape| shape == *x.shape()),
            "bce_with_logits: a weight of shape {} does not broadcast to the input's {}",
            factor.shape(),
            x.shape()
        );
    }
    let dtype = x.dtype();
    let (x, target) = (x.wide(), target.wide());
    // log(1 - s) = -softplus(x), log s = -softplus(-x).
    let (no, yes) = (x.softplus(), x.neg().softplus());
    let yes = match &options.positive_weight {
        Some(weight) => yes * weight.wide(),
        None => yes,
    };
    let losses = &target * yes + (target.ones_like() - &target) * no;
    let losses = match &options.weight {
        Some(weight) => losses * weight.wide(),
        None => losses,
    };
    reduce(&losses, options.reduction).cast(dtype)
}

/// Cross-entropy with a weight per class `[C]`: the mean of `-w[target] log_softmax(x)[target]`, divided
/// by the sum of the weights: logits `[.., C]`, integer targets `[..]` -> `[]`.
///
/// PyTorch: `F.cross_entropy(x, target, weight)`, which has classes on axis 1.
///
/// # Panics
/// If shapes do not fit; a target outside `0..C` fails the evaluation.
#[track_caller]
#[must_use]
pub fn weighted_cross_entropy(logits: &Tensor, targets: &Tensor, weight: &Tensor) -> Tensor {
    let _called = Called::op("weighted_cross_entropy");
    classes_fit("weighted_cross_entropy", logits, targets);
    let classes = logits.size(-1);
    demand!(
        weight.shape() == &[classes][..],
        "weighted_cross_entropy: weights of shape {} for {classes} classes",
        weight.shape()
    );
    let losses = each_cross_entropy(logits, targets);
    let weights = weight.wide().take(0, targets);
    ((losses * &weights).sum(..) / weights.sum(..)).cast(logits.dtype())
}

/// The cross-entropy of each target, wide.
#[track_caller]
fn each_cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    let options = CrossEntropyOptions::default().reduction(LossReduction::None);
    logits.wide().cross_entropy_with(targets, &options)
}

/// Focal loss of logits: `(1 - p)^gamma * cross_entropy` with `p` the probability of the target:
/// logits `[.., C]`, integer targets `[..]` -> `[]`. Lin et al., "Focal loss", 2017.
///
/// # Panics
/// If shapes do not fit; a target outside `0..C` fails the evaluation.
#[track_caller]
#[must_use]
pub fn focal(logits: &Tensor, targets: &Tensor, gamma: f64) -> Tensor {
    let _called = Called::op("focal");
    classes_fit("focal", logits, targets);
    let logarithm = -each_cross_entropy(logits, targets);
    let missing = logarithm.ones_like() - logarithm.exp();
    // Rounding may take the probability above one, where a power has no value.
    let losses = missing.maximum(missing.constant_like(1e-12)).powf(gamma) * logarithm;
    (-losses.mean(..)).cast(logits.dtype())
}

/// Mean of `max(0, |a - p| - |a - n| + margin)` with Euclidean distances: anchors, positives and
/// negatives `[B, D]` -> `[]`.
///
/// PyTorch: `F.triplet_margin_loss`. Schroff et al., "FaceNet", 2015.
///
/// # Panics
/// If shapes or dtypes differ.
#[track_caller]
#[must_use]
pub fn triplet(anchor: &Tensor, positive: &Tensor, negative: &Tensor, margin: f64) -> Tensor {
    let _called = Called::op("triplet");
    same("triplet", anchor, positive);
    same("triplet", anchor, negative);
    let dtype = anchor.dtype();
    let anchor = anchor.wide();
    let distance = |other: &Tensor| {
        let difference = &anchor - other.wide() + anchor.constant_like(1e-6);
        difference.square().sum(-1).sqrt()
    };
    let excess = distance(positive) - distance(negative);
    (&excess + excess.constant_like(margin)).relu().mean(..).cast(dtype)
}

/// Contrastive loss of two views of the same samples, `[B, D]` each: cross-entropy of their cosine
/// similarities over a temperature, where row `i` belongs to column `i`, in both directions.
///
/// van den Oord et al., "Representation learning with contrastive predictive coding", 2018; Radford et
/// al., "CLIP", 2021.
///
/// # Panics
/// If shapes or dtypes differ.
#[track_caller]
#[must_use]
pub fn info_nce(left: &Tensor, right: &Tensor, temperature: f64) -> Tensor {
    let _called = Called::op("info_nce");
    same("info_nce", left, right);
    let dtype = left.dtype();
    let [left, right] = [left, right].map(|view| view.wide().normalize(-1, 1e-12));
    let similarity = left.matmul(&right.t());
    let logits = &similarity * similarity.constant_like(1.0 / temperature);
    let own = Tensor::arange(logits.size(0), logits.device());
    let sum = logits.cross_entropy(&own) + logits.t().cross_entropy(&own);
    (&sum * sum.constant_like(0.5)).cast(dtype)
}

#[track_caller]
fn classes_fit(loss: &str, logits: &Tensor, targets: &Tensor) {
    let (shape, given) = (logits.shape(), targets.shape());
    demand!(
        shape.rank() > 0 && given.dims() == &shape[..shape.rank() - 1],
        "{loss}: logits {shape} need targets of their shape without the last axis, got {given}"
    );
}

#[track_caller]
fn same(loss: &str, x: &Tensor, target: &Tensor) {
    let (left, right) = (x.shape(), target.shape());
    demand!(left == right, "{loss}: input {left} and target {right} must have one shape");
    let (left, right) = (x.dtype(), target.dtype());
    demand!(left == right, "{loss}: dtypes differ: {left} and {right}; convert one with cast");
}
