//! Losses with a margin: of classes, of several labels, of pairs and of triplets.
//!
//! Letters: N batch, C classes, D features.

use gradloom_tensor::{Called, DType, Shape, Tensor, demand, shape_rules};

use super::{LossReduction, reduce, same};

/// Options of [`multi_margin`].
#[derive(Clone, Debug)]
pub struct MultiMarginOptions {
    /// The power of each excess; 1 unless set.
    pub power: f64,
    /// By how much the target is to win; 1 unless set.
    pub margin: f64,
    /// A factor for each class, `[C]`, of the target.
    pub weight: Option<Tensor>,
    /// How the losses become the result.
    pub reduction: LossReduction,
}

impl Default for MultiMarginOptions {
    fn default() -> Self {
        let reduction = LossReduction::Mean;
        MultiMarginOptions { power: 1.0, margin: 1.0, weight: None, reduction }
    }
}

/// `sum over c other than the target of max(0, margin - x[target] + x[c])^power / C`: `[N, C]` (or `[C]`) and
/// classes `[N]` (or one).
///
/// Float dtypes. PyTorch: `F.multi_margin_loss`.
///
/// # Panics
/// If shapes do not fit; a target that is no class fails the evaluation.
#[track_caller]
#[must_use]
pub fn multi_margin(x: &Tensor, targets: &Tensor, options: &MultiMarginOptions) -> Tensor {
    const OP: &str = "multi_margin";
    let _called = Called::op(OP);
    let dtype = x.dtype();
    let batched = x.rank() == 2;
    let x = matrix(OP, x).wide();
    let (rows, classes) = (x.size(0), x.size(1));
    demand!(
        targets.rank() < 2 && targets.count() == rows,
        "{OP}: targets {} for {rows} rows",
        targets.shape()
    );
    let targets = targets.reshape([rows, 1]).check_index(classes, OP).cast(DType::I32);
    let own = Tensor::iota([rows, classes], 1, x.device()).eq(&targets);
    let excess = (&x - x.gather(1, &targets) + options.margin).relu();
    let excess = if options.power == 1.0 { excess } else { excess.powf(options.power) };
    let mut terms = own.select(excess.constant_like(0.0), &excess);
    if let Some(weight) = &options.weight {
        demand!(
            weight.shape() == &[classes][..],
            "{OP}: weights of shape {} for {classes} classes",
            weight.shape()
        );
        terms = terms * weight.wide().take(0, &targets);
    }
    finished(&terms.sum(1), classes, batched, options.reduction).cast(dtype)
}

/// `sum over labels l and classes c that are none of max(0, 1 - x[l] + x[c]) / C`: `[N, C]` (or `[C]`) with
/// labels of the same shape, integers, of which those before the first -1 of a row count.
///
/// Float dtypes. PyTorch: `F.multilabel_margin_loss`.
///
/// # Panics
/// If shapes differ; a label that is no class fails the evaluation.
#[track_caller]
#[must_use]
pub fn multilabel_margin(x: &Tensor, labels: &Tensor, reduction: LossReduction) -> Tensor {
    const OP: &str = "multilabel_margin";
    let _called = Called::op(OP);
    let (dtype, batched) = (x.dtype(), x.rank() == 2);
    demand!(
        x.shape() == labels.shape(),
        "{OP}: labels {} of {}; they have one shape",
        labels.shape(),
        x.shape()
    );
    let (x, labels) = (matrix(OP, x).wide(), matrix(OP, labels));
    let (rows, classes) = (x.size(0), x.size(1));
    let counts = labels.lt(0).cast(DType::I32).cumsum(1).eq(0);
    let labels = counts.select(&labels, labels.constant_like(0));
    let labels = labels.check_index(classes, OP).cast(DType::I32);
    let shape = Shape::new(&[rows, classes]);
    let is_label = Tensor::scatter_add_zeros(shape, 1, &labels, &counts.cast(DType::I32)).gt(0);
    // [N, label, class]
    let excess = (x.unsqueeze(1) - x.gather(1, &labels).unsqueeze(2) + 1.0).relu();
    let pairs = counts.unsqueeze(2).logical_and(is_label.logical_not().unsqueeze(1));
    let terms = pairs.select(&excess, excess.constant_like(0.0));
    finished(&terms.sum([1, 2]), classes, batched, reduction).cast(dtype)
}

/// Mean over the classes of `-w (y log s + (1 - y) log(1 - s))` with `s = sigmoid(x)`: `[.., C]` with targets
/// of the same shape in `0..=1`, weights that broadcast.
///
/// Float dtypes. PyTorch: `F.multilabel_soft_margin_loss`.
///
/// # Panics
/// If shapes or dtypes do not fit.
#[track_caller]
#[must_use]
pub fn multilabel_soft_margin(
    x: &Tensor,
    targets: &Tensor,
    weight: Option<&Tensor>,
    reduction: LossReduction,
) -> Tensor {
    let _called = Called::op("multilabel_soft_margin");
    same("multilabel_soft_margin", x, targets);
    let dtype = x.dtype();
    let (x, targets) = (x.wide(), targets.wide());
    let losses = x.softplus() - &x * targets;
    let losses = match weight {
        Some(weight) => losses * weight.wide(),
        None => losses,
    };
    reduce(&losses.mean(-1), reduction).cast(dtype)
}

