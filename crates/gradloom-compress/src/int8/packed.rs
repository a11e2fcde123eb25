//! Weights in the order in which products read them: blocks of 16 outputs, and of each four neighbouring elements of the
//! sum, all outputs of a block.

use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Error, Result, Tensor};

/// Outputs of a block.
pub(super) const BLOCK: usize = 16;
/// Elements of a sum that are multiplied at once.
pub(super) const FOUR: usize = 4;
/// How much less u8 are as i8 with their highest bits turned over, and what stands for zero in rows that are rounded as
/// they come.
pub(super) const MIDDLE: i32 = 128;
/// The highest bits of four bytes.
pub(super) const SIGNS: u32 = 0x8080_8080;

/// Sizes of packed weights. The elements of a sum are runs of neighbouring bytes of the input: its row, or of a window
/// the channels of each element, or those of each row of elements where nothing lies between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layout {
    pub(super) groups: usize,
    /// Outputs of a group.
    pub(super) outputs: usize,
    pub(super) runs: usize,
    /// Bytes of a run.
    pub(super) run: usize,
}

impl Layout {
    /// Of a matrix `[outputs, inner]`.
    pub(super) fn of_matrix(outputs: usize, inner: usize) -> Layout {
        Layout { groups: 1, outputs, runs: 1, run: inner }
    }

    /// Of windows over pictures, with channels and outputs of a group.
    pub(super) fn of_windows(
        window: &Window,
        groups: usize,
        channels: usize,
        outputs: usize,
    ) -> Layout {
        let [_, rows, columns] = window.kernel;
        if groups == 1 && window.dilation[2] == 1 {
            Layout { groups, outputs, runs: rows, run: columns * channels }
        } else {
            Layout { groups, outputs, runs: rows * columns, run: channels }
        }
    }

    /// True if each output reads one channel of its own. The weights of an element of the window lie side by side then.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.outputs == 1 && self.run == 1
    }

    pub(super) fn blocks(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }

    /// Fours of a run, the last of which may be filled up.
    pub(super) fn fours(&self) -> usize {
        self.run.div_ceil(FOUR)
    }

    /// Steps of a sum.
    pub(super) fn steps(&self) -> usize {
        self.runs * self.fours()
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(&self) -> usize {
        self.steps() * BLOCK * FOUR
    }

    /// Bytes of a group.
    pub(super) fn group_bytes(&self) -> usize {
        self.blocks() * self.block_bytes()
    }

    pub(super) fn bytes(&self) -> usize {
        if self.is_depthwise() { self.groups * self.runs } else { self.groups * self.group_bytes() }
    }

    /// Where the weight of an output for a byte of a run is.
    fn place(&self, output: usize, run: usize, byte: usize) -> usize {
        if self.is_depthwise() {
            return run * self.groups + output;
        }
        let (group, own) = (output / self.outputs, output % self.outputs);
        let block = group * self.group_bytes() + own / BLOCK * self.block_bytes();
        let step = run * self.fours() + byte / FOUR;
        block + (step * BLOCK + own % BLOCK) * FOUR + byte % FOUR
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
    pack(weight, Layout::of_matrix(weight.size(0), weight.size(1)), 1)
}

/// Weights `[O, C / groups, ..]` i8 in the order that [`convolution`](super::convolution()) with this window reads: a
/// vector of i8, to be made once.
///
/// # Errors
/// If they are not i8 of the window's shape, groups do not divide them, or they cannot be read.
pub fn pack_convolution(weight: &Tensor, window: &Window, groups: usize) -> Result<Tensor> {
    let fits = weight.rank() == window.axes + 2
        && window.axes <= 2
        && weight.shape()[2..] == window.kernel[3 - window.axes..]
        && groups > 0
        && weight.size(0).is_multiple_of(groups);
    if !fits {
        let shape = weight.shape();
        let kernel = &window.kernel[3 - window.axes.min(3)..];
        return Err(Error::shape(format!(
            "pack: weights {shape} for windows {kernel:?} in {groups} groups"
        )));
    }
    let (channels, outputs) = (weight.size(1), weight.size(0) / groups);
    let layout = Layout::of_windows(window, groups, channels, outputs);
    pack(weight, layout, channels)
}

/// Packs weights whose runs are those of `channels` channels side by side.
fn pack(weight: &Tensor, layout: Layout, channels: usize) -> Result<Tensor> {
    if weight.dtype() != DType::I8 {
        return Err(Error::shape(format!("pack: weights are i8, not {}", weight.dtype())));
    }
    let values = weight.to_vec::<i8>()?;
    let mut packed = vec![0i8; layout.bytes()];
    let Layout { groups, outputs, runs, run } = layout;
    // Elements of the window, or of the row of a matrix.
    let count = runs * run / channels.max(1);
    for (output, values) in values.chunks_exact((runs * run).max(1)).enumerate() {
        debug_assert!(output < groups * outputs);
        for (index, &value) in values.iter().enumerate() {
            let (channel, element) = (index / count, index % count);
            let byte = element * channels + channel;
            packed[layout.place(output, byte / run, byte % run)] = value;
        }
    }
    Tensor::from_slice(&packed, [packed.len()], weight.device())
}
