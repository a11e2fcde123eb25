//! Losses. Each is a mean over its elements unless its name or options say otherwise.
//!
//! The log-probability of a class is picked by comparing an iota with the target, not by a gather,
//! so that softmax, pick and sum are one kernel over a row. All are computed wide and rounded at their
//! end. Letter: C classes.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::{DType, Scalar, Tensor, shape_rules};

/// How the losses of the elements become the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossReduction {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// All of them.
    None,
}

/// Options of [`Tensor::cross_entropy_with`]; the default is the plain mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropyOptions {
    /// How the losses become the result; a mean is over targets that are not ignored.
    pub reduction: LossReduction,
    /// Share of the target's probability that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// A target whose loss is zero.
    pub ignore_index: Option<i32>,
}

impl CrossEntropyOptions {
    /// Sets the reduction.
    #[must_use]
    pub fn reduction(self, reduction: LossReduction) -> Self {
        CrossEntropyOptions { reduction, ..self }
    }

    /// Sets the label smoothing.
    #[must_use]
    pub fn label_smoothing(self, label_smoothing: f64) -> Self {
        CrossEntropyOptions { label_smoothing, ..self }
    }

    /// Sets the target that is ignored.
    #[must_use]
    pub fn ignore_index(self, index: i32) -> Self {
        CrossEntropyOptions { ignore_index: Some(index), ..self }
    }
}

