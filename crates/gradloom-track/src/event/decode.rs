//! Events from bytes, which may be anything.

use super::content::{Content, Event, Value};
use super::histogram::Histogram;
use super::protobuf::{Field, Fields, malformed};
use super::record::records;
use crate::Result;

/// Reads an event file, of this crate or of TensorBoard's own writers. A last event that is cut off is left
/// out: its writer was killed.
///
/// # Errors
/// If a checksum is wrong or an event is none.
///
/// ```
/// use gradloom_track::event::{Content, Value, read_events};
/// use gradloom_track::{EventWriter, Tracker};
///
/// # fn main() -> gradloom_track::Result<()> {
/// let folder = tempfile::tempdir()?;
/// let mut writer = EventWriter::new(folder.path())?;
/// writer.scalar("loss", 3, 0.5)?;
/// writer.flush()?;
/// let events = read_events(&std::fs::read(writer.path())?)?;
/// assert_eq!(events[0].content, Content::FileVersion("brain.Event:2".to_owned()));
/// assert_eq!(events[1].step, 3);
/// assert_eq!(events[1].content, Content::Summary(vec![("loss".to_owned(), Value::Scalar(0.5))]));
/// # Ok(())
/// # }
/// ```
pub fn read_events(bytes: &[u8]) -> Result<Vec<Event>> {
    records(bytes)?.into_iter().map(read_event).collect()
}

/// Reads one event, without the lengths and checksums around it.
///
/// # Errors
/// If it is none.
pub fn read_event(bytes: &[u8]) -> Result<Event> {
    let mut event = Event { wall_time: 0.0, step: 0, content: Content::Other };
    for field in Fields::of(bytes) {
        match field? {
            (1, Field::Double(time)) => event.wall_time = time,
            (2, Field::Integer(step)) => event.step = step as i64,
            (3, Field::Bytes(version)) => event.content = Content::FileVersion(text(version)?),
            (4, Field::Bytes(graph)) => event.content = Content::Graph(graph.to_vec()),
            (5, Field::Bytes(summary)) => event.content = Content::Summary(values(summary)?),
            _ => {}
        }
    }
    Ok(event)
}

fn values(bytes: &[u8]) -> Result<Vec<(String, Value)>> {
    let mut values = Vec::new();
    for field in Fields::of(bytes) {
        if let (1, Field::Bytes(value)) = field? {
            values.push(tagged(value)?);
        }
    }
    Ok(values)
}

fn tagged(bytes: &[u8]) -> Result<(String, Value)> {
    let (mut tag, mut value, mut plugin, mut string) = (String::new(), Value::Other, None, None);
    for field in Fields::of(bytes) {
        match field? {
            (1, Field::Bytes(name)) => tag = text(name)?,
            (2, Field::Float(number)) => value = Value::Scalar(number),
            (4, Field::Bytes(picture)) => value = image(picture)?,
            (5, Field::Bytes(buckets)) => value = Value::Histogram(histogram(buckets)?),
            (8, Field::Bytes(tensor)) => string = string_of(tensor)?,
            (9, Field::Bytes(metadata)) => plugin = plugin_of(metadata)?,
            _ => {}
        }
    }
    let value = match (value, plugin, string) {
        (Value::Other, Some((name, _)), Some(string)) if name == "text" => Value::Text(string),
        (Value::Other, Some((name, content)), None) => Value::Plugin { name, content },
        (value, _, _) => value,
    };
    Ok((tag, value))
}

fn image(bytes: &[u8]) -> Result<Value> {
    let (mut width, mut height, mut channels, mut png) = (0, 0, 0, Vec::new());
    let small = |number: u64| u32::try_from(number).map_err(|_| malformed("the size of a picture"));
    for field in Fields::of(bytes) {
        match field? {
            (1, Field::Integer(number)) => height = small(number)?,
            (2, Field::Integer(number)) => width = small(number)?,
            (3, Field::Integer(number)) => {
                channels = u8::try_from(number).map_err(|_| malformed("channels of a picture"))?;
            }
            (4, Field::Bytes(file)) => png = file.to_vec(),
            _ => {}
        }
    }
    Ok(Value::Image { width, height, channels, png })
}

fn histogram(bytes: &[u8]) -> Result<Histogram> {
    let mut read = Histogram::default();
    for field in Fields::of(bytes) {
        match field? {
            (1, Field::Double(number)) => read.min = number,
            (2, Field::Double(number)) => read.max = number,
            (3, Field::Double(number)) => read.count = number,
            (4, Field::Double(number)) => read.sum = number,
            (5, Field::Double(number)) => read.sum_squares = number,
            (6, Field::Bytes(numbers)) => read.limits.extend(doubles(numbers)?),
            (6, Field::Double(number)) => read.limits.push(number),
            (7, Field::Bytes(numbers)) => read.buckets.extend(doubles(numbers)?),
            (7, Field::Double(number)) => read.buckets.push(number),
            _ => {}
        }
    }
    Ok(read)
}

