//! The interpreter of plans: slow, obvious, and the definition of what a plan computes.
//!
//! It does what the plan says and nothing else, kernel by kernel and element by element, and looks at
//! no graph. So a plan whose interpretation differs from its graph shows a fault of the planner, and a
//! backend that differs from the interpretation shows a fault of its kernels. Memory is what the plan
//! makes of it: slots are shared, outputs take over inputs. An element that is read before it is
//! written, or after something else was written in its place, is a [`Fault`].
//!
//! Numbers are kept as `f64` (those of i64 as its bits), and each is a number of its dtype: every instruction's value is rounded
//! to the type that the instruction computes in, every stored element to the type it is stored in.
//! Sums (of reductions, products, windows) are exact to f64 and rounded once. Speed is absent on
//! purpose.

mod attention;
mod call;
mod backend;
mod blame;
mod blocks;
mod bytes;
mod convolution;
mod fault;
mod indexing;
mod kinds;
mod looping;
mod matmul;
mod memory;
mod not_finite;
mod operand;
mod order;
mod plan;
mod pool;
mod program;
mod value;
mod write;

pub use backend::{Interpreter, device};
pub use bytes::{bytes, numbers};
pub use fault::{Failure, Fault};
pub use kinds::kernel;
pub use memory::{download, upload};
pub use not_finite::not_finite;
pub use plan::plan;
pub use value::{cast, from_bits, is_finite, store, to_bits};
