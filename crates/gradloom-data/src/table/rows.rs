//! Rows of a table: chosen by number or by what is in them, and tables one below the other.

use super::{Column, Table, Value};
use crate::random::permutation;
use crate::{Error, Result};
use gradloom_tensor::Key;

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    table: &'a Table,
    index: usize,
}

impl<'a> Row<'a> {
    /// The number of the row.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The cell in a column.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn value(&self, name: &str) -> Result<Value<'a>> {
        self.table.value(self.index, name)
    }

    /// The number in a column; none if it is missing.
    ///
    /// # Errors
    /// If there is no such column, or it holds no numbers.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.table.numbers(name)?;
        Ok(self.value(name)?.number())
    }

    /// The text or the category's name in a column; none if it is missing.
    ///
    /// # Errors
    /// If there is no such column, or it holds numbers or booleans.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.table.column(name)? {
            Column::Category(_) | Column::Text(_) => Ok(self.value(name)?.text()),
            other => Err(Error::invalid(format!(
                "table: column {name:?} is {}, not text or categories",
                other.kind()
            ))),
        }
    }
}

impl Table {
    /// The rows at `indices`, in that order; what splits and folds give. pandas: `iloc`.
    ///
    /// # Errors
    /// If an index is out of range.
    pub fn take(&self, indices: &[usize]) -> Result<Table> {
        if let Some(&index) = indices.iter().find(|&&index| index >= self.rows) {
            return Err(Error::sample_out_of_range("table", index, self.rows));
        }
        Ok(Table {
            names: self.names.clone(),
            columns: self.columns.iter().map(|column| column.take(indices)).collect(),
            rows: indices.len(),
        })
    }

    /// The rows that `keep` says yes to.
    ///
    /// # Errors
    /// What `keep` returns.
    pub fn filter(&self, keep: impl Fn(Row<'_>) -> Result<bool>) -> Result<Table> {
        let mut indices = Vec::new();
        for index in 0..self.rows {
            if keep(Row { table: self, index })? {
                indices.push(index);
            }
        }
        self.take(&indices)
    }

    /// The rows in a random order. pandas: `sample(frac=1)`.
    pub fn shuffled(&self, key: Key) -> Table {
        let order = permutation(self.rows, key);
        Table {
            names: self.names.clone(),
            columns: self.columns.iter().map(|column| column.take(&order)).collect(),
            rows: self.rows,
        }
    }

    /// The rows of this table, then those of another with the same columns in any order. Categories
    /// are joined by name. pandas: `concat`.
    ///
    /// # Errors
    /// If the columns differ in name or kind.
    pub fn followed_by(&self, other: &Table) -> Result<Table> {
        if self.names.len() != other.names.len() {
            return Err(Error::invalid(format!(
                "followed_by: the columns {:?} are not {:?}",
                other.names, self.names
            )));
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, column) in self.names.iter().zip(&self.columns) {
            let next = &other.columns[other.place("followed_by", name)?];
            columns.push(column.followed_by(next).ok_or_else(|| {
                Error::invalid(format!(
                    "followed_by: column {name:?} is {} here and {} there",
                    column.kind(),
                    next.kind()
                ))
            })?);
        }
        let rows = self.rows + other.rows;
        Ok(Table { names: self.names.clone(), columns, rows })
    }

    /// `train_len` rows drawn at random, and the rest. scikit-learn: `train_test_split`.
    ///
    /// # Errors
    /// If there are fewer than `train_len` rows.
    pub fn split(&self, train_len: usize, key: Key) -> Result<(Table, Table)> {
        let (train, test) = crate::split::split_indices(self.rows, train_len, key)?;
        Ok((self.take(&train)?, self.take(&test)?))
    }

    /// As [`split`](Table::split), with the same share of every value of the column `label` in both
    /// parts. scikit-learn: `train_test_split(stratify=...)`.
    ///
    /// # Errors
    /// If there is no such column, a label is missing, there are fewer than `train_len` rows, or a
    /// class cannot be in both parts.
    pub fn split_stratified(
        &self,
        label: &str,
        train_len: usize,
        key: Key,
    ) -> Result<(Table, Table)> {
        let labels = self.labels(label)?;
        let (train, test) = crate::split::stratified_indices(labels.labels(), train_len, key)?;
        Ok((self.take(&train)?, self.take(&test)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::Table;
    use crate::table::{Categories, Value};
    use gradloom_tensor::Key;

    fn table() -> Table {
        Table::new()
            .with("n", vec![1.0, f64::NAN, 3.0])
            .unwrap()
            .with("c", Categories::of_texts(&[Some("b"), Some("a"), None]))
            .unwrap()
            .with("flag", vec![true, false, true])
            .unwrap()
    }

    #[test]
    fn rows_come_in_the_order_asked_for() {
        let taken = table().take(&[2, 0, 0]).unwrap();
        assert_eq!(taken.numbers("n").unwrap(), [3.0, 1.0, 1.0]);
        assert_eq!(taken.categories("c").unwrap().name(1), Some("b"));
        assert_eq!(taken.value(0, "c").unwrap(), Value::Missing);
        assert!(table().take(&[3]).unwrap_err().is_index_out_of_range());
        let shuffled = table().shuffled(Key::new(3));
        assert_eq!(shuffled.bools("flag").unwrap().iter().flatten().filter(|&&b| b).count(), 2);
    }

    #[test]
    fn tables_below_each_other_join_categories_by_name() {
        let other = Table::new()
            .with("flag", vec![true])
            .unwrap()
            .with("c", Categories::of_texts(&[Some("c")]))
            .unwrap()
            .with("n", vec![9.0])
            .unwrap();
        let both = table().followed_by(&other).unwrap();
        assert_eq!(both.len(), 4);
        assert_eq!(both.categories("c").unwrap().names(), ["a", "b", "c"]);
        assert_eq!(both.value(3, "c").unwrap(), Value::Text("c"));
        let wrong = Table::new()
            .with("flag", vec![1.0])
            .unwrap()
            .with("c", vec!["x"])
            .unwrap()
            .with("n", vec![9.0])
            .unwrap();
        let message = table().followed_by(&wrong).unwrap_err().to_string();
        assert_eq!(message, "followed_by: column \"c\" is categories here and text there");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let message = table().with("m", vec![1.0]).unwrap_err().to_string();
        assert_eq!(message, "table: column \"m\" has 1 rows, the others have 3");
        let message = table().texts("n").unwrap_err().to_string();
        assert_eq!(message, "table: column \"n\" is numbers, not text");
        let message = table().select(&["x"]).unwrap_err().to_string();
        assert!(message.starts_with("select: no column \"x\"; the columns are"), "{message}");
        assert!(table().select(&["n", "n"]).is_err());
        assert_eq!(table().without(&["n"]).unwrap().names(), ["c", "flag"]);
        assert!(table().renamed("n", "c").is_err());
        assert!(table().beside(&table()).is_err());
        assert_eq!(table().select::<&str>(&[]).unwrap().len(), 3);
    }
}