impl Tensor {
    /// Mean of `-log_softmax(logits)[target]`: logits `[.., C]`, integer targets `[..]` -> `[]`.
    ///
    /// Float logits. Panics if shapes do not fit; a target outside `0..C` fails the evaluation.
    /// PyTorch: `F.cross_entropy`, which has classes on axis 1.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let logits = Tensor::new([[0.0f32, 3f32.ln()], [0.0, 0.0]], &device)?;
    /// let classes = Tensor::new([1, 0], &device)?;
    /// let loss = logits.cross_entropy(&classes).item()?; // of probabilities 3/4 and 1/2
    /// assert!((loss - (4.0f64 / 3.0 * 2.0).ln() / 2.0).abs() < 1e-6);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn cross_entropy(&self, targets: &Tensor) -> Tensor {
        self.cross_entropy_with(targets, &CrossEntropyOptions::default())
    }

    /// [`Tensor::cross_entropy`] with options.
    ///
    /// Panics as it does. PyTorch: `F.cross_entropy(reduction, label_smoothing, ignore_index)`.
    #[track_caller]
    #[must_use]
    pub fn cross_entropy_with(&self, targets: &Tensor, options: &CrossEntropyOptions) -> Tensor {
        const OP: &str = "cross_entropy";
        let _called = Called::op(OP);
        check_classes(OP, self, targets);
        class_loss(OP, &self.wide().log_softmax(-1), targets, options).cast(self.dtype())
    }

    /// Mean of `-x[target]` of log-probabilities: `[.., C]`, integer targets `[..]` -> `[]`.
    ///
    /// Panics if shapes do not fit. PyTorch: `F.nll_loss`, which has classes on axis 1.
    #[track_caller]
    #[must_use]
    pub fn nll_loss(&self, targets: &Tensor) -> Tensor {
        const OP: &str = "nll_loss";
        let _called = Called::op(OP);
        check_classes(OP, self, targets);
        let options = CrossEntropyOptions::default();
        class_loss(OP, &self.wide(), targets, &options).cast(self.dtype())
    }

    /// Mean of `(x - target)^2`.
    ///
    /// Panics if shapes or dtypes differ. PyTorch: `F.mse_loss`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let (x, y) = (Tensor::new([1.0f32, 2.0], &device)?, Tensor::new([1.0f32, 4.0], &device)?);
    /// assert_eq!(x.mse_loss(&y).item()?, 2.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn mse_loss(&self, target: &Tensor) -> Tensor {
        difference("mse_loss", self, target).square().mean(..).cast(self.dtype())
    }

    /// Mean of `|x - target|`.
    ///
    /// Panics if shapes or dtypes differ. PyTorch: `F.l1_loss`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let (x, y) = (Tensor::new([1.0f32, 2.0], &device)?, Tensor::new([1.0f32, 4.0], &device)?);
    /// assert_eq!(x.l1_loss(&y).item()?, 1.0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn l1_loss(&self, target: &Tensor) -> Tensor {
        difference("l1_loss", self, target).abs().mean(..).cast(self.dtype())
    }

    /// Mean of `d^2 / 2` where `d = |x - target| < delta`, else of `delta (d - delta / 2)`.
    ///
    /// Panics if shapes or dtypes differ, or `delta` is not positive. PyTorch: `F.huber_loss`.
    /// Huber, "Robust estimation of a location parameter", 1964.
    #[track_caller]
    #[must_use]
    pub fn huber_loss(&self, target: &Tensor, delta: f64) -> Tensor {
        demand!(delta > 0.0, "huber_loss: delta is {delta}, not positive");
        huber(&difference("huber_loss", self, target), delta).mean(..).cast(self.dtype())
    }

    /// [`Tensor::huber_loss`] divided by its `delta`, here `beta`.
    ///
    /// Panics if shapes or dtypes differ, or `beta` is not positive. PyTorch: `F.smooth_l1_loss`.
    #[track_caller]
    #[must_use]
    pub fn smooth_l1_loss(&self, target: &Tensor, beta: f64) -> Tensor {
        demand!(beta > 0.0, "smooth_l1_loss: beta is {beta}, not positive");
        let losses = huber(&difference("smooth_l1_loss", self, target), beta);
        (&losses * &losses.constant_like(1.0 / beta)).mean(..).cast(self.dtype())
    }

    /// Mean of `log(1 + exp(x)) - x y` for logits x and targets y in `0..=1`: the
    /// binary cross-entropy of `sigmoid(x)` without its overflow.
    ///
    /// Panics if shapes or dtypes differ. PyTorch: `F.binary_cross_entropy_with_logits`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let logits = Tensor::new([0.0f32, 3f32.ln()], &device)?; // probabilities 1/2 and 3/4
    /// let targets = Tensor::new([1.0f32, 1.0], &device)?;
    /// let loss = logits.bce_with_logits(&targets).item()?;
    /// assert!((loss - (8.0f64 / 3.0).ln() / 2.0).abs() < 1e-6);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn bce_with_logits(&self, target: &Tensor) -> Tensor {
        check_same("bce_with_logits", self, target);
        let (x, target) = (self.wide(), target.wide());
        (&x.softplus() - &(&x * &target)).mean(..).cast(self.dtype())
    }

    /// Mean of `-(y log(p) + (1 - y) log(1 - p))` for probabilities p and targets y in `0..=1`;
    /// logarithms are at least -100, and have no slope where they are cut.
    ///
    /// Panics if shapes or dtypes differ. PyTorch: `F.binary_cross_entropy`.
    #[track_caller]
    #[must_use]
    pub fn binary_cross_entropy(&self, target: &Tensor) -> Tensor {
        self.binary_cross_entropies(target).mean(..).cast(self.dtype())
    }

    /// [`Tensor::binary_cross_entropy`] of each element, in the compute type. PyTorch:
    /// `F.binary_cross_entropy(reduction="none")`.
    ///
    /// Panics as it does.
    #[track_caller]
    #[must_use]
    pub fn binary_cross_entropies(&self, target: &Tensor) -> Tensor {
        check_same("binary_cross_entropy", self, target);
        let (x, target) = (self.wide(), target.wide());
        let one = x.constant_like(1.0);
        let yes = bounded(&x, &x, |x| x.log(), 1.0);
        let no = bounded(&(&one - &x), &-&x, |x| x.log1p(), 0.0);
        -&(&(&target * &yes) + &(&(&one - &target) * &no))
    }

    /// Sum of `p (log(p) - x)` for log-probabilities x and probabilities p, divided by the size of
    /// the first axis: the mean divergence of p from exp(x) over a batch.
    ///
    /// Panics if shapes or dtypes differ or there is no axis. PyTorch:
    /// `F.kl_div(reduction="batchmean")`.
    #[track_caller]
    #[must_use]
    pub fn kl_div(&self, target: &Tensor) -> Tensor {
        check_same("kl_div", self, target);
        let batch = self.shape()[self.axis("kl_div", 0)].max(1);
        let (x, target) = (self.wide(), target.wide());
        let zero = target.constant_like(0.0);
        let positive = zero.lt(&target);
        // The logarithm of one instead of zero keeps NaN out of the gradient.
        let logarithm = positive.select(&target, target.constant_like(1.0)).log();
        let losses = positive.select(&(&target * &(&logarithm - &x)), &zero);
        let sum = losses.sum(..);
        (&sum * &sum.constant_like(1.0 / batch as f64)).cast(self.dtype())
    }

    /// `x . y / (max(|x|, 1e-8) max(|y|, 1e-8))` along an axis, which disappears; broadcast.
    ///
    /// Panics if shapes do not fit or dtypes differ. PyTorch: `F.cosine_similarity`.
    #[track_caller]
    #[must_use]
    pub fn cosine_similarity(&self, other: &Tensor, axis: isize) -> Tensor {
        self.cosine_similarity_with(other, axis, 1e-8)
    }

    /// [`Tensor::cosine_similarity`] with another least length than 1e-8. PyTorch: `F.cosine_similarity(eps=...)`.
    ///
    /// Panics as it does.
    #[track_caller]
    #[must_use]
    pub fn cosine_similarity_with(&self, other: &Tensor, axis: isize, epsilon: f64) -> Tensor {
        const OP: &str = "cosine_similarity";
        if self.rank() == 0 && other.rank() == 0 {
            let (x, y) = (self.atleast_1d(), other.atleast_1d());
            return x.cosine_similarity_with(&y, axis, epsilon);
        }
        shape_rules::float(OP, self.dtype())
            .and_then(|dtype| shape_rules::same_dtype(OP, dtype, other.dtype()))
            .or_fail();
        let shape = shape_rules::broadcast(OP, self.shape(), other.shape()).or_fail();
        let (x, y) = (self.wide().expand_to(shape), other.wide().expand_to(shape));
        x.axis(OP, axis);
        let product = (&x * &y).sum_keepdim(axis);
        let scale = &x.inverse_norm(axis, epsilon) * &y.inverse_norm(axis, epsilon);
        (&product * &scale).squeeze(axis).cast(self.dtype())
    }

    /// Mean of `max(0, 1 - x y)` for targets y of -1 or 1.
    ///
    /// Panics if shapes or dtypes differ. PyTorch has no exact counterpart.
    #[track_caller]
    #[must_use]
    pub fn hinge_loss(&self, target: &Tensor) -> Tensor {
        check_same("hinge_loss", self, target);
        let product = &self.wide() * &target.wide();
        (&product.constant_like(1.0) - &product).relu().mean(..).cast(self.dtype())
    }
}

