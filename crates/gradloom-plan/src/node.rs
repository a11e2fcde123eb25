//! [`Node`]: one node of the planner's graph, and the steps of index arithmetic between nodes.

use gradloom_tensor::op::{Axes, Permutation};
use gradloom_tensor::{BlockFormat, DType, Op, RANK_MAX, Shape};

use crate::factors::Factors;
use crate::view::View;

/// Longer chains of views are cut by a copy, so that following them stays cheap.
pub(crate) const STEPS_MAX: usize = 64;

/// One step of index arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Reshape(Shape),
    Permute(Permutation),
    Expand(Shape),
    Slice { starts: [usize; RANK_MAX], steps: [usize; RANK_MAX], shape: Shape },
    Pad { before: [usize; RANK_MAX], shape: Shape },
    Flip(Axes),
}

/// Applies steps to a view; `None` if strides cannot express a reshape.
pub(crate) fn follow(mut view: View, steps: &[Step]) -> Option<View> {
    for (position, step) in steps.iter().enumerate() {
        view = match step {
            // Only the last of several reshapes matters.
            Step::Reshape(_) if matches!(steps.get(position + 1), Some(Step::Reshape(_))) => view,
            Step::Reshape(shape) => view.reshape(*shape)?,
            Step::Permute(permutation) => view.permute(permutation),
            Step::Expand(shape) => view.expand(*shape),
            Step::Slice { starts, steps, shape } => view.slice(starts, steps, *shape),
            Step::Pad { before, shape } => view.pad(before, *shape),
            Step::Flip(axes) => view.flip(*axes),
        };
    }
    Some(view)
}

/// How a buffer of a shape is read through steps; `None` if strides cannot express it.
pub(crate) fn read(shape: Shape, steps: &[Step]) -> Option<View> {
    // Most reads change the shape at most.
    let in_order = steps.iter().all(|step| matches!(step, Step::Reshape(_)));
    match (in_order, steps.last()) {
        (true, Some(Step::Reshape(shape))) => Some(View::contiguous(*shape)),
        _ => follow(View::contiguous(shape), steps),
    }
}

/// How the planner treats a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A value that exists: input of the plan.
    Leaf(usize),
    /// Made from the index alone; computed where it is used.
    Generated,
    /// Computed element by element from operands of its own shape.
    Elementwise,
    /// A reduction over axes.
    Reduce,
    /// A kernel of its own kind.
    Structured,
    /// Index arithmetic on its base.
    View,
    /// The same value as its base.
    Alias,
    /// A view or an alias whose elements are moved: computed element by element from its operand, read
    /// through its own step.
    Copy,
}

impl Class {
    /// True for what is computed element by element, so that it may be computed again where it is used.
    pub(crate) fn is_elementwise(self) -> bool {
        matches!(self, Class::Elementwise | Class::Copy)
    }
}

/// What a node does with its operands that its op does not say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Claim {
    /// Its op, after these casts of its two operands; the inputs are their sources.
    Casts(Factors),
    /// A product with the transpose of matrices whose rows follow one another: operand, blocks.
    Product(Vec<(BlockFormat, usize)>),
    /// Rows of one matrix of this many: blocks, index.
    Rows(BlockFormat, usize),
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    /// See [`Claim`]; the inputs are then the claim's.
    pub(crate) claim: Option<Claim>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    pub(crate) class: Class,
    /// The node whose elements this one has; itself unless it is a view or an alias.
    pub(crate) base: usize,
    /// Steps from the base's shape to this node's.
    pub(crate) steps: Vec<Step>,
    /// Nodes that must be computed before this node's value is used.
    pub(crate) after: Vec<usize>,
    /// First argument of an argument or random node.
    pub(crate) argument: usize,
    /// Of a result of a loop the loop and its place in [`Looped::results`](crate::linear::Looped::results).
    pub(crate) result: Option<(usize, usize)>,
    /// True if the value is worth keeping for a later gradient.
    pub(crate) tracked: bool,
}

impl Node {
    /// Operands that a structured node reads from memory. An update that is written somewhere is
    /// computed on the way.
    pub(crate) fn stored_inputs(&self) -> impl Iterator<Item = &usize> {
        let computed = matches!(self.op, Op::Write { .. }).then_some(1);
        let inputs = self.inputs.iter().enumerate();
        inputs.filter(move |(position, _)| Some(*position) != computed).map(|(_, input)| input)
    }

    /// The step that a view makes from its operand; the identity for an alias.
    pub(crate) fn own_step(&self) -> Step {
        let shape = self.shape;
        match &self.op {
            Op::Permute(permutation) => Step::Permute(*permutation),
            Op::Expand => Step::Expand(shape),
            Op::Slice { starts, steps } => Step::Slice { starts: *starts, steps: *steps, shape },
            Op::Pad { before } => Step::Pad { before: *before, shape },
            Op::Flip(axes) => Step::Flip(*axes),
            _ => Step::Reshape(shape),
        }
    }

    /// The view that the value has of the indexes it is made from, for a generated node.
    pub(crate) fn index_view(&self) -> View {
        let mut view = View { shape: self.shape, strides: [0; RANK_MAX], offset: 0, mask: None };
        match &self.op {
            Op::Iota { axis } => view.strides[*axis] = isize::from(self.shape[*axis] != 1),
            Op::Random { .. } => view = View::contiguous(self.shape),
            _ => {}
        }
        view
    }
}
