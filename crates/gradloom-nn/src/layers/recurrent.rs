//! What recurrent layers share: weights under PyTorch's names, and the walk over layers, directions
//! and steps.
//!
//! Letters: B batch, T steps, I inputs, H hidden size, G gates (4 for LSTM, 3 for GRU).

use crate::layers::linear::project;
use crate::layers::{Dropout, Layer};
use crate::{Context, Init, Parameter, Path};
use gradloom_tensor::Tensor;

/// Options of a recurrent layer; the default is one layer, one direction, with biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecurrentOptions {
    /// Layers on top of each other.
    pub layers: usize,
    /// Also from the end to the start; the outputs of both directions stand side by side.
    pub bidirectional: bool,
    /// Whether there are biases.
    pub bias: bool,
    /// Probability of leaving out elements between layers in training.
    pub dropout: f64,
}

impl Default for RecurrentOptions {
    fn default() -> Self {
        RecurrentOptions { layers: 1, bidirectional: false, bias: true, dropout: 0.0 }
    }
}

impl RecurrentOptions {
    /// Sets the number of layers.
    #[must_use]
    pub fn layers(self, layers: usize) -> Self {
        RecurrentOptions { layers, ..self }
    }

    /// Sets whether there is a second direction.
    #[must_use]
    pub fn bidirectional(self, bidirectional: bool) -> Self {
        RecurrentOptions { bidirectional, ..self }
    }

    /// Sets whether there are biases.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        RecurrentOptions { bias, ..self }
    }

    /// Sets the dropout between layers.
    #[must_use]
    pub fn dropout(self, dropout: f64) -> Self {
        RecurrentOptions { dropout, ..self }
    }

    fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }
}

/// The weights of one layer in one direction.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// `[G H, I]`
    weight_ih: Parameter,
    /// `[G H, H]`
    weight_hh: Parameter,
    /// `[G H]` each.
    bias: Option<[Parameter; 2]>,
}

impl Cell {
    /// `h W_hh^T`: what the state adds to the gates, `[B, G H]`, without its bias.
    #[track_caller]
    pub(super) fn hidden_part(&self, hidden: &Tensor) -> Tensor {
        hidden.matmul(&self.weight_hh.t())
    }

    /// The bias of the state's part, if there are biases.
    pub(super) fn hidden_bias(&self) -> Option<&Tensor> {
        self.bias.as_ref().map(|[_, hidden]| hidden.tensor())
    }

    /// `x W_ih^T + b_ih` of all steps in one product: `[B, T, I] -> [B, T, G H]`.
    #[track_caller]
    pub(super) fn input_part(&self, x: &Tensor) -> Tensor {
        project(x, &self.weight_ih, self.bias.as_ref().map(|[input, _]| input.tensor()))
    }
}

/// The weights of all layers and directions.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// Layer by layer, forward before backward.
    cells: Vec<Cell>,
    options: RecurrentOptions,
    pub(super) hidden_size: usize,
}

