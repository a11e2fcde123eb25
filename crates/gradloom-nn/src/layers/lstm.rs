//! [`Lstm`]: long short-term memory.
//!
//! Letters: B batch, T steps, I inputs, H hidden size.

use crate::layers::Layer;
use crate::layers::recurrent::{RecurrentOptions, Stack, module_of_stack};
use crate::{Context, Init};
use gradloom_tensor::{Tensor, Tensors};

/// A memory of `H` cells per layer: `[B, T, I] -> [B, T, H]` (or `2 H` in both directions).
///
/// ```text
/// i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
/// c' = sigmoid(f) c + sigmoid(i) tanh(g)
/// h' = sigmoid(o) tanh(c')
/// ```
///
/// The products with the inputs of all steps are one product; the steps are unrolled in the graph.
/// PyTorch: `torch.nn.LSTM(batch_first=True)`, without `proj_size`. Hochreiter, Schmidhuber, "Long
/// short-term memory", 1997.
#[derive(Clone, Debug)]
pub struct Lstm {
    stack: Stack,
}

/// What an [`Lstm`] remembers, `[layers * directions, B, H]` each.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// The last outputs.
    pub hidden: Tensor,
    /// The last contents of the memory.
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
        let hidden = self.stack.split_state(state.map(|state| &state.hidden), x);
        let cells = self.stack.split_state(state.map(|state| &state.cell), x);
        let states = hidden.into_iter().zip(cells).map(|(hidden, cell)| [hidden, cell]).collect();
        let size = self.stack.hidden_size;
        let (outputs, last) = self.stack.run(x, states, ctx, |cell, inputs, [hidden, memory]| {
            let dtype = inputs.dtype();
            let mut gates = inputs.wide() + cell.hidden_part(hidden).wide();
            if let Some(bias) = cell.hidden_bias() {
                gates = gates + bias.wide();
            }
            let gate = |index: usize| gates.narrow(1, index * size, size);
            let kept = gate(1).sigmoid() * memory.wide();
            let memory = kept + gate(0).sigmoid() * gate(2).tanh();
            [gate(3).sigmoid() * memory.tanh(), memory].map(|state| state.cast(dtype))
        });
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
