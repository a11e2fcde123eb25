//! What the derivative of a loop reads of the forward steps ([`Residuals`]), and sums over all steps
//! that are one op on values of all steps ([`Terms`], [`Stacker`]).
//!
//! Letters: T steps; a product of a step is `[b.., I, B] x [b.., B, J]`.

use std::sync::Arc;

use gradloom_tensor::op::{Binary, Loop, LoopOutput, Reduction, Unary};
use gradloom_tensor::{Op, RANK_MAX, Shape, Survey, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

/// The operands of a node, also of one that is detached.
fn operands(node: &Tensor) -> Vec<Tensor> {
    match node.op() {
        Op::Detach(source) => source.source().into_iter().collect(),
        _ => node.inputs().to_vec(),
    }
}

/// The values of forward steps that backward steps read.
pub(crate) struct Residuals<'a> {
    body: &'a Arc<Loop>,
    /// Operands of the forward loop.
    operands: &'a [Tensor],
    /// The first node of the derivative.
    first: u64,
    survey: Survey,
}

impl<'a> Residuals<'a> {
    pub(crate) fn new(body: &'a Arc<Loop>, operands: &'a [Tensor], first: u64) -> Residuals<'a> {
        Residuals { body, operands, first, survey: body.survey() }
    }

    /// What stands for each value that the roots are made from, and its sequence.
    pub(crate) fn collect(&mut self, roots: &[Tensor]) -> Vec<(Tensor, Tensor)> {
        let (carries, slices) = (self.body.carries().len(), self.body.slices().len());
        let sequences = self.operands[carries..carries + slices].iter().cloned();
        let given: FxHashMap<u64, Tensor> =
            self.body.slices().iter().map(Tensor::id).zip(sequences).collect();
        let own: FxHashSet<u64> = self.body.carries().iter().map(Tensor::id).collect();
        let mut found = Vec::new();
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        let mut stack = roots.to_vec();
        while let Some(node) = stack.pop() {
            if !seen.insert(node.id()) || node.id() == self.body.index().id() {
                continue;
            }
            if let Some(sequence) = given.get(&node.id()) {
                found.push((node, sequence.clone()));
            } else if own.contains(&node.id()) || self.is_kept(&node) {
                let output = LoopOutput::Stacked(node.clone());
                let inputs = &self.operands[..carries + slices];
                found.push((node, Tensor::loop_result(self.body, inputs, output)));
            } else if node.id() >= self.body.first() {
                stack.extend(operands(&node));
            }
        }
        found
    }

    /// True if a node's values are kept from the forward steps. Views, conversions to wider types and
    /// what the derivative has made are made again from what is below them; but not loops.
    fn is_kept(&mut self, node: &Tensor) -> bool {
        let looped = matches!(node.op(), Op::Loop(_));
        let again = match node.op() {
            Op::Cast => node.inputs()[0].dtype().size() <= node.dtype().size(),
            op => op.is_view(),
        };
        !self.body.recompute()
            && !again
            && (node.id() < self.first || looped)
            && self.survey.offers(node)
    }
}

/// A term of a sum over all steps: linear ops on a node of the body.
struct Term {
    /// The ops, the last one first.
    path: Vec<Tensor>,
    negative: bool,
    base: Tensor,
}

/// The sum over all steps of what a step owes to a captured value.
#[derive(Default)]
pub(crate) struct Terms {
    /// Those that are computed at once for all steps.
    at_once: Vec<Term>,
    /// What is added at each step.
    pub(crate) added: Option<Tensor>,
}

