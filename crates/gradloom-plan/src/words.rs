//! [`Words`]: a structure written down as words, exactly: equal words, equal structure.
//!
//! It is a [`Hasher`] that keeps what it is fed, so that ops need no numbers given by hand. Nearly all
//! words are small, so each takes as many bytes as it has groups of seven bits (LEB128), which no other
//! word begins with: equal bytes are equal words.

use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use gradloom_tensor::{DType, Op};

/// What has been written down.
#[derive(Default)]
pub(crate) struct Words(Vec<u8>);

impl Words {
    /// None, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Words {
        Words(Vec::with_capacity(bytes))
    }

    pub(crate) fn push(&mut self, word: u64) {
        let mut rest = word;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    pub(crate) fn extend(&mut self, words: impl IntoIterator<Item = u64>) {
        words.into_iter().for_each(|word| self.push(word));
    }

    /// Replaces the last words, one for each of `flags`, all of them 0 or 1, by zeros.
    pub(crate) fn clear_flags(&mut self, flags: usize) {
        let first = self.0.len() - flags;
        self.0[first..].fill(0);
    }

    /// All words as bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// All words as bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// An op with its parameters. Arguments and keys of random numbers count, their values do not. Which
    /// result of which loop a node is is up to the caller.
    pub(crate) fn op(&mut self, op: &Op, dtype: DType) {
        discriminant(op).hash(self);
        match op {
            Op::Buffer
            | Op::Placeholder
            | Op::Transfer
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
            Op::Call(call) => call.hash(self),
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
        self.push(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn write_u8(&mut self, value: u8) {
        self.push(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.push(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.push(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.push(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.push(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.push(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn bytes(words: &[u64]) -> Vec<u8> {
        let mut written = Words::default();
        written.extend(words.iter().copied());
        written.into_bytes()
    }

    #[test]
    fn other_words_are_other_bytes() {
        let edges = [0, 1, 0x7f, 0x80, 0x81, 0x3fff, 0x4000, u64::MAX - 1, u64::MAX];
        let pairs = || edges.iter().flat_map(|&a| edges.iter().map(move |&b| [a, b]));
        for lhs in pairs() {
            for rhs in pairs() {
                assert_eq!(bytes(&lhs) == bytes(&rhs), lhs == rhs, "{lhs:?} {rhs:?}");
            }
            assert!(edges.iter().all(|&word| bytes(&[word]) != bytes(&lhs)), "{lhs:?}");
        }
    }

    #[test]
    fn flags_are_cleared_at_the_end_alone() {
        let mut words = Words::default();
        words.extend([300, 1, 1, 0, 1]);
        words.clear_flags(3);
        assert_eq!(words.into_bytes(), bytes(&[300, 1, 0, 0, 0]));
    }
}
