//! Parquet: columns of a file to a [`Table`], by the `parquet` crate without Arrow.
//!
//! Compressed with Snappy or gzip, or not at all; nested columns are absent on purpose. The crate behind
//! this is not built for hostile files: what it panics on is an error here, and what it would take memory for
//! is looked at before.

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::parquet_bounds::{Chunk, Fault, check_footer, check_pages};
use crate::table::{Categories, Column, ColumnKind, Table};
use crate::{Result, Source, error};

/// How to read a Parquet file. pandas: `read_parquet`.
#[derive(Clone, Debug)]
pub struct ParquetReader {
    categories: Vec<String>,
    selected: Option<Vec<String>>,
    bytes_max: u64,
    trusted: bool,
}

impl Default for ParquetReader {
    fn default() -> Self {
        ParquetReader { categories: Vec::new(), selected: None, bytes_max: 4 << 30, trusted: false }
    }
}

impl ParquetReader {
    /// All columns. Dates and times become text as ISO 8601 writes them, integers that f64 does not hold
    /// become text.
    pub fn new() -> Self {
        ParquetReader::default()
    }

    /// This column of text holds categories.
    #[must_use]
    pub fn category(mut self, column: impl Into<String>) -> Self {
        self.categories.push(column.into());
        self
    }

    /// Only these columns, in this order; others may be nested.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.selected = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// How much memory what is read may take, about; 4 GiB unless said otherwise. A small file may hold
    /// very many equal rows.
    #[must_use]
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Whether the file is of people you know: then claims of its headers are not looked at, and texts that
    /// are encoded as differences are read.
    #[must_use]
    pub fn trusted(mut self, trusted: bool) -> Self {
        self.trusted = trusted;
        self
    }

    /// Reads a table.
    ///
    /// # Errors
    /// If it is no Parquet file, is damaged, is compressed otherwise, a column is nested or does not exist,
    /// or the file is larger than the source's limit or becomes larger than this reader's.
    pub fn read<'a>(&self, source: impl Into<Source<'a>>) -> Result<Table> {
        let mut input = source.into().open()?;
        let bytes = Bytes::from(input.rest()?);
        let file = input.name().to_owned();
        let read = std::panic::catch_unwind(|| self.parse(&file, bytes));
        read.unwrap_or_else(|_| Err(error::malformed(&file, 0, "the Parquet file is damaged")))
    }

    fn parse(&self, file: &str, bytes: Bytes) -> Result<Table> {
        let fault = |fault: parquet::errors::ParquetError| {
            error::malformed(file, 0, format!("no Parquet file that can be read: {fault}"))
        };
        let refused = |fault: Fault| match fault {
            Fault::Damaged(message) => {
                error::malformed(file, 0, format!("no Parquet file that can be read: {message}"))
            }
            Fault::TooLarge(message) => self.too_large(file, &message),
        };
        if !self.trusted {
            check_footer(&bytes, self.bytes_max).map_err(refused)?;
        }
        let reader = SerializedFileReader::new(bytes.clone()).map_err(fault)?;
        if !self.trusted {
            for chunk in chunks(reader.metadata()) {
                check_pages(&bytes, &chunk, self.bytes_max).map_err(refused)?;
            }
        }
        let schema = reader.metadata().file_metadata().schema();
        let all: Vec<String> =
            schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        let names = self.selected.clone().unwrap_or_else(|| all.clone());
        let mut cells: Vec<Vec<Cell>> = names.iter().map(|_| Vec::new()).collect();
        let mut places = Vec::with_capacity(names.len());
        for name in names.iter().chain(&self.categories) {
            let place = all.iter().position(|candidate| candidate == name).ok_or_else(|| {
                let message = format!("no column {name:?}; the columns are {all:?}");
                error::table(file, 0, None, message)
            })?;
            places.push(place);
        }
        let mut taken = 0;
        for (row, record) in reader.get_row_iter(None).map_err(fault)?.enumerate() {
            let record = record.map_err(fault)?;
            let fields: Vec<&Field> = record.get_column_iter().map(|(_, field)| field).collect();
            taken += ROW_BYTES + (names.len() * size_of::<Cell>()) as u64;
            for (column, &place) in places.iter().take(names.len()).enumerate() {
                let cell = fields.get(place).map_or(Ok(Cell::Missing), |field| cell(field));
                let cell = cell.map_err(|message| {
                    error::table(file, row as u64 + 1, Some(&names[column]), message)
                })?;
                if let Cell::Text(text) = &cell {
                    taken += text.len() as u64;
                }
                cells[column].push(cell);
            }
            if taken > self.bytes_max {
                return Err(self.too_large(file, &format!("more than {row} rows")));
            }
        }
        let mut named = Vec::with_capacity(names.len());
        let rows = cells.first().map_or(0, Vec::len);
        for (name, cells) in names.into_iter().zip(cells) {
            let column = column(&cells, self.categories.contains(&name));
            named.push((name, column));
        }
        Table::of_columns("parquet", named, rows)
    }
}

