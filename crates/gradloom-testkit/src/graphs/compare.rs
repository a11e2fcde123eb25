//! [`check`]: a graph on a device against the reference and its bounds.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

use gradloom_tensor::{DType, Device, Error, Tensor};

use super::scenario::{Build, Results, Scenario};
use crate::check::elements;
use crate::reference::{self, Arithmetic, element, elements_and_errors, whole};

/// How many elements were compared, and how many were not since rounding decides what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Elements that were compared.
    pub compared: usize,
    /// Elements of which the reference cannot say what they must be.
    pub left_out: usize,
}

/// What kind of wrong a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A panic, in the graph's making or its evaluation.
    Panic,
    /// An error where there is a value.
    Error,
    /// A value where there is an error.
    NoError,
    /// Other shapes, dtypes or elements.
    Value,
}

/// Where a device differs from the reference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What kind of wrong it is.
    pub kind: Kind,
    /// What was found, where.
    pub message: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.kind, self.message)
    }
}

impl Difference {
    /// The message without numbers, so that findings of one fault look alike.
    pub fn group(&self) -> String {
        if self.kind == Kind::Value {
            return "Value".into();
        }
        let digits = |letter: char| if letter.is_ascii_digit() { '#' } else { letter };
        let text: String = self.message.chars().map(digits).collect();
        let mut short = String::new();
        for letter in text.chars() {
            if !(letter == '#' && short.ends_with('#')) {
                short.push(letter);
            }
        }
        format!("{:?}: {short}", self.kind)
    }
}

/// What became of a check.
#[derive(Debug)]
pub enum Verdict {
    /// All that could be compared agrees.
    Same(Coverage),
    /// The graph has no value on the reference: it says nothing about a device.
    Meaningless(String),
    /// The device is wrong.
    Different(Difference),
}

/// Runs a graph on the reference and on a device and compares all results.
pub fn check(scenario: &Scenario, build: Build<'_>, device: &Device) -> Verdict {
    let kind = if device.capabilities().host { Arithmetic::Host } else { Arithmetic::Gpu };
    let bounded = reference::bounded(kind);
    let expected = match quietly(|| scenario.run(build, &bounded)) {
        Ok(expected) => expected,
        Err(message) => return Verdict::Meaningless(message),
    };
    if let Ok(expected) = &expected {
        match quietly(|| scenario.by_loop(build, &bounded)) {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(looped))) => {
                if let Err(difference) = compare_references(&looped, expected) {
                    return Verdict::Different(difference);
                }
            }
            Ok(Err(error)) => return Verdict::Meaningless(error.to_string()),
            Err(message) => return Verdict::Meaningless(message),
        }
    }
    let actual = quietly(|| scenario.run(build, device));
    let different = |kind, message: String| Verdict::Different(Difference { kind, message });
    match (expected, actual) {
        (_, Err(message)) => different(Kind::Panic, message),
        (Err(wanted), Ok(Err(_))) if wanted.is_index_out_of_range() => {
            Verdict::Same(Coverage::default())
        }
        (Err(wanted), Ok(Ok(_))) if wanted.is_index_out_of_range() => {
            different(Kind::NoError, wanted.to_string())
        }
        (Err(wanted), _) => Verdict::Meaningless(wanted.to_string()),
        (Ok(_), Ok(Err(error))) => different(Kind::Error, error.to_string()),
        (Ok(expected), Ok(Ok(actual))) => match compare(&expected, &actual) {
            Ok(coverage) => Verdict::Same(coverage),
            Err(difference) => Verdict::Different(difference),
        },
    }
}

/// Asserts that every device of a list has a graph's values: what a pasted test calls.
///
/// # Panics
/// With the difference.
#[track_caller]
pub fn agree(scenario: &Scenario, devices: &[Device], build: Build<'_>) {
    for device in devices {
        match check(scenario, build, device) {
            Verdict::Same(_) => {}
            Verdict::Meaningless(message) => panic!("the reference: {message}"),
            Verdict::Different(difference) => panic!("{}: {difference}", device.name()),
        }
    }
}

