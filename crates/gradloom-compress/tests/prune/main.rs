//! What pruned and distilled models must equal, and what is refused.

mod structured;
mod unstructured;
