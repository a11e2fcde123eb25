//! Missing values of tables: counted, left out, filled by hand, and rows that occur twice.

use super::duplicates::duplicates;
use crate::Result;
use crate::preparation::Imputer;
use crate::table::{Column, Table, Value};

impl Table {
    /// The number of missing values of each column. pandas: `isna().sum()`.
    pub fn missing_counts(&self) -> Vec<(&str, usize)> {
        let names = self.names().iter().map(String::as_str);
        names.zip(self.columns().iter().map(Column::missing_count)).collect()
    }

    /// The rows without a missing value in these columns. pandas: `dropna(subset=columns)`.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn drop_missing<S: AsRef<str>>(&self, columns: &[S]) -> Result<Table> {
        let mut chosen = Vec::with_capacity(columns.len());
        for name in columns {
            chosen.push(&self.columns()[self.place("drop_missing", name.as_ref())?]);
        }
        let whole = |&row: &usize| chosen.iter().all(|column| !column.value(row).is_missing());
        self.take(&(0..self.len()).filter(whole).collect::<Vec<usize>>())
    }

    /// The holes of a column filled with what all of the table suggests. A
    /// [`Preparation`](crate::preparation::Preparation) learns from the training part only. pandas:
    /// `fillna`.
    ///
    /// # Errors
    /// If there is no such column, or the imputer does not suit it.
    pub fn fill_missing(self, column: &str, imputer: &Imputer) -> Result<Table> {
        let old = &self.columns()[self.place("fill_missing", column)?];
        let filled = imputer.fit(old)?.transform(old)?;
        self.with(column.to_owned(), filled)
    }

    /// The rows, each only the first time it occurs; missing values are equal to each other. pandas:
    /// `drop_duplicates()`.
    pub fn drop_duplicates(&self) -> Table {
        let repeated = duplicates(&self.row_keys());
        let mut kept = Vec::with_capacity(self.len() - repeated.len());
        let mut repeated = repeated.iter().map(|&(row, _)| row).peekable();
        for row in 0..self.len() {
            if repeated.next_if_eq(&row).is_none() {
                kept.push(row);
            }
        }
        // The rows exist.
        self.take(&kept).unwrap_or_default()
    }

    /// Each row as bytes that are equal for equal rows: what [`duplicates`] and
    /// [`leaks`](super::leaks) compare.
    pub fn row_keys(&self) -> Vec<Vec<u8>> {
        let key = |row: usize| {
            let mut bytes = Vec::new();
            for column in self.columns() {
                match column.value(row) {
                    Value::Missing => bytes.push(0),
                    Value::Number(number) => {
                        bytes.push(1);
                        // Zero and negative zero are equal.
                        bytes.extend((number + 0.0).to_bits().to_le_bytes());
                    }
                    Value::Bool(value) => bytes.extend([2, u8::from(value)]),
                    Value::Text(text) => {
                        bytes.push(3);
                        // With its length, so that no two rows of several texts run into each other.
                        bytes.extend((text.len() as u64).to_le_bytes());
                        bytes.extend(text.as_bytes());
                    }
                }
            }
            bytes
        };
        (0..self.len()).map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::Table;
    use crate::preparation::Imputer;
    use crate::table::Column;

    #[test]
    fn rows_with_holes_and_repeated_rows_go() {
        let texts = ["a", "b", "a", "a", "b"].map(|text| Some(text.to_owned())).to_vec();
        let table = Table::new()
            .with("n", vec![1.0, f64::NAN, 1.0, 2.0, f64::NAN])
            .unwrap()
            .with("t", Column::Text(texts))
            .unwrap();
        assert_eq!(table.missing_counts(), [("n", 2), ("t", 0)]);
        assert_eq!(table.drop_missing(&["n"]).unwrap().numbers("n").unwrap(), [1.0, 1.0, 2.0]);
        assert_eq!(table.drop_missing(&["t"]).unwrap().len(), 5);
        assert!(table.drop_missing(&["q"]).is_err());
        let distinct = table.drop_duplicates();
        assert_eq!((distinct.len(), distinct.numbers("n").unwrap()[2]), (3, 2.0));
        let filled = table.fill_missing("n", &Imputer::number(7.0)).unwrap();
        assert_eq!(filled.numbers("n").unwrap(), [1.0, 7.0, 1.0, 2.0, 7.0]);
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let table = Table::new().with("a", vec!["ab", "a"]).unwrap();
        let table = table.with("b", vec!["c", "bc"]).unwrap();
        assert_eq!(table.drop_duplicates().len(), 2);
    }
}
