//! [`Column`]: the values of one name in a table, all of one kind, some of them perhaps missing.

use crate::{Error, Result};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ColumnKind {
    /// Numbers, as f64.
    Number,
    /// One of few names, kept as an index into the list of them. pandas: `category`.
    Category,
    /// Any text, dates among it. pandas: `string`.
    Text,
    /// True or false.
    Bool,
}

impl std::fmt::Display for ColumnKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            ColumnKind::Number => "numbers",
            ColumnKind::Category => "categories",
            ColumnKind::Text => "text",
            ColumnKind::Bool => "booleans",
        })
    }
}

/// The values of one column.
///
/// A missing number is NaN, as in pandas; what is missing of the other kinds is `None`.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers; NaN where one is missing.
    Number(Vec<f64>),
    /// One of few names.
    Category(Categories),
    /// Any text.
    Text(Vec<Option<String>>),
    /// True or false.
    Bool(Vec<Option<bool>>),
}

/// One of few names for each row, as indices into the list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories {
    pub(crate) codes: Vec<Option<u32>>,
    pub(crate) names: Vec<String>,
}

impl Categories {
    /// Categories from an index for each row and the names that the indices count.
    ///
    /// # Errors
    /// If an index has no name, or two names are equal.
    pub fn new(codes: Vec<Option<u32>>, names: Vec<String>) -> Result<Self> {
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        if distinct.len() != names.len() {
            return Err(Error::invalid("categories: two categories have one name"));
        }
        let wrong = codes.iter().flatten().find(|&&code| code as usize >= names.len());
        match wrong {
            Some(code) => Err(Error::invalid(format!(
                "categories: index {code} out of range for {} names",
                names.len()
            ))),
            None => Ok(Categories { codes, names }),
        }
    }

    /// Categories of the distinct texts, in alphabetical order.
    pub fn of_texts<S: AsRef<str>>(texts: &[Option<S>]) -> Self {
        let distinct: std::collections::BTreeSet<&str> =
            texts.iter().flatten().map(AsRef::as_ref).collect();
        let index: std::collections::HashMap<&str, u32> =
            distinct.iter().copied().zip(0..).collect();
        let code = |text: &Option<S>| text.as_ref().map(|text| index[text.as_ref()]);
        let codes = texts.iter().map(code).collect();
        Categories { codes, names: distinct.into_iter().map(str::to_owned).collect() }
    }

    /// The index of each row's name.
    pub fn codes(&self) -> &[Option<u32>] {
        &self.codes
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name in one row, if it is not missing.
    pub fn name(&self, row: usize) -> Option<&str> {
        let code = (*self.codes.get(row)?)?;
        self.names.get(code as usize).map(String::as_str)
    }
}

/// One cell of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing was there.
    Missing,
    /// A number.
    Number(f64),
    /// A text, or the name of a category.
    Text(&'a str),
    /// True or false.
    Bool(bool),
}

impl<'a> Value<'a> {
    /// The number, if it is one.
    pub fn number(self) -> Option<f64> {
        if let Value::Number(number) = self { Some(number) } else { None }
    }

    /// The text or the category's name, if it is one.
    pub fn text(self) -> Option<&'a str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// True if nothing is there.
    pub fn is_missing(self) -> bool {
        self == Value::Missing
    }
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Missing => Ok(()),
            // Negative zero is written as zero: they are one value.
            Value::Number(number) => write!(formatter, "{}", number + 0.0),
            Value::Text(text) => formatter.write_str(text),
            Value::Bool(value) => write!(formatter, "{value}"),
        }
    }
}

impl Column {
    /// What the values are.
    pub fn kind(&self) -> ColumnKind {
        match self {
            Column::Number(_) => ColumnKind::Number,
            Column::Category(_) => ColumnKind::Category,
            Column::Text(_) => ColumnKind::Text,
            Column::Bool(_) => ColumnKind::Bool,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Number(values) => values.len(),
            Column::Category(categories) => categories.codes.len(),
            Column::Text(values) => values.len(),
            Column::Bool(values) => values.len(),
        }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value in one row; missing past the end.
    pub fn value(&self, row: usize) -> Value<'_> {
        let value = match self {
            Column::Number(values) => {
                values.get(row).filter(|value| !value.is_nan()).map(|&value| Value::Number(value))
            }
            Column::Category(categories) => categories.name(row).map(Value::Text),
            Column::Text(values) => {
                values.get(row).and_then(|value| value.as_deref().map(Value::Text))
            }
            Column::Bool(values) => values.get(row).and_then(|value| value.map(Value::Bool)),
        };
        value.unwrap_or(Value::Missing)
    }

    /// Number of missing values.
    pub fn missing_count(&self) -> usize {
        (0..self.len()).filter(|&row| self.value(row).is_missing()).count()
    }

    /// The values of `rows`, in that order. The rows exist: tables check them.
    pub(crate) fn take(&self, rows: &[usize]) -> Column {
        match self {
            Column::Number(values) => Column::Number(rows.iter().map(|&row| values[row]).collect()),
            Column::Category(categories) => Column::Category(Categories {
                codes: rows.iter().map(|&row| categories.codes[row]).collect(),
                names: categories.names.clone(),
            }),
            Column::Text(values) => {
                Column::Text(rows.iter().map(|&row| values[row].clone()).collect())
            }
            Column::Bool(values) => Column::Bool(rows.iter().map(|&row| values[row]).collect()),
        }
    }

    /// These values, then those of `other`, which are of the same kind; none if they are not.
    pub(crate) fn followed_by(&self, other: &Column) -> Option<Column> {
        Some(match (self, other) {
            (Column::Number(a), Column::Number(b)) => Column::Number([&a[..], b].concat()),
            (Column::Text(a), Column::Text(b)) => Column::Text([&a[..], b].concat()),
            (Column::Bool(a), Column::Bool(b)) => Column::Bool([&a[..], b].concat()),
            (Column::Category(a), Column::Category(b)) => {
                let mut names = a.names.clone();
                let mut places = Vec::with_capacity(b.names.len());
                for name in &b.names {
                    let known = names.iter().position(|candidate| candidate == name);
                    places.push(known.unwrap_or(names.len()) as u32);
                    if known.is_none() {
                        names.push(name.clone());
                    }
                }
                let moved = b.codes.iter().map(|code| code.map(|code| places[code as usize]));
                let codes = a.codes.iter().copied().chain(moved).collect();
                Column::Category(Categories { codes, names })
            }
            _ => return None,
        })
    }
}

impl From<Vec<f64>> for Column {
    fn from(values: Vec<f64>) -> Self {
        Column::Number(values)
    }
}

impl From<Vec<bool>> for Column {
    fn from(values: Vec<bool>) -> Self {
        Column::Bool(values.into_iter().map(Some).collect())
    }
}

impl From<Vec<&str>> for Column {
    fn from(values: Vec<&str>) -> Self {
        Column::Text(values.into_iter().map(|text| Some(text.to_owned())).collect())
    }
}

impl From<Vec<String>> for Column {
    fn from(values: Vec<String>) -> Self {
        Column::Text(values.into_iter().map(Some).collect())
    }
}

impl From<Categories> for Column {
    fn from(categories: Categories) -> Self {
        Column::Category(categories)
    }
}
