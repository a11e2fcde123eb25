//! What pruned and distilled models must equal, and what is refused.

mod adapters;
mod distil;
mod structured;
mod unstructured;
