//! CSV: rows of text to a [`Table`] of typed columns, whole or a chunk at a time, and back.
//!
//! The kind of a column is found from its values unless it is set. Dates stay text, which sorts as dates
//! do if they begin with the year. Nested values are absent on purpose.

use std::io::Write;

use super::cells::{Cells, is_missing_by_default};
use super::records::{Record, Records};
use crate::table::{Column, ColumnKind, Table, Value};
use crate::{Error, Result, Source, error};

/// How to read a table. pandas: `read_csv`.
///
/// ```
/// use gradloom_data::Source;
/// use gradloom_data::format::csv::CsvReader;
/// use gradloom_data::table::ColumnKind;
///
/// let text = "length,width,species,code\n5.1,3.5,setosa,007\n7.0,NA,versicolor,010\n";
/// let source = Source::from_bytes("iris", text.as_bytes());
/// let table = CsvReader::new().kind("species", ColumnKind::Category).read(source)?;
/// assert_eq!(table.numbers("length")?, [5.1, 7.0]);
/// assert!(table.numbers("width")?[1].is_nan());
/// assert_eq!(table.categories("species")?.names(), ["setosa", "versicolor"]);
/// // Leading zeros would be lost in a number, so this is text.
/// assert_eq!(table.texts("code")?[0].as_deref(), Some("007"));
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CsvReader {
    header: bool,
    delimiter: u8,
    missing: Option<Vec<String>>,
    kinds: Vec<(String, ColumnKind)>,
    selected: Option<Vec<String>>,
}

impl Default for CsvReader {
    fn default() -> Self {
        CsvReader::new()
    }
}

impl CsvReader {
    /// Comma-separated, with a header row; the kinds of columns are found from their values.
    pub fn new() -> Self {
        CsvReader {
            header: true,
            delimiter: b',',
            missing: None,
            kinds: Vec::new(),
            selected: None,
        }
    }

    /// Whether the first row holds the names of the columns. Without, they are called `0`, `1`...
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }

    /// The byte between cells: `b';'`, `b'\t'`. pandas: `sep`.
    ///
    /// # Panics
    /// If it is a quote, a line end, or no ASCII.
    #[must_use]
    #[track_caller]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        let fits = delimiter.is_ascii() && !b"\"\r\n".contains(&delimiter);
        assert!(fits, "csv: the delimiter {:?} is no delimiter", char::from(delimiter));
        self.delimiter = delimiter;
        self
    }

    /// The cells that stand for nothing, instead of empty ones, `NA`, `N/A`, `NaN`, `nan`, `null`, `NULL`,
    /// `None`, `?` and `#N/A`. pandas: `na_values`.
    #[must_use]
    pub fn missing<S: Into<String>>(mut self, markers: impl IntoIterator<Item = S>) -> Self {
        self.missing = Some(markers.into_iter().map(Into::into).collect());
        self
    }

    /// What the values of a column are, instead of finding out. pandas: `dtype`.
    #[must_use]
    pub fn kind(mut self, column: impl Into<String>, kind: ColumnKind) -> Self {
        self.kinds.push((column.into(), kind));
        self
    }

    /// Only these columns, in this order. pandas: `usecols`.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.selected = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Reads a table, plain or gzipped.
    ///
    /// # Errors
    /// If a row has another number of cells than the first, a quote is not closed, a cell does not suit
    /// the kind that was set for its column, a column that is named does not exist or occurs twice, the
    /// text is not UTF-8, or the table is larger than the source's limit.
    pub fn read<'a>(&self, source: impl Into<Source<'a>>) -> Result<Table> {
        let mut chunks = self.chunks(source, usize::MAX)?;
        match chunks.next() {
            Some(table) => table,
            None => chunks.empty(),
        }
    }

    /// Reads tables of at most `rows` rows, one after another, so that a file may be larger than the
    /// memory; raise [`Source::limit`] for it. Kinds that are not set are found in the first chunk, and
    /// a later cell that does not suit them is an error. pandas: `read_csv(chunksize=rows)`.
    ///
    /// # Errors
    /// If the header cannot be read, or has no column that was named.
    ///
    /// # Panics
    /// If `rows` is zero.
    #[track_caller]
    pub fn chunks<'a>(&self, source: impl Into<Source<'a>>, rows: usize) -> Result<CsvChunks<'a>> {
        assert!(rows > 0, "csv: chunks of no rows");
        let mut records = Records::new(source.into().open()?, self.delimiter);
        let mut record = Record::default();
        let begun = records.read(&mut record)?;
        let file = records.name().to_owned();
        let header: Vec<String> = match (begun, self.header) {
            (true, true) => record.cells().map(str::to_owned).collect(),
            (true, false) => (0..record.len()).map(|index| index.to_string()).collect(),
            (false, _) => return Err(error::table(&file, 1, None, "the file has no rows")),
        };
        let mut distinct = std::collections::HashSet::new();
        if let Some(name) = header.iter().find(|name| !distinct.insert(*name)) {
            return Err(error::table(
                &file,
                record.line(),
                None,
                format!("two columns are called {name:?}"),
            ));
        }
        let place = |name: &String| {
            header.iter().position(|candidate| candidate == name).ok_or_else(|| {
                let message = format!("no column {name:?}; the columns are {header:?}");
                error::table(&file, record.line(), None, message)
            })
        };
        let chosen = match &self.selected {
            Some(names) => names.iter().map(place).collect::<Result<Vec<usize>>>()?,
            None => (0..header.len()).collect(),
        };
        let mut kinds = vec![None; header.len()];
        for (name, kind) in &self.kinds {
            kinds[place(name)?] = Some(*kind);
        }
        let pending = (!self.header).then(|| std::mem::take(&mut record));
        let (reader, width) = (self.clone(), header.len());
        Ok(CsvChunks {
            reader,
            records,
            file,
            header,
            chosen,
            kinds,
            pending,
            width,
            rows,
            done: false,
        })
    }
}

