//! [`TargetEncoder`]: a category becomes the mean of what is to be predicted, shrunk towards the mean of all.
//!
//! A mean that a row's own target is part of tells the model its target, so the training part is encoded across
//! folds ([`fit_transform`](TargetEncoder::fit_transform)), and is no step of a
//! [`Preparation`](super::Preparation), whose steps encode every part alike. Targets of several classes are absent:
//! encode each class against the rest.

use std::collections::HashMap;

use crate::split::Fold;
use crate::table::{Column, Table, Value, distinct};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

const OP: &str = "target encoder";

/// How categories become means of targets. scikit-learn: `TargetEncoder`; Micci-Barreca, "A preprocessing scheme for
/// high-cardinality categorical attributes", 2001.
///
/// ```
/// use gradloom_data::Table;
/// use gradloom_data::preparation::TargetEncoder;
/// use gradloom_data::split::k_fold;
/// use gradloom_tensor::Key;
///
/// let table = Table::new()
///     .with("city", vec!["Bern", "Oslo", "Bern", "Oslo", "Bern", "Oslo"])?
///     .with("price", vec![10.0, 2.0, 12.0, 4.0, 11.0, 3.0])?;
/// let folds = k_fold(table.len(), 3, Some(Key::new(1)))?;
/// // The training part is encoded by means of other rows, what comes later by means of all.
/// let (fitted, train) =
///     TargetEncoder::new().fit_transform(&table, "city", table.numbers("price")?, &folds)?;
/// assert_eq!(train.len(), 6);
/// let later = Table::new().with("city", vec!["Bern", "Rome"])?;
/// let encoded = fitted.transform("city", later.column("city")?)?;
/// assert!(encoded[0] > 10.0);
/// assert_eq!(encoded[1], 7.0); // not seen, so the mean of all
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TargetEncoder {
    smooth: Option<f64>,
}

/// What each category of the training part becomes. It is saved with `serde`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedTargetEncoder {
    /// In ascending order.
    categories: Vec<(String, f64)>,
    mean: f64,
}

impl TargetEncoder {
    /// Shrinks each mean by what the variances within and between categories say.
    pub fn new() -> Self {
        TargetEncoder::default()
    }

    /// Shrinks each mean as if so many more rows had the mean of all.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn smooth(mut self, rows: f64) -> Self {
        assert!(rows >= 0.0 && rows.is_finite(), "{OP}: smoothing of {rows} rows");
        self.smooth = Some(rows);
        self
    }

    /// Learns the means of a column of the training part. Targets are numbers, or 0 and 1.
    ///
    /// # Errors
    /// If there is no such column, a value or target is missing, or the targets are not as many as rows.
    pub fn fit(&self, table: &Table, name: &str, targets: &[f64]) -> Result<FittedTargetEncoder> {
        let rows: Vec<usize> = (0..table.len()).collect();
        let (categories, numbers) = numbered(table, name, targets)?;
        let (means, mean) = self.means(&numbers, targets, &rows, categories.len());
        Ok(FittedTargetEncoder { categories: categories.into_iter().zip(means).collect(), mean })
    }

    /// As [`fit`](TargetEncoder::fit), and the training part's column as it is to be learnt from: the rows of each
    /// fold's test are encoded by the means of its training rows.
    ///
    /// # Errors
    /// As [`fit`](TargetEncoder::fit), and unless every row is in the test of one fold.
    pub fn fit_transform(
        &self,
        table: &Table,
        name: &str,
        targets: &[f64],
        folds: &[Fold],
    ) -> Result<(FittedTargetEncoder, Vec<f64>)> {
        let fitted = self.fit(table, name, targets)?;
        let (categories, numbers) = numbered(table, name, targets)?;
        let mut encoded = vec![None; table.len()];
        for (number, fold) in folds.iter().enumerate() {
            let outside = fold.train.iter().chain(&fold.test).find(|&&row| row >= table.len());
            if fold.train.is_empty() || outside.is_some() {
                return Err(Error::invalid(format!(
                    "{OP}: fold {number} has {} training rows, and row {outside:?} is outside of {}",
                    fold.train.len(),
                    table.len()
                )));
            }
            let (means, _) = self.means(&numbers, targets, &fold.train, categories.len());
            for &row in &fold.test {
                if encoded[row].replace(means[numbers[row]]).is_some() {
                    return Err(Error::invalid(format!(
                        "{OP}: row {row} is in the test of two folds"
                    )));
                }
            }
        }
        let row = encoded.iter().position(Option::is_none);
        if let Some(row) = row {
            return Err(Error::invalid(format!("{OP}: row {row} is in the test of no fold")));
        }
        Ok((fitted, encoded.into_iter().flatten().collect()))
    }

    /// The shrunk mean of each category over some rows, and the mean of all of them.
    fn means(
        &self,
        numbers: &[usize],
        targets: &[f64],
        rows: &[usize],
        categories: usize,
    ) -> (Vec<f64>, f64) {
        let of_rows = rows.len() as f64;
        let mean = rows.iter().map(|&row| targets[row]).sum::<f64>() / of_rows;
        let spread = |sum: f64, &row: &usize| sum + (targets[row] - mean).powi(2);
        let variance = rows.iter().fold(0.0, spread) / of_rows;
        let (mut counts, mut sums) = (vec![0.0; categories], vec![0.0; categories]);
        for &row in rows {
            counts[numbers[row]] += 1.0;
            sums[numbers[row]] += targets[row];
        }
        let mut squares = vec![0.0; categories];
        for &row in rows {
            let number = numbers[row];
            squares[number] += (targets[row] - sums[number] / counts[number]).powi(2);
        }
        let one = |number: usize| {
            let (count, sum): (f64, f64) = (counts[number], sums[number]);
            if count == 0.0 {
                return mean;
            }
            match self.smooth {
                Some(smooth) => (sum + smooth * mean) / (count + smooth),
                None => {
                    let between = variance * count;
                    let share = between / (between + squares[number] / count);
                    // Neither variance: all targets are one number.
                    if share.is_nan() { mean } else { share * sum / count + (1.0 - share) * mean }
                }
            }
        };
        ((0..categories).map(one).collect(), mean)
    }
}

