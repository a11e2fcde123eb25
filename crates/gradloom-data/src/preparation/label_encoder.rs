//! [`LabelEncoder`]: names of classes to the numbers that losses read, and back, saved with the model.

use crate::table::{Labels, Table};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The classes of a column, in ascending order. scikit-learn: `LabelEncoder`.
///
/// ```
/// use gradloom_data::Table;
/// use gradloom_data::preparation::LabelEncoder;
///
/// let table = Table::new().with("species", vec!["setosa", "virginica", "setosa"])?;
/// let encoder = LabelEncoder::fit(&table, "species")?;
/// assert_eq!(encoder.transform(&table, "species")?.labels(), [0, 1, 0]);
/// assert_eq!(encoder.inverse(&[1])?, ["virginica"]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelEncoder {
    classes: Vec<String>,
}

impl LabelEncoder {
    /// The classes of a column.
    ///
    /// # Errors
    /// If there is no such column, a label is missing, or a number is not whole.
    pub fn fit(table: &Table, name: &str) -> Result<Self> {
        Ok(LabelEncoder { classes: table.labels(name)?.names().to_vec() })
    }

    /// The names of the classes, in the order of their numbers.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The number of each row's class.
    ///
    /// # Errors
    /// If there is no such column, or a label is missing or was not there to learn from.
    pub fn transform(&self, table: &Table, name: &str) -> Result<Labels> {
        table.labels_of(name, &self.classes)
    }

    /// The names of numbered classes.
    ///
    /// # Errors
    /// If a number is outside the classes.
    pub fn inverse(&self, labels: &[i32]) -> Result<Vec<&str>> {
        let name = |&label: &i32| {
            let class = usize::try_from(label).ok().and_then(|place| self.classes.get(place));
            class.map(String::as_str).ok_or_else(|| {
                let count = self.classes.len();
                Error::invalid(format!("label encoder: class {label} of {count} classes"))
            })
        };
        labels.iter().map(name).collect()
    }
}
