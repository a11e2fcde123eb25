//! What attributions must equal and what laws they must keep.

mod golden;
mod laws;
mod refusals;
