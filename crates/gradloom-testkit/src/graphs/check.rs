//! Comparing a recipe's values on a device with the bounded reference's.

use std::fmt;

use gradloom_tensor::{DType, Device, Tensor};

use super::scenario::{self, Output};
use super::{Recipe, catch};
use crate::check::elements;
use crate::reference::{self, Arithmetic};

/// What a check compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Elements that were compared.
    pub compared: usize,
    /// Elements that rounding decides, which were not.
    pub left_out: usize,
    /// True if the recipe has no value: the reference refuses it, too.
    pub refused: bool,
}

/// What a check found wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// A panic, with its message and place.
    Panic(String),
    /// A panic while the graph was made, on the reference, too.
    Making(String),
    /// An error of the device alone, or none where there should be one.
    Failure(String),
    /// Other elements.
    Value(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Panic(message) => write!(formatter, "panic: {message}"),
            Difference::Making(message) => write!(formatter, "panic on the reference: {message}"),
            Difference::Failure(message) => write!(formatter, "failure: {message}"),
            Difference::Value(message) => write!(formatter, "value: {message}"),
        }
    }
}

impl Difference {
    /// The message without its numbers: the same for faults of one kind.
    pub fn kind(&self) -> String {
        let text = match self {
            Difference::Value(_) => return "value".to_owned(),
            other => other.to_string(),
        };
        let mut kind = String::new();
        for letter in text.chars() {
            match (letter.is_ascii_digit(), kind.ends_with('#')) {
                (true, true) => {}
                (true, false) => kind.push('#'),
                (false, _) => kind.push(letter),
            }
        }
        kind
    }
}

/// Evaluates a recipe on a device and on the bounded reference, and compares all that is asked for.
///
/// # Errors
/// The first difference.
pub fn check(recipe: &Recipe, device: &Device) -> Result<Summary, Difference> {
    let arithmetic = match device.capabilities().host {
        true => Arithmetic::Host,
        false => Arithmetic::Gpu,
    };
    let expected = catch(|| scenario::run(recipe, &reference::bounded(arithmetic)));
    let expected = expected.map_err(Difference::Making)?;
    let actual = catch(|| {
        let outputs = scenario::run(recipe, device)?;
        outputs.into_iter().map(read).collect::<Result<Vec<_>, _>>()
    });
    let actual = actual.map_err(Difference::Panic)?;
    match (expected, actual) {
        (Ok(expected), Ok(actual)) => compare(&expected, &actual),
        (Err(_), Err(_)) => Ok(Summary { refused: true, ..Summary::default() }),
        // An index that depends on rounding may be out of range on one side only.
        (Err(error), Ok(_)) if error.to_string().contains("out of range") => {
            Ok(Summary { refused: true, ..Summary::default() })
        }
        (Err(error), Ok(_)) => {
            Err(Difference::Failure(format!("none, but the reference says: {error}")))
        }
        (Ok(_), Err(error)) => Err(Difference::Failure(error.to_string())),
    }
}

fn read((name, tensor): Output) -> Result<(String, Vec<f64>), gradloom_tensor::Error> {
    elements(&tensor).map(|values| (name, values)).map_err(gradloom_tensor::Error::backend)
}

fn compare(expected: &[Output], actual: &[(String, Vec<f64>)]) -> Result<Summary, Difference> {
    let mut summary = Summary::default();
    for ((name, tensor), (_, actual)) in expected.iter().zip(actual) {
        let known = reference::elements_and_errors(tensor);
        let (values, errors) = known.map_err(|error| Difference::Failure(error.to_string()))?;
        if values.len() != actual.len() {
            let message = format!("{name} has {} elements, not {}", actual.len(), values.len());
            return Err(Difference::Value(message));
        }
        for index in 0..values.len() {
            let (value, error, found) = (values[index], errors[index], actual[index]);
            if is_open(tensor, error) {
                summary.left_out += 1;
                continue;
            }
            summary.compared += 1;
            let same = found == value || (found.is_nan() && value.is_nan());
            if !same && (found - value).abs().partial_cmp(&error).is_none_or(|order| order.is_gt()) {
                let (dtype, shape) = (tensor.dtype(), tensor.shape());
                return Err(Difference::Value(format!(
                    "{name} ({dtype} {shape}): element {index} is {found:?}, not {value:?} (within {error:.1e})"
                )));
            }
        }
    }
    Ok(summary)
}

/// True where no value is wrong.
fn is_open(tensor: &Tensor, error: f64) -> bool {
    error == f64::INFINITY || (tensor.dtype() == DType::Bool && error > 0.0)
}
