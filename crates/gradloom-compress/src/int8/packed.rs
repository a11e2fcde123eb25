//! Weights in the order in which products read them: blocks of 16 outputs, and of each four neighbouring elements of the
//! sum, all outputs of a block.

use gradloom_tensor::{DType, Error, Result, Tensor};

/// Outputs of a block.
pub(super) const BLOCK: usize = 16;
/// Elements of a sum that are multiplied at once.
pub(super) const FOUR: usize = 4;

/// Sizes of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layout {
    pub(super) groups: usize,
    /// Outputs of a group.
    pub(super) outputs: usize,
    /// Fours of channels of a group, and elements of a window.
    pub(super) fours: usize,
    pub(super) taps: usize,
}

impl Layout {
    pub(super) fn blocks(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }

    /// Steps of a sum.
    pub(super) fn steps(&self) -> usize {
        self.fours * self.taps
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(&self) -> usize {
        self.steps() * BLOCK * FOUR
    }

    pub(super) fn bytes(&self) -> usize {
        self.groups * self.blocks() * self.block_bytes()
    }
}

/// A matrix `[O, K]` i8 in the order that [`linear`](super::linear()) reads: a vector of i8, to be made once.
///
/// # Errors
/// If it is no i8 matrix, or cannot be read.
pub fn pack_linear(weight: &Tensor) -> Result<Tensor> {
    if weight.rank() != 2 {
        return Err(Error::shape(format!("pack: a matrix, not shape {}", weight.shape())));
    }
    pack(weight, 1, 1)
}

/// Weights `[O, C / groups, ..]` i8 in the order that [`convolution`](super::convolution()) reads: a vector of i8, to be
/// made once.
///
/// # Errors
/// If they are not i8 of that rank, groups do not divide them, or they cannot be read.
pub fn pack_convolution(weight: &Tensor, groups: usize) -> Result<Tensor> {
    let fits = weight.rank() >= 3 && groups > 0 && weight.size(0).is_multiple_of(groups);
    if !fits {
        let shape = weight.shape();
        return Err(Error::shape(format!("pack: weights {shape} in {groups} groups")));
    }
    let taps = weight.shape()[2..].iter().product();
    pack(weight, groups, taps)
}

fn pack(weight: &Tensor, groups: usize, taps: usize) -> Result<Tensor> {
    if weight.dtype() != DType::I8 {
        return Err(Error::shape(format!("pack: weights are i8, not {}", weight.dtype())));
    }
    let (outputs, channels) = (weight.size(0) / groups, weight.size(1));
    let layout = Layout { groups, outputs, fours: channels.div_ceil(FOUR), taps };
    let values = weight.to_vec::<i8>()?;
    let mut packed = vec![0i8; layout.bytes()];
    for output in 0..groups * outputs {
        let (group, own) = (output / outputs, output % outputs);
        let block = (group * layout.blocks() + own / BLOCK) * layout.block_bytes();
        for channel in 0..channels {
            for tap in 0..taps {
                let step = channel / FOUR * taps + tap;
                let place = block + (step * BLOCK + own % BLOCK) * FOUR + channel % FOUR;
                packed[place] = values[(output * channels + channel) * taps + tap];
            }
        }
    }
    Tensor::from_slice(&packed, [packed.len()], weight.device())
}
