//! What recurrent layers share: options, weights under PyTorch's names, and the walk over layers and
//! directions, each a loop over steps.
//!
//! Letters: B batch, T steps, I inputs, H hidden size, P projected size, G gates (4 for LSTM, 3 for GRU).

use crate::layers::recurrent_weights::RecurrentWeights;
use crate::layers::{Dropout, Layer};
use crate::{Compute, Context, Init, Parameter, Path};
use gradloom_tensor::{DType, Scan, Tensor};

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
    /// Whether inputs and outputs are `[B, T, ..]`; otherwise they are `[T, B, ..]`.
    pub batch_first: bool,
    /// Size that the outputs of an LSTM are projected to.
    pub projection: Option<usize>,
}

impl Default for RecurrentOptions {
    fn default() -> Self {
        RecurrentOptions {
            layers: 1,
            bidirectional: false,
            bias: true,
            dropout: 0.0,
            batch_first: true,
            projection: None,
        }
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

    /// Sets whether the batch is the first axis, as it is unless said otherwise; else it is the second.
    #[must_use]
    pub fn batch_first(self, batch_first: bool) -> Self {
        RecurrentOptions { batch_first, ..self }
    }

    /// Sets the size that the outputs of an LSTM are projected to, PyTorch's `proj_size`.
    #[must_use]
    pub fn projection(self, size: usize) -> Self {
        RecurrentOptions { projection: Some(size), ..self }
    }

    fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }
}

/// The weights of all layers and directions.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    /// Layer by layer, forward before backward.
    cells: Vec<RecurrentWeights>,
    options: RecurrentOptions,
    pub(super) hidden_size: usize,
}