/// What a row takes beside its cells, at least: a file without columns may still claim rows.
const ROW_BYTES: u64 = 32;

impl ParquetReader {
    fn too_large(&self, file: &str, what: &str) -> crate::Error {
        let limit = self.bytes_max;
        error::too_large(
            file,
            format!(
                "{what}, beyond the {limit} bytes of memory; ParquetReader::bytes_max allows more"
            ),
        )
    }
}

/// The columns of all row groups, as their pages are found. Offsets that make no sense begin beyond the file.
fn chunks(metadata: &ParquetMetaData) -> impl Iterator<Item = Chunk> {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    columns.map(|column| {
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        Chunk {
            start: u64::try_from(start).unwrap_or(u64::MAX),
            len: u64::try_from(column.compressed_size()).unwrap_or(u64::MAX),
            gzip: matches!(column.compression(), Compression::GZIP(_)),
        }
    })
}

enum Cell {
    Missing,
    Bool(bool),
    Number(f64),
    Integer(i128),
    Text(String),
}

fn cell(field: &Field) -> Result<Cell, String> {
    Ok(match field {
        Field::Null => Cell::Missing,
        Field::Bool(value) => Cell::Bool(*value),
        Field::Byte(value) => Cell::Integer((*value).into()),
        Field::Short(value) => Cell::Integer((*value).into()),
        Field::Int(value) => Cell::Integer((*value).into()),
        Field::Long(value) => Cell::Integer((*value).into()),
        Field::UByte(value) => Cell::Integer((*value).into()),
        Field::UShort(value) => Cell::Integer((*value).into()),
        Field::UInt(value) => Cell::Integer((*value).into()),
        Field::ULong(value) => Cell::Integer((*value).into()),
        Field::Float16(value) => Cell::Number(f32::from(*value).into()),
        Field::Float(value) => Cell::Number((*value).into()),
        Field::Double(value) => Cell::Number(*value),
        Field::Str(text) => Cell::Text(text.clone()),
        Field::Date(days) => Cell::Text(date((*days).into())),
        Field::TimestampMillis(millis) => Cell::Text(time(i128::from(*millis) * 1000)),
        Field::TimestampMicros(micros) => Cell::Text(time((*micros).into())),
        other => {
            return Err(format!("{other} is of a kind that is not read; select other columns"));
        }
    })
}

/// Days since 1970 as year, month and day.
fn date(days: i64) -> String {
    // Years that begin in March have the leap day last (Hinnant's days_from_civil, backwards).
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let (day, month) =
        (in_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn time(micros: i128) -> String {
    let (days, rest) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fraction = if fraction > 0 { format!(".{fraction:06}") } else { String::new() };
    let date = date(i64::try_from(days).unwrap_or_default());
    format!("{date}T{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60)
}

fn column(cells: &[Cell], category: bool) -> Column {
    let large = |cell: &Cell| matches!(cell, Cell::Integer(value) if value.abs() > 1 << 53);
    let first = cells.iter().find(|cell| !matches!(cell, Cell::Missing));
    let kind = match first {
        Some(Cell::Bool(_)) => ColumnKind::Bool,
        Some(Cell::Text(_)) => ColumnKind::Text,
        _ if cells.iter().any(large) => ColumnKind::Text,
        _ => ColumnKind::Number,
    };
    match kind {
        ColumnKind::Bool => Column::Bool(
            cells
                .iter()
                .map(|cell| if let Cell::Bool(value) = cell { Some(*value) } else { None })
                .collect(),
        ),
        ColumnKind::Number => Column::Number(
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Number(value) => *value,
                    Cell::Integer(value) => *value as f64,
                    _ => f64::NAN,
                })
                .collect(),
        ),
        _ => {
            let texts: Vec<Option<String>> = cells
                .iter()
                .map(|cell| match cell {
                    Cell::Text(text) => Some(text.clone()),
                    Cell::Integer(value) => Some(value.to_string()),
                    _ => None,
                })
                .collect();
            if category {
                Column::Category(Categories::of_texts(&texts))
            } else {
                Column::Text(texts)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{date, time};

    #[test]
    fn days_are_dates() {
        assert_eq!((date(0), date(-1)), ("1970-01-01".to_owned(), "1969-12-31".to_owned()));
        assert_eq!(
            (date(19_782), date(19_783)),
            ("2024-02-29".to_owned(), "2024-03-01".to_owned())
        );
        assert_eq!(time(1_700_000_000_000_001), "2023-11-14T22:13:20.000001");
        assert_eq!(time(-1_000_000), "1969-12-31T23:59:59");
    }
}
