//! [`ctc`]: the likelihood of labels without their places in time.
//!
//! Letters: T steps, N batch, C classes, S labels, L = 2 S + 1 labels with blanks around.

use gradloom_tensor::ops::scan::Scan;
use gradloom_tensor::{Called, DType, Tensor, demand};

use super::LossReduction;

/// A logarithm of nothing. It is finite, so that no infinity meets another in a gradient.
const NOTHING: f64 = -1e30;

/// Options of [`ctc`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtcOptions {
    /// The class that stands between labels.
    pub blank: usize,
    /// How the losses become the result. A mean is that of losses divided by the numbers of labels.
    pub reduction: LossReduction,
    /// Whether a loss that is infinite, because labels do not fit their steps, counts as zero.
    pub zero_infinity: bool,
}

/// Minus the logarithm of the probability of labels, over all ways to spread them over the steps with repeats
/// and blanks: log-probabilities `[T, N, C]`, labels `[N, S]`, and how many steps and labels count, `[N]` each.
///
/// The gradient is the derivative by the log-probabilities: minus how often each class is expected at each
/// step. (PyTorch's has the probabilities added, which is the same after `log_softmax`.) Computed forward in
/// logarithms, in the compute type, step by step in a loop. PyTorch: `F.ctc_loss`. Graves et al., "Connectionist
/// temporal classification", 2006.
///
/// # Panics
/// If shapes do not fit; a label that is no class, or a length that is too long, fails the evaluation.
#[track_caller]
#[must_use]
pub fn ctc(
    logarithms: &Tensor,
    labels: &Tensor,
    input_lengths: &Tensor,
    label_lengths: &Tensor,
    options: &CtcOptions,
) -> Tensor {
    const OP: &str = "ctc";
    let _called = Called::op(OP);
    let (shape, given) = (*logarithms.shape(), *labels.shape());
    demand!(
        shape.rank() == 3 && given.rank() == 2 && given[0] == shape[1],
        "{OP}: needs log-probabilities [T, N, C] and labels [N, S], got {shape} and {given}"
    );
    let [steps, batch, classes] = [shape[0], shape[1], shape[2]];
    for lengths in [input_lengths, label_lengths] {
        demand!(
            lengths.shape() == &[batch][..] && lengths.dtype().is_int(),
            "{OP}: lengths are integers [{batch}], got {} {}",
            lengths.dtype(),
            lengths.shape()
        );
    }
    demand!(options.blank < classes, "{OP}: the blank {} of {classes} classes", options.blank);
    let input_lengths = input_lengths.check_index(steps + 1, OP).cast(DType::I32);
    let label_lengths = label_lengths.check_index(given[1] + 1, OP).cast(DType::I32);
    let x = logarithms.wide();

    // Labels beyond the length may be anything.
    let place = Tensor::iota(given, 1, x.device());
    let counts = place.lt(label_lengths.unsqueeze(1));
    let labels = counts.select(labels, labels.constant_like(0));
    let labels = labels.check_index(classes, OP).cast(DType::I32);
    let blanks = labels.constant_like(options.blank as i64);
    let spread = Tensor::stack(&[&blanks, &labels], 2).flatten(1, 2);
    let spread = Tensor::concat(&[spread, blanks_column(batch, &x, options.blank)], 1);
    let length = 2 * given[1] + 1;
    // A label may follow the one before it at once, unless they are equal.
    let before = spread.pad_value(&[(0, 0), (2, 0)], options.blank as i64).narrow(1, 0, length);
    let skips = spread.ne(options.blank as i64).logical_and(spread.ne(&before));

    let all = spread.unsqueeze(0).broadcast_to([steps, batch, length]);
    let emitted = x.gather(2, &all);
    let first = Tensor::iota([batch, length], 1, x.device()).eq(0);
    let nothing = Tensor::constant([batch, length], NOTHING, x.dtype(), x.device());
    let start = first.select(nothing.constant_like(0.0), &nothing);
    let later = |x: &Tensor, by: usize| {
        let padding = [(0, 0), (by.min(length), 0)];
        x.pad_value(&padding, NOTHING).narrow(1, 0, length)
    };
    let (last, ()) = Scan::default().lengths(&input_lengths).run(
        start,
        emitted,
        |_, reached: Tensor, emitted: Tensor| {
            let skipped = skips.select(later(&reached, 2), &nothing);
            let total = reached.logaddexp(later(&reached, 1)).logaddexp(skipped);
            // Nothing stays nothing, however many steps there are.
            ((total + emitted).maximum(NOTHING), ())
        },
    );
    // The last label or the blank after it.
    let end = (&label_lengths * 2).unsqueeze(1);
    let blank = last.gather(1, &end).squeeze(1);
    let label = last.gather(1, &end.sub(1).maximum(0)).squeeze(1);
    let label = label_lengths.gt(0).select(&label, label.constant_like(NOTHING));
    let losses = blank.logaddexp(label).neg();
    let possible = losses.lt(0.5 * -NOTHING);
    let impossible = if options.zero_infinity { 0.0 } else { f64::INFINITY };
    let losses = possible.select(&losses, losses.constant_like(impossible));
    let loss = match options.reduction {
        LossReduction::None => losses,
        LossReduction::Sum => losses.sum(..),
        LossReduction::Mean => (&losses / label_lengths.maximum(1).cast(losses.dtype())).mean(..),
    };
    loss.cast(logarithms.dtype())
}

#[track_caller]
fn blanks_column(batch: usize, x: &Tensor, blank: usize) -> Tensor {
    Tensor::constant([batch, 1], blank as i64, DType::I32, x.device())
}
