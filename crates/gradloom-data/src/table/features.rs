//! Columns as the numbers that models read: [`Features`], [`Labels`] and [`LabelledRows`].
//!
//! Nothing is guessed here: a missing value, or text where numbers are asked for, is an error that names
//! the column, the row and the step that is left out.

use std::sync::Arc;

use super::{Column, Table, Value};
use crate::dataset::{Dataset, Labelled};
use crate::{Error, Result};
use gradloom_tensor::{Device, Tensor};

/// Rows of numbers, `[N, F]`, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    names: Vec<String>,
    rows: usize,
}

impl Features {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All numbers, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The numbers of one row.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let width = self.names.len();
        if index >= self.rows {
            return None;
        }
        self.values.get(index * width..(index + 1) * width)
    }

    /// The numbers on a device, f32 `[N, F]`.
    ///
    /// # Errors
    /// If the device has no memory left or is lost.
    #[track_caller]
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Tensor::from_slice(&self.values, [self.rows, self.names.len()], device)
    }
}

/// The class of each row, and the names of the classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    labels: Vec<i32>,
    names: Vec<String>,
}

impl Labels {
    /// The class of each row, an index into [`names`](Labels::names).
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }

    /// The names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The classes on a device, i32 `[N]`.
    ///
    /// # Errors
    /// If the device has no memory left or is lost.
    #[track_caller]
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor> {
        Tensor::from_slice(&self.labels, self.labels.len(), device)
    }
}

/// Rows of numbers with a class each: a dataset for [`Loader::images`](crate::Loader::images). Clones
/// share the numbers.
#[derive(Clone, Debug)]
pub struct LabelledRows {
    features: Arc<Features>,
    labels: Arc<Labels>,
}

impl LabelledRows {
    /// Features and the class of each row.
    ///
    /// # Errors
    /// If the numbers of rows differ.
    pub fn new(features: Features, labels: Labels) -> Result<Self> {
        if features.len() != labels.labels.len() {
            return Err(Error::invalid(format!(
                "labelled rows: {} labels for {} rows of features",
                labels.labels.len(),
                features.len()
            )));
        }
        Ok(LabelledRows { features: Arc::new(features), labels: Arc::new(labels) })
    }

    /// The numbers.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The classes.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl Dataset for LabelledRows {
    type Item = Labelled<Vec<f32>>;

    fn len(&self) -> usize {
        self.features.len()
    }

    fn get(&self, index: usize) -> Result<Self::Item> {
        match (self.features.row(index), self.labels.labels.get(index)) {
            (Some(row), Some(&label)) => Ok(Labelled { input: row.to_vec(), label }),
            _ => Err(Error::sample_out_of_range("labelled rows", index, self.len())),
        }
    }
}

/// A number that f32 holds, or what is wrong with it.
fn to_f32(op: &str, name: &str, row: usize, value: f64) -> Result<f32> {
    let narrow = value as f32;
    if narrow.is_finite() {
        return Ok(narrow);
    }
    Err(Error::invalid(format!("{op}: column {name:?}, row {row}: {value} is no finite f32")))
}

fn missing(op: &str, name: &str, column: &Column, row: usize) -> Error {
    Error::invalid(format!(
        "{op}: column {name:?} has {} missing values, the first in row {row}; fill them with an \
         Imputer or leave the rows out with drop_missing",
        column.missing_count()
    ))
}

