//! Numbers in JSON that come back as they were: JSON has no NaN, and readers may round the last digit.

use serde_json::{Map, Value};

use crate::{Result, error};

/// A number as the shortest text that stands for it alone.
pub(crate) fn number(value: f64) -> Value {
    Value::String(format!("{value:?}"))
}

/// A number that may be absent.
pub(crate) fn optional(value: Option<f64>) -> Value {
    value.map_or(Value::Null, number)
}

/// Names with numbers, in their order.
pub(crate) fn scalars(scalars: &[(String, f64)]) -> Value {
    let pair =
        |(name, value): &(String, f64)| Value::Array(vec![name.clone().into(), number(*value)]);
    Value::Array(scalars.iter().map(pair).collect())
}

/// Reads the entries of an object; every error names the entry.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'a> {
    name: &'a str,
    entries: &'a Map<String, Value>,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(name: &'a str, value: &'a Value) -> Result<Self> {
        match value.as_object() {
            Some(entries) => Ok(Entries { name, entries }),
            None => Err(error::malformed(format!("checkpoint: {name} is no object"))),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Result<&'a Value> {
        self.entries.get(key).ok_or_else(|| self.wrong(key, "is missing"))
    }

    pub(crate) fn object(&self, key: &'a str) -> Result<Entries<'a>> {
        Entries::new(key, self.get(key)?)
    }

    pub(crate) fn count(&self, key: &str) -> Result<u64> {
        self.get(key)?.as_u64().ok_or_else(|| self.wrong(key, "is no whole number"))
    }

    pub(crate) fn narrow(&self, key: &str) -> Result<u32> {
        u32::try_from(self.count(key)?).map_err(|_| self.wrong(key, "does not fit in 32 bits"))
    }

    pub(crate) fn number(&self, key: &str) -> Result<f64> {
        read(self.get(key)?).ok_or_else(|| self.wrong(key, "is no number"))
    }

    pub(crate) fn optional(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key)? {
            Value::Null => Ok(None),
            value => read(value).map(Some).ok_or_else(|| self.wrong(key, "is no number")),
        }
    }

    pub(crate) fn array(&self, key: &str) -> Result<&'a [Value]> {
        let array = self.get(key)?.as_array();
        array.map(Vec::as_slice).ok_or_else(|| self.wrong(key, "is no list"))
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>> {
        let texts = self.array(key)?.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().ok_or_else(|| self.wrong(key, "is no list of texts"))
    }

    pub(crate) fn scalars(&self, key: &str) -> Result<Vec<(String, f64)>> {
        let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), read(pair.get(1)?)?));
        let pairs = self.array(key)?.iter().map(pair).collect::<Option<_>>();
        pairs.ok_or_else(|| self.wrong(key, "is no list of names and numbers"))
    }

    pub(crate) fn wrong(&self, key: &str, fact: &str) -> crate::Error {
        let name = self.name;
        error::malformed(format!("checkpoint: {key} of {name} {fact}; the file is damaged"))
    }
}

fn read(value: &Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Entries, number, optional, scalars};
    use serde_json::json;

    #[test]
    fn numbers_come_back_with_all_their_bits() {
        let values = [0.1 + 0.2, f64::MIN_POSITIVE / 3.0, -0.0, 1e308, f64::INFINITY, 65536.0];
        for value in values {
            let text = serde_json::to_string(&json!({"value": number(value)})).unwrap();
            let read = serde_json::from_str(&text).unwrap();
            let entries = Entries::new("test", &read).unwrap();
            assert_eq!(entries.number("value").unwrap().to_bits(), value.to_bits());
        }
        let all = json!({
            "nan": number(f64::NAN),
            "none": optional(None),
            "pairs": scalars(&[("loss".into(), 0.1)]),
            "count": 3,
        });
        let entries = Entries::new("test", &all).unwrap();
        assert!(entries.number("nan").unwrap().is_nan());
        assert_eq!(entries.optional("none").unwrap(), None);
        assert_eq!(entries.scalars("pairs").unwrap(), [("loss".to_owned(), 0.1)]);
        assert_eq!(entries.narrow("count").unwrap(), 3);
        let message = entries.number("absent").unwrap_err().to_string();
        assert!(message.contains("absent of test is missing"), "{message}");
    }
}
