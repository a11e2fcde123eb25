//! What Python writes where Rust would write something else: `True`, `None`, dictionaries, JSON; and the
//! functions that templates expect.

use std::fmt::{self, Write};

use minijinja::value::{Kwargs, Tuple, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::output::OUTPUT_BYTES_MAX;

/// Values nested deeper are refused, as Python refuses them.
const DEPTH_MAX: usize = 200;

/// Marks an error as the template's own word.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

/// The message of `raise_exception`, if that is what stopped the template.
pub(super) fn raised(error: &Error) -> Option<&str> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(Raised(message)) = cause.downcast_ref() {
            return Some(message);
        }
        source = cause.source();
    }
    None
}

/// Adds the functions and filters of Hugging Face's environment.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
    });
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |value: &Value| printed(value));
    environment.set_formatter(|output, _state, value| match value.as_str() {
        Some(text) => output.write_str(text).map_err(Error::from),
        None => output.write_str(&printed(value)?).map_err(Error::from),
    });
}

/// Python's `str(value)`.
fn printed(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    match value.as_str() {
        Some(string) => text.push_str(string),
        None if value.is_undefined() => {}
        None => Style::Python.write(value, 0, &mut text)?,
    }
    Ok(text)
}

/// `json.dumps(value, ensure_ascii=False)`, with Python's other arguments.
fn to_json(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let sort_keys: Option<bool> = kwargs.get("sort_keys")?;
    let ascii: Option<bool> = kwargs.get("ensure_ascii")?;
    let separators: Option<Vec<String>> = kwargs.get("separators")?;
    kwargs.assert_all_used()?;
    let separators = match separators {
        None if indent.is_some() => [",".to_owned(), ": ".to_owned()],
        None => [", ".to_owned(), ": ".to_owned()],
        Some(list) => <[String; 2]>::try_from(list)
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, "tojson: two separators"))?,
    };
    let json = Json {
        indent: indent.map(|width| width.min(32)),
        sort_keys: sort_keys.unwrap_or(false),
        ascii: ascii.unwrap_or(false),
        separators,
    };
    let mut text = String::new();
    Style::Json(&json).write(value, 0, &mut text)?;
    Ok(text)
}

struct Json {
    indent: Option<usize>,
    sort_keys: bool,
    ascii: bool,
    separators: [String; 2],
}

/// How values are written: by `repr` or by `json.dumps`.
#[derive(Clone, Copy)]
enum Style<'a> {
    Python,
    Json(&'a Json),
}

impl Style<'_> {
    fn write(self, value: &Value, depth: usize, text: &mut String) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            let message = format!("a value is nested deeper than {DEPTH_MAX}");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        if text.len() > OUTPUT_BYTES_MAX {
            return Err(Error::from(ErrorKind::WriteFailure));
        }
        let json = matches!(self, Style::Json(_));
        match value.kind() {
            ValueKind::None => text.push_str(if json { "null" } else { "None" }),
            ValueKind::Bool => text.push_str(match (value.is_true(), json) {
                (true, true) => "true",
                (false, true) => "false",
                (true, false) => "True",
                (false, false) => "False",
            }),
            ValueKind::Number => text.push_str(&number(value)),
            ValueKind::String => self.write_string(value.as_str().unwrap_or_default(), text),
            ValueKind::Seq | ValueKind::Iterable => {
                let tuple = !json && value.downcast_object_ref::<Tuple>().is_some();
                let brackets = match value.len() {
                    Some(1) if tuple => ("(", ",)"),
                    _ if tuple => ("(", ")"),
                    _ => ("[", "]"),
                };
                self.write_all(brackets, value.try_iter()?, depth, text, |item, depth, text| {
                    self.write(&item, depth, text)
                })?;
            }
            ValueKind::Map => self.write_map(value, depth, text)?,
            ValueKind::Undefined if json => {
                return Err(Error::new(ErrorKind::UndefinedError, "tojson of an undefined value"));
            }
            _ if json => {
                let message = format!("tojson of a value of kind {}", value.kind());
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
            ValueKind::Undefined => text.push_str("Undefined"),
            _ => text.push_str(&value.to_string()),
        }
        Ok(())
    }

    fn write_map(self, value: &Value, depth: usize, text: &mut String) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        let colon = match self {
            Style::Json(json) => {
                if json.sort_keys {
                    keys.sort();
                }
                json.separators[1].as_str()
            }
            Style::Python => ": ",
        };
        self.write_all(("{", "}"), keys.into_iter(), depth, text, |key, depth, text| {
            match (self, key.as_str()) {
                // JSON has only strings as keys.
                (Style::Json(_), None) => {
                    let key = printed(&key)?;
                    self.write_string(&key, text);
                }
                _ => self.write(&key, depth, text)?,
            }
            text.push_str(colon);
            self.write(&value.get_item(&key)?, depth, text)
        })
    }

    fn write_all(
        self,
        (open, close): (&str, &str),
        items: impl Iterator<Item = Value>,
        depth: usize,
        text: &mut String,
        mut write: impl FnMut(Value, usize, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (comma, indent) = match self {
            Style::Json(json) => (json.separators[0].as_str(), json.indent),
            Style::Python => (", ", None),
        };
        let new_line = |depth: usize, text: &mut String| {
            if let Some(width) = indent {
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', width * depth));
            }
        };
        text.push_str(open);
        let mut empty = true;
        for item in items {
            if !empty {
                text.push_str(comma);
            }
            empty = false;
            new_line(depth + 1, text);
            write(item, depth + 1, text)?;
        }
        if !empty {
            new_line(depth, text);
        }
        text.push_str(close);
        Ok(())
    }

    fn write_string(self, string: &str, text: &mut String) {
        let (quote, ascii) = match self {
            Style::Json(json) => ('"', json.ascii),
            Style::Python if string.contains('\'') && !string.contains('"') => ('"', false),
            Style::Python => ('\'', false),
        };
        let json = matches!(self, Style::Json(_));
        text.push(quote);
        for character in string.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' if json => text.push_str("\\b"),
                '\u{c}' if json => text.push_str("\\f"),
                _ if character == quote => text.extend(['\\', quote]),
                _ if json && (character < ' ' || (ascii && !character.is_ascii())) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(text, "\\u{unit:04x}");
                    }
                }
                _ if !json && character.is_control() => {
                    let _ = write!(text, "\\x{:02x}", u32::from(character));
                }
                _ => text.push(character),
            }
        }
        text.push(quote);
    }
}

/// Python's `repr` of a number.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(number) = f64::try_from(value.clone()) else { return value.to_string() };
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ if number.fract() == 0.0 => format!("{number:.1}"),
        _ => number.to_string(),
    }
}
