//! [`Encoder`]: categories, texts and booleans to numbers.

use crate::table::{Column, Table, Value, distinct};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How categories become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoder {
    /// A column of zeros and ones for each category. scikit-learn: `OneHotEncoder`; pandas:
    /// `get_dummies`.
    OneHot(Unknown),
    /// The number of the category. scikit-learn: `OrdinalEncoder`.
    Ordinal(Unknown),
}

/// What becomes of a category that the training part did not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unknown {
    /// It is an error that names it.
    Refuse,
    /// One-hot: zeros everywhere. Ordinal: -1.
    Ignore,
}

/// The categories that an [`Encoder`] found, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FittedEncoder {
    encoder: Encoder,
    categories: Vec<String>,
    kind: crate::table::ColumnKind,
}

impl Encoder {
    /// A column of zeros and ones for each category; unknown ones are refused.
    #[doc(alias = "OneHotEncoder")]
    pub fn one_hot() -> Self {
        Encoder::OneHot(Unknown::Refuse)
    }

    /// The number of each category; unknown ones are refused.
    #[doc(alias = "OrdinalEncoder")]
    pub fn ordinal() -> Self {
        Encoder::Ordinal(Unknown::Refuse)
    }

    /// Lets categories pass that the training part did not have: zeros everywhere, or -1.
    #[must_use]
    pub fn ignore_unknown(self) -> Self {
        match self {
            Encoder::OneHot(_) => Encoder::OneHot(Unknown::Ignore),
            Encoder::Ordinal(_) => Encoder::Ordinal(Unknown::Ignore),
        }
    }

    /// Finds the categories of a column of the training part.
    ///
    /// # Errors
    /// If there is no such column, or a value of it is missing.
    pub fn fit(&self, table: &Table, name: &str) -> Result<FittedEncoder> {
        let column = &table.columns()[table.place("encoder", name)?];
        if let Some(row) = (0..column.len()).find(|&row| column.value(row).is_missing()) {
            return Err(Error::invalid(format!(
                "encoder: column {name:?} has {} missing values, the first in row {row}; fill them \
                 with an Imputer first",
                column.missing_count()
            )));
        }
        let categories = distinct::values("encoder", table, name)?;
        Ok(FittedEncoder { encoder: *self, categories, kind: column.kind() })
    }
}