/// Divides gradients of captured values into terms. `asked` are nodes that are stacked anyway; those that
/// are stacked for terms are added.
pub(crate) fn divide(
    gradients: &[Option<Tensor>],
    recompute: bool,
    asked: &mut Vec<Tensor>,
) -> Vec<Terms> {
    if recompute {
        let whole =
            |gradient: &Option<Tensor>| Terms { added: gradient.clone(), ..Terms::default() };
        return gradients.iter().map(whole).collect();
    }
    let mut stacked: FxHashSet<u64> = asked.iter().map(|node| base(node).id()).collect();
    let all: Vec<Vec<Term>> =
        gradients.iter().map(|gradient| gradient.as_ref().map_or_else(Vec::new, of_sum)).collect();
    for term in all.iter().flatten().filter(|term| is_product(&term.base)) {
        for operand in term.base.inputs() {
            if stacked.insert(base(operand).id()) {
                asked.push(base(operand));
            }
        }
    }
    // A sum over axes of a step is one over all steps where its operand is stacked anyway.
    let at_once = |term: &Term| {
        let operand = || &term.base.inputs()[0];
        is_product(&term.base)
            || (matches!(term.base.op(), Op::Reduce(Reduction::Sum, _))
                && stacked.contains(&base(operand()).id())
                && can_stack(operand()))
    };
    all.into_iter()
        .map(|terms| {
            let (at_once, others): (Vec<Term>, Vec<Term>) = terms.into_iter().partition(at_once);
            let others = others.iter().map(|term| term.apply(term.base.clone()));
            Terms { at_once, added: others.reduce(|sum, term| &sum + &term) }
        })
        .collect()
}

/// The terms of a gradient.
fn of_sum(gradient: &Tensor) -> Vec<Term> {
    let mut terms = Vec::new();
    let first = Term { path: Vec::new(), negative: false, base: gradient.clone() };
    let mut stack = vec![first];
    while let Some(mut term) = stack.pop() {
        let inputs = term.base.inputs().to_vec();
        match term.base.op() {
            Op::Binary(binary @ (Binary::Add | Binary::Sub)) => {
                let negative = term.negative != (*binary == Binary::Sub);
                let second = Term { path: term.path.clone(), negative, base: inputs[1].clone() };
                stack.push(second);
                term.base = inputs[0].clone();
                stack.push(term);
            }
            Op::Unary(Unary::Neg) => {
                term.negative = !term.negative;
                term.base = inputs[0].clone();
                stack.push(term);
            }
            Op::Cast if inputs[0].dtype().is_float() => {
                let node = std::mem::replace(&mut term.base, inputs[0].clone());
                term.path.push(node);
                stack.push(term);
            }
            op if op.is_view() => {
                let node = std::mem::replace(&mut term.base, inputs[0].clone());
                term.path.push(node);
                stack.push(term);
            }
            _ => terms.push(term),
        }
    }
    terms.reverse();
    terms
}

impl Term {
    /// The term's ops on a value of the shape of its base.
    fn apply(&self, value: Tensor) -> Tensor {
        let mut value = if self.negative { -&value } else { value };
        for node in self.path.iter().rev() {
            let (shape, dtype) = (*node.shape(), node.dtype());
            value = Tensor::from_op(node.op().clone(), vec![value], shape, dtype, node.device());
        }
        value
    }
}

/// True for products of which the sum over all steps is one product.
fn is_product(node: &Tensor) -> bool {
    let bilinear =
        matches!(node.op(), Op::Matmul | Op::ScatterAdd { .. } | Op::ConvolutionWeight(..));
    bilinear && node.inputs().iter().all(can_stack)
}

/// The node below views.
fn base(node: &Tensor) -> Tensor {
    let mut node = node;
    while node.op().is_view() && node.value().is_none() {
        node = &node.inputs()[0];
    }
    node.clone()
}

/// True if there is an axis left for the steps, also below views.
fn can_stack(node: &Tensor) -> bool {
    let mut node = node;
    while node.op().is_view() && node.value().is_none() && node.rank() < RANK_MAX {
        node = &node.inputs()[0];
    }
    node.rank() < RANK_MAX
}

/// Values of a loop at all steps, `[T, ..]`.
pub(crate) struct Stacker<'a> {
    body: &'a Arc<Loop>,
    /// Inits and sequences.
    operands: &'a [Tensor],
    survey: Survey,
}

