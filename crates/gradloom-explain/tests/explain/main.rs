//! What attributions must equal and what laws they must keep.

mod golden;
mod laws;
mod refusals;
mod inside;
mod reports;
mod speed;
mod tables_and_maps;
