//! The table of methods that recipes call: one row each, with the call as text and as a function.
//!
//! In the text `{0}`, `{1}`.. are operands, `{all}` all of them as a list, `{axes}`, `{axis}`, `{sizes}`,
//! `{s0}`, `{s1}`.., `{number}`, `{dtype}` parameters, `{pads}` sizes in pairs, `{slice}` sizes in
//! triples, `{leaf}` elements.

mod elementwise;
mod leaves;
mod structured;
mod views;

use gradloom_tensor::{Device, Tensor};

use super::Parameters;

pub(super) use structured::REDUCTIONS;
pub(super) use elementwise::{BINARY, COMPARISONS, INTEGERS, LOGIC, NUMBERS, SCALARS, SMOOTH, STEEP, TESTS};

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// Name, unique in the table.
    pub name: &'static str,
    /// The call as Rust.
    pub text: &'static str,
    /// The call.
    pub apply: fn(&[&Tensor], &Parameters, &Device) -> Tensor,
    /// True if the number is an argument of plans, which may change without planning again.
    pub is_argument: bool,
    /// True if the sizes are those of a shape.
    pub is_shaped: bool,
}

impl PartialEq for Row {
    fn eq(&self, other: &Row) -> bool {
        self.name == other.name
    }
}

const fn row(
    name: &'static str,
    text: &'static str,
    apply: fn(&[&Tensor], &Parameters, &Device) -> Tensor,
) -> Row {
    Row { name, text, apply, is_argument: false, is_shaped: false }
}

/// The row of a name.
///
/// # Panics
/// If there is none, which a test of the generator would show.
pub(super) fn named(name: &str) -> &'static Row {
    let tables = [leaves::ROWS, views::ROWS, structured::ROWS, structured::REDUCTIONS]
        .into_iter()
        .chain(elementwise::TABLES);
    tables
        .flatten()
        .find(|row| row.name == name)
        .unwrap_or_else(|| panic!("graphs: no row is called {name}"))
}