impl Table {
    fn column_f32(&self, op: &str, name: &str) -> Result<Vec<f32>> {
        let column = &self.columns()[self.place(op, name)?];
        let mut values = Vec::with_capacity(self.len());
        for row in 0..self.len() {
            values.push(match column.value(row) {
                Value::Number(number) => to_f32(op, name, row, number)?,
                Value::Bool(value) => f32::from(u8::from(value)),
                Value::Missing => return Err(missing(op, name, column, row)),
                Value::Text(_) => {
                    // The cell that kept the column from being numbers, if it is only one of many.
                    let odd = (0..self.len()).find_map(|row| match column.value(row) {
                        Value::Text(text) if text.trim().parse::<f64>().is_err() => {
                            Some((row, text.chars().take(40).collect::<String>()))
                        }
                        _ => None,
                    });
                    let shown = odd.map(|(row, text)| format!(" (row {row}: {text:?})"));
                    return Err(Error::invalid(format!(
                        "{op}: column {name:?} is {}{}, not numbers; encode it with an Encoder",
                        column.kind(),
                        shown.unwrap_or_default()
                    )));
                }
            });
        }
        Ok(values)
    }

    /// These columns as rows of numbers; booleans are 0 and 1.
    ///
    /// # Errors
    /// If a column does not exist or is text or categories, a value is missing, or a number is not
    /// finite as f32.
    pub fn features<S: AsRef<str>>(&self, names: &[S]) -> Result<Features> {
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            columns.push(self.column_f32("features", name.as_ref())?);
        }
        let width = columns.len();
        let mut values = vec![0.0; self.len() * width];
        for (place, column) in columns.iter().enumerate() {
            for (row, &value) in column.iter().enumerate() {
                values[row * width + place] = value;
            }
        }
        let names = names.iter().map(|name| name.as_ref().to_owned()).collect();
        Ok(Features { values, names, rows: self.len() })
    }

    /// A column as targets of a regression.
    ///
    /// # Errors
    /// As [`features`](Table::features).
    pub fn targets(&self, name: &str) -> Result<Vec<f32>> {
        self.column_f32("targets", name)
    }

    /// A column as classes: of categories their indices, of texts in alphabetical order, of whole
    /// numbers in theirs, of booleans false and true.
    ///
    /// A part of a table may lack a class, which would number texts and numbers otherwise: make the column
    /// categories before the table is split ([`as_category`](Table::as_category)), whose names all parts
    /// keep, or use [`labels_of`](Table::labels_of).
    ///
    /// # Errors
    /// If there is no such column, a value is missing, or a number is not whole.
    pub fn labels(&self, name: &str) -> Result<Labels> {
        let names = match self.column(name)? {
            Column::Category(categories) => categories.names().to_vec(),
            Column::Bool(_) => vec!["false".to_owned(), "true".to_owned()],
            _ => super::distinct::values("labels", self, name)?,
        };
        if let Column::Number(values) = self.column(name)?
            && let Some(row) = values.iter().position(|value| value.fract() != 0.0)
        {
            return Err(Error::invalid(format!(
                "labels: column {name:?}, row {row}: {} is no whole number; use targets for a regression",
                values[row]
            )));
        }
        self.labels_of(name, &names)
    }

    /// The table with a column of texts, numbers or booleans made categories, in ascending order. Its
    /// parts keep the names, so a class that a part lacks changes no number. pandas:
    /// `astype("category")`.
    ///
    /// ```
    /// use gradloom_data::Table;
    ///
    /// let table = Table::new().with("kind", vec!["y", "x", "y"])?.as_category("kind")?;
    /// assert_eq!(table.take(&[0, 2])?.labels("kind")?.labels(), [1, 1]);
    /// # Ok::<(), gradloom_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such column, or it has no values.
    pub fn as_category(self, name: &str) -> Result<Table> {
        let column = &self.columns()[self.place("as_category", name)?];
        if matches!(column, Column::Category(_)) {
            return Ok(self);
        }
        let names = super::distinct::values("as_category", &self, name)?;
        let places: std::collections::HashMap<&str, u32> =
            names.iter().map(String::as_str).zip(0..).collect();
        let code = |row: usize| match column.value(row) {
            Value::Missing => None,
            value => places.get(value.to_string().as_str()).copied(),
        };
        let codes = (0..column.len()).map(code).collect();
        let categories = super::Categories::new(codes, names)?;
        self.with(name.to_owned(), categories)
    }

    /// A column as indices into given names of classes.
    ///
    /// # Errors
    /// If there is no such column, or a value is missing or none of the classes.
    pub fn labels_of<S: AsRef<str>>(&self, name: &str, classes: &[S]) -> Result<Labels> {
        let place = self.place("labels", name)?;
        let column = &self.columns()[place];
        let names: Vec<String> = classes.iter().map(|class| class.as_ref().to_owned()).collect();
        let index: std::collections::HashMap<&str, i32> =
            names.iter().map(String::as_str).zip(0i32..).collect();
        let mut labels = Vec::with_capacity(self.len());
        for row in 0..self.len() {
            let value = column.value(row);
            if value.is_missing() {
                return Err(missing("labels", name, column, row));
            }
            let text = value.to_string();
            let label = index.get(text.as_str()).ok_or_else(|| {
                let shown: Vec<&String> = names.iter().take(20).collect();
                Error::invalid(format!(
                    "labels: column {name:?}, row {row}: {text:?} is none of the {} classes {shown:?}",
                    names.len()
                ))
            })?;
            labels.push(*label);
        }
        Ok(Labels { labels, names })
    }

    /// Features and classes as a dataset.
    ///
    /// # Errors
    /// As [`features`](Table::features) and [`labels`](Table::labels).
    pub fn labelled_rows<S: AsRef<str>>(
        &self,
        features: &[S],
        label: &str,
    ) -> Result<LabelledRows> {
        LabelledRows::new(self.features(features)?, self.labels(label)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Dataset, Table};

    fn table() -> Table {
        Table::new()
            .with("a", vec![1.0, 2.0, 3.0])
            .unwrap()
            .with("kind", vec!["y", "x", "y"])
            .unwrap()
            .with("flag", vec![true, false, true])
            .unwrap()
    }

    #[test]
    fn columns_become_rows_of_numbers() {
        let features = table().features(&["flag", "a"]).unwrap();
        assert_eq!(features.values(), [1.0, 1.0, 0.0, 2.0, 1.0, 3.0]);
        assert_eq!(features.row(1), Some(&[0.0, 2.0][..]));
        assert_eq!(features.row(3), None);
        let rows = table().labelled_rows(&["a"], "kind").unwrap();
        assert_eq!(rows.labels().names(), ["x", "y"]);
        assert_eq!(rows.get(0).unwrap().label, 1);
        assert!(rows.get(3).unwrap_err().is_index_out_of_range());
        assert_eq!(table().labels("flag").unwrap().labels(), [1, 0, 1]);
        assert_eq!(table().labels("a").unwrap().names(), ["1", "2", "3"]);
        assert_eq!(table().take(&[0]).unwrap().labels("flag").unwrap().labels(), [1]);
        let sized = table().with("a", vec![10.0, f64::NAN, 9.0]).unwrap().as_category("a").unwrap();
        assert_eq!(sized.categories("a").unwrap().names(), ["9", "10"]);
        assert_eq!(sized.categories("a").unwrap().codes(), [Some(1), None, Some(0)]);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let message = |table: Table, name| table.features(&[name]).unwrap_err().to_string();
        assert_eq!(
            message(table(), "kind"),
            "features: column \"kind\" is text (row 0: \"y\"), not numbers; encode it with an Encoder"
        );
        let holes = table().with("a", vec![1.0, f64::NAN, f64::NAN]).unwrap();
        assert!(message(holes, "a").contains("2 missing values, the first in row 1"));
        let large = table().with("a", vec![1.0, 2.0, 1e300]).unwrap();
        assert!(message(large, "a").ends_with("is no finite f32"));
        assert!(
            table().labels_of("kind", &["x"]).unwrap_err().to_string().contains("none of the 1")
        );
        let half = table().with("a", vec![0.5, 1.0, 2.0]).unwrap();
        assert!(half.labels("a").unwrap_err().to_string().contains("whole"));
    }
}
