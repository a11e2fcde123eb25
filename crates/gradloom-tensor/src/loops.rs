//! [`Loop`]: the body of a loop as a graph with parameters, and [`LoopResult`], one of its results.
//!
//! A body is an ordinary graph that is cut at its parameters. They are found by their number
//! ([`Tensor::id`]), and whatever they are made of is not looked at: parameters are placeholders, nodes
//! outside of the body that it has captured, or, in the loops of derivatives, nodes of another body.
//! How a body is traced stands in `ops/scan.rs`.

use std::sync::Arc;

use crate::Tensor;

/// The body of a loop: what one step computes.
///
/// The operands of all results of a loop are its inits, sequences and captured values, in the order of
/// [`Loop::parameters`]. Steps are numbered by their place in the sequences: a reversed loop begins with
/// the last number.
#[derive(Debug)]
pub struct Loop {
    pub(crate) length: usize,
    pub(crate) reverse: bool,
    pub(crate) recompute: bool,
    pub(crate) index: Tensor,
    pub(crate) carries: Vec<Tensor>,
    pub(crate) slices: Vec<Tensor>,
    pub(crate) captured: Vec<Tensor>,
    pub(crate) next: Vec<Tensor>,
    pub(crate) first: u64,
    pub(crate) depth: usize,
}

impl Loop {
    /// Number of steps, at least one.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether the last step of the sequences is the first that runs.
    pub fn reverse(&self) -> bool {
        self.reverse
    }

    /// Whether derivatives compute the body again instead of keeping its values.
    pub fn recompute(&self) -> bool {
        self.recompute
    }

    /// Stands for the step's number, `i32` of no axes.
    pub fn index(&self) -> &Tensor {
        &self.index
    }

    /// Stand for the carries before the step.
    pub fn carries(&self) -> &[Tensor] {
        &self.carries
    }

    /// Stand for the step's elements of each sequence: those of a sequence along its first axis.
    pub fn slices(&self) -> &[Tensor] {
        &self.slices
    }

    /// Nodes outside of the body whose values it reads, the same at every step.
    pub fn captured(&self) -> &[Tensor] {
        &self.captured
    }

    /// The carries after the step.
    pub fn next(&self) -> &[Tensor] {
        &self.next
    }

    /// What the operands of a result stand for, in their order: carries, slices, captured values.
    pub fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.carries.iter().chain(&self.slices).chain(&self.captured)
    }

    /// The least number ([`Tensor::id`]) that a node of the body may have. Random numbers of such nodes
    /// are drawn anew at each step, with the step's number folded into their key.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Loops one inside the other, this one counted.
    pub fn depth(&self) -> usize {
        self.depth
    }
}

/// One result of a loop. All results of the same operands are computed by the same steps.
#[derive(Clone, Debug)]
pub struct LoopResult {
    /// The loop.
    pub body: Arc<Loop>,
    /// Which of its values.
    pub output: LoopOutput,
}

/// A value that a loop leaves.
#[derive(Clone, Debug)]
pub enum LoopOutput {
    /// A carry after the last step, by its position.
    Carry(usize),
    /// A node of the body at every step, stacked along a new first axis in the order of the sequences.
    /// Of a node of the most axes there are, all elements of a step stand in the second axis.
    Stacked(Tensor),
}
