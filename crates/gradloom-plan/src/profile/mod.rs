//! Where time goes: plans, kernels and transfers of all devices of the process, as a timeline for
//! Perfetto and Chrome and as tables by op, layer, line and kernel.
//!
//! `GRADLOOM_PROFILE=1` prints the kernels of every evaluation, `GRADLOOM_PROFILE=trace.json` writes a
//! timeline while the program runs; [`Recording`] does so for a part of a program. Executors ask
//! [`active`] once per evaluation, which is a load of one byte while nobody profiles.

mod run;
mod described;
mod timeline;
mod state;
mod table;
mod printed;
mod active;
mod recording;

pub use active::{Profile, active};
pub use recording::Recording;
pub use run::{Ceilings, KernelRun, Sites};
pub use table::{By, Row, Table};
