//! [`Row`], and how rows are written.

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
        [$($crate::table::row::Row {
            name: $name,
            run: |$sample| Ok(vec![$body]),
            of_largest: false,
        },)*]
    };
}

/// As `rows`, whose expression is a list of tensors.
macro_rules! many {
    ($($name:literal => |$sample:ident| $body:expr;)*) => {
        [$($crate::table::row::Row {
            name: $name,
            run: |$sample| Ok($body),
            of_largest: false,
        },)*]
    };
}

pub(super) use {many, rows};
