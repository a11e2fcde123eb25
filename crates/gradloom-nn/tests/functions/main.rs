//! Functions of layers and losses.

mod functional;
mod losses;
mod penalties;
mod windows;