impl Stack {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(H)`.
    #[track_caller]
    pub(super) fn new(
        gates: usize,
        inputs: usize,
        hidden_size: usize,
        options: RecurrentOptions,
        init: &mut Init,
    ) -> Self {
        assert!(options.layers > 0 && hidden_size > 0, "recurrent: no layers or no hidden units");
        let bound = 1.0 / (hidden_size as f64).sqrt();
        let (rows, directions) = (gates * hidden_size, options.directions());
        let mut cells = Vec::new();
        for layer in 0..options.layers {
            let inputs = if layer == 0 { inputs } else { directions * hidden_size };
            for _ in 0..directions {
                let weight_ih = init.uniform([rows, inputs], bound);
                let weight_hh = init.uniform([rows, hidden_size], bound);
                let bias =
                    options.bias.then(|| [init.uniform(rows, bound), init.uniform(rows, bound)]);
                cells.push(Cell { weight_ih, weight_hh, bias });
            }
        }
        Stack { cells, options, hidden_size }
    }

    /// Runs `step` over all layers, directions and steps of `[B, T, I]`. `step` takes a cell, the
    /// gates' part from the inputs `[B, G H]` and the state, and gives the next state, whose first
    /// tensor `[B, H]` is the output.
    ///
    /// Returns the outputs `[B, T, directions * H]` and the last state of each cell.
    #[track_caller]
    pub(super) fn run<const N: usize>(
        &self,
        x: &Tensor,
        states: Vec<[Tensor; N]>,
        ctx: &mut Context,
        step: impl Fn(&Cell, &Tensor, &[Tensor; N]) -> [Tensor; N],
    ) -> (Tensor, Vec<[Tensor; N]>) {
        assert!(
            x.rank() == 3 && x.size(1) > 0,
            "recurrent: needs [B, T, I] with at least one step, got shape {}",
            x.shape()
        );
        let (steps, directions) = (x.size(1), self.options.directions());
        let mut layer_input = x.clone();
        let mut last = Vec::with_capacity(self.cells.len());
        let mut states = states.into_iter();
        for (layer, cells) in self.cells.chunks(directions).enumerate() {
            if layer > 0 {
                layer_input = Dropout::new(self.options.dropout).forward(&layer_input, ctx);
            }
            let mut sides = Vec::with_capacity(directions);
            for (direction, (cell, mut state)) in cells.iter().zip(&mut states).enumerate() {
                let inputs = cell.input_part(&layer_input);
                let mut outputs = Vec::with_capacity(steps);
                for time in 0..steps {
                    let time = if direction == 0 { time } else { steps - 1 - time };
                    state = step(cell, &inputs.index(1, time as isize), &state);
                    outputs.push(state[0].clone());
                }
                if direction == 1 {
                    outputs.reverse();
                }
                sides.push(Tensor::stack(&outputs, 1));
                last.push(state);
            }
            layer_input = Tensor::concat(&sides, -1);
        }
        (layer_input, last)
    }

    pub(super) fn visit<'a>(
        &'a self,
        path: &mut Path,
        visitor: &mut dyn FnMut(&str, &'a Parameter),
    ) {
        for (index, cell) in self.cells.iter().enumerate() {
            let suffix = self.suffix(index);
            let mut call = |name: &str, parameter: &'a Parameter| {
                path.within(&format!("{name}{suffix}"), |path| visitor(path.as_str(), parameter));
            };
            call("weight_ih", &cell.weight_ih);
            call("weight_hh", &cell.weight_hh);
            if let Some([input, hidden]) = &cell.bias {
                call("bias_ih", input);
                call("bias_hh", hidden);
            }
        }
    }

    pub(super) fn visit_mut(
        &mut self,
        path: &mut Path,
        visitor: &mut dyn FnMut(&str, &mut Parameter),
    ) {
        for index in 0..self.cells.len() {
            let suffix = self.suffix(index);
            let cell = &mut self.cells[index];
            let mut call = |name: &str, parameter: &mut Parameter| {
                path.within(&format!("{name}{suffix}"), |path| visitor(path.as_str(), parameter));
            };
            call("weight_ih", &mut cell.weight_ih);
            call("weight_hh", &mut cell.weight_hh);
            if let Some([input, hidden]) = &mut cell.bias {
                call("bias_ih", input);
                call("bias_hh", hidden);
            }
        }
    }

    /// `_l0`, `_l0_reverse`, `_l1`...
    fn suffix(&self, index: usize) -> String {
        let directions = self.options.directions();
        let reverse = if index % directions == 1 { "_reverse" } else { "" };
        format!("_l{}{reverse}", index / directions)
    }

    /// One state tensor `[cells, B, H]` per cell, zeros if there is none.
    #[track_caller]
    pub(super) fn split_state(&self, state: Option<&Tensor>, x: &Tensor) -> Vec<Tensor> {
        let shape = [self.cells.len(), x.size(0), self.hidden_size];
        match state {
            Some(state) => {
                assert!(
                    state.shape() == &shape[..],
                    "recurrent: a state of shape {}, expected {shape:?}",
                    state.shape()
                );
                (0..self.cells.len()).map(|cell| state.index(0, cell as isize)).collect()
            }
            None => {
                let zeros = Tensor::zeros([shape[1], shape[2]], x.dtype(), x.device());
                vec![zeros; self.cells.len()]
            }
        }
    }
}

/// `Module` and `Tensors` of a layer with a field `stack`.
macro_rules! module_of_stack {
    ($layer:ty) => {
        impl crate::Module for $layer {
            fn visit<'a>(
                &'a self,
                path: &mut crate::Path,
                visitor: &mut dyn FnMut(&str, &'a crate::Parameter),
            ) {
                self.stack.visit(path, visitor);
            }

            fn visit_mut(
                &mut self,
                path: &mut crate::Path,
                visitor: &mut dyn FnMut(&str, &mut crate::Parameter),
            ) {
                self.stack.visit_mut(path, visitor);
            }
        }

        impl gradloom_tensor::Tensors for $layer {
            fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut gradloom_tensor::Tensor)) {
                crate::derive_support::for_each_tensor(self, visit);
            }
        }
    };
}

pub(super) use module_of_stack;