/// `log(1 + exp(-x y))` of each element for targets of -1 or 1, reduced. PyTorch: `F.soft_margin_loss`.
///
/// # Panics
/// If shapes or dtypes differ.
#[track_caller]
#[must_use]
pub fn soft_margin(x: &Tensor, targets: &Tensor, reduction: LossReduction) -> Tensor {
    let _called = Called::op("soft_margin");
    same("soft_margin", x, targets);
    let losses = (x.wide() * targets.wide()).neg().softplus();
    reduce(&losses, reduction).cast(x.dtype())
}

/// `max(0, margin - y (left - right))` for targets of 1 where the left is to rank above the right, and of -1;
/// broadcast, reduced. PyTorch: `F.margin_ranking_loss`.
///
/// # Panics
/// If shapes do not broadcast.
#[track_caller]
#[must_use]
pub fn margin_ranking(
    left: &Tensor,
    right: &Tensor,
    targets: &Tensor,
    margin: f64,
    reduction: LossReduction,
) -> Tensor {
    let _called = Called::op("margin_ranking");
    let difference = left.wide() - right.wide();
    let losses = (targets.wide().neg() * difference + margin).relu();
    reduce(&losses, reduction).cast(left.dtype())
}

/// `x` where the target is 1, `max(0, margin - x)` where it is -1, reduced: of distances of pairs that are
/// alike or not. PyTorch: `F.hinge_embedding_loss`.
///
/// # Panics
/// If shapes do not broadcast.
#[track_caller]
#[must_use]
pub fn hinge_embedding(
    x: &Tensor,
    targets: &Tensor,
    margin: f64,
    reduction: LossReduction,
) -> Tensor {
    let _called = Called::op("hinge_embedding");
    let (dtype, x, targets) = (x.dtype(), x.wide(), targets.wide());
    let zero = x.zeros_like();
    let apart = targets.ne(1.0).select((x.clone().neg() + margin).relu(), &zero);
    let alike = targets.ne(-1.0).select(&x, &zero);
    reduce(&(apart + alike), reduction).cast(dtype)
}

/// `1 - cos(left, right)` where the target is 1, `max(0, cos(left, right) - margin)` where it is -1, reduced:
/// rows `[.., D]`, targets `[..]`. PyTorch: `F.cosine_embedding_loss`.
///
/// # Panics
/// If shapes do not broadcast.
#[track_caller]
#[must_use]
pub fn cosine_embedding(
    left: &Tensor,
    right: &Tensor,
    targets: &Tensor,
    margin: f64,
    reduction: LossReduction,
) -> Tensor {
    let _called = Called::op("cosine_embedding");
    const EPSILON: f64 = 1e-12;
    let (x, y) = (left.wide(), right.wide());
    let lengths = (x.square().sum(-1) + EPSILON) * (y.square().sum(-1) + EPSILON);
    let cosine = (x * y).sum(-1) / lengths.sqrt();
    let zero = cosine.zeros_like();
    let alike = targets.eq(1).select(cosine.clone().neg() + 1.0, &zero);
    let apart = targets.eq(-1).select((cosine - margin).relu(), &zero);
    reduce(&(alike + apart), reduction).cast(left.dtype())
}

/// `max(0, d(anchor, positive) - d(anchor, negative) + margin)` with any distance `d` of two batches, reduced.
/// With `swap` the negative's distance is the lesser of those from the anchor and from the positive.
///
/// PyTorch: `F.triplet_margin_with_distance_loss`; with
/// [`pairwise_distance`](crate::functional::pairwise_distance) `F.triplet_margin_loss`. Balntas et al.,
/// "Learning shallow convolutional feature descriptors with triplet losses", 2016.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
#[must_use]
pub fn triplet_with(
    distance: impl Fn(&Tensor, &Tensor) -> Tensor,
    [anchor, positive, negative]: [&Tensor; 3],
    margin: f64,
    swap: bool,
    reduction: LossReduction,
) -> Tensor {
    let near = distance(anchor, positive);
    let far = distance(anchor, negative);
    let far = if swap { far.minimum(distance(positive, negative)) } else { far };
    reduce(&(near - far + margin).relu(), reduction)
}

/// `[C]`, or one number, as a row.
#[track_caller]
fn matrix(op: &str, x: &Tensor) -> Tensor {
    shape_rules::number(op, x.dtype()).unwrap_or_else(|error| Called::fail(error));
    demand!(x.rank() < 3, "{op}: needs [N, C], got shape {}", x.shape());
    if x.rank() == 2 { x.clone() } else { x.reshape([1, x.count()]) }
}

/// Sums over classes `[N]` divided by their number and reduced; one row is one loss.
#[track_caller]
fn finished(sums: &Tensor, classes: usize, batched: bool, reduction: LossReduction) -> Tensor {
    let losses = sums * (1.0 / classes.max(1) as f64);
    match (reduction, batched) {
        (LossReduction::None, false) => losses.reshape(()),
        _ => reduce(&losses, reduction),
    }
}
