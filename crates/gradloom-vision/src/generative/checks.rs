//! What configurations and labels are asked, and how it is said.

use crate::{Error, Result, error};
use gradloom_tensor::{ErrorKind, Tensor, demand};

/// Refuses a weight of a loss that is negative or not finite.
pub(super) fn check_weight(family: &'static str, name: &str, weight: f64) -> Result<()> {
    if weight >= 0.0 && weight.is_finite() {
        return Ok(());
    }
    Err(error::config(family, format!("{name} is {weight}; it is a number from zero on")))
}

/// Whether labels `[N]` of so many samples are there where the network has classes, and only there.
pub(super) fn expect_labels(
    op: &str,
    labels: Option<&Tensor>,
    classes: Option<usize>,
    samples: usize,
) -> Result<()> {
    let message = match (labels, classes) {
        (None, None) => return Ok(()),
        (Some(labels), Some(_)) => {
            let (shape, dtype) = (labels.shape(), labels.dtype());
            if shape == &[samples][..] && dtype.int_range().is_some() {
                return Ok(());
            }
            format!("{op}: needs labels [{samples}] of integers, got {dtype} {shape}")
        }
        (None, Some(classes)) => {
            format!("{op}: made for {classes} classes, but there are no labels")
        }
        (Some(_), None) => format!("{op}: there are labels, but it was made without classes"),
    };
    Err(Error::new(ErrorKind::Shape, message))
}

/// As [`expect_labels`], where a wrong call is the caller's fault.
#[track_caller]
pub(super) fn check_labels(
    op: &str,
    labels: Option<&Tensor>,
    classes: Option<usize>,
    samples: usize,
) {
    let expected = expect_labels(op, labels, classes, samples);
    demand!(expected.is_ok(), "{}", expected.err().map_or_else(String::new, |e| e.to_string()));
}