/// What a recurrent layer runs over.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// `[B, T, I]`, or `[T, B, I]` if the batch is not first.
    pub(super) x: &'a Tensor,
    /// Steps of each sample, integers `[B]`.
    pub(super) lengths: Option<&'a Tensor>,
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
        let projected = options.projection.unwrap_or(hidden_size);
        assert!(
            projected > 0 && (options.projection.is_none() || projected < hidden_size),
            "recurrent: a projection to {projected} of {hidden_size} units; it makes them fewer"
        );
        let directions = options.directions();
        let mut cells = Vec::new();
        for layer in 0..options.layers {
            let inputs = if layer == 0 { inputs } else { directions * projected };
            for _ in 0..directions {
                let size = [gates, inputs, hidden_size];
                cells.push(RecurrentWeights::new(size, options.bias, options.projection, init));
            }
        }
        Stack { cells, options, hidden_size }
    }

    /// Size of an output in one direction.
    pub(super) fn output_size(&self) -> usize {
        self.options.projection.unwrap_or(self.hidden_size)
    }

    /// Runs `step` over all layers, directions and steps. `prepare` takes a cell and all its inputs
    /// `[T, B, I]` and gives what the inputs add to the gates, `[T, B, G H]`. `step` takes the cell, that
    /// of one step, and the state, and gives the next state, whose first tensor `[B, P]` is the output.
    ///
    /// Returns the outputs `[B, T, directions * P]` and the last state of each cell.
    #[track_caller]
    pub(super) fn run<const N: usize>(
        &self,
        input: Input<'_>,
        states: Vec<[Tensor; N]>,
        ctx: &mut Context,
        prepare: impl Fn(&RecurrentWeights, &Tensor, &Compute) -> Tensor,
        step: impl Fn(&RecurrentWeights, &Tensor, &[Tensor; N], &Compute) -> [Tensor; N],
    ) -> (Tensor, Vec<[Tensor; N]>) {
        let x = input.x;
        let steps_at = isize::from(self.options.batch_first);
        assert!(
            x.rank() == 3 && x.size(steps_at) > 0,
            "recurrent: needs [B, T, I] (or [T, B, I]) with at least one step, got shape {}",
            x.shape()
        );
        let (directions, compute) = (self.options.directions(), ctx.compute());
        let repeated = compute.clone().in_loop();
        let mut layer_input = if self.options.batch_first { x.transpose(0, 1) } else { x.clone() };
        if let Some(lengths) = input.lengths {
            layer_input = without_padding(&layer_input, lengths);
        }
        let mut last = Vec::with_capacity(self.cells.len());
        let mut states = states.into_iter();
        for (layer, cells) in self.cells.chunks(directions).enumerate() {
            if layer > 0 {
                layer_input = Dropout::new(self.options.dropout).forward(&layer_input, ctx);
            }
            let mut sides = Vec::with_capacity(directions);
            for (direction, (cell, state)) in cells.iter().zip(&mut states).enumerate() {
                let mut scan = Scan::default().reverse(direction == 1);
                if let Some(lengths) = input.lengths {
                    scan = scan.lengths(lengths);
                }
                let inputs = prepare(cell, &layer_input, &compute);
                let (state, outputs) = scan.run(state, inputs, |_, state, inputs| {
                    let next = step(cell, &inputs, &state, &repeated);
                    let output = next[0].clone();
                    (next, output)
                });
                sides.push(outputs);
                last.push(state);
            }
            layer_input = Tensor::concat(&sides, -1);
        }
        let outputs =
            if self.options.batch_first { layer_input.transpose(0, 1) } else { layer_input };
        (outputs, last)
    }

    /// As [`run`](Stack::run) where the output is all that a step remembers: from the state
    /// `[layers * directions, B, H]` to the one after the last step.
    #[track_caller]
    pub(super) fn run_single(
        &self,
        input: Input<'_>,
        state: Option<&Tensor>,
        ctx: &mut Context,
        prepare: impl Fn(&RecurrentWeights, &Tensor, &Compute) -> Tensor,
        step: impl Fn(&RecurrentWeights, &Tensor, &Tensor, &Compute) -> Tensor,
    ) -> (Tensor, Tensor) {
        let states = self.split_state(state, input, self.hidden_size);
        let states = states.into_iter().map(|state| [state]).collect();
        let step = |cell: &RecurrentWeights,
                    inputs: &Tensor,
                    [hidden]: &[Tensor; 1],
                    compute: &Compute| { [step(cell, inputs, hidden, compute)] };
        let (outputs, last) = self.run(input, states, ctx, prepare, step);
        let last: Vec<Tensor> = last.into_iter().map(|[hidden]| hidden).collect();
        (outputs, Tensor::stack(&last, 0))
    }

    pub(super) fn visit<'a>(
        &'a self,
        path: &mut Path,
        visitor: &mut dyn FnMut(&str, &'a Parameter),
    ) {
        for (index, cell) in self.cells.iter().enumerate() {
            cell.visit(&self.suffix(index), path, visitor);
        }
    }

    pub(super) fn visit_mut(
        &mut self,
        path: &mut Path,
        visitor: &mut dyn FnMut(&str, &mut Parameter),
    ) {
        for index in 0..self.cells.len() {
            let suffix = self.suffix(index);
            self.cells[index].visit_mut(&suffix, path, visitor);
        }
    }

    /// `_l0`, `_l0_reverse`, `_l1`...
    fn suffix(&self, index: usize) -> String {
        let directions = self.options.directions();
        let reverse = if index % directions == 1 { "_reverse" } else { "" };
        format!("_l{}{reverse}", index / directions)
    }

    /// One state tensor per cell of `[cells, B, size]`, zeros if there is none.
    #[track_caller]
    pub(super) fn split_state(
        &self,
        state: Option<&Tensor>,
        input: Input<'_>,
        size: usize,
    ) -> Vec<Tensor> {
        let x = input.x;
        let batch = x.size(isize::from(!self.options.batch_first));
        let shape = [self.cells.len(), batch, size];
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
                let zeros = Tensor::zeros([batch, size], x.dtype(), x.device());
                vec![zeros; self.cells.len()]
            }
        }
    }
}

/// Inputs `[T, B, I]` with zeros beyond the lengths, so that what stands there, a NaN even, has no
/// gradient.
#[track_caller]
fn without_padding(x: &Tensor, lengths: &Tensor) -> Tensor {
    assert!(
        lengths.shape()[..] == [x.size(1)] && lengths.dtype().is_int(),
        "recurrent: lengths are {} {}, expected integers [{}], one for each sample",
        lengths.dtype(),
        lengths.shape(),
        x.size(1)
    );
    let step = Tensor::iota([x.size(0), x.size(1)], 0, x.device());
    let inside = step.lt(lengths.cast(DType::I32)).unsqueeze(-1).broadcast_to(*x.shape());
    inside.select(x, x.zeros_like())
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