fn compare(expected: &Results, actual: &Results) -> Result<Coverage, Difference> {
    let mut coverage = Coverage::default();
    let wrong = |message: String| Difference { kind: Kind::Value, message };
    if expected.len() != actual.len() {
        return Err(wrong(format!("{} results, not {}", actual.len(), expected.len())));
    }
    for ((name, expected), (_, actual)) in expected.iter().zip(actual) {
        if expected.shape() != actual.shape() || expected.dtype() != actual.dtype() {
            return Err(wrong(format!("{name}: {} {}", actual.dtype(), actual.shape())));
        }
        let report = |error: Error| wrong(format!("{name}: the reference: {error}"));
        let (values, errors) = elements_and_errors(expected).map_err(report)?;
        let found = quietly(|| exact_elements(&plain(actual)))
            .map_err(|message| Difference { kind: Kind::Panic, message })?
            .map_err(|message| Difference { kind: Kind::Error, message })?;
        if found.len() != values.len() {
            return Err(wrong(format!("{name}: {} elements", found.len())));
        }
        for (index, &found) in found.iter().enumerate() {
            let (value, error) = (values[index], errors[index]);
            if error.is_infinite() || (error >= 1.0 && expected.dtype() == DType::Bool) {
                coverage.left_out += 1;
                continue;
            }
            coverage.compared += 1;
            if expected.dtype() == DType::I64 {
                if found.to_bits() == value.to_bits() {
                    continue;
                }
                let [found, value] = [found, value].map(|element| whole(DType::I64, element));
                return Err(wrong(format!("{name} i64: element {index} is {found}, not {value}")));
            }
            let same = found == value
                || (found.is_nan() && value.is_nan())
                || (found - value).abs() <= error
                || (expected.dtype() == DType::F32 && found == f64::from(value as f32));
            if !same {
                return Err(wrong(format!(
                    "{name} {} {}: element {index} is {found}, not {value} +- {error:.1e}",
                    expected.dtype(),
                    expected.shape()
                )));
            }
        }
    }
    Ok(coverage)
}

/// Compares two graphs of the same values on the reference: what is exact lies within the bounds of both.
/// The second one may have more results.
fn compare_references(first: &Results, second: &Results) -> Result<(), Difference> {
    for ((name, first), (_, second)) in first.iter().zip(second) {
        let wrong = |message: String| Difference {
            kind: Kind::Value,
            message: format!("{name}: vmap on the reference {message}"),
        };
        if first.shape() != second.shape() || first.dtype() != second.dtype() {
            return Err(wrong(format!("is {} {}", second.dtype(), second.shape())));
        }
        let report = |error: Error| wrong(error.to_string());
        let (values, errors) = elements_and_errors(first).map_err(report)?;
        let (others, doubts) = elements_and_errors(second).map_err(report)?;
        for (index, (&value, &other)) in values.iter().zip(others.iter()).enumerate() {
            let error = errors[index] + doubts[index];
            let undecided = error.is_infinite() || (error >= 1.0 && first.dtype() == DType::Bool);
            let same = value.to_bits() == other.to_bits()
                || value == other
                || (value.is_nan() && other.is_nan())
                || (value - other).abs() <= error
                || (first.dtype() == DType::F32 && value as f32 == other as f32);
            if !undecided && !same {
                return Err(wrong(format!(
                    "has element {index} {other}, the loop {value} +- {error:.1e}"
                )));
            }
        }
    }
    Ok(())
}

/// All elements as the reference has them.
fn exact_elements(tensor: &Tensor) -> Result<Vec<f64>, String> {
    if tensor.dtype() != DType::I64 {
        return elements(tensor);
    }
    let values = tensor.to_vec::<i64>().map_err(|error| error.to_string())?;
    Ok(values.into_iter().map(|value| element(DType::I64, value)).collect())
}

/// The numbers of a matrix in blocks, which is never stored as such.
fn plain(tensor: &Tensor) -> Tensor {
    if tensor.is_quantized() { tensor.reshape([tensor.count()]) } else { tensor.clone() }
}

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs a function of which a panic is a finding: its message and place, and nothing is printed.
///
/// # Errors
/// The panic's message.
pub fn quietly<T>(function: impl FnOnce() -> T) -> Result<T, String> {
    thread_local! {
        static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Threads without a name are those of backends and of scenarios.
            let quiet = QUIET.with(std::cell::Cell::get) || std::thread::current().name().is_none();
            if !quiet {
                return usual(info);
            }
            let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = place;
        }));
    });
    let outer = QUIET.with(|quiet| quiet.replace(true));
    let result = catch_unwind(AssertUnwindSafe(function));
    QUIET.with(|quiet| quiet.set(outer));
    result.map_err(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        let place = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
        format!("{text} ({})", place.unwrap_or_default())
    })
}
