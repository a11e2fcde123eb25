//! [`Cells`]: the cells of one column as they were read, and what they are.

use crate::table::{Categories, Column, ColumnKind};

/// Cells that stand for nothing unless a reader is told otherwise.
pub(super) fn is_missing_by_default(cell: &str) -> bool {
    matches!(cell, "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "NULL" | "None" | "?" | "#N/A")
}

/// Cells in one string, so that a column of a million rows is a few allocations.
#[derive(Debug, Default)]
pub(super) struct Cells {
    text: String,
    /// The end of each cell; none if it is missing.
    ends: Vec<Option<usize>>,
    lines: Vec<u64>,
}

impl Cells {
    pub(super) fn push(&mut self, cell: Option<&str>, line: u64) {
        self.text.push_str(cell.unwrap_or_default());
        self.ends.push(cell.map(|_| self.text.len()));
        self.lines.push(line);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = (*end)?;
            let cell = &self.text[start..end];
            start = end;
            Some(cell)
        })
    }

    /// What all cells are: numbers, booleans, or else text. Nothing but holes are numbers.
    pub(super) fn kind(&self) -> ColumnKind {
        if self.cells().flatten().all(|cell| exact_number(cell).is_some()) {
            ColumnKind::Number
        } else if self.cells().flatten().all(|cell| boolean(cell).is_some()) {
            ColumnKind::Bool
        } else {
            ColumnKind::Text
        }
    }

    /// The cells as a column, or the line of a cell that does not suit and why.
    pub(super) fn column(&self, kind: ColumnKind) -> Result<Column, (u64, String)> {
        let unfit = |row: usize, cell: &str, what: &str| {
            let shown: String = cell.chars().take(40).collect();
            (self.lines[row], format!("{shown:?} is no {what}"))
        };
        match kind {
            ColumnKind::Number => {
                let value = |(row, cell): (usize, Option<&str>)| match cell {
                    None => Ok(f64::NAN),
                    Some(cell) => number(cell).ok_or_else(|| unfit(row, cell, "finite number")),
                };
                let values: Result<_, _> = self.cells().enumerate().map(value).collect();
                values.map(Column::Number)
            }
            ColumnKind::Bool => {
                let value = |(row, cell): (usize, Option<&str>)| match cell {
                    None => Ok(None),
                    Some(cell) => {
                        boolean(cell).map(Some).ok_or_else(|| unfit(row, cell, "boolean"))
                    }
                };
                let values: Result<_, _> = self.cells().enumerate().map(value).collect();
                values.map(Column::Bool)
            }
            ColumnKind::Text => {
                Ok(Column::Text(self.cells().map(|cell| cell.map(str::to_owned)).collect()))
            }
            ColumnKind::Category => {
                let cells: Vec<Option<&str>> = self.cells().collect();
                Ok(Column::Category(Categories::of_texts(&cells)))
            }
        }
    }
}

fn number(cell: &str) -> Option<f64> {
    cell.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A number that loses nothing by being one: no leading zeros as in postal codes, no integer with more
/// digits than f64 holds, as identifiers have.
fn exact_number(cell: &str) -> Option<f64> {
    let digits = cell.trim_start_matches(['-', '+']);
    let integer = digits.bytes().all(|byte| byte.is_ascii_digit());
    if integer && digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    let value = number(cell)?;
    let exact = !integer || value.abs() <= 9_007_199_254_740_992.0;
    exact.then_some(value)
}

fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
