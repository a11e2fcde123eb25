//! [`ModelConfig`]: the sizes and switches of a model, read from the `config.json` of the original.
//!
//! A configuration is foreign text: every number is checked before anything is made after it. Keys that
//! a model does not know are ignored, as the files carry many.

use crate::{Result, error};
use gradloom_nn::Activation;
use serde::de::DeserializeOwned;

/// Above any published model; products of two such sizes still fit 64 bits with room to spare.
const SIZE_MAX: usize = 1 << 24;

/// Above any published model; building a model makes nodes for every layer.
const LAYERS_MAX: usize = 1 << 12;

/// The sizes and switches of a model, under the keys of the original's `config.json`.
pub trait ModelConfig: DeserializeOwned {
    /// The family's name, for messages.
    const MODEL: &'static str;

    /// Whether a model can be made after it.
    ///
    /// # Errors
    /// Says which value is wrong, and why.
    fn check(&self) -> Result<()>;

    /// Reads the text of a `config.json`, and checks it.
    ///
    /// # Errors
    /// If it is no JSON object, a value has a wrong type, or no model can be made after it.
    fn from_json(json: impl AsRef<[u8]>) -> Result<Self> {
        let json = json.as_ref();
        // An array would be taken for the values in order.
        if json.trim_ascii_start().first() == Some(&b'[') {
            return Err(error::config(Self::MODEL, "an array, not an object with keys"));
        }
        let config: Self = serde_json::from_slice(json)
            .map_err(|error| error::config(Self::MODEL, located(json, &error)))?;
        config.check()?;
        Ok(config)
    }
}

/// A family of models, see [`FAMILIES`](crate::FAMILIES).
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name in messages.
    pub name: &'static str,
    /// Whether the text of a `config.json` is of a model of this family.
    pub check: fn(&[u8]) -> Result<()>,
}

impl Family {
    /// The family of a configuration.
    pub const fn of<C: ModelConfig>() -> Self {
        Family { name: C::MODEL, check: |json| C::from_json(json).map(drop) }
    }
}

/// What is wrong, and the text around it: serde's message alone does not name the key.
fn located(json: &[u8], error: &serde_json::Error) -> String {
    const SHOWN_MAX: usize = 60;
    let line = json.split(|&byte| byte == b'\n').nth(error.line().saturating_sub(1));
    let line = line.unwrap_or_default();
    let end = error.column().min(line.len());
    let start = end.saturating_sub(SHOWN_MAX);
    let shown = String::from_utf8_lossy(&line[start..end]);
    match shown.trim() {
        "" => error.to_string(),
        shown => format!("{error}, after `{shown}`"),
    }
}

/// Checks values by name, and keeps the first that is wrong.
pub(crate) struct Checker {
    model: &'static str,
    wrong: Option<String>,
}

impl Checker {
    pub(crate) fn new<C: ModelConfig>() -> Self {
        Checker { model: C::MODEL, wrong: None }
    }

    pub(crate) fn require(mut self, holds: bool, message: impl FnOnce() -> String) -> Self {
        if self.wrong.is_none() && !holds {
            self.wrong = Some(message());
        }
        self
    }

    /// A size that must be at least one.
    pub(crate) fn size(self, name: &str, value: usize) -> Self {
        self.require((1..=SIZE_MAX).contains(&value), || {
            format!("{name} is {value}; it must be within 1..={SIZE_MAX}")
        })
    }

    pub(crate) fn layers(self, name: &str, value: usize) -> Self {
        self.require((1..=LAYERS_MAX).contains(&value), || {
            format!("{name} is {value}; it must be within 1..={LAYERS_MAX}")
        })
    }

    /// Heads that must share a width evenly.
    pub(crate) fn divides(self, name: &str, value: usize, of: &str, whole: usize) -> Self {
        self.size(name, value)
            .size(of, whole)
            .require(value > 0 && whole.is_multiple_of(value), || {
                format!("{name} is {value}, which does not divide {of} = {whole}")
            })
    }

    pub(crate) fn positive(self, name: &str, value: f64) -> Self {
        self.require(value.is_finite() && value > 0.0, || {
            format!("{name} is {value}; it must be positive")
        })
    }

    pub(crate) fn deviation(self, name: &str, value: f64) -> Self {
        self.require(value.is_finite() && value >= 0.0, || {
            format!("{name} is {value}; it must not be negative")
        })
    }

    pub(crate) fn probability(self, name: &str, value: f64) -> Self {
        self.require((0.0..=1.0).contains(&value), || {
            format!("{name} is {value}; a probability is within 0..=1")
        })
    }

    pub(crate) fn activation(self, name: &str, value: &str) -> Self {
        self.require(activation(value).is_some(), || {
            let known: Vec<&str> = ACTIVATIONS.iter().map(|(name, _)| *name).collect();
            format!("{name} is {value:?}, which is none of {}", known.join(", "))
        })
    }

    pub(crate) fn finish(self) -> Result<()> {
        match self.wrong {
            Some(message) => Err(error::config(self.model, message)),
            None => Ok(()),
        }
    }
}

/// The names that configurations have for activation functions.
const ACTIVATIONS: [(&str, Activation); 9] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("tanh", Activation::Tanh),
    ("mish", Activation::Mish),
];

fn activation(name: &str) -> Option<Activation> {
    ACTIVATIONS.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation)
}

/// The activation function of a checked configuration.
pub(crate) fn checked_activation(name: &str) -> Activation {
    activation(name).unwrap_or(Activation::Identity)
}
