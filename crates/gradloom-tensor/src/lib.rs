//! The lazy tensor of Gradloom.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod backend;
pub mod outside;
mod display;
pub mod rounding;
pub mod dtype;
pub mod promotion;
pub mod elementwise;
mod axes;
pub mod blocks;
mod window;
mod called;
pub mod error;
pub mod eval;
mod capture;
pub mod custom_op;
mod loops;
pub mod op;
pub mod ops;
mod origin;
pub mod random;
pub mod summation;
pub mod shape;
pub mod shape_rules;
mod tensor;
mod marks;
mod release;
mod transfer;
mod tensors;

pub use backend::{Backend, BoxFuture, Buffer, Capabilities, Device, Retention, Statistics};
pub use blocks::BlockFormat;
pub use called::Called;
pub use capture::{LoopParts, Survey};
pub use custom_op::{CustomOp, custom_op};
pub use dtype::{DType, Element, Scalar};
pub use error::{Error, ErrorKind, Result};
pub use eval::{commit, commit_async, eval, eval_async};
pub use half::{bf16, f16};
pub use op::Op;
pub use ops::by_value::Unique;
pub use ops::elementwise::{Degree, Operand};
pub use ops::histogram::Bins;
pub use ops::host_data::Nested;
pub use ops::masked::Masked;
pub use ops::reduce::IntoAxes;
pub use ops::scan::{Scan, scan};
pub use ops::slice::{NewAxis, Slice, SliceRange};
pub use ops::statistics::{CovOptions, Interpolation};
pub use ops::views::IntoShape;
pub use origin::Origin;
pub use outside::BytesSource;
pub use random::Key;
pub use shape::{RANK_MAX, Shape};
pub use tensor::{State, Tensor};
pub use tensors::Tensors;
