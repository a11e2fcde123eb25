//! [`Tracker`]: what every logger takes, so that a trainer can hold a list of them.

use std::collections::BTreeMap;

use crate::{Picture, Result, Summary};

/// A value of a hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Anything else.
    Text(String),
}

macro_rules! settings {
    ($($type:ty => $make:expr),+ $(,)?) => {
        $(impl From<$type> for Setting {
            fn from(value: $type) -> Self {
                let make: fn($type) -> Setting = $make;
                make(value)
            }
        })+
    };
}

settings!(
    bool => Setting::Bool,
    f64 => Setting::Number,
    f32 => |number| Setting::Number(f64::from(number)),
    i32 => |number| Setting::Number(f64::from(number)),
    u32 => |number| Setting::Number(f64::from(number)),
    i64 => |number| Setting::Number(number as f64),
    u64 => |number| Setting::Number(number as f64),
    usize => |number| Setting::Number(number as f64),
    &str => |text| Setting::Text(text.to_owned()),
    String => Setting::Text,
);

impl std::fmt::Display for Setting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Setting::Bool(value) => write!(formatter, "{value}"),
            Setting::Number(value) => write!(formatter, "{value}"),
            Setting::Text(value) => formatter.write_str(value),
        }
    }
}

/// Hyper-parameters by name.
pub type Settings = BTreeMap<String, Setting>;

/// Takes what happens in a run. A tag names a curve: `loss/train`, `accuracy/validation`.
///
/// What a logger has no place for, it leaves out.
pub trait Tracker: Send {
    /// A number at a step. It may be NaN or infinite: what broke must be seen.
    ///
    /// # Errors
    /// If it cannot be written.
    fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()>;

    /// How numbers are distributed: weights, gradients. Those that are not finite are left out.
    ///
    /// # Errors
    /// If it cannot be written.
    fn histogram(&mut self, tag: &str, step: u64, values: &[f32]) -> Result<()>;

    /// A picture.
    ///
    /// # Errors
    /// If it cannot be written.
    fn image(&mut self, tag: &str, step: u64, picture: &Picture) -> Result<()>;

    /// A text: a sample, the summary of a model.
    ///
    /// # Errors
    /// If it cannot be written.
    fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<()>;

    /// The layers of a model, what each reads and what comes out, once at the start of the run.
    ///
    /// # Errors
    /// If it cannot be written.
    fn graph(&mut self, _summary: &Summary) -> Result<()> {
        Ok(())
    }

    /// Settings of the run, once at its start, and the tags of the figures by which runs are compared.
    ///
    /// # Errors
    /// If they cannot be written.
    fn hyper_parameters(&mut self, settings: &Settings, figures: &[&str]) -> Result<()>;

    /// Puts everything where others can read it.
    ///
    /// # Errors
    /// If it cannot be written.
    fn flush(&mut self) -> Result<()>;

    /// The run has ended, well or not. Nothing may follow.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(&mut self, success: bool) -> Result<()>;
}

/// All of a list, in its order; the first error ends it.
impl Tracker for Vec<Box<dyn Tracker>> {
    fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.scalar(tag, step, value))
    }

    fn histogram(&mut self, tag: &str, step: u64, values: &[f32]) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.histogram(tag, step, values))
    }

    fn image(&mut self, tag: &str, step: u64, picture: &Picture) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.image(tag, step, picture))
    }

    fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.text(tag, step, text))
    }

    fn graph(&mut self, summary: &Summary) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.graph(summary))
    }

    fn hyper_parameters(&mut self, settings: &Settings, figures: &[&str]) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.hyper_parameters(settings, figures))
    }

    fn flush(&mut self) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.flush())
    }

    fn finish(&mut self, success: bool) -> Result<()> {
        self.iter_mut().try_for_each(|tracker| tracker.finish(success))
    }
}
