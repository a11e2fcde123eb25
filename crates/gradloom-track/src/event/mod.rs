//! TensorBoard's event files: what an event is, and its bytes, both ways.

mod checksum;
mod protobuf;
mod record;
mod histogram;
mod content;
mod encode;
mod decode;

pub use content::{Content, Event, Value};
pub use decode::{read_event, read_events};
pub(crate) use encode::encode;
pub use histogram::Histogram;
pub(crate) use protobuf::Message;
pub(crate) use record::framed;
