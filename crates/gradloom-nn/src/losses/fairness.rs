//! Penalties on scores that depend on a protected attribute: added to a loss, they shrink what
//! `gradloom_metrics::GroupRates` measures.
//!
//! They are of soft scores, which have gradients; the rates themselves are of decisions, which have none. Both see
//! one batch at a time, so batches should hold dozens of samples of each group.

use gradloom_tensor::{Called, DType, Tensor, demand};

/// The mean over all pairs of groups of the squared difference of their mean scores: zero where every group is
/// chosen as often, which is demographic parity.
///
/// Scores `[B]` of floats, such as `logits.sigmoid()`; groups `[B]`, integers below `count`. A group without samples
/// in the batch is in no pair. A group outside fails the evaluation.
///
/// ```
/// use gradloom_nn::losses::demographic_parity;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let scores = Tensor::new([0.9f32, 0.7, 0.2, 0.4], &device)?;
/// let groups = Tensor::new([0, 0, 1, 1], &device)?;
/// let penalty = demographic_parity(&scores, &groups, 2); // (0.8 - 0.3)^2
/// assert!((penalty.item()? - 0.25).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// Calders, Kamiran, Pechenizkiy, "Building classifiers with independency constraints", 2009.
///
/// # Panics
/// If the scores are no vector of floats, or the groups of another shape.
#[track_caller]
#[must_use]
pub fn demographic_parity(scores: &Tensor, groups: &Tensor, count: usize) -> Tensor {
    const OP: &str = "demographic_parity";
    let _called = Called::op(OP);
    let members = members(OP, scores, groups, count);
    gap(scores, &members).cast(scores.dtype())
}

/// As [`demographic_parity`], among the samples whose target is 1 and among those whose target is 0, and the mean of
/// both: zero where the rates of true and of false positives are those of every group, which is equalised odds.
///
/// Targets `[B]` of 0 and 1 in any dtype.
///
/// ```
/// use gradloom_nn::losses::equalised_odds;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let scores = Tensor::new([0.9f32, 0.1, 0.5, 0.1], &device)?;
/// let targets = Tensor::new([1, 0, 1, 0], &device)?;
/// let groups = Tensor::new([0, 0, 1, 1], &device)?;
/// let penalty = equalised_odds(&scores, &targets, &groups, 2); // of true positives 0.4^2, of false ones 0
/// assert!((penalty.item()? - 0.08).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// Hardt, Price, Srebro, "Equality of opportunity in supervised learning", 2016.
///
/// # Panics
/// As [`demographic_parity`], and if the targets are of another shape.
#[track_caller]
#[must_use]
pub fn equalised_odds(scores: &Tensor, targets: &Tensor, groups: &Tensor, count: usize) -> Tensor {
    const OP: &str = "equalised_odds";
    let _called = Called::op(OP);
    let members = members(OP, scores, groups, count);
    demand!(
        targets.shape() == scores.shape(),
        "{OP}: targets {} for scores {}; they have one shape",
        targets.shape(),
        scores.shape()
    );
    let yes = targets.wide().gt(0.5).cast(members.dtype()).unsqueeze(1);
    let no = yes.ones_like() - &yes;
    let both = gap(scores, &(&members * yes)) + gap(scores, &(&members * no));
    (both * 0.5).cast(scores.dtype())
}

/// The square of Pearson's correlation of scores `[B]` with a protected attribute `[B]`, floats: for attributes that
/// are numbers, as an age is. Zero where either is constant.
///
/// ```
/// use gradloom_nn::losses::squared_correlation;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let scores = Tensor::new([0.1f32, 0.2, 0.4, 0.3], &device)?;
/// let ages = Tensor::new([20.0f32, 30.0, 40.0, 50.0], &device)?;
/// assert!((squared_correlation(&scores, &ages).item()? - 0.64).abs() < 1e-5);
/// # Ok(())
/// # }
/// ```
///
/// Zafar et al., "Fairness constraints: mechanisms for fair classification", 2017, bound the covariance.
///
/// # Panics
/// If they are no vectors of floats of one length.
#[track_caller]
#[must_use]
pub fn squared_correlation(scores: &Tensor, attribute: &Tensor) -> Tensor {
    const OP: &str = "squared_correlation";
    let _called = Called::op(OP);
    vector(OP, scores);
    demand!(
        attribute.shape() == scores.shape() && attribute.dtype().is_float(),
        "{OP}: an attribute {} {} for scores {}; needs floats of one shape",
        attribute.dtype(),
        attribute.shape(),
        scores.shape()
    );
    let centred = |x: &Tensor| {
        let x = x.wide();
        &x - x.mean(..)
    };
    let (x, y) = (centred(scores), centred(&attribute.detach()));
    let (xy, xx, yy) = ((&x * &y).sum(..), x.square().sum(..), y.square().sum(..));
    let product = &xx * &yy;
    // A constant has no correlation, and its gradient would be a quotient of zeros.
    let known = product.gt(0.0);
    let divisor = known.select(&product, product.ones_like());
    known.select(xy.square() / divisor, product.zeros_like()).cast(scores.dtype())
}

#[track_caller]
fn vector(op: &'static str, scores: &Tensor) {
    demand!(
        scores.rank() == 1 && scores.dtype().is_float(),
        "{op}: scores {} {}; needs floats [B], such as logits.sigmoid()",
        scores.dtype(),
        scores.shape()
    );
}

/// Which sample is of which group: `[B, G]` of 0 and 1.
#[track_caller]
fn members(op: &'static str, scores: &Tensor, groups: &Tensor, count: usize) -> Tensor {
    vector(op, scores);
    demand!(count > 0, "{op}: no groups");
    demand!(
        groups.shape() == scores.shape() && groups.dtype().is_int(),
        "{op}: groups {} {} for scores {}; needs integers [B]",
        groups.dtype(),
        groups.shape(),
        scores.shape()
    );
    groups.cast(DType::I32).one_hot(count).cast(scores.dtype().compute())
}

/// The mean over pairs of groups with members `[B, G]` of the squared difference of their mean scores.
fn gap(scores: &Tensor, members: &Tensor) -> Tensor {
    let counts = members.sum(0);
    let sums = (scores.wide().unsqueeze(1) * members).sum(0);
    let means = sums / counts.maximum(counts.ones_like());
    let there = counts.gt(0.0).cast(means.dtype());
    let differences = means.unsqueeze(0) - means.unsqueeze(1);
    let pairs = there.unsqueeze(0) * there.unsqueeze(1);
    let groups = there.sum(..);
    let ordered = &groups * (&groups - groups.ones_like());
    (differences.square() * pairs).sum(..) / ordered.maximum(ordered.ones_like())
}
