//! Weights of language models: what quantizing them must equal, what laws it must keep, and what it must refuse.

mod golden;
mod models;
mod importance;
mod trained;
mod refusals;
