//! Explanations as pictures and as one page that needs nothing else.

mod colour;
mod heat_map;
mod page;
mod text;
mod plots;
mod dependence_plot;
mod tree_plot;

pub use colour::ColourMap;
pub use dependence_plot::dependence_plot;
pub use heat_map::HeatMap;
pub use page::Page;
pub use plots::{force_plot, matrix_plot, scatter_plot, summary_plot};
pub use text::coloured_text;
pub use tree_plot::tree_plot;
