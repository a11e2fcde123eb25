//! Runs samples and compares what they give.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom::{DType, Device, Tensor, grad};
use serde_json::Value as Json;

use crate::sample::{Expected, Sample, Skip};
use crate::table::Row;

/// What became of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Values and gradients are right, of the second order, too, if that is said.
    Passed {
        /// Gradients of the second order were compared.
        second: bool,
    },
    /// Shapes, dtypes and finiteness are right; elements are random numbers or memory without values.
    ShapeAlone,
    /// They are not, or there was a panic.
    Failed(String),
    /// The row does not know an option of the sample.
    Skipped(String),
    /// The device has no kernel for it, and says so.
    Lacking,
}

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub device: Device,
    /// What floats are.
    pub dtype: DType,
    /// Whether gradients of the second order are compared.
    pub second: bool,
}

/// How far results may be from the golden ones, which are exact: relative to an element, or for sums of products
/// and stable algorithms to the largest; and absolute.
///
/// - f32: a few operations follow one another in most rows. `torch.testing.assert_close` allows 1.3e-6 and 1e-5
///   against another f32 computation.
/// - f64: as `assert_close`; the golden values have twelve digits.
/// - f16 and bf16: a few roundings, each of half a unit of `epsilon`, 2^-10 and 2^-7; always relative to the
///   largest, too, as results of each operation are rounded before they are subtracted.
fn tolerance(dtype: DType) -> [f64; 2] {
    match dtype {
        DType::F64 => [1e-7, 1e-7],
        DType::F16 => [4.0 / 1024.0, 4.0 / 1024.0],
        DType::BF16 => [4.0 / 128.0, 4.0 / 128.0],
        _ => [1e-5, 1e-5],
    }
}

/// Gradients of the second order have passed through twice as many operations, and are sums of terms that cancel:
/// they are always relative to the largest, too.
const SECOND_FACTOR: f64 = 4.0;

/// Runs one sample of a row. Where gradients of the second order are sums of far larger terms that f32 cannot
/// tell apart, but are right in f64, they do not count as compared.
pub fn run(row: &Row, json: &Json, options: &Options) -> Outcome {
    let found = once(row, json, options);
    let cancels = matches!(&found, Outcome::Failed(reason) if reason.starts_with(SECOND));
    if cancels && options.dtype == DType::F32 && options.device.capabilities().f64 {
        let wide = Options { dtype: DType::F64, ..options.clone() };
        if once(row, json, &wide) == (Outcome::Passed { second: true }) {
            return Outcome::Passed { second: false };
        }
    }
    found
}

const SECOND: &str = "second gradient";

fn once(row: &Row, json: &Json, options: &Options) -> Outcome {
    let attempt = || -> Result<Result<Outcome, Wrong>, Skip> {
        let sample = Sample::new(json, &options.device, options.dtype)?;
        let outputs = (row.run)(&sample)?;
        Ok(Check { row, sample: &sample, options, second: false }.all(&outputs))
    };
    match catch_unwind(AssertUnwindSafe(attempt)) {
        Ok(Ok(Ok(outcome))) => outcome,
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

/// A sample that is compared.
struct Check<'a> {
    row: &'a Row,
    sample: &'a Sample,
    options: &'a Options,
    /// Whether what is compared is of the second order.
    second: bool,
}

impl Check<'_> {
    fn all(mut self, outputs: &[Tensor]) -> Result<Outcome, Wrong> {
        let sample = self.sample;
        if outputs.len() != sample.outputs.len() {
            let counts = format!("{} results, not {}", outputs.len(), sample.outputs.len());
            return Err(Wrong::Differs(counts));
        }
        for (index, (output, expected)) in outputs.iter().zip(&sample.outputs).enumerate() {
            self.compare(output, expected).map_err(|wrong| wrong.of("result", index))?;
        }
        let passed = |second| match sample.undetermined {
            true => Outcome::ShapeAlone,
            false => Outcome::Passed { second },
        };
        let leaves: Vec<&Tensor> = sample.leaves.iter().map(|leaf| &leaf.tensor).collect();
        let Some(total) = weighted(outputs).filter(|_| !leaves.is_empty()) else {
            return Ok(passed(false));
        };
        let gradients = grad(&total, &leaves);
        for (index, (gradient, leaf)) in gradients.iter().zip(&sample.leaves).enumerate() {
            self.compare(gradient, &leaf.gradient).map_err(|wrong| wrong.of("gradient", index))?;
        }
        let seconds: Option<Vec<&Expected>> =
            sample.leaves.iter().map(|leaf| leaf.second.as_ref()).collect();
        let (true, Some(seconds)) = (self.options.second, seconds) else {
            return Ok(passed(false));
        };
        let Some(total) = weighted(&gradients) else { return Ok(passed(false)) };
        self.second = true;
        for (index, (gradient, second)) in grad(&total, &leaves).iter().zip(seconds).enumerate() {
            let done = self.compare(gradient, second);
            done.map_err(|wrong| wrong.of(SECOND, index))?;
        }
        Ok(passed(true))
    }

    fn compare(&self, found: &Tensor, expected: &Expected) -> Result<(), Wrong> {
        if *found.shape() != expected.shape {
            return Err(Wrong::Differs(format!("shape {}, not {}", found.shape(), expected.shape)));
        }
        if found.dtype().is_float() != expected.float {
            let wanted = if expected.float { "a float" } else { "no float" };
            return Err(Wrong::Differs(format!("dtype {}, where {wanted} is due", found.dtype())));
        }
        let values = elements(found)?;
        if self.sample.undetermined {
            let due = expected.values.iter().all(|value| value.is_finite());
            return match values.iter().find(|value| due && !value.is_finite()) {
                Some(value) => Err(Wrong::Differs(format!("{value}, where all is finite"))),
                None => Ok(()),
            };
        }
        let factor = if self.second { SECOND_FACTOR } else { 1.0 };
        let [relative, absolute] = tolerance(found.dtype()).map(|allowed| allowed * factor);
        let limit = largest_of(found.dtype());
        let narrow = matches!(found.dtype(), DType::F16 | DType::BF16);
        let largest = expected.values.iter().filter(|value| value.is_finite());
        let largest = largest.fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let mut worst = (0.0, 0);
        for (index, (&a, &b)) in values.iter().zip(&expected.values).enumerate() {
            // Beyond the dtype's range sums are of infinities, of both signs perhaps.
            let beyond = b.is_finite() && b.abs() > limit && !a.is_finite();
            // Where PyTorch has no second derivative, a subgradient's is as good as any.
            let undefined = b.is_nan() && (a.is_nan() || self.second);
            let equal = a == b || undefined || beyond;
            let to_largest = self.row.of_largest || narrow || self.second;
            let size = if to_largest { largest } else { b.abs() };
            let allowed = absolute + relative * size;
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
}

/// Beyond this a result is infinite.
fn largest_of(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        DType::F32 | DType::BF16 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

/// What is differentiated: each element of the floats times its weight, as `golden.py` has it.
fn weighted(outputs: &[Tensor]) -> Option<Tensor> {
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