impl<'a> Stacker<'a> {
    pub(crate) fn new(body: &'a Arc<Loop>, operands: &'a [Tensor]) -> Stacker<'a> {
        Stacker { body, operands, survey: body.survey() }
    }

    /// A node at all steps; views are views of the whole.
    pub(crate) fn stack(&mut self, node: &Tensor) -> Tensor {
        let mut path = Vec::new();
        let mut below = node;
        while below.op().is_view() && below.value().is_none() && below.rank() < RANK_MAX {
            path.push(below);
            below = &below.inputs()[0];
        }
        let mut value = self.stack_base(below);
        for view in path.into_iter().rev() {
            value = shifted(view, &value);
        }
        value
    }

    fn stack_base(&mut self, node: &Tensor) -> Tensor {
        let steps = self.body.length();
        let carries = self.body.carries().len();
        let shape: Option<Shape> = (node.rank() < RANK_MAX)
            .then(|| std::iter::once(steps).chain(node.shape().iter().copied()).collect());
        let own = self.body.slices().iter().position(|slice| slice.id() == node.id());
        match (own, shape) {
            (Some(slice), shape) => {
                let sequence = &self.operands[carries + slice];
                shape.map_or_else(|| sequence.clone(), |shape| sequence.reshape(shape))
            }
            (None, Some(shape)) if !self.survey.varies(node) => node.broadcast_to(shape),
            _ => {
                let output = LoopOutput::Stacked(node.clone());
                Tensor::loop_result(self.body, self.operands, output)
            }
        }
    }

    /// The sum over all steps of the terms that are computed at once.
    pub(crate) fn total(&mut self, terms: &Terms) -> Option<Tensor> {
        let each = terms.at_once.iter().map(|term| {
            let total = match term.base.op() {
                Op::Reduce(..) => self.sum(&term.base),
                _ => self.product(&term.base),
            };
            term.apply(total)
        });
        each.reduce(|sum, term| &sum + &term)
    }

    /// The sum of sums over axes.
    fn sum(&mut self, node: &Tensor) -> Tensor {
        let operand = &node.inputs()[0];
        let reduced = |&axis: &usize| operand.shape()[axis] != node.shape()[axis];
        let axes = (0..operand.rank()).filter(reduced).map(|axis| axis as isize + 1);
        let axes: Vec<isize> = std::iter::once(0).chain(axes).collect();
        self.stack(operand).sum_keepdim(&axes[..]).reshape(*node.shape())
    }

    /// The sum of products, as one product whose inner axis runs over all steps.
    fn product(&mut self, node: &Tensor) -> Tensor {
        let [lhs, rhs] = [&node.inputs()[0], &node.inputs()[1]];
        // Before which axis the steps go, in each operand.
        let at = match node.op() {
            Op::Matmul => [lhs.rank() - 1, rhs.rank() - 2],
            Op::ScatterAdd { axis } => [*axis; 2],
            _ => [0; 2],
        };
        let inputs = vec![self.stack_along(lhs, at[0]), self.stack_along(rhs, at[1])];
        Tensor::from_op(node.op().clone(), inputs, *node.shape(), node.dtype(), node.device())
    }

    /// A node of all steps, one after another along an axis.
    fn stack_along(&mut self, node: &Tensor, axis: usize) -> Tensor {
        let stacked = self.stack(node);
        let mut order: Vec<isize> = (1..stacked.rank() as isize).collect();
        order.insert(axis, 0);
        let length = self.body.length() * node.shape()[axis];
        stacked.permute(&order[..]).reshape(node.shape().with(axis, length))
    }
}

/// A view of a step as one of all steps.
fn shifted(view: &Tensor, value: &Tensor) -> Tensor {
    let steps = value.shape()[0];
    let shape: Shape = std::iter::once(steps).chain(view.shape().iter().copied()).collect();
    let behind = |sizes: &[usize; RANK_MAX], first: usize| {
        let mut shifted = [first; RANK_MAX];
        shifted[1..].copy_from_slice(&sizes[..RANK_MAX - 1]);
        shifted
    };
    let op = match view.op() {
        Op::Permute(permutation) => {
            let order = permutation.iter().map(|axis| axis as isize + 1);
            let order: Vec<isize> = std::iter::once(0).chain(order).collect();
            return value.permute(&order[..]);
        }
        Op::Flip(axes) => {
            let axes: Vec<isize> = axes.iter().map(|axis| axis as isize + 1).collect();
            return value.flip(&axes[..]);
        }
        Op::Expand => return value.broadcast_to(shape),
        Op::Slice { starts, steps } => {
            Op::Slice { starts: behind(starts, 0), steps: behind(steps, 1) }
        }
        Op::Pad { before } => Op::Pad { before: behind(before, 0) },
        _ => return value.reshape(shape),
    };
    Tensor::from_op(op, vec![value.clone()], shape, value.dtype(), value.device())
}
