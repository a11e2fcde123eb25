//! Runs samples and compares what they give.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom::{DType, Device, Tensor, grad};
use serde_json::Value as Json;

use crate::sample::{Expected, Sample, Skip};
use crate::table::Row;

/// What became of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Values and gradients are right.
    Passed,
    /// Shapes, dtypes and finiteness are right; elements are random numbers or memory without values.
    ShapeAlone,
    /// They are not, or there was a panic.
    Failed(String),
    /// The row does not know an option of the sample.
    Skipped(String),
    /// The device has no kernel for it, and says so.
    Lacking,
}

/// Of f32, relative: the golden values are exact, and a few operations follow one another in most rows.
/// `torch.testing.assert_close` allows 1.3e-6 against another f32 computation.
pub const RELATIVE: f64 = 1e-5;
/// Of f32, absolute, as `torch.testing.assert_close` has it.
pub const ABSOLUTE: f64 = 1e-5;

/// Runs one sample of a row.
pub fn run(row: &Row, json: &Json, device: &Device) -> Outcome {
    let attempt = || -> Result<Result<bool, Wrong>, Skip> {
        let sample = Sample::new(json, device)?;
        let outputs = (row.run)(&sample)?;
        let determined = !sample.undetermined;
        Ok(check(row, &sample, &outputs).map(|()| determined))
    };
    match catch_unwind(AssertUnwindSafe(attempt)) {
        Ok(Ok(Ok(true))) => Outcome::Passed,
        Ok(Ok(Ok(false))) => Outcome::ShapeAlone,
        Ok(Ok(Err(Wrong::Lacking))) => Outcome::Lacking,
        Ok(Ok(Err(Wrong::Differs(reason)))) => Outcome::Failed(reason),
        Ok(Err(reason)) => Outcome::Skipped(reason),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            Outcome::Failed(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

/// Why a sample is not right.
enum Wrong {
    Lacking,
    Differs(String),
}

impl Wrong {
    fn of(self, what: &str, index: usize) -> Wrong {
        match self {
            Wrong::Differs(reason) => Wrong::Differs(format!("{what} {index}: {reason}")),
            Wrong::Lacking => Wrong::Lacking,
        }
    }
}

impl From<gradloom::Error> for Wrong {
    fn from(error: gradloom::Error) -> Wrong {
        if error.is_unsupported() { Wrong::Lacking } else { Wrong::Differs(error.to_string()) }
    }
}

fn check(row: &Row, sample: &Sample, outputs: &[Tensor]) -> Result<(), Wrong> {
    if outputs.len() != sample.outputs.len() {
        let counts = format!("{} results, not {}", outputs.len(), sample.outputs.len());
        return Err(Wrong::Differs(counts));
    }
    for (index, (output, expected)) in outputs.iter().zip(&sample.outputs).enumerate() {
        compare(row, sample, output, expected).map_err(|wrong| wrong.of("result", index))?;
    }
    let leaves: Vec<&Tensor> = sample.leaves.iter().map(|(leaf, _)| leaf).collect();
    let Some(total) = total(outputs).filter(|_| !leaves.is_empty()) else { return Ok(()) };
    let gradients = grad(&total, &leaves);
    for (index, (gradient, (_, expected))) in gradients.iter().zip(&sample.leaves).enumerate() {
        compare(row, sample, gradient, expected).map_err(|wrong| wrong.of("gradient", index))?;
    }
    Ok(())
}

/// What is differentiated: each element of the floats times its weight, as `golden.py` has it.
fn total(outputs: &[Tensor]) -> Option<Tensor> {
    let mut total: Option<Tensor> = None;
    let mut first = 0;
    for output in outputs.iter().filter(|output| output.dtype().is_float()) {
        let count = output.count();
        let weights = (first..first + count).map(|k| ((k * 5 % 9) as f32 - 4.0) / 4.0).collect();
        let weights = Tensor::from_vec(weights, *output.shape(), output.device()).ok()?;
        let zero = output.zeros_like();
        let terms = weights.eq(0.0).select(&zero, output * weights.cast(output.dtype()));
        let sum = terms.sum(..);
        total = Some(total.map_or(sum.clone(), |total| total + &sum));
        first += count;
    }
    total
}

fn compare(row: &Row, sample: &Sample, found: &Tensor, expected: &Expected) -> Result<(), Wrong> {
    if *found.shape() != expected.shape {
        return Err(Wrong::Differs(format!("shape {}, not {}", found.shape(), expected.shape)));
    }
    if found.dtype().is_float() != expected.float {
        let wanted = if expected.float { "a float" } else { "no float" };
        return Err(Wrong::Differs(format!("dtype {}, where {wanted} is due", found.dtype())));
    }
    let values = elements(found)?;
    if sample.undetermined {
        let due = expected.values.iter().all(|value| value.is_finite());
        return match values.iter().find(|value| due && !value.is_finite()) {
            Some(value) => Err(Wrong::Differs(format!("{value}, where all is finite"))),
            None => Ok(()),
        };
    }
    let largest = expected.values.iter().filter(|value| value.is_finite());
    let largest = largest.fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let mut worst = (0.0, 0);
    for (index, (&a, &b)) in values.iter().zip(&expected.values).enumerate() {
        let equal = a == b || (a.is_nan() && b.is_nan());
        let size = if row.of_largest { largest } else { b.abs() };
        let allowed = ABSOLUTE + RELATIVE * size;
        let excess = if equal { 0.0 } else { (a - b).abs() / allowed };
        if excess > worst.0 || excess.is_nan() {
            worst = (if excess.is_nan() { f64::INFINITY } else { excess }, index);
        }
    }
    match worst {
        (excess, _) if excess <= 1.0 => Ok(()),
        (excess, index) => Err(Wrong::Differs(format!(
            "element {index} is {}, not {} ({excess:.1} times what is allowed)",
            values[index], expected.values[index]
        ))),
    }
}

fn elements(tensor: &Tensor) -> gradloom::Result<Vec<f64>> {
    Ok(match tensor.dtype() {
        DType::I64 => tensor.to_vec::<i64>()?.into_iter().map(|value| value as f64).collect(),
        DType::F64 => tensor.to_vec::<f64>()?,
        DType::Bool | DType::I32 | DType::I8 | DType::U8 | DType::U32 => {
            tensor.cast(DType::I32).to_vec::<i32>()?.into_iter().map(f64::from).collect()
        }
        DType::F32 | DType::F16 | DType::BF16 => {
            tensor.cast(DType::F32).to_vec::<f32>()?.into_iter().map(f64::from).collect()
        }
    })
}
