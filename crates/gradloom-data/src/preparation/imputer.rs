//! [`Imputer`]: values for the places where none is known.

use super::statistics::{moments, percentile, sorted};
use crate::table::{Categories, Column, Value};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What fills a hole. scikit-learn: `SimpleImputer(strategy=...)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Imputer {
    /// The mean of numbers.
    Mean,
    /// The median of numbers.
    Median,
    /// The value that occurs most, the smallest of several.
    MostFrequent,
    /// This number.
    Number(f64),
    /// This text.
    Text(String),
}

/// What an [`Imputer`] puts into the holes of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FittedImputer {
    /// A number.
    Number(f64),
    /// A text, or the name of a category.
    Text(String),
    /// A boolean.
    Bool(bool),
}

impl Imputer {
    /// The mean of the training part.
    #[doc(alias = "SimpleImputer")]
    pub fn mean() -> Self {
        Imputer::Mean
    }

    /// The median of the training part.
    pub fn median() -> Self {
        Imputer::Median
    }

    /// The value that the training part has most of.
    pub fn most_frequent() -> Self {
        Imputer::MostFrequent
    }

    /// One number everywhere.
    pub fn number(value: f64) -> Self {
        Imputer::Number(value)
    }

    /// One text, or one category, everywhere.
    pub fn text(value: impl Into<String>) -> Self {
        Imputer::Text(value.into())
    }

    /// Learns from a column of the training part.
    ///
    /// # Errors
    /// If the column has no values, or values of a kind that this does not suit.
    pub fn fit(&self, column: &Column) -> Result<FittedImputer> {
        let unfit = |what: &str| {
            Error::invalid(format!("imputer: {what} of a column of {}", column.kind()))
        };
        let present = column.len() - column.missing_count();
        if present == 0 && !matches!(self, Imputer::Number(_) | Imputer::Text(_)) {
            return Err(Error::invalid(format!(
                "imputer: no values to learn from among {} rows; leave the column out",
                column.len()
            )));
        }
        match (self, column) {
            (Imputer::Mean, Column::Number(values)) => Ok(FittedImputer::Number(moments(values).1)),
            (Imputer::Median, Column::Number(values)) => {
                Ok(FittedImputer::Number(percentile(&sorted(values), 50.0)))
            }
            (Imputer::Mean, _) => Err(unfit("the mean")),
            (Imputer::Median, _) => Err(unfit("the median")),
            (Imputer::MostFrequent, _) => Ok(most_frequent(column)),
            (Imputer::Number(value), Column::Number(_)) if value.is_finite() => {
                Ok(FittedImputer::Number(*value))
            }
            (Imputer::Number(value), _) => {
                Err(unfit(&format!("the number {value} in place of holes")))
            }
            (Imputer::Text(text), Column::Text(_) | Column::Category(_)) => {
                Ok(FittedImputer::Text(text.clone()))
            }
            (Imputer::Text(text), _) => Err(unfit(&format!("the text {text:?} in place of holes"))),
        }
    }
}

/// The value that occurs most. The column has one.
fn most_frequent(column: &Column) -> FittedImputer {
    if let Column::Number(values) = column {
        let sorted = sorted(values);
        let runs = sorted.chunk_by(|a, b| a == b);
        // The first of the longest runs, where `max_by_key` would take the last.
        let longest = runs.rev().max_by_key(|run| run.len());
        return FittedImputer::Number(longest.map_or(f64::NAN, |run| run[0]));
    }
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    let present = (0..column.len()).map(|row| column.value(row)).filter(|v| !v.is_missing());
    for value in present {
        *counts.entry(value.to_string()).or_default() += 1;
    }
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    let text = most.map(|(text, _)| text).unwrap_or_default();
    match column {
        Column::Bool(_) => FittedImputer::Bool(text == "true"),
        _ => FittedImputer::Text(text),
    }
}

impl FittedImputer {
    /// The column with its holes filled.
    ///
    /// # Errors
    /// If the column is of another kind than the one that was learnt from.
    pub fn transform(&self, column: &Column) -> Result<Column> {
        Ok(match (self, column) {
            (FittedImputer::Number(fill), Column::Number(values)) => Column::Number(
                values.iter().map(|value| if value.is_nan() { *fill } else { *value }).collect(),
            ),
            (FittedImputer::Bool(fill), Column::Bool(values)) => {
                Column::Bool(values.iter().map(|value| value.or(Some(*fill))).collect())
            }
            (FittedImputer::Text(fill), Column::Text(values)) => {
                let fill = || Some(fill.clone());
                Column::Text(values.iter().map(|value| value.clone().or_else(fill)).collect())
            }
            (FittedImputer::Text(fill), Column::Category(categories)) => {
                let mut names = categories.names().to_vec();
                let known = names.iter().position(|name| name == fill);
                let code = known.unwrap_or(names.len()) as u32;
                if known.is_none() {
                    names.push(fill.clone());
                }
                let codes = categories.codes().iter().map(|old| old.or(Some(code))).collect();
                Column::Category(Categories::new(codes, names)?)
            }
            (fitted, column) => {
                let value = match fitted {
                    FittedImputer::Number(value) => Value::Number(*value),
                    FittedImputer::Text(value) => Value::Text(value),
                    FittedImputer::Bool(value) => Value::Bool(*value),
                };
                return Err(Error::invalid(format!(
                    "imputer: \"{value}\" does not fit a column of {}",
                    column.kind()
                )));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{FittedImputer, Imputer};
    use crate::table::{Categories, Column};

    #[test]
    fn each_kind_of_hole_is_filled() {
        let numbers = Column::from(vec![4.0, f64::NAN, 1.0, 1.0, 2.0]);
        let filled = |imputer: Imputer, column: &Column| {
            imputer.fit(column).unwrap().transform(column).unwrap()
        };
        assert_eq!(filled(Imputer::mean(), &numbers), vec![4.0, 2.0, 1.0, 1.0, 2.0].into());
        assert_eq!(filled(Imputer::median(), &numbers), vec![4.0, 1.5, 1.0, 1.0, 2.0].into());
        assert_eq!(
            filled(Imputer::most_frequent(), &numbers),
            vec![4.0, 1.0, 1.0, 1.0, 2.0].into()
        );
        let flags = Column::Bool(vec![Some(true), None, Some(false)]);
        let expected = Column::Bool(vec![Some(true), Some(false), Some(false)]);
        assert_eq!(filled(Imputer::most_frequent(), &flags), expected);
        let colours = Column::from(Categories::of_texts(&[Some("red"), None, Some("blue")]));
        let Column::Category(filled) = filled(Imputer::text("none"), &colours) else { panic!() };
        assert_eq!((filled.name(1), filled.names().len()), (Some("none"), 3));
    }

    #[test]
    fn a_kind_that_does_not_suit_is_refused() {
        let texts = Column::from(vec!["a"]);
        let message = Imputer::mean().fit(&texts).unwrap_err().to_string();
        assert_eq!(message, "imputer: the mean of a column of text");
        assert!(Imputer::mean().fit(&Column::from(vec![f64::NAN])).is_err());
        assert!(Imputer::number(f64::NAN).fit(&Column::from(vec![1.0])).is_err());
        assert!(Imputer::text("x").fit(&Column::from(vec![1.0])).is_err());
        assert!(FittedImputer::Number(1.0).transform(&texts).is_err());
    }
}
