//! [`RnnCell`], [`LstmCell`], [`GruCell`]: one step of a recurrent layer, for loops of one's own.
//!
//! Letters: B batch, I inputs, H hidden size.

use crate::layers::recurrent_weights::RecurrentWeights;
use crate::layers::rnn::RnnNonlinearity;
use crate::{Compute, Init, Module, Parameter, Path};
use gradloom_tensor::{Tensor, Tensors};

/// A step of an RNN: `h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`. PyTorch: `torch.nn.RNNCell`.
#[derive(Clone, Debug)]
pub struct RnnCell {
    weights: RecurrentWeights,
    nonlinearity: RnnNonlinearity,
}

/// A step of an LSTM, see [`Lstm`](crate::layers::Lstm). PyTorch: `torch.nn.LSTMCell`.
#[derive(Clone, Debug)]
pub struct LstmCell {
    weights: RecurrentWeights,
}

/// A step of a GRU, see [`Gru`](crate::layers::Gru). PyTorch: `torch.nn.GRUCell`.
#[derive(Clone, Debug)]
pub struct GruCell {
    weights: RecurrentWeights,
}

#[track_caller]
fn weights(op: &str, size: [usize; 3], bias: bool, init: &mut Init) -> RecurrentWeights {
    assert!(size[2] > 0, "{op}: no hidden units");
    RecurrentWeights::new(size, bias, None, init)
}

impl RnnCell {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(H)`.
    ///
    /// # Panics
    /// If there are no hidden units.
    #[track_caller]
    pub fn new(
        inputs: usize,
        hidden_size: usize,
        nonlinearity: RnnNonlinearity,
        bias: bool,
        init: &mut Init,
    ) -> Self {
        let weights = weights("rnn_cell", [1, inputs, hidden_size], bias, init);
        RnnCell { weights, nonlinearity }
    }

    /// The state `[B, H]` after an input `[B, I]`.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn step(&self, x: &Tensor, hidden: &Tensor) -> Tensor {
        let (compute, activation) =
            (&Compute::full(), |gates: &Tensor| self.nonlinearity.apply(gates));
        let inputs = self.weights.input_part_with_biases(x, compute);
        self.weights.rnn_step(&inputs, hidden, activation, compute)
    }
}

impl LstmCell {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(H)`.
    ///
    /// # Panics
    /// If there are no hidden units.
    #[track_caller]
    pub fn new(inputs: usize, hidden_size: usize, bias: bool, init: &mut Init) -> Self {
        LstmCell { weights: weights("lstm_cell", [4, inputs, hidden_size], bias, init) }
    }

    /// Output and memory, `[B, H]` each, after an input `[B, I]`.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn step(&self, x: &Tensor, state: &[Tensor; 2]) -> [Tensor; 2] {
        let inputs = self.weights.input_part_with_biases(x, &Compute::full());
        self.weights.lstm_step(&inputs, state, &Compute::full())
    }
}

impl GruCell {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(H)`.
    ///
    /// # Panics
    /// If there are no hidden units.
    #[track_caller]
    pub fn new(inputs: usize, hidden_size: usize, bias: bool, init: &mut Init) -> Self {
        GruCell { weights: weights("gru_cell", [3, inputs, hidden_size], bias, init) }
    }

    /// The state `[B, H]` after an input `[B, I]`.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn step(&self, x: &Tensor, hidden: &Tensor) -> Tensor {
        let inputs = self.weights.input_part(x, &Compute::full());
        self.weights.gru_step(&inputs, hidden, &Compute::full())
    }
}

macro_rules! module_of_cell {
    ($($cell:ty),*) => {
        $(impl Module for $cell {
            fn visit<'a>(
                &'a self,
                path: &mut Path,
                visitor: &mut dyn FnMut(&str, &'a Parameter),
            ) {
                self.weights.visit("", path, visitor);
            }

            fn visit_mut(
                &mut self,
                path: &mut Path,
                visitor: &mut dyn FnMut(&str, &mut Parameter),
            ) {
                self.weights.visit_mut("", path, visitor);
            }
        }

        impl Tensors for $cell {
            fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
                crate::derive_support::for_each_tensor(self, visit);
            }
        })*
    };
}

module_of_cell!(RnnCell, LstmCell, GruCell);
