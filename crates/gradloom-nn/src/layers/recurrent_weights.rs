//! The weights of one recurrent cell, and the formulas of a step that layers and cells share.
//!
//! Letters: B batch, I inputs, H hidden size, P projected size, G gates (4 for LSTM, 3 for GRU, 1 for
//! RNN).

use crate::layers::linear::project;
use crate::{Compute, Init, Parameter, Path};
use gradloom_tensor::Tensor;

/// The weights of one layer in one direction, or of a cell.
#[derive(Clone, Debug)]
pub(super) struct RecurrentWeights {
    /// `[G H, I]`
    weight_ih: Parameter,
    /// `[G H, P]`
    weight_hh: Parameter,
    /// `[G H]` each.
    bias: Option<[Parameter; 2]>,
    /// `[P, H]`
    weight_hr: Option<Parameter>,
}

impl RecurrentWeights {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(H)`. Sizes are gates, inputs and hidden size.
    #[track_caller]
    pub(super) fn new(
        [gates, inputs, hidden_size]: [usize; 3],
        bias: bool,
        projection: Option<usize>,
        init: &mut Init,
    ) -> Self {
        let bound = 1.0 / (hidden_size as f64).sqrt();
        let rows = gates * hidden_size;
        let projected = projection.unwrap_or(hidden_size);
        let weight_ih = init.uniform([rows, inputs], bound);
        let weight_hh = init.uniform([rows, projected], bound);
        let bias = bias.then(|| [init.uniform(rows, bound), init.uniform(rows, bound)]);
        let weight_hr = projection.map(|size| init.uniform([size, hidden_size], bound));
        RecurrentWeights { weight_ih, weight_hh, bias, weight_hr }
    }

    /// `x W_ih^T + b_ih`: what inputs `[.., I]` add to the gates, `[.., G H]`.
    #[track_caller]
    pub(super) fn input_part(&self, x: &Tensor, compute: &Compute) -> Tensor {
        let bias = self.bias.as_ref().map(|[input, _]| input.tensor());
        project(x, &self.weight_ih, bias, compute)
    }

    /// As [`input_part`](Self::input_part), with the bias of the state's part too.
    #[track_caller]
    pub(super) fn input_part_with_biases(&self, x: &Tensor, compute: &Compute) -> Tensor {
        let bias = self.bias.as_ref();
        let both = bias.map(|[input, hidden]| (input.wide() + hidden.wide()).cast(input.dtype()));
        project(x, &self.weight_ih, both.as_ref(), compute)
    }

    /// `h W_hh^T`: what the state adds to the gates, `[B, G H]`, without its bias.
    #[track_caller]
    fn hidden_part(&self, hidden: &Tensor, compute: &Compute) -> Tensor {
        project(hidden, &self.weight_hh, None, compute)
    }

    /// `h' = activation(inputs + h W_hh^T)`; the inputs have both biases.
    #[track_caller]
    pub(super) fn rnn_step(
        &self,
        inputs: &Tensor,
        hidden: &Tensor,
        activation: impl Fn(&Tensor) -> Tensor,
        compute: &Compute,
    ) -> Tensor {
        let gates = inputs.wide() + self.hidden_part(hidden, compute).wide();
        activation(&gates).cast(inputs.dtype())
    }

    /// A step of an LSTM from `[h, c]`; the inputs have both biases.
    #[track_caller]
    pub(super) fn lstm_step(
        &self,
        inputs: &Tensor,
        [hidden, memory]: &[Tensor; 2],
        compute: &Compute,
    ) -> [Tensor; 2] {
        let dtype = inputs.dtype();
        let gates = inputs.wide() + self.hidden_part(hidden, compute).wide();
        let size = gates.size(-1) / 4;
        let gate = |index: usize| gates.narrow(-1, index * size, size);
        let kept = gate(1).sigmoid() * memory.wide();
        let memory = kept + gate(0).sigmoid() * gate(2).tanh();
        let hidden = (gate(3).sigmoid() * memory.tanh()).cast(dtype);
        let hidden = match &self.weight_hr {
            Some(weight) => project(&hidden, weight, None, compute),
            None => hidden,
        };
        [hidden, memory.cast(dtype)]
    }

    /// A step of a GRU; the inputs have only their own bias.
    #[track_caller]
    pub(super) fn gru_step(&self, inputs: &Tensor, hidden: &Tensor, compute: &Compute) -> Tensor {
        let dtype = inputs.dtype();
        let mut recurrent = self.hidden_part(hidden, compute).wide();
        if let Some([_, bias]) = &self.bias {
            recurrent = recurrent + bias.wide();
        }
        let (inputs, hidden) = (&inputs.wide(), &hidden.wide());
        let size = inputs.size(-1) / 3;
        let part = |gates: &Tensor, index: usize| gates.narrow(-1, index * size, size);
        let reset = (part(inputs, 0) + part(&recurrent, 0)).sigmoid();
        let update = (part(inputs, 1) + part(&recurrent, 1)).sigmoid();
        let new = (part(inputs, 2) + reset * part(&recurrent, 2)).tanh();
        (&new + update * (hidden - &new)).cast(dtype)
    }

    /// Visits the weights under PyTorch's names with a suffix.
    pub(super) fn visit<'a>(
        &'a self,
        suffix: &str,
        path: &mut Path,
        visitor: &mut dyn FnMut(&str, &'a Parameter),
    ) {
        let mut call = |name: &str, parameter: &'a Parameter| {
            path.within(&format!("{name}{suffix}"), |path| visitor(path.as_str(), parameter));
        };
        call("weight_ih", &self.weight_ih);
        call("weight_hh", &self.weight_hh);
        if let Some([input, hidden]) = &self.bias {
            call("bias_ih", input);
            call("bias_hh", hidden);
        }
        if let Some(weight) = &self.weight_hr {
            call("weight_hr", weight);
        }
    }

    /// As [`visit`](Self::visit), to change them.
    pub(super) fn visit_mut(
        &mut self,
        suffix: &str,
        path: &mut Path,
        visitor: &mut dyn FnMut(&str, &mut Parameter),
    ) {
        let mut call = |name: &str, parameter: &mut Parameter| {
            path.within(&format!("{name}{suffix}"), |path| visitor(path.as_str(), parameter));
        };
        call("weight_ih", &mut self.weight_ih);
        call("weight_hh", &mut self.weight_hh);
        if let Some([input, hidden]) = &mut self.bias {
            call("bias_ih", input);
            call("bias_hh", hidden);
        }
        if let Some(weight) = &mut self.weight_hr {
            call("weight_hr", weight);
        }
    }
}
