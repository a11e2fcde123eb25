//! [`Gru`]: gated recurrent units.
//!
//! Letters: B batch, T steps, I inputs, H hidden size.

use crate::layers::Layer;
use crate::layers::recurrent::{RecurrentOptions, Stack, module_of_stack};
use crate::{Context, Init};
use gradloom_tensor::Tensor;

/// `H` gated units per layer: `[B, T, I] -> [B, T, H]` (or `2 H` in both directions).
///
/// ```text
/// r, z, n = W_ih x + b_ih          and          hr, hz, hn = W_hh h + b_hh
/// h' = (1 - u) tanh(n + sigmoid(r + hr) hn) + u h          with u = sigmoid(z + hz)
/// ```
///
/// The products with the inputs of all steps are one product; the steps are unrolled in the graph.
/// PyTorch: `torch.nn.GRU(batch_first=True)`. Cho et al., "Learning phrase representations", 2014.
#[derive(Clone, Debug)]
pub struct Gru {
    stack: Stack,
}

impl Gru {
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
        Gru { stack: Stack::new(3, inputs, hidden_size, options, init) }
    }

    /// The outputs of all steps, and the state `[layers * directions, B, H]` after them. Without a
    /// state it begins with zeros.
    ///
    /// # Panics
    /// If shapes do not fit or there are no steps.
    #[track_caller]
    pub fn run(&self, x: &Tensor, state: Option<&Tensor>, ctx: &mut Context) -> (Tensor, Tensor) {
        let states = self.stack.split_state(state, x).into_iter().map(|state| [state]).collect();
        let size = self.stack.hidden_size;
        let (outputs, last) = self.stack.run(x, states, ctx, |cell, inputs, [hidden]| {
            let dtype = inputs.dtype();
            let mut recurrent = cell.hidden_part(hidden).wide();
            if let Some(bias) = cell.hidden_bias() {
                recurrent = recurrent + bias.wide();
            }
            let (inputs, hidden) = (&inputs.wide(), &hidden.wide());
            let part = |gates: &Tensor, index: usize| gates.narrow(1, index * size, size);
            let reset = (part(inputs, 0) + part(&recurrent, 0)).sigmoid();
            let update = (part(inputs, 1) + part(&recurrent, 1)).sigmoid();
            let new = (part(inputs, 2) + reset * part(&recurrent, 2)).tanh();
            [(&new + update * (hidden - &new)).cast(dtype)]
        });
        let last: Vec<Tensor> = last.into_iter().map(|[hidden]| hidden).collect();
        (outputs, Tensor::stack(&last, 0))
    }
}

impl Layer for Gru {
    /// The outputs of all steps, from a state of zeros.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(x, None, ctx).0
    }
}

module_of_stack!(Gru);
