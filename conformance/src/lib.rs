//! PyTorch's own operator samples, run on every device.
//!
//! `golden.py` writes what PyTorch's database of operators gives; [`table`] says how each operator is written
//! here; [`run`](run::run) compares values and first derivatives.

pub mod golden;
mod reader;
pub mod report;
pub mod run;
pub mod sample;
pub mod table;
