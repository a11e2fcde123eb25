//! Cross-entropy and likelihoods of classes with every option of PyTorch: weights, an ignored target, label
//! smoothing, probabilities as targets, classes on any axis; and of logits that are never all there at once.
//!
//! Letters: N batch, C classes, E features.

use gradloom_autodiff::checkpoint;
use gradloom_tensor::{Called, DType, Tensor, demand};

use super::{LossReduction, reduce};

/// Options of losses of classes.
#[derive(Clone, Debug)]
pub struct ClassOptions {
    /// How the losses become the result. A mean of class targets is weighted by the weights of the targets.
    pub reduction: LossReduction,
    /// A factor for each class, `[C]`.
    pub weight: Option<Tensor>,
    /// A target whose loss is zero, and which counts for no mean.
    pub ignore_index: Option<i64>,
    /// Share of the targets' probability that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// The axis of the classes; -1 unless set. PyTorch has them on axis 1 (0 without a batch).
    pub axis: isize,
}

impl Default for ClassOptions {
    fn default() -> Self {
        ClassOptions {
            reduction: LossReduction::Mean,
            weight: None,
            ignore_index: None,
            label_smoothing: 0.0,
            axis: -1,
        }
    }
}

impl ClassOptions {
    /// Sets the reduction.
    #[must_use]
    pub fn reduction(self, reduction: LossReduction) -> Self {
        ClassOptions { reduction, ..self }
    }

    /// Sets a factor for each class, `[C]`.
    #[must_use]
    pub fn weight(self, weight: &Tensor) -> Self {
        ClassOptions { weight: Some(weight.clone()), ..self }
    }

    /// Sets the target that is ignored.
    #[must_use]
    pub fn ignore_index(self, index: i64) -> Self {
        ClassOptions { ignore_index: Some(index), ..self }
    }

    /// Sets the label smoothing.
    #[must_use]
    pub fn label_smoothing(self, label_smoothing: f64) -> Self {
        ClassOptions { label_smoothing, ..self }
    }

    /// Sets the axis of the classes.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        ClassOptions { axis, ..self }
    }

    /// The weights, wide and checked.
    #[track_caller]
    fn weights(&self, op: &str, classes: usize) -> Option<Tensor> {
        let weight = self.weight.as_ref()?;
        demand!(
            weight.shape() == &[classes][..],
            "{op}: weights of shape {} for {classes} classes",
            weight.shape()
        );
        Some(weight.wide())
    }
}

/// Cross-entropy of logits and targets: classes, integers of the shape of the logits without the axis of the
/// classes, or probabilities of the shape of the logits.
///
/// Float logits. PyTorch: `F.cross_entropy`.
///
/// # Panics
/// If shapes do not fit; a target that is no class fails the evaluation.
#[track_caller]
#[must_use]
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, options: &ClassOptions) -> Tensor {
    const OP: &str = "cross_entropy";
    let _called = Called::op(OP);
    let x = logits.wide().movedim(options.axis, -1).log_softmax(-1);
    if !targets.dtype().is_float() {
        return of_classes(OP, &x, targets, options)
            .reduced(options.reduction)
            .cast(logits.dtype());
    }
    demand!(
        logits.shape() == targets.shape(),
        "{OP}: probabilities {} of logits {}; they have one shape",
        targets.shape(),
        logits.shape()
    );
    demand!(
        options.ignore_index.is_none_or(|index| index < 0),
        "{OP}: no class is ignored where targets are probabilities"
    );
    let classes = x.size(-1);
    let mut targets = targets.wide().movedim(options.axis, -1);
    if options.label_smoothing != 0.0 {
        let share = options.label_smoothing;
        targets = targets * (1.0 - share) + share / classes as f64;
    }
    let terms = match options.weights(OP, classes) {
        Some(weight) => x * weight,
        None => x,
    };
    let losses = (terms * targets).sum(-1).neg();
    reduce(&losses, options.reduction).cast(logits.dtype())
}

/// `-x[target]` of log-probabilities and classes, with the options of [`cross_entropy`]. PyTorch: `F.nll_loss`.
///
/// # Panics
/// If shapes do not fit; a target that is no class fails the evaluation.
#[track_caller]
#[must_use]
pub fn nll(logarithms: &Tensor, targets: &Tensor, options: &ClassOptions) -> Tensor {
    let _called = Called::op("nll");
    let x = logarithms.wide().movedim(options.axis, -1);
    of_classes("nll", &x, targets, options).reduced(options.reduction).cast(logarithms.dtype())
}

