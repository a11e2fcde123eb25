//! CSV tables of numbers, with one column of class labels if wanted.
//!
//! Dates, nested values and guessing of types are absent on purpose: a cell is a number, or it is in
//! the label column, or it is an error that names its row and column.

use std::collections::BTreeSet;

use crate::dataset::{Dataset, Labelled};
use crate::{Error, Result, Source, error};

/// How to read a table.
///
/// ```
/// use gradloom_data::Source;
/// use gradloom_data::format::csv::TableReader;
///
/// let text = "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n";
/// let table = TableReader::new().label("species").read(Source::from_bytes("iris", text.as_bytes()))?;
/// assert_eq!(table.row(1), Some(&[7.0, 3.2][..]));
/// assert_eq!(table.labels(), [0, 1]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TableReader {
    header: bool,
    delimiter: u8,
    label: Option<Column>,
    missing: Option<f32>,
}

#[derive(Clone, Debug)]
enum Column {
    Name(String),
    Index(usize),
    Last,
}

impl Default for TableReader {
    fn default() -> Self {
        TableReader::new()
    }
}

impl TableReader {
    /// Comma-separated, with a header row, all columns numbers, no cell empty.
    pub fn new() -> Self {
        TableReader { header: true, delimiter: b',', label: None, missing: None }
    }

    /// Whether the first row holds the names of the columns.
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// The byte between cells: `b';'`, `b'\t'`.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The column with this name holds class labels.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>) -> Self {
        self.label = Some(Column::Name(name.into()));
        self
    }

    /// Column number `index` (from 0) holds class labels.
    #[must_use]
    pub fn label_index(mut self, index: usize) -> Self {
        self.label = Some(Column::Index(index));
        self
    }

    /// The last column holds class labels.
    #[must_use]
    pub fn label_last(mut self) -> Self {
        self.label = Some(Column::Last);
        self
    }

    /// Reads empty cells, `NA`, `NaN` and `?` as `value` (which may be NaN) instead of refusing them.
    #[must_use]
    pub fn missing(mut self, value: f32) -> Self {
        self.missing = Some(value);
        self
    }

    /// Reads a table, plain or gzipped.
    ///
    /// # Errors
    /// If a row has another number of cells than the first, a cell is no finite number, a label is
    /// empty, the label column does not exist, or the table is larger than the source's limit.
    pub fn read<'a>(&self, source: impl Into<Source<'a>>) -> Result<Table> {
        let mut input = source.into().open()?;
        let text = input.rest()?;
        let file = input.name();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(self.header)
            .delimiter(self.delimiter)
            .trim(csv::Trim::All)
            .from_reader(&text[..]);
        let mut header = None;
        if self.header {
            let names = reader.headers().map_err(|error| parse_error(file, &error))?;
            header = Some(names.iter().map(str::to_owned).collect::<Vec<String>>());
        }
        let mut columns = None;
        let mut features = Vec::new();
        let mut labels: Vec<String> = Vec::new();
        let mut rows = 0;
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| parse_error(file, &error))? {
            let row = record.position().map_or(0, csv::Position::line);
            if columns.is_none() {
                columns = Some(self.columns(file, header.take(), record.len())?);
            }
            let Some((names, label_at)) = &columns else { continue };
            rows += 1;
            for (cell, (index, name)) in record.iter().zip(names.iter().enumerate()) {
                if Some(index) == *label_at {
                    if cell.is_empty() {
                        return Err(error::table(file, row, Some(name), "the label is empty"));
                    }
                    labels.push(cell.to_owned());
                } else {
                    features.push(self.number(file, row, name, cell)?);
                }
            }
        }
        let (mut names, label_at) = match columns {
            Some(columns) => columns,
            None => {
                let width = header.as_ref().map_or(0, Vec::len);
                self.columns(file, header, width)?
            }
        };
        if let Some(label_at) = label_at {
            names.remove(label_at);
        }
        let (labels, classes) = number_classes(labels);
        Ok(Table { names, features, labels, classes, rows })
    }

    /// Names of all columns, and where the labels are.
    fn columns(
        &self,
        file: &str,
        header: Option<Vec<String>>,
        width: usize,
    ) -> Result<(Vec<String>, Option<usize>)> {
        let names = header.unwrap_or_else(|| (0..width).map(|index| index.to_string()).collect());
        let label_at = match &self.label {
            None => None,
            Some(Column::Last) => names.len().checked_sub(1),
            Some(Column::Index(index)) => Some(*index).filter(|&index| index < names.len()),
            Some(Column::Name(name)) => names.iter().position(|candidate| candidate == name),
        };
        if label_at.is_none()
            && let Some(label) = &self.label
        {
            let wanted = match label {
                Column::Name(name) => format!("named {name:?}"),
                Column::Index(index) => format!("number {index}"),
                Column::Last => "at all".to_owned(),
            };
            let message = format!("no label column {wanted}; the columns are {names:?}");
            return Err(error::table(file, 1, None, message));
        }
        Ok((names, label_at))
    }

    fn number(&self, file: &str, row: u64, column: &str, cell: &str) -> Result<f32> {
        if let Some(value) = self.missing
            && matches!(cell, "" | "?" | "NA" | "N/A" | "NaN" | "nan")
        {
            return Ok(value);
        }
        match cell.parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ if cell.is_empty() => Err(error::table(
                file,
                row,
                Some(column),
                "the cell is empty; set TableReader::missing to accept that",
            )),
            _ => {
                let shown: String = cell.chars().take(40).collect();
                let message = format!("{shown:?} is no finite number");
                Err(error::table(file, row, Some(column), message))
            }
        }
    }
}

/// Classes in numerical order if all are integers, else in alphabetical order, and each row's class.
fn number_classes(labels: Vec<String>) -> (Vec<i32>, Vec<String>) {
    let distinct: BTreeSet<&String> = labels.iter().collect();
    let mut classes: Vec<String> = distinct.into_iter().cloned().collect();
    if classes.iter().all(|class| class.parse::<i64>().is_ok()) {
        classes.sort_by_key(|class| class.parse::<i64>().unwrap_or_default());
    }
    let index: std::collections::BTreeMap<&String, i32> = classes.iter().zip(0i32..).collect();
    let numbers =
        labels.iter().map(|label| index.get(label).copied().unwrap_or_default()).collect();
    (numbers, classes)
}

fn parse_error(file: &str, error: &csv::Error) -> Error {
    let row = error.position().map_or(0, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells where the first row has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "the text is not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    error::table(file, row, None, message)
}

/// Rows of numbers, perhaps with a class each.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    names: Vec<String>,
    features: Vec<f32>,
    labels: Vec<i32>,
    classes: Vec<String>,
    rows: usize,
}

impl Table {
    /// Names of the columns without the label column; their numbers if there was no header.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All numbers, row by row.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// The numbers of one row.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let width = self.names.len();
        if index >= self.rows {
            return None;
        }
        self.features.get(index * width..(index + 1) * width)
    }

    /// Each row's class as an index into [`classes`](Table::classes); empty without a label column.
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }

    /// The distinct labels: in numerical order if all are integers, else in alphabetical order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
}

impl Dataset for Table {
    type Item = Labelled<Vec<f32>>;

    fn len(&self) -> usize {
        self.rows
    }

    /// One row; its label is 0 if the table has no label column.
    fn get(&self, index: usize) -> Result<Self::Item> {
        let row = self
            .row(index)
            .ok_or_else(|| Error::sample_out_of_range("table", index, self.len()))?;
        let label = self.labels.get(index).copied().unwrap_or_default();
        Ok(Labelled { input: row.to_vec(), label })
    }
}
