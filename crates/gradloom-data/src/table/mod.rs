//! [`Table`]: named columns of one length, each of numbers, categories, text or booleans.
//!
//! A table is what files of rows become ([`format::csv`](crate::format::csv),
//! [`format::json_lines`](crate::format::json_lines)), what is [cleaned](crate::cleaning) and
//! [prepared](crate::preparation), and what becomes numbers for a model. Queries beyond choosing rows and
//! columns (joins, groups) are absent on purpose.

mod column;
pub(crate) mod distinct;
mod features;
mod rows;

pub use column::{Categories, Column, ColumnKind, Value};
pub use features::{Features, LabelledRows, Labels};
pub use rows::Row;

use crate::{Error, Result};

/// Named columns of one length. pandas: `DataFrame`.
///
/// ```
/// use gradloom_data::Table;
/// use gradloom_data::table::Value;
///
/// let table = Table::new()
///     .with("length", vec![5.1, f64::NAN, 7.0])?
///     .with("species", vec!["setosa", "setosa", "versicolor"])?;
/// assert_eq!((table.len(), table.names()), (3, &["length".to_owned(), "species".to_owned()][..]));
/// assert_eq!(table.value(1, "length")?, Value::Missing);
/// let long = table.filter(|row| Ok(row.number("length")?.is_some_and(|length| length > 6.0)))?;
/// assert_eq!(long.texts("species")?, [Some("versicolor".to_owned())]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Table::default()
    }

    /// The table with one column more, or with another in place of the one of this name.
    ///
    /// # Errors
    /// If the column has another number of rows than the others.
    pub fn with(mut self, name: impl Into<String>, column: impl Into<Column>) -> Result<Self> {
        let (name, column) = (name.into(), column.into());
        let place = self.names.iter().position(|candidate| *candidate == name);
        let alone = self.columns.is_empty() || (self.columns.len() == 1 && place.is_some());
        if !alone && column.len() != self.rows {
            return Err(Error::invalid(format!(
                "table: column {name:?} has {} rows, the others have {}",
                column.len(),
                self.rows
            )));
        }
        self.rows = column.len();
        match place {
            Some(place) => self.columns[place] = column,
            None => {
                self.names.push(name);
                self.columns.push(column);
            }
        }
        Ok(self)
    }

    /// A table of columns that all have `rows` rows, in time that grows with their number alone: files may have a
    /// hundred thousand of them. Two of one name are an error of `op`.
    pub(crate) fn of_columns(
        op: &str,
        columns: Vec<(String, Column)>,
        rows: usize,
    ) -> Result<Self> {
        let (names, columns): (Vec<String>, Vec<Column>) = columns.into_iter().unzip();
        distinct_names(op, &names)?;
        debug_assert!(columns.iter().all(|column| column.len() == rows), "columns of {rows} rows");
        Ok(Table { names, columns, rows })
    }

    /// Others, of as many rows, in the place of one column; none of the rest is copied.
    pub(crate) fn replace(
        &mut self,
        op: &str,
        place: usize,
        new: Vec<(String, Column)>,
    ) -> Result<()> {
        let renames = new.len() != 1 || new[0].0 != self.names[place];
        let (names, columns): (Vec<String>, Vec<Column>) = new.into_iter().unzip();
        self.names.splice(place..=place, names);
        self.columns.splice(place..=place, columns);
        if renames { distinct_names(op, &self.names) } else { Ok(()) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The place of a column; the error says who asked and what there is.
    pub(crate) fn place(&self, op: &str, name: &str) -> Result<usize> {
        self.names.iter().position(|candidate| candidate == name).ok_or_else(|| {
            Error::invalid(format!("{op}: no column {name:?}; the columns are {:?}", self.names))
        })
    }

    /// The column of this name.
    ///
    /// # Errors
    /// If there is none; the message lists the names.
    pub fn column(&self, name: &str) -> Result<&Column> {
        Ok(&self.columns[self.place("table", name)?])
    }

    /// One cell.
    ///
    /// # Errors
    /// If there is no such row or column.
    pub fn value(&self, row: usize, name: &str) -> Result<Value<'_>> {
        let column = self.column(name)?;
        if row >= self.rows {
            return Err(Error::sample_out_of_range("table", row, self.rows));
        }
        Ok(column.value(row))
    }

    fn other_kind(&self, name: &str, wanted: ColumnKind) -> Error {
        let kind = self.column(name).map(Column::kind);
        let found = kind.map_or_else(|_| "missing".to_owned(), |kind| kind.to_string());
        Error::invalid(format!("table: column {name:?} is {found}, not {wanted}"))
    }

    /// The numbers of a column, NaN where one is missing.
    ///
    /// # Errors
    /// If there is no such column, or it is of another kind.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        match self.column(name)? {
            Column::Number(values) => Ok(values),
            _ => Err(self.other_kind(name, ColumnKind::Number)),
        }
    }

    /// The texts of a column.
    ///
    /// # Errors
    /// If there is no such column, or it is of another kind.
    pub fn texts(&self, name: &str) -> Result<&[Option<String>]> {
        match self.column(name)? {
            Column::Text(values) => Ok(values),
            _ => Err(self.other_kind(name, ColumnKind::Text)),
        }
    }

    /// The categories of a column.
    ///
    /// # Errors
    /// If there is no such column, or it is of another kind.
    pub fn categories(&self, name: &str) -> Result<&Categories> {
        match self.column(name)? {
            Column::Category(categories) => Ok(categories),
            _ => Err(self.other_kind(name, ColumnKind::Category)),
        }
    }

    /// The booleans of a column.
    ///
    /// # Errors
    /// If there is no such column, or it is of another kind.
    pub fn bools(&self, name: &str) -> Result<&[Option<bool>]> {
        match self.column(name)? {
            Column::Bool(values) => Ok(values),
            _ => Err(self.other_kind(name, ColumnKind::Bool)),
        }
    }

    /// Only these columns, in this order. pandas: `frame[names]`.
    ///
    /// # Errors
    /// If one does not exist, or is named twice.
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Table> {
        let mut chosen = Table { rows: self.rows, ..Table::default() };
        for name in names.iter().map(AsRef::as_ref) {
            let place = self.place("select", name)?;
            if chosen.names.iter().any(|other| other == name) {
                return Err(Error::invalid(format!("select: column {name:?} is named twice")));
            }
            chosen.names.push(name.to_owned());
            chosen.columns.push(self.columns[place].clone());
        }
        Ok(chosen)
    }

    /// All columns but these. pandas: `drop(columns=names)`.
    ///
    /// # Errors
    /// If one does not exist.
    pub fn without<S: AsRef<str>>(&self, names: &[S]) -> Result<Table> {
        for name in names {
            self.place("without", name.as_ref())?;
        }
        let left: Vec<&String> = (self.names.iter())
            .filter(|name| !names.iter().any(|other| other.as_ref() == **name))
            .collect();
        self.select(&left)
    }

    /// The column `name` called `to` from now on.
    ///
    /// # Errors
    /// If it does not exist, or another has that name.
    pub fn renamed(mut self, name: &str, to: &str) -> Result<Table> {
        let place = self.place("renamed", name)?;
        if name != to && self.names.iter().any(|other| other == to) {
            return Err(Error::invalid(format!("renamed: there is a column {to:?} already")));
        }
        self.names[place] = to.to_owned();
        Ok(self)
    }

    /// The columns of one table beside those of another.
    ///
    /// # Errors
    /// If the numbers of rows differ, or both have a column of one name.
    pub fn beside(mut self, other: &Table) -> Result<Table> {
        for (name, column) in other.names.iter().zip(&other.columns) {
            if self.names.contains(name) {
                return Err(Error::invalid(format!("beside: both tables have a column {name:?}")));
            }
            self = self.with(name.clone(), column.clone())?;
        }
        Ok(self)
    }
}

fn distinct_names(op: &str, names: &[String]) -> Result<()> {
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(Error::invalid(format!("{op}: two columns are called {name:?}"))),
        None => Ok(()),
    }
}