/// Cross-entropy of the logits `x weight^T + bias`: `[N, E]` (or `[E]`), a weight `[C, .., E]`, a bias
/// `[C, ..]`, classes `[N, ..]` (or `[..]`). Classes are on axis 1 of the logits, whatever the options say.
///
/// With a chunk the logits of so many examples are there at once, and are computed again for the gradient: the
/// memory of a large vocabulary stays small. PyTorch: `F.linear_cross_entropy`.
///
/// # Panics
/// If shapes do not fit or the chunk is 0; a target that is no class fails the evaluation.
#[track_caller]
#[must_use]
pub fn linear_cross_entropy(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    targets: &Tensor,
    options: &ClassOptions,
    chunk: Option<usize>,
) -> Tensor {
    const OP: &str = "linear_cross_entropy";
    let _called = Called::op(OP);
    demand!(
        (x.rank() == 1 || x.rank() == 2) && weight.rank() >= 2 && weight.size(-1) == x.size(-1),
        "{OP}: needs [N, E] and a weight [C, .., E], got {} and {}",
        x.shape(),
        weight.shape()
    );
    demand!(chunk != Some(0), "{OP}: a chunk of 0 examples");
    if x.rank() == 1 {
        let own = (x.unsqueeze(0), targets.unsqueeze(0));
        let loss = linear_cross_entropy(&own.0, weight, bias, &own.1, options, chunk);
        return if options.reduction == LossReduction::None { loss.squeeze(0) } else { loss };
    }
    let options = options.clone().axis(1);
    let features = x.size(-1);
    let outer = weight.shape()[..weight.rank() - 1].to_vec();
    let rows = weight.reshape([weight.count() / features.max(1), features]);
    let mut operands = vec![rows];
    operands.extend(bias.cloned());
    let logits = move |x: &Tensor, operands: &[Tensor]| {
        let shape: Vec<usize> = [&[x.size(0)], &outer[..]].concat();
        // Wide: a loss is lost in the roundings of large logits.
        let product = x.wide().matmul(&operands[0].wide().t()).reshape(shape);
        match operands.get(1) {
            Some(bias) => product + bias.wide(),
            None => product,
        }
    };
    let count = x.size(0);
    let size = match chunk {
        Some(size) if size < count && !targets.dtype().is_float() => size,
        _ => return cross_entropy(&logits(x, &operands), targets, &options).cast(x.dtype()),
    };
    // The sum of the weights of the targets does not need the logits.
    let losses = (0..count).step_by(size).map(|start| {
        let length = size.min(count - start);
        let (part, own) = (x.narrow(0, start, length), targets.narrow(0, start, length));
        let (logits, options) = (logits.clone(), options.clone().reduction(LossReduction::None));
        let inputs: Vec<Tensor> = std::iter::once(part).chain(operands.iter().cloned()).collect();
        let function = move |inputs: &[Tensor]| {
            cross_entropy(&logits(&inputs[0], &inputs[1..]), &own, &options)
        };
        checkpoint(function, &inputs)
    });
    let losses = Tensor::concat(&losses.collect::<Vec<_>>(), 0);
    let classes = weight.size(0);
    let counted = targets.reshape([targets.count()]);
    let shares = Targets::new(OP, &counted, classes, &options).shares(losses.dtype());
    let shares = shares.map(|shares| shares.reshape(*losses.shape()));
    Losses { losses, shares }.reduced(options.reduction).cast(x.dtype())
}

/// Losses and what each counts in a mean; one if none.
struct Losses {
    losses: Tensor,
    shares: Option<Tensor>,
}

impl Losses {
    #[track_caller]
    fn reduced(&self, reduction: LossReduction) -> Tensor {
        match (reduction, &self.shares) {
            (LossReduction::Mean, Some(shares)) => self.losses.sum(..) / shares.sum(..),
            _ => reduce(&self.losses, reduction),
        }
    }
}

/// Classes that are safe to look up, and what is ignored.
struct Targets {
    safe: Tensor,
    kept: Option<Tensor>,
    weight: Option<Tensor>,
}

impl Targets {
    #[track_caller]
    fn new(op: &'static str, targets: &Tensor, classes: usize, options: &ClassOptions) -> Targets {
        demand!(
            !targets.dtype().is_float() && targets.dtype() != DType::Bool,
            "{op}: targets of {}; give integers",
            targets.dtype()
        );
        // A target of i64 keeps its bits until it is checked; narrower types cannot hold negative marks.
        let targets = match targets.dtype() {
            DType::I64 => targets.clone(),
            _ => targets.cast(DType::I32),
        };
        let kept = options.ignore_index.map(|ignored| targets.ne(ignored));
        let safe = match &kept {
            Some(kept) => kept.select(&targets, targets.constant_like(0)),
            None => targets,
        };
        let safe = safe.check_index(classes, op).cast(DType::I32);
        Targets { safe, kept, weight: options.weights(op, classes) }
    }

    /// What each target counts in a mean.
    #[track_caller]
    fn shares(&self, dtype: DType) -> Option<Tensor> {
        let weights = self.weight.as_ref().map(|weight| weight.take(0, &self.safe));
        match (&self.kept, weights) {
            (None, weights) => weights,
            (Some(kept), None) => Some(kept.cast(dtype)),
            (Some(kept), Some(weights)) => Some(kept.select(&weights, weights.constant_like(0.0))),
        }
    }
}

/// The loss of each target of wide log-probabilities with classes last.
#[track_caller]
fn of_classes(op: &'static str, x: &Tensor, targets: &Tensor, options: &ClassOptions) -> Losses {
    let (shape, given) = (x.shape(), targets.shape());
    demand!(
        given.dims() == &shape[..shape.rank() - 1],
        "{op}: {shape} (classes last) needs targets of its shape without the classes, got {given}"
    );
    let classes = x.size(-1);
    let targets = Targets::new(op, targets, classes, options);
    // Picked by a comparison and a sum, so that softmax and pick stay in one row.
    let class = Tensor::iota(*shape, -1, x.device());
    let hit = class.eq(targets.safe.unsqueeze(-1));
    let zero = x.constant_like(0.0);
    let shares = targets.shares(x.dtype());
    let mut losses = hit.select(x, &zero).sum(-1).neg();
    if let Some(shares) = &shares {
        // Zero where a target is ignored, whatever stands there.
        losses = shares.ne(0.0).select(losses * shares, shares.constant_like(0.0));
    }
    if options.label_smoothing != 0.0 {
        let share = options.label_smoothing;
        let terms = match &targets.weight {
            Some(weight) => x * weight,
            None => x.clone(),
        };
        let even = terms.sum(-1) * (-share / classes as f64);
        let even = match &targets.kept {
            Some(kept) => kept.select(&even, even.constant_like(0.0)),
            None => even,
        };
        losses = losses * (1.0 - share) + even;
    }
    Losses { losses, shares }
}
