//! How each operator of PyTorch's database is written here.

mod by_value;
mod composed;
mod creation;
mod elementwise;
mod factorizations;
mod reductions;
mod row;
mod shapes;
mod images;
mod indexing;
mod layers;
mod losses;
mod masked;
mod matrices;
mod norms;
mod products;
mod special;
mod statistics;
mod transforms;
mod unmapped;
mod windows;

pub use row::Row;
pub use unmapped::UNMAPPED;

/// Every row.
pub fn all() -> Vec<Row> {
    [
        elementwise::table(),
        reductions::table(),
        shapes::table(),
        of_largest(layers::table()),
        of_largest(matrices::table()),
        of_largest(factorizations::table()),
        special::table(),
        of_largest(special::polynomials()),
        statistics::table(),
        by_value::table(),
        creation::table(),
        of_largest(windows::table()),
        composed::table(),
        of_largest(products::table()),
        images::table(),
        of_largest(images::grids()),
        indexing::table(),
        losses::table(),
        masked::table(),
        of_largest(transforms::table()),
    ]
    .concat()
}

fn of_largest(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { of_largest: true, ..row }).collect()
}