impl FittedEncoder {
    /// The categories, in the order of their numbers and columns.
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// The names of the columns that a column becomes: `colour` becomes `colour_blue` and `colour_red`.
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.encoder {
            Encoder::OneHot(_) => {
                self.categories.iter().map(|category| format!("{name}_{category}")).collect()
            }
            Encoder::Ordinal(_) => vec![name.to_owned()],
        }
    }

    fn unknown(&self) -> Unknown {
        let (Encoder::OneHot(unknown) | Encoder::Ordinal(unknown)) = self.encoder;
        unknown
    }

    /// The number of each row's category; none if it is unknown and that is ignored.
    fn numbers(&self, name: &str, column: &Column) -> Result<Vec<Option<usize>>> {
        let places: std::collections::HashMap<&str, usize> =
            self.categories.iter().map(String::as_str).zip(0..).collect();
        let number = |row| match column.value(row) {
            Value::Missing => Err(Error::invalid(format!(
                "encoder: column {name:?}, row {row}: the value is missing; fill it with an Imputer \
                 first"
            ))),
            value => {
                let text = value.to_string();
                let place = places.get(text.as_str()).copied();
                if place.is_none() && self.unknown() == Unknown::Refuse {
                    return Err(Error::invalid(format!(
                        "encoder: column {name:?}, row {row}: {text:?} is none of the {} categories \
                         of the training part; Encoder::ignore_unknown lets it pass",
                        self.categories.len()
                    )));
                }
                Ok(place)
            }
        };
        (0..column.len()).map(number).collect()
    }

    /// The columns that a column becomes, with their [`names`](FittedEncoder::names).
    ///
    /// # Errors
    /// If a value is missing, or unknown and that is refused.
    pub fn transform(&self, name: &str, column: &Column) -> Result<Vec<Column>> {
        let numbers = self.numbers(name, column)?;
        Ok(match self.encoder {
            Encoder::Ordinal(_) => {
                let number = |place: &Option<usize>| place.map_or(-1.0, |place| place as f64);
                vec![Column::Number(numbers.iter().map(number).collect())]
            }
            Encoder::OneHot(_) => (0..self.categories.len())
                .map(|category| {
                    let one = |place: &Option<usize>| f64::from(u8::from(*place == Some(category)));
                    Column::Number(numbers.iter().map(one).collect())
                })
                .collect(),
        })
    }

    /// The column that was encoded, of the columns that it became. Unknown categories are missing.
    ///
    /// # Errors
    /// If the columns are not as many as [`names`](FittedEncoder::names), or hold no numbers.
    pub fn inverse(&self, columns: &[&[f64]]) -> Result<Column> {
        let expected = self.names("").len();
        let rows = columns.first().map_or(0, |column| column.len());
        if columns.len() != expected || columns.iter().any(|column| column.len() != rows) {
            return Err(Error::invalid(format!(
                "encoder: {} columns do not come of {expected}",
                columns.len()
            )));
        }
        let category = |row: usize| -> Option<&String> {
            match self.encoder {
                Encoder::Ordinal(_) => {
                    let number = columns[0][row];
                    let whole = number >= 0.0 && number.fract() == 0.0;
                    whole.then(|| self.categories.get(number as usize))?
                }
                Encoder::OneHot(_) => {
                    let place = columns.iter().position(|column| column[row] > 0.5)?;
                    self.categories.get(place)
                }
            }
        };
        let texts: Vec<Option<&String>> = (0..rows).map(category).collect();
        Ok(match self.kind {
            crate::table::ColumnKind::Number => Column::Number(
                texts.iter().map(|t| t.and_then(|t| t.parse().ok()).unwrap_or(f64::NAN)).collect(),
            ),
            crate::table::ColumnKind::Bool => {
                Column::Bool(texts.iter().map(|text| text.map(|text| text == "true")).collect())
            }
            crate::table::ColumnKind::Text => {
                Column::Text(texts.iter().map(|text| text.cloned()).collect())
            }
            crate::table::ColumnKind::Category => {
                Column::Category(crate::table::Categories::of_texts(&texts))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Encoder;
    use crate::Table;
    use crate::table::{Categories, Column};

    fn table() -> Table {
        let colours = Categories::of_texts(&[Some("red"), Some("blue"), Some("red")]);
        let table = Table::new().with("colour", colours).unwrap();
        table.with("size", vec![10.0, 9.0, 10.0]).unwrap()
    }

    #[test]
    fn categories_are_encoded_and_read_back() {
        let table = table();
        for name in ["colour", "size"] {
            for encoder in [Encoder::one_hot(), Encoder::ordinal()] {
                let fitted = encoder.fit(&table, name).unwrap();
                let column = table.column(name).unwrap();
                let encoded = fitted.transform(name, column).unwrap();
                let numbers: Vec<&[f64]> = encoded
                    .iter()
                    .map(|column| match column {
                        Column::Number(values) => &values[..],
                        other => panic!("{other:?}"),
                    })
                    .collect();
                assert_eq!(&fitted.inverse(&numbers).unwrap(), column, "{name} {encoder:?}");
            }
        }
        let fitted = Encoder::one_hot().fit(&table, "colour").unwrap();
        assert_eq!(fitted.names("colour"), ["colour_blue", "colour_red"]);
        assert_eq!(Encoder::ordinal().fit(&table, "size").unwrap().categories(), ["9", "10"]);
    }

    #[test]
    fn an_unknown_category_is_named_or_ignored() {
        let fitted = Encoder::one_hot().fit(&table(), "colour").unwrap();
        let green = Column::from(vec!["green"]);
        let message = fitted.transform("colour", &green).unwrap_err().to_string();
        assert!(message.contains("row 0: \"green\" is none of the 2 categories"), "{message}");
        let ignoring = Encoder::one_hot().ignore_unknown().fit(&table(), "colour").unwrap();
        assert_eq!(ignoring.transform("colour", &green).unwrap(), vec![vec![0.0].into(); 2]);
        let ordinal = Encoder::ordinal().ignore_unknown().fit(&table(), "colour").unwrap();
        assert_eq!(ordinal.transform("colour", &green).unwrap(), [vec![-1.0].into()]);
        let hole = Table::new().with("x", Column::Text(vec![None])).unwrap();
        assert!(Encoder::ordinal().fit(&hole, "x").unwrap_err().to_string().contains("Imputer"));
    }
}