/// The categories of a column, and the number of each row's.
fn numbered(table: &Table, name: &str, targets: &[f64]) -> Result<(Vec<String>, Vec<usize>)> {
    let column = &table.columns()[table.place(OP, name)?];
    if targets.len() != column.len() {
        return Err(Error::invalid(format!(
            "{OP}: {} targets for {} rows of column {name:?}",
            targets.len(),
            column.len()
        )));
    }
    if let Some(row) = targets.iter().position(|target| !target.is_finite()) {
        return Err(Error::invalid(format!("{OP}: the target of row {row} is {}", targets[row])));
    }
    let categories = distinct::values(OP, table, name)?;
    let places: HashMap<&str, usize> = categories.iter().map(String::as_str).zip(0..).collect();
    let number = |row| match column.value(row) {
        Value::Missing => Err(missing(name, row)),
        value => Ok(places[value.to_string().as_str()]),
    };
    let numbers = (0..column.len()).map(number).collect::<Result<_>>()?;
    Ok((categories, numbers))
}

fn missing(name: &str, row: usize) -> Error {
    Error::invalid(format!(
        "{OP}: column {name:?}, row {row}: the value is missing; fill it with an Imputer first"
    ))
}

impl FittedTargetEncoder {
    /// The mean of all targets, which categories become that were not seen.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// What a category becomes, if it was seen.
    pub fn of(&self, category: &str) -> Option<f64> {
        let place = self.categories.iter().find(|(own, _)| own == category);
        place.map(|(_, mean)| *mean)
    }

    /// The numbers of a column of another part than the training part, whose name is for messages.
    ///
    /// # Errors
    /// If a value is missing.
    pub fn transform(&self, name: &str, column: &Column) -> Result<Vec<f64>> {
        let means: HashMap<&str, f64> =
            self.categories.iter().map(|(category, mean)| (category.as_str(), *mean)).collect();
        let number = |row| match column.value(row) {
            Value::Missing => Err(missing(name, row)),
            value => Ok(means.get(value.to_string().as_str()).copied().unwrap_or(self.mean)),
        };
        (0..column.len()).map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{FittedTargetEncoder, TargetEncoder};
    use crate::Table;
    use crate::split::{Fold, k_fold};
    use crate::table::Column;

    #[test]
    fn what_cannot_be_encoded_is_named() {
        let table = Table::new().with("c", vec!["a", "b", "a"]).unwrap();
        let encoder = TargetEncoder::new();
        let message = |targets: &[f64], folds: &[Fold]| {
            encoder.fit_transform(&table, "c", targets, folds).unwrap_err().to_string()
        };
        assert!(message(&[1.0], &[]).contains("1 targets for 3 rows of column \"c\""));
        assert!(message(&[1.0, f64::NAN, 0.0], &[]).contains("the target of row 1 is NaN"));
        assert!(message(&[1.0, 0.0, 1.0], &[]).contains("row 0 is in the test of no fold"));
        let mut folds = k_fold(3, 3, None).unwrap();
        folds.push(folds[0].clone());
        assert!(message(&[1.0, 0.0, 1.0], &folds).contains("row 0 is in the test of two folds"));
        let outside = [Fold { train: vec![0], test: vec![7] }];
        assert!(message(&[1.0, 0.0, 1.0], &outside).contains("outside of 3"));
        let holes = Table::new().with("c", Column::Text(vec![None, Some("a".into())])).unwrap();
        assert!(encoder.fit(&holes, "c", &[0.0, 1.0]).unwrap_err().to_string().contains("Imputer"));
        assert!(encoder.fit(&table, "d", &[0.0; 3]).is_err());
    }

    #[test]
    fn a_saved_encoder_gives_the_same_bits() {
        let table = Table::new().with("c", vec!["a", "b", "a", "c"]).unwrap();
        let fitted = TargetEncoder::new().fit(&table, "c", &[0.1, 0.7, 1e-9, 3.0]).unwrap();
        let text = serde_json::to_string(&fitted).unwrap();
        let again: FittedTargetEncoder = serde_json::from_str(&text).unwrap();
        assert_eq!(again, fitted);
        assert_eq!(fitted.of("b"), Some(0.7)); // one row has no variance within
        assert_eq!(fitted.of("d"), None);
    }
}