fn doubles(bytes: &[u8]) -> Result<Vec<f64>> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(malformed("a list of doubles that ends within one"));
    }
    Ok(numbers.iter().map(|number| f64::from_le_bytes(*number)).collect())
}

/// The first string of a tensor.
fn string_of(bytes: &[u8]) -> Result<Option<String>> {
    for field in Fields::of(bytes) {
        if let (8, Field::Bytes(string)) = field? {
            return text(string).map(Some);
        }
    }
    Ok(None)
}

fn plugin_of(bytes: &[u8]) -> Result<Option<(String, Vec<u8>)>> {
    for field in Fields::of(bytes) {
        let (1, Field::Bytes(data)) = field? else { continue };
        let (mut name, mut content) = (String::new(), Vec::new());
        for field in Fields::of(data) {
            match field? {
                (1, Field::Bytes(bytes)) => name = text(bytes)?,
                (2, Field::Bytes(bytes)) => content = bytes.to_vec(),
                _ => {}
            }
        }
        return Ok(Some((name, content)));
    }
    Ok(None)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| malformed("a text that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Histogram, Value, encode, framed};
    use super::{read_event, read_events, records};

    /// Written by TensorBoard's own classes, see `make_events.py`.
    const GOLDEN: &[u8] = include_bytes!("../../tests/golden.tfevents");

    #[test]
    fn events_of_tensorboard_are_read_and_written_to_the_byte() {
        let events = read_events(GOLDEN).unwrap();
        let written: Vec<u8> = events.iter().flat_map(|event| framed(&encode(event))).collect();
        assert_eq!(written, GOLDEN);
        assert_eq!(events[0].content, Content::FileVersion("brain.Event:2".to_owned()));
        let steps: Vec<i64> = events.iter().map(|event| event.step).collect();
        assert_eq!(steps, [0, 0, 1000, 2000, 3000, 4000, 5000]);
        let value = |event: usize, at: usize| match &events[event].content {
            Content::Summary(values) => values[at].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(value(1, 0), ("loss".to_owned(), Value::Scalar(0.25)));
        assert_eq!(value(2, 1), ("broken".to_owned(), Value::Scalar(f32::INFINITY)));
        let histogram = Histogram {
            min: -1.0,
            max: 2.0,
            count: 3.0,
            sum: 1.0,
            sum_squares: 5.0,
            limits: vec![0.0, 2.0],
            buckets: vec![1.0, 2.0],
        };
        assert_eq!(value(3, 0).1, Value::Histogram(histogram));
        let png = b"\x89PNG".to_vec();
        assert_eq!(value(4, 0).1, Value::Image { width: 300, height: 2, channels: 3, png });
        assert_eq!(value(5, 0).1, Value::Text("na\u{ef}ve\n".to_owned()));
        assert!(matches!(value(6, 0).1, Value::Plugin { name, .. } if name == "hparams"));
    }

    #[test]
    fn a_torn_end_is_left_out_and_a_changed_byte_is_found() {
        let event = [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 7];
        let whole = [framed(&event), framed(&event)].concat();
        assert_eq!(read_events(&whole).unwrap().len(), 2);
        for len in 0..whole.len() {
            let count = len / framed(&event).len();
            assert_eq!(read_events(&whole[..len]).unwrap().len(), count, "{len} bytes");
        }
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert!(read_events(&changed).unwrap_err().is_malformed(), "byte {place}");
        }
    }

    #[test]
    fn damaged_events_are_events_or_errors() {
        let (mut read, mut refused) = (0, 0);
        for event in records(GOLDEN).unwrap() {
            for place in 0..event.len() {
                for byte in 0..=u8::MAX {
                    let mut damaged = event.to_vec();
                    damaged[place] = byte;
                    match read_event(&damaged) {
                        Ok(_) => read += 1,
                        Err(error) => refused += u32::from(error.is_malformed()),
                    }
                }
                drop(read_event(&event[..place]));
            }
        }
        assert!(read > 10_000 && refused > 10_000, "{read} read, {refused} refused");
    }

    #[test]
    fn claims_beyond_the_message_are_refused() {
        for event in [
            &[0x2a, 0xff, 0xff, 0xff, 0xff, 0x0f][..],
            &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0x13],
            &[0x1a, 1, 0xff],
        ] {
            assert!(read_events(&framed(event)).unwrap_err().is_malformed(), "{event:?}");
        }
    }
}
