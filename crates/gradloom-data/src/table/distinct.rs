//! The distinct values of a column, in the order in which scikit-learn numbers them.

use super::{Column, Table};
use crate::{Error, Result};

/// The distinct values that are not missing, as text: numbers by size, texts by their characters, false
/// before true.
pub(crate) fn values(op: &str, table: &Table, name: &str) -> Result<Vec<String>> {
    let column = &table.columns()[table.place(op, name)?];
    let present = (0..column.len()).map(|row| column.value(row)).filter(|v| !v.is_missing());
    let distinct: Vec<String> = match column {
        Column::Number(values) => {
            let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
            sorted.sort_by(f64::total_cmp);
            // Zero and negative zero are one number, though they are written differently.
            sorted.dedup_by(|a, b| a == b);
            sorted.into_iter().map(|value| (value + 0.0).to_string()).collect()
        }
        _ => {
            let set: std::collections::BTreeSet<String> =
                present.map(|value| value.to_string()).collect();
            set.into_iter().collect()
        }
    };
    if distinct.is_empty() {
        return Err(Error::invalid(format!(
            "{op}: column {name:?} has no values: {} rows, all missing",
            column.len()
        )));
    }
    Ok(distinct)
}
