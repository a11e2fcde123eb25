//! JSON lines: one object a line to a [`Table`], as CSV.
//!
//! Objects and lists within an object are absent on purpose: a key that holds one is an error unless
//! other keys are selected.

use serde::de::{Deserializer, MapAccess, Visitor};

use crate::table::{Categories, Column, ColumnKind, Table};
use crate::{Error, Result, Source, error};

/// How to read JSON lines. pandas: `read_json(lines=True)`.
///
/// ```
/// use gradloom_data::Source;
/// use gradloom_data::format::json_lines::JsonLinesReader;
///
/// let text = "{\"text\": \"good\", \"score\": 4.5}\n{\"score\": null, \"text\": \"bad\"}\n";
/// let table = JsonLinesReader::new().read(Source::from_bytes("reviews", text.as_bytes()))?;
/// assert_eq!(table.names(), ["text", "score"]);
/// assert!(table.numbers("score")?[1].is_nan());
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct JsonLinesReader {
    kinds: Vec<(String, ColumnKind)>,
    selected: Option<Vec<String>>,
}

/// A value that a table can hold.
enum Scalar {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Scalar {
    fn name(&self) -> &'static str {
        match self {
            Scalar::Null => "null",
            Scalar::Bool(_) => "a boolean",
            Scalar::Number(_) => "a number",
            Scalar::Text(_) => "a text",
        }
    }
}

#[derive(Default)]
struct Values {
    name: String,
    values: Vec<Scalar>,
    lines: Vec<u64>,
}

impl JsonLinesReader {
    /// All keys, of the kinds that their values have.
    pub fn new() -> Self {
        JsonLinesReader::default()
    }

    /// What the values of a key are; only a text can be made a category.
    #[must_use]
    pub fn kind(mut self, key: impl Into<String>, kind: ColumnKind) -> Self {
        self.kinds.push((key.into(), kind));
        self
    }

    /// Only these keys, in this order; others may hold anything.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, keys: impl IntoIterator<Item = S>) -> Self {
        self.selected = Some(keys.into_iter().map(Into::into).collect());
        self
    }

    /// Reads a table, plain or gzipped. A key that a line lacks is missing there.
    ///
    /// # Errors
    /// If a line is no JSON object, has a key twice, holds a list or an object, or the values of a key
    /// are of several kinds; the message has the line and the key.
    pub fn read<'a>(&self, source: impl Into<Source<'a>>) -> Result<Table> {
        let mut input = source.into().open()?;
        let bytes = input.rest()?;
        let file = input.name();
        let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(&bytes);
        let mut columns: Vec<Values> = Vec::new();
        for name in self.selected.iter().flatten() {
            columns.push(Values { name: name.clone(), ..Values::default() });
        }
        let mut rows = 0;
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let number = index as u64 + 1;
            for (order, (key, value)) in pairs(file, number, line)?.into_iter().enumerate() {
                // Lines of one file mostly have their keys in one order.
                let usual = columns.get(order).filter(|column| column.name == key).map(|_| order);
                let mut place =
                    usual.or_else(|| columns.iter().position(|column| column.name == key));
                if place.is_none() && self.selected.is_none() {
                    place = Some(columns.len());
                    columns.push(Values { name: key.clone(), ..Values::default() });
                }
                let Some(place) = place else { continue };
                let column = &mut columns[place];
                if column.values.len() > rows {
                    return Err(error::table(file, number, Some(&key), "the key occurs twice"));
                }
                let scalar = scalar(value)
                    .map_err(|message| error::table(file, number, Some(&key), message))?;
                column.fill(rows);
                column.values.push(scalar);
                column.lines.push(number);
            }
            rows += 1;
        }
        let mut named = Vec::with_capacity(columns.len());
        for mut column in columns {
            column.fill(rows);
            if rows > 0 && column.lines.iter().all(|&line| line == 0) {
                let message = format!("no line has the key {:?}", column.name);
                return Err(error::table(file, 1, None, message));
            }
            let kind = self.kinds.iter().find(|(name, _)| *name == column.name);
            let built = column.build(file, kind.map(|(_, kind)| *kind))?;
            named.push((column.name, built));
        }
        Table::of_columns("json lines", named, rows)
    }
}

impl Values {
    /// Missing values up to `rows`.
    fn fill(&mut self, rows: usize) {
        while self.values.len() < rows {
            self.values.push(Scalar::Null);
            self.lines.push(0);
        }
    }

