//! What pruned and distilled models must equal, and what is refused.

mod distil;
mod structured;
mod unstructured;
