//! [`JsonLines`]: a run as lines of JSON, which every tool reads.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::clock::seconds;
use crate::event::Histogram;
use crate::{Error, ErrorKind, Picture, Result, Setting, Settings, Tracker};

/// Writes one object a line, each at once, so that a killed run loses nothing. Pictures are noted by their
/// size only.
///
/// ```
/// use gradloom_track::{JsonLines, Tracker, read_json_lines};
///
/// # fn main() -> gradloom_track::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("run.jsonl");
/// let mut log = JsonLines::append(&path)?;
/// log.scalar("loss", 7, 0.25)?;
/// let events = read_json_lines(&path)?;
/// assert_eq!((&events[0]["tag"], &events[0]["step"], &events[0]["value"]), (
///     &"loss".into(),
///     &7.into(),
///     &0.25.into()
/// ));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonLines {
    file: File,
    path: PathBuf,
}

impl JsonLines {
    /// Goes on with a file, or makes it. What a killed run left of a last line is cut off.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn append(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let failed =
            |error: std::io::Error| Error::from(error).context(format!("{}", path.display()));
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(&path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |place| place + 1);
        file.set_len(end as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(JsonLines { file, path })
    }

    fn put(&mut self, kind: &str, rest: Value) -> Result<()> {
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(seconds()));
        object.insert("kind".to_owned(), json!(kind));
        if let Value::Object(rest) = rest {
            object.extend(rest);
        }
        // One write, so that a kill leaves either all of a line or a part without its end.
        let line = format!("{}\n", Value::Object(object));
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|error| Error::from(error).context(format!("{}", self.path.display())))
    }
}

/// JSON has no NaN and no infinity, so they are words.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

impl Tracker for JsonLines {
    fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.put("scalar", json!({ "tag": tag, "step": step, "value": number(value) }))
    }

    fn histogram(&mut self, tag: &str, step: u64, values: &[f32]) -> Result<()> {
        let Some(histogram) = Histogram::of(values) else { return Ok(()) };
        let Histogram { min, max, count, sum, limits, buckets, .. } = histogram;
        self.put(
            "histogram",
            json!({
                "tag": tag, "step": step, "min": min, "max": max, "count": count, "sum": sum,
                "limits": limits, "buckets": buckets
            }),
        )
    }

    fn image(&mut self, tag: &str, step: u64, picture: &Picture) -> Result<()> {
        let (width, height) = (picture.width(), picture.height());
        self.put("image", json!({ "tag": tag, "step": step, "width": width, "height": height }))
    }

    fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<()> {
        self.put("text", json!({ "tag": tag, "step": step, "text": text }))
    }

    fn hyper_parameters(&mut self, settings: &Settings, figures: &[&str]) -> Result<()> {
        let value = |setting: &Setting| match setting {
            Setting::Bool(value) => json!(value),
            Setting::Number(value) => number(*value),
            Setting::Text(value) => json!(value),
        };
        let settings: Map<String, Value> =
            settings.iter().map(|(name, setting)| (name.clone(), value(setting))).collect();
        self.put("hyper_parameters", json!({ "settings": settings, "figures": figures }))
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, success: bool) -> Result<()> {
        self.put("finish", json!({ "success": success }))
    }
}

/// The objects of a log. A last line without an end is left out: its writer was killed.
///
/// # Errors
/// If the file cannot be read, or a line is no JSON object.
pub fn read_json_lines(path: impl AsRef<Path>) -> Result<Vec<Value>> {
    let name = path.as_ref().display().to_string();
    let text = std::fs::read(path).map_err(|error| Error::from(error).context(name.clone()))?;
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |place| place + 1);
    let lines = text[..end].split(|&byte| byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let read = |(index, line): (usize, &[u8])| match serde_json::from_slice::<Value>(line) {
        Ok(object) if object.is_object() => Ok(object),
        _ => Err(Error::new(
            ErrorKind::Malformed,
            format!("{name}: line {} is no JSON object", index + 1),
        )),
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::{JsonLines, Tracker, read_json_lines};

    #[test]
    fn a_torn_last_line_is_left_out_and_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let mut log = JsonLines::append(&path).unwrap();
        log.scalar("loss", 1, f64::NAN).unwrap();
        log.scalar("loss", 2, 0.5).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(read_json_lines(&path).unwrap().len(), 1);
        JsonLines::append(&path).unwrap().text("sample", 2, "a \"word\"\nand more").unwrap();
        let events = read_json_lines(&path).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0]["value"], "NaN");
        assert_eq!(events[1]["text"], "a \"word\"\nand more");
        std::fs::write(&path, "{}\n[1]\n").unwrap();
        assert!(read_json_lines(&path).unwrap_err().to_string().contains("line 2 is no JSON"));
    }
}
