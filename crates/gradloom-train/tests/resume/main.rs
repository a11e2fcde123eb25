//! A run that was stopped or killed at any moment and goes on ends with the same bits as one that was not.

mod damage;
mod every;
#[cfg(all(unix, feature = "ctrlc"))]
mod interrupts;
mod kills;
mod runs;
mod stops;
