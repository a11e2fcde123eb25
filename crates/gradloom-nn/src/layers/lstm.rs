//! [`Lstm`]: long short-term memory.
//!
//! Letters: B batch, T steps, I inputs, H hidden size, P projected size (H without a projection).

use crate::layers::Layer;
use crate::layers::recurrent::{Input, RecurrentOptions, Stack, module_of_stack};
use crate::layers::recurrent_weights::RecurrentWeights;
use crate::{Context, Init};
use gradloom_tensor::{Tensor, Tensors};

/// A memory of `H` cells per layer: `[B, T, I] -> [B, T, P]` (or `2 P` in both directions).
///
/// ```text
/// i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
/// c' = sigmoid(f) c + sigmoid(i) tanh(g)
/// h' = sigmoid(o) tanh(c')            or, with a projection,            h' = W_hr (sigmoid(o) tanh(c'))
/// ```
///
/// The products with the inputs of all steps are one product; the steps are a loop, planned once whatever
/// their number. PyTorch: `torch.nn.LSTM(batch_first=True)`. Hochreiter, Schmidhuber, "Long
/// short-term memory", 1997.
#[derive(Clone, Debug)]
pub struct Lstm {
    stack: Stack,
}

/// What an [`Lstm`] remembers.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// The last outputs, `[layers * directions, B, P]`.
    pub hidden: Tensor,
    /// The last contents of the memory, `[layers * directions, B, H]`.
    pub cell: Tensor,
}

impl LstmState {
    /// Without history, to go on with the next part of a sequence.
    #[must_use]
    pub fn detach(&self) -> Self {
        LstmState { hidden: self.hidden.detach(), cell: self.cell.detach() }
    }
}

impl Tensors for LstmState {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        visit(&mut self.hidden);
        visit(&mut self.cell);
    }
}

impl Lstm {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(H)`.
    ///
    /// # Panics
    /// If there are no layers or no hidden units.
    #[track_caller]
    pub fn new(
        inputs: usize,
        hidden_size: usize,
        options: RecurrentOptions,
        init: &mut Init,
    ) -> Self {
        Lstm { stack: Stack::new(4, inputs, hidden_size, options, init) }
    }

    /// The outputs of all steps, and the state after them. Without a state it begins with zeros.
    ///
    /// # Panics
    /// If shapes do not fit or there are no steps.
    #[track_caller]
    pub fn run(
        &self,
        x: &Tensor,
        state: Option<&LstmState>,
        ctx: &mut Context,
    ) -> (Tensor, LstmState) {
        self.run_over(Input { x, lengths: None }, state, ctx)
    }

    /// As [`run`](Lstm::run) over padded sequences of `lengths` steps, integers `[B]`: beyond its end a
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
        state: Option<&LstmState>,
        ctx: &mut Context,
    ) -> (Tensor, LstmState) {
        self.run_over(Input { x, lengths: Some(lengths) }, state, ctx)
    }

    #[track_caller]
    fn run_over(
        &self,
        input: Input<'_>,
        state: Option<&LstmState>,
        ctx: &mut Context,
    ) -> (Tensor, LstmState) {
        let _layer = ctx.enter("LSTM", self);
        let (hidden_size, output_size) = (self.stack.hidden_size, self.stack.output_size());
        let hidden = state.map(|state| &state.hidden);
        let hidden = self.stack.split_state(hidden, input, output_size);
        let cells = self.stack.split_state(state.map(|state| &state.cell), input, hidden_size);
        let states = hidden.into_iter().zip(cells).map(|(hidden, cell)| [hidden, cell]).collect();
        let (outputs, last) = self.stack.run(
            input,
            states,
            ctx,
            RecurrentWeights::input_part_with_biases,
            RecurrentWeights::lstm_step,
        );
        ctx.ran("LSTM", self, &outputs);
        let (hidden, cells): (Vec<Tensor>, Vec<Tensor>) =
            last.into_iter().map(|[hidden, cell]| (hidden, cell)).unzip();
        let state = LstmState { hidden: Tensor::stack(&hidden, 0), cell: Tensor::stack(&cells, 0) };
        (outputs, state)
    }
}

impl Layer for Lstm {
    /// The outputs of all steps, from a state of zeros.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(x, None, ctx).0
    }
}

module_of_stack!(Lstm);