#[track_caller]
fn check_same(op: &str, input: &Tensor, target: &Tensor) {
    shape_rules::float(op, input.dtype())
        .and_then(|dtype| shape_rules::same_dtype(op, dtype, target.dtype()))
        .or_fail();
    let (left, right) = (input.shape(), target.shape());
    demand!(left == right, "{op}: input {left} and target {right} must have one shape");
}

/// A logarithm of `number` as a function of `x`, -100 where it is less: of something else there, so that no
/// infinity meets a zero in the gradient.
#[track_caller]
fn bounded(number: &Tensor, x: &Tensor, log: fn(&Tensor) -> Tensor, else_of: f64) -> Tensor {
    let zero = number.constant_like(0.0);
    // Devices may take that bound for zero, which it is nearly in f32.
    let tiny = number.lt(number.constant_like((-100.0f64).exp())).logical_or(number.eq(&zero));
    let tiny = tiny.logical_and(zero.le(number));
    tiny.select(x.constant_like(-100.0), log(&tiny.select(x.constant_like(else_of), x)))
}

/// `input - target`, wide.
#[track_caller]
fn difference(op: &str, input: &Tensor, target: &Tensor) -> Tensor {
    check_same(op, input, target);
    &input.wide() - &target.wide()
}

#[track_caller]
fn huber(difference: &Tensor, delta: f64) -> Tensor {
    let distance = difference.abs();
    let square = &difference.square() * &difference.constant_like(0.5);
    let line = &(&distance - &distance.constant_like(0.5 * delta)) * &distance.constant_like(delta);
    distance.lt(distance.constant_like(delta)).select(&square, &line)
}

#[track_caller]
fn check_classes(op: &str, input: &Tensor, targets: &Tensor) {
    shape_rules::float(op, input.dtype()).or_fail();
    let (shape, given) = (input.shape(), targets.shape());
    demand!(
        shape.rank() > 0 && given.dims() == &shape[..shape.rank() - 1],
        "{op}: input {shape} needs targets of its shape without the last axis, got {given}"
    );
}

/// The loss of wide log-probabilities `[.., C]` at integer targets `[..]`, wide.
#[track_caller]
fn class_loss(
    op: &'static str,
    logarithms: &Tensor,
    targets: &Tensor,
    options: &CrossEntropyOptions,
) -> Tensor {
    let classes = logarithms.size(-1);
    shape_rules::int(op, targets.dtype()).or_fail();
    // A target of i64 keeps its bits until it is checked; narrower types cannot hold negative marks.
    let targets = match targets.dtype() {
        DType::I64 => targets.clone(),
        _ => targets.cast(DType::I32),
    };
    let kept = options.ignore_index.map(|ignored| {
        let ignored = targets.constant_like(Scalar::Int(i64::from(ignored)));
        targets.ne(&ignored)
    });
    let safe = match &kept {
        Some(kept) => kept.select(&targets, targets.constant_like(Scalar::Int(0))),
        None => targets,
    };
    let class = Tensor::iota(*logarithms.shape(), -1, logarithms.device());
    let hit = class.eq(safe.checked_index(classes, op).unsqueeze(-1));
    let zero = logarithms.constant_like(0.0);
    let mut losses = -&hit.select(logarithms, &zero).sum_keepdim(-1);
    if options.label_smoothing != 0.0 {
        let share = options.label_smoothing;
        let even = logarithms.mean_keepdim(-1);
        let target = &losses * &losses.constant_like(1.0 - share);
        losses = &target - &(&even * &even.constant_like(share));
    }
    let mut losses = losses.squeeze(-1);
    if let Some(kept) = &kept {
        losses = kept.select(&losses, losses.constant_like(0.0));
    }
    match (options.reduction, kept) {
        (LossReduction::None, _) => losses,
        (LossReduction::Sum, _) => losses.sum(..),
        (LossReduction::Mean, None) => losses.mean(..),
        (LossReduction::Mean, Some(kept)) => losses.sum(..) / kept.cast(losses.dtype()).sum(..),
    }
}
