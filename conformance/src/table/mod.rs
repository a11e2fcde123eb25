//! How each operator of PyTorch's database is written here.

mod composed;
mod elementwise;
mod reductions;
mod shapes;
mod images;
mod layers;
mod losses;
mod masked;
mod matrices;
mod products;
mod transforms;
mod windows;

use gradloom::Tensor;

use crate::sample::{Sample, Skip};

/// An operator.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its name in PyTorch's database.
    pub name: &'static str,
    /// The call with the operands of a sample.
    pub run: fn(&Sample) -> Result<Vec<Tensor>, Skip>,
    /// Errors are relative to the largest element of a result, as those of sums of products and of stable
    /// algorithms on matrices are: terms may cancel.
    pub of_largest: bool,
}

/// `"name" => |s| expression` rows, whose expression is one tensor.
macro_rules! rows {
    ($($name:literal => |$sample:ident| $body:expr;)*) => {
        [$($crate::table::Row {
            name: $name,
            run: |$sample| Ok(vec![$body]),
            of_largest: false,
        },)*]
    };
}

/// As `rows`, whose expression is a list of tensors.
macro_rules! many {
    ($($name:literal => |$sample:ident| $body:expr;)*) => {
        [$($crate::table::Row {
            name: $name,
            run: |$sample| Ok($body),
            of_largest: false,
        },)*]
    };
}

use many;
use rows;

/// Every row.
pub fn all() -> Vec<Row> {
    [
        elementwise::table(),
        reductions::table(),
        shapes::table(),
        of_largest(layers::table()),
        of_largest(matrices::table()),
        of_largest(windows::table()),
        composed::table(),
        of_largest(products::table()),
        images::table(),
        losses::table(),
        masked::table(),
        of_largest(transforms::table()),
    ]
    .concat()
}

fn of_largest(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { of_largest: true, ..row }).collect()
}
