//! [`Rnn`]: a recurrent layer without gates.
//!
//! Letters: B batch, T steps, I inputs, H hidden size.

use crate::layers::Layer;
use crate::layers::recurrent::{Input, RecurrentOptions, Stack, module_of_stack};
use crate::layers::recurrent_weights::RecurrentWeights;
use crate::{Compute, Context, Init};
use gradloom_tensor::Tensor;

/// What an [`Rnn`] applies at each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RnnNonlinearity {
    /// `tanh(x)`
    #[default]
    Tanh,
    /// `max(x, 0)`
    Relu,
}

impl RnnNonlinearity {
    pub(super) fn apply(self, x: &Tensor) -> Tensor {
        match self {
            RnnNonlinearity::Tanh => x.tanh(),
            RnnNonlinearity::Relu => x.relu(),
        }
    }
}

/// `H` units per layer: `[B, T, I] -> [B, T, H]` (or `2 H` in both directions).
///
/// ```text
/// h' = tanh(W_ih x + b_ih + W_hh h + b_hh)          or          max(.., 0)
/// ```
///
/// The products with the inputs of all steps are one product; the steps are a loop, planned once whatever
/// their number. PyTorch: `torch.nn.RNN(batch_first=True)`. Elman, "Finding structure in time", 1990.
#[derive(Clone, Debug)]
pub struct Rnn {
    stack: Stack,
    nonlinearity: RnnNonlinearity,
}

impl Rnn {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(H)`.
    ///
    /// # Panics
    /// If there are no layers or no hidden units, or a projection is asked for.
    #[track_caller]
    pub fn new(
        inputs: usize,
        hidden_size: usize,
        nonlinearity: RnnNonlinearity,
        options: RecurrentOptions,
        init: &mut Init,
    ) -> Self {
        assert!(options.projection.is_none(), "rnn: only an LSTM projects its outputs");
        Rnn { stack: Stack::new(1, inputs, hidden_size, options, init), nonlinearity }
    }

    /// The outputs of all steps, and the state `[layers * directions, B, H]` after them. Without a
    /// state it begins with zeros.
    ///
    /// # Panics
    /// If shapes do not fit or there are no steps.
    #[track_caller]
    pub fn run(&self, x: &Tensor, state: Option<&Tensor>, ctx: &mut Context) -> (Tensor, Tensor) {
        self.run_over(Input { x, lengths: None }, state, ctx)
    }

    /// As [`run`](Rnn::run) over padded sequences of `lengths` steps, integers `[B]`: beyond its end a
    /// sample's outputs are zero, its state is that after its last step, and the second direction begins
    /// at its own end. PyTorch: between `pack_padded_sequence` and `pad_packed_sequence`.
    ///
    /// # Panics
    /// If shapes do not fit or there are no steps.
    #[track_caller]
    pub fn run_padded(
        &self,
        x: &Tensor,
        lengths: &Tensor,
        state: Option<&Tensor>,
        ctx: &mut Context,
    ) -> (Tensor, Tensor) {
        self.run_over(Input { x, lengths: Some(lengths) }, state, ctx)
    }

    #[track_caller]
    fn run_over(
        &self,
        input: Input<'_>,
        state: Option<&Tensor>,
        ctx: &mut Context,
    ) -> (Tensor, Tensor) {
        let _layer = ctx.enter("RNN", self);
        let activation = |gates: &Tensor| self.nonlinearity.apply(gates);
        let step =
            |cell: &RecurrentWeights, inputs: &Tensor, hidden: &Tensor, compute: &Compute| {
                cell.rnn_step(inputs, hidden, activation, compute)
            };
        let prepare = RecurrentWeights::input_part_with_biases;
        let (outputs, last) = self.stack.run_single(input, state, ctx, prepare, step);
        ctx.ran("RNN", self, &outputs);
        (outputs, last)
    }
}

impl Layer for Rnn {
    /// The outputs of all steps, from a state of zeros.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(x, None, ctx).0
    }
}

module_of_stack!(Rnn);
