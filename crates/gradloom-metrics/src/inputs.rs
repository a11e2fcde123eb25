//! What every metric asks of its input: lengths that agree, labels among the classes, numbers that are
//! numbers. Messages name the metric that was called.

use std::fmt::Display;

use gradloom_error::{Error, Result};

/// An integer that names a class.
pub trait Label: Copy + Display {
    /// The class; `None` for a negative number.
    fn class(self) -> Option<usize>;
}

macro_rules! labels {
    ($($type:ty),+) => {
        $(impl Label for $type {
            fn class(self) -> Option<usize> {
                usize::try_from(self).ok()
            }
        })+
    };
}

labels!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

/// So that labels of yes and no may be written as such.
impl Label for bool {
    fn class(self) -> Option<usize> {
        Some(usize::from(self))
    }
}

/// Probabilities of yes with whether it was: as many labels, each 0 or 1.
pub(crate) fn yes_or_no<S: Copy + Into<f64>>(
    metric: &str,
    actual: &[impl Label],
    yes: &[S],
) -> Result<Vec<(f64, bool)>> {
    same_length(metric, ("labels", actual.len()), ("probabilities", yes.len()))?;
    let numbers = probabilities(metric, yes)?;
    let labels = actual.iter().enumerate().map(|(at, &label)| class(metric, at, label, 2));
    let labels = labels.collect::<Result<Vec<usize>>>()?;
    Ok(numbers.into_iter().zip(labels).map(|(p, label)| (p, label == 1)).collect())
}

pub(crate) fn same_length(metric: &str, left: (&str, usize), right: (&str, usize)) -> Result<()> {
    if left.1 == right.1 {
        return Ok(());
    }
    let ((left, lefts), (right, rights)) = (left, right);
    Err(Error::invalid(format!("{metric}: {lefts} {left}, but {rights} {right}")))
}

pub(crate) fn not_empty(metric: &str, len: usize) -> Result<()> {
    if len == 0 { Err(Error::invalid(format!("{metric}: no samples"))) } else { Ok(()) }
}

pub(crate) fn class(
    metric: &str,
    index: usize,
    label: impl Label,
    classes: usize,
) -> Result<usize> {
    label.class().filter(|&class| class < classes).ok_or_else(|| {
        Error::invalid(format!(
            "{metric}: label {label} of sample {index} is none of the {classes} classes"
        ))
    })
}

pub(crate) fn classes_of(
    metric: &str,
    labels: &[impl Label],
    classes: usize,
) -> Result<Vec<usize>> {
    let each = labels.iter().enumerate();
    each.map(|(index, &label)| class(metric, index, label, classes)).collect()
}

pub(crate) fn finite<S: Copy + Into<f64>>(
    metric: &str,
    what: &str,
    numbers: &[S],
) -> Result<Vec<f64>> {
    let each = numbers.iter().enumerate();
    each.map(|(index, &number)| {
        let number = number.into();
        if number.is_finite() {
            return Ok(number);
        }
        Err(Error::new(
            gradloom_error::ErrorKind::NotFinite,
            format!("{metric}: {what} {index} is {number}"),
        ))
    })
    .collect()
}

/// A setting above zero.
pub(crate) fn positive(metric: &str, what: &str, number: f64) -> Result<()> {
    if number > 0.0 && number.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(format!("{metric}: the {what} is {number}; it is above zero")))
}

/// Numbers between 0 and 1.
pub(crate) fn probabilities<S: Copy + Into<f64>>(metric: &str, numbers: &[S]) -> Result<Vec<f64>> {
    let numbers = finite(metric, "probability", numbers)?;
    match numbers.iter().position(|p| !(0.0..=1.0).contains(p)) {
        None => Ok(numbers),
        Some(index) => Err(Error::invalid(format!(
            "{metric}: probability {index} is {}; give probabilities, not logits",
            numbers[index]
        ))),
    }
}

/// How far the probabilities of a sample may be from 1 in sum: what a softmax in f16 leaves.
const SUM_TOLERANCE: f64 = 1e-2;

/// Rows of probabilities, one for each class, that sum to 1.
pub(crate) fn distributions<S: Copy + Into<f64>>(
    metric: &str,
    numbers: &[S],
    classes: usize,
) -> Result<Vec<f64>> {
    let numbers = probabilities(metric, numbers)?;
    for (index, row) in numbers.chunks(classes.max(1)).enumerate() {
        let sum: f64 = row.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(Error::invalid(format!(
                "{metric}: the probabilities of sample {index} sum to {sum}, not to 1"
            )));
        }
    }
    Ok(numbers)
}

/// Samples by classes: how many samples these scores are.
pub(crate) fn rows(metric: &str, scores: usize, classes: usize, labels: usize) -> Result<()> {
    if classes == 0 {
        return Err(Error::invalid(format!("{metric}: no classes")));
    }
    if labels.checked_mul(classes) != Some(scores) {
        return Err(Error::invalid(format!(
            "{metric}: {scores} scores for {labels} labels of {classes} classes; there must be one score \
             for each class of each sample"
        )));
    }
    Ok(())
}
