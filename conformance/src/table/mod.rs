//! How each operator of PyTorch's database is written here.

mod composed;
mod elementwise;
mod reductions;
mod row;
mod shapes;
mod images;
mod indexing;
mod layers;
mod losses;
mod masked;
mod matrices;
mod products;
mod transforms;
mod windows;

pub use row::Row;

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
