//! [`Event`]: what happened in a run, and when.

use super::histogram::Histogram;

/// One event of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Seconds since 1970.
    pub wall_time: f64,
    /// The step of the run.
    pub step: i64,
    /// What happened.
    pub content: Content,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// The format of the file, in its first event.
    FileVersion(String),
    /// Values by tag.
    Summary(Vec<(String, Value)>),
    /// A graph, as TensorFlow's `GraphDef`.
    Graph(Vec<u8>),
    /// Something that is not read here, as the end of a session.
    Other,
}

/// A value of a tag.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number.
    Scalar(f32),
    /// A distribution.
    Histogram(Histogram),
    /// A picture as PNG.
    Image {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes of a pixel.
        channels: u8,
        /// The file.
        png: Vec<u8>,
    },
    /// A text.
    Text(String),
    /// Data of a plugin without a value: hyper-parameters.
    Plugin {
        /// The plugin's name.
        name: String,
        /// Its data.
        content: Vec<u8>,
    },
    /// Something that is not read here.
    Other,
}