/// Tables of some rows each, of one file. The first error ends it.
pub struct CsvChunks<'a> {
    reader: CsvReader,
    records: Records<'a>,
    file: String,
    header: Vec<String>,
    chosen: Vec<usize>,
    kinds: Vec<Option<ColumnKind>>,
    pending: Option<Record>,
    width: usize,
    rows: usize,
    done: bool,
}

impl CsvChunks<'_> {
    fn chunk(&mut self) -> Result<Option<Table>> {
        let mut columns: Vec<Cells> = self.chosen.iter().map(|_| Cells::default()).collect();
        let mut places = vec![None; self.width];
        for (column, &place) in self.chosen.iter().enumerate() {
            places[place] = Some(column);
        }
        let mut record = Record::default();
        let mut rows = 0;
        while rows < self.rows {
            match self.pending.take() {
                Some(pending) => record = pending,
                None if self.records.read(&mut record)? => {}
                None => break,
            }
            if record.len() != self.width {
                let what = if self.reader.header { "the header" } else { "the first row" };
                let message = format!("{} cells where {what} has {}", record.len(), self.width);
                return Err(error::table(&self.file, record.line(), None, message));
            }
            for (cell, place) in record.cells().zip(&places) {
                let Some(column) = *place else { continue };
                let missing = match &self.reader.missing {
                    Some(markers) => markers.iter().any(|marker| marker == cell),
                    None => is_missing_by_default(cell),
                };
                columns[column].push((!missing).then_some(cell), record.line());
            }
            rows += 1;
        }
        if rows == 0 { Ok(None) } else { self.table(columns).map(Some) }
    }

    fn table(&mut self, columns: Vec<Cells>) -> Result<Table> {
        let mut named = Vec::with_capacity(columns.len());
        let rows = columns.first().map_or(0, Cells::len);
        for (cells, &place) in columns.into_iter().zip(&self.chosen) {
            let name = &self.header[place];
            let kind = *self.kinds[place].get_or_insert_with(|| cells.kind());
            let column = cells
                .column(kind)
                .map_err(|(line, message)| error::table(&self.file, line, Some(name), message))?;
            named.push((name.clone(), column));
        }
        Table::of_columns("csv", named, rows)
    }

    /// The table of a file with a header and nothing else.
    fn empty(&mut self) -> Result<Table> {
        let columns = self.chosen.iter().map(|_| Cells::default()).collect();
        self.table(columns)
    }
}

impl Iterator for CsvChunks<'_> {
    type Item = Result<Table>;

    fn next(&mut self) -> Option<Result<Table>> {
        if self.done {
            return None;
        }
        let chunk = self.chunk().transpose();
        self.done = !matches!(chunk, Some(Ok(_)));
        chunk
    }
}

impl Table {
    /// Reads a CSV file as [`CsvReader::new`] does.
    ///
    /// # Errors
    /// As [`CsvReader::read`].
    pub fn read_csv<'a>(source: impl Into<Source<'a>>) -> Result<Table> {
        CsvReader::new().read(source)
    }

    /// Writes the table as CSV with a header; what is missing is empty. pandas: `to_csv`.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_csv(&self, mut writer: impl Write) -> Result<()> {
        let cell = |text: &str| {
            // At the beginning of a file a mark of the order of bytes would be no part of the name.
            let plain = !text.contains(['"', ',', '\r', '\n', '\u{feff}']);
            let bare = plain && text.trim() == text && !text.is_empty();
            if bare { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
        };
        let mut line = |cells: Vec<String>| {
            let written = writeln!(writer, "{}", cells.join(","));
            written.map_err(|error| Error::from(error).context("csv: writing failed"))
        };
        line(self.names().iter().map(|name| cell(name)).collect())?;
        for row in 0..self.len() {
            let written = |column: &Column| match column.value(row) {
                // A blank line would be no row, so a lone missing cell is quoted.
                Value::Missing if self.columns().len() == 1 => "\"\"".to_owned(),
                Value::Missing => String::new(),
                Value::Text(text) => cell(text),
                // Large numbers with an exponent: as many digits they would be read as identifiers.
                Value::Number(number) if number.abs() >= 1e15 => format!("{number:e}"),
                value => value.to_string(),
            };
            line(self.columns().iter().map(written).collect())?;
        }
        Ok(())
    }
}