    fn build(&self, file: &str, kind: Option<ColumnKind>) -> Result<Column> {
        let first = self.values.iter().find(|value| !matches!(value, Scalar::Null));
        let kind = kind.unwrap_or(match first {
            Some(Scalar::Text(_)) => ColumnKind::Text,
            Some(Scalar::Bool(_)) => ColumnKind::Bool,
            _ => ColumnKind::Number,
        });
        let unfit = |(value, line): (&Scalar, &u64)| -> Error {
            let message = format!(
                "{} among {kind}; set JsonLinesReader::kind or mend the file",
                value.name()
            );
            error::table(file, *line, Some(&self.name), message)
        };
        let all = || self.values.iter().zip(&self.lines);
        let texts = || {
            all().map(|pair| match pair.0 {
                Scalar::Null => Ok(None),
                Scalar::Text(text) => Ok(Some(text.clone())),
                _ => Err(unfit(pair)),
            })
        };
        Ok(match kind {
            ColumnKind::Number => {
                let number = |pair: (&Scalar, &u64)| match pair.0 {
                    Scalar::Null => Ok(f64::NAN),
                    Scalar::Number(value) => Ok(*value),
                    _ => Err(unfit(pair)),
                };
                Column::Number(all().map(number).collect::<Result<_>>()?)
            }
            ColumnKind::Bool => {
                let value = |pair: (&Scalar, &u64)| match pair.0 {
                    Scalar::Null => Ok(None),
                    Scalar::Bool(value) => Ok(Some(*value)),
                    _ => Err(unfit(pair)),
                };
                Column::Bool(all().map(value).collect::<Result<_>>()?)
            }
            ColumnKind::Text => Column::Text(texts().collect::<Result<_>>()?),
            ColumnKind::Category => {
                Column::Category(Categories::of_texts(&texts().collect::<Result<Vec<_>>>()?))
            }
        })
    }
}

fn scalar(value: serde_json::Value) -> Result<Scalar, String> {
    match value {
        serde_json::Value::Null => Ok(Scalar::Null),
        serde_json::Value::Bool(value) => Ok(Scalar::Bool(value)),
        serde_json::Value::String(text) => Ok(Scalar::Text(text)),
        serde_json::Value::Number(number) => {
            let value = number.as_f64().filter(|value| value.is_finite());
            value.map(Scalar::Number).ok_or_else(|| format!("{number} is no finite number"))
        }
        serde_json::Value::Array(_) => Err("a list; select the other keys".to_owned()),
        serde_json::Value::Object(_) => Err("an object; select the other keys".to_owned()),
    }
}

/// The keys and values of one line in their order, which a map of `serde_json` would lose.
fn pairs(file: &str, line: u64, bytes: &[u8]) -> Result<Vec<(String, serde_json::Value)>> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, serde_json::Value)>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let pairs = reader.deserialize_map(Pairs).and_then(|pairs| reader.end().map(|()| pairs));
    pairs.map_err(|fault| error::table(file, line, None, format!("no JSON object: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::JsonLinesReader;
    use crate::table::{ColumnKind, Table, Value};
    use crate::{Result, Source};

    fn read(reader: &JsonLinesReader, text: &str) -> Result<Table> {
        reader.read(Source::from_bytes("t", text.as_bytes()))
    }

    #[test]
    fn keys_become_columns_wherever_they_appear() {
        let text = "{\"b\":1,\"a\":\"x\"}\r\n\n{\"c\":true,\"a\":null}\n{\"b\":2e3}";
        let table = read(&JsonLinesReader::new(), text).unwrap();
        assert_eq!((table.len(), table.names().join("")), (3, "bac".to_owned()));
        assert_eq!(table.value(2, "b").unwrap(), Value::Number(2000.0));
        assert_eq!(table.bools("c").unwrap(), [None, Some(true), None]);
        let reader = JsonLinesReader::new().select(["a"]).kind("a", ColumnKind::Category);
        let table = read(&reader, "{\"a\":\"x\",\"deep\":[{}]}").unwrap();
        assert_eq!(table.categories("a").unwrap().names(), ["x"]);
        assert_eq!(read(&JsonLinesReader::new(), "").unwrap().len(), 0);
    }

    #[test]
    fn faults_have_line_and_key() {
        let message = |text: &str| read(&JsonLinesReader::new(), text).unwrap_err().to_string();
        assert!(message("{\"a\":1}\n{").starts_with("t: row 2: no JSON object"));
        assert!(message("[1]").contains("no JSON object"));
        assert_eq!(message("{\"a\":[]}"), "t: row 1, column a: a list; select the other keys");
        assert_eq!(message("{\"a\":1,\"a\":2}"), "t: row 1, column a: the key occurs twice");
        assert!(
            message("{\"a\":1}\n{\"a\":\"x\"}")
                .starts_with("t: row 2, column a: a text among numbers")
        );
        assert!(message("{\"a\":1e999}").starts_with("t: row 1"));
        assert!(message(&"[".repeat(100_000)).contains("no JSON object"));
        let reader = JsonLinesReader::new().select(["q"]);
        assert!(
            read(&reader, "{\"a\":1}").unwrap_err().to_string().contains("no line has the key")
        );
    }
}
