//! [`Words`]: a structure written down as words, exactly: equal words, equal structure.
//!
//! It is a [`Hasher`] that keeps what it is fed, so that ops need no numbers given by hand.

use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use gradloom_tensor::{DType, Op};

/// What has been written down.
#[derive(Default)]
pub(crate) struct Words(pub(crate) Vec<u64>);

impl Words {
    /// An op with its parameters. Arguments and keys of random numbers count, their values do not. Which
    /// result of which loop a node is is up to the caller.
    pub(crate) fn op(&mut self, op: &Op, dtype: DType) {
        discriminant(op).hash(self);
        match op {
            Op::Buffer
            | Op::Placeholder
            | Op::Argument(_)
            | Op::Random { .. }
            | Op::Select
            | Op::Cast
            | Op::Reshape
            | Op::Expand
            | Op::Matmul
            | Op::Loop(_)
            | Op::Detach(_)
            | Op::Custom(_)
            | Op::Barrier => {}
            Op::Constant(value) => value.cast(dtype).key().hash(self),
            Op::Iota { axis }
            | Op::Concat { axis }
            | Op::Gather { axis }
            | Op::ScatterAdd { axis }
            | Op::Write { axis } => axis.hash(self),
            Op::Unary(unary) => unary.hash(self),
            Op::Binary(binary) => binary.hash(self),
            Op::CheckIndex { size, op } => (size, op).hash(self),
            Op::Reduce(reduction, axes) => (reduction, axes).hash(self),
            Op::ArgReduce(reduction, axis) => (reduction, axis).hash(self),
            Op::Scan { axis, reverse } => (axis, reverse).hash(self),
            Op::Permute(permutation) => permutation.hash(self),
            Op::Slice { starts, steps } => (starts, steps).hash(self),
            Op::Pad { before } => before.hash(self),
            Op::Flip(axes) => axes.hash(self),
            Op::Convolution(window, groups)
            | Op::ConvolutionInput(window, groups)
            | Op::ConvolutionWeight(window, groups) => (window, groups).hash(self),
            Op::PoolMax(window)
            | Op::PoolMaxScatter(window)
            | Op::PoolMaxGather(window)
            | Op::PoolSum(window)
            | Op::PoolSumScatter(window) => window.hash(self),
            Op::ArgSort { axis, descending } => (axis, descending).hash(self),
            Op::Dequantize(format) => format.hash(self),
            Op::Attention(attention) => {
                let flags = (attention.causal, attention.masked, attention.placed);
                (attention.scale.to_bits(), attention.window, flags).hash(self);
            }
        }
    }
}

impl Hasher for Words {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.push(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0.push(u64::from_ne_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.0.push(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.0.push(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.0.push(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0.push(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.0.push(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.0.push(value as u64);
    }
}
