//! Events as bytes. Numbers of fields are those of TensorBoard's `event.proto`, `summary.proto` and
//! `tensor.proto`.

use super::content::{Content, Event, Value};
use super::histogram::Histogram;
use super::protobuf::Message;

/// `DT_STRING` of `types.proto`.
const STRING: i64 = 7;

pub(crate) fn encode(event: &Event) -> Vec<u8> {
    let head = Message::default().double_unless_zero(1, event.wall_time).unless_zero(2, event.step);
    let message = match &event.content {
        Content::FileVersion(version) => head.text(3, version),
        Content::Summary(values) => {
            let summary = values.iter().fold(Message::default(), |summary, (tag, value)| {
                summary.message(1, &encoded_value(tag, value))
            });
            head.message(5, &summary)
        }
        Content::Graph(graph) => head.slice(4, graph),
        Content::Other => head,
    };
    message.bytes
}

fn encoded_value(tag: &str, value: &Value) -> Message {
    let tagged = Message::default().text(1, tag);
    match value {
        Value::Scalar(number) => tagged.float(2, *number),
        Value::Histogram(histogram) => tagged.message(5, &encoded_histogram(histogram)),
        Value::Image { width, height, channels, png } => {
            let image = Message::default()
                .unless_zero(1, i64::from(*height))
                .unless_zero(2, i64::from(*width))
                .unless_zero(3, i64::from(*channels))
                .slice(4, png);
            tagged.message(4, &image)
        }
        Value::Text(text) => {
            let one = Message::default().message(2, &Message::default().integer(1, 1));
            let tensor = Message::default().integer(1, STRING).message(2, &one).text(8, text);
            tagged.message(8, &tensor).message(9, &metadata("text", &[]))
        }
        Value::Plugin { name, content } => tagged.message(9, &metadata(name, content)),
        Value::Other => tagged,
    }
}

fn encoded_histogram(histogram: &Histogram) -> Message {
    Message::default()
        .double_unless_zero(1, histogram.min)
        .double_unless_zero(2, histogram.max)
        .double_unless_zero(3, histogram.count)
        .double_unless_zero(4, histogram.sum)
        .double_unless_zero(5, histogram.sum_squares)
        .doubles(6, &histogram.limits)
        .doubles(7, &histogram.buckets)
}

fn metadata(plugin: &str, content: &[u8]) -> Message {
    let data = Message::default().text(1, plugin);
    let data = if content.is_empty() { data } else { data.slice(2, content) };
    Message::default().message(1, &data)
}
