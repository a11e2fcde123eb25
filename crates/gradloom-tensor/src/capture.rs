//! From what a body has computed to a [`Loop`]: which nodes vary from step to step, and which values from
//! outside the others come to.
//!
//! What does not depend on a parameter is computed once, outside of the loop. Only constants and views
//! that the body has made are made inside, where they cost nothing. A node that was there before is
//! captured as it is, because a derivative may be asked for by its number.

use std::collections::{HashMap, HashSet};

use crate::op::{Loop, Op};
use crate::{Tensor, shape_rules};

/// Loops inside of one another: planning and running them recurses as deep.
const DEPTH_MAX: usize = 32;

/// The parts of a loop that whoever traces it knows. [`Loop`] says what they are.
#[derive(Clone, Debug)]
pub struct LoopParts {
    /// See [`Loop::length`].
    pub length: usize,
    /// See [`Loop::reverse`].
    pub reverse: bool,
    /// See [`Loop::recompute`].
    pub recompute: bool,
    /// See [`Loop::index`].
    pub index: Tensor,
    /// See [`Loop::carries`].
    pub carries: Vec<Tensor>,
    /// See [`Loop::slices`].
    pub slices: Vec<Tensor>,
    /// See [`Loop::next`].
    pub next: Vec<Tensor>,
    /// See [`Loop::first`].
    pub first: u64,
}

impl LoopParts {
    /// The loop, with all values that its carries and `others` are made of captured: `others` are nodes
    /// that may be asked for as stacked results.
    ///
    /// # Panics
    /// If loops are nested too deep, or the body moves values that differ from step to step to another device.
    #[track_caller]
    pub fn close(self, others: &[Tensor]) -> Loop {
        let parameters = self.carries.iter().chain(&self.slices).chain([&self.index]);
        let mut walk = Walk::new(self.first, parameters);
        for root in self.next.iter().chain(others) {
            walk.visit(root);
        }
        for root in self.next.iter().chain(others) {
            if !walk.varies[&root.id()] {
                walk.capture(root);
            }
        }
        assert!(
            walk.depth < DEPTH_MAX,
            "scan: {} loops inside of one another, at most {DEPTH_MAX} are supported",
            walk.depth + 1
        );
        let Walk { captured, depth, .. } = walk;
        let LoopParts { length, reverse, recompute, index, carries, slices, next, first } = self;
        let depth = depth + 1;
        Loop { length, reverse, recompute, index, carries, slices, captured, next, first, depth }
    }
}

/// What nodes of graphs around a body are to it, for those who build loops from loops.
pub struct Survey {
    walk: Walk,
}

impl Loop {
    /// A survey of this loop.
    pub fn survey(&self) -> Survey {
        let parameters = self.carries.iter().chain(&self.slices).chain([&self.index]);
        let mut walk = Walk::new(self.first, parameters);
        walk.known = self.captured.iter().map(Tensor::id).collect();
        Survey { walk }
    }
}

impl Survey {
    /// True if a node differs from step to step.
    pub fn varies(&mut self, node: &Tensor) -> bool {
        self.walk.visit(node);
        self.walk.varies[&node.id()]
    }

    /// True if a node can be asked for as a stacked result: all that it reads of outside is captured.
    pub fn offers(&mut self, node: &Tensor) -> bool {
        self.varies(node) && !self.walk.reads_more.contains(&node.id())
    }
}

/// The operands that a node is made from, in a graph where nothing has a value.
pub(crate) fn operands(tensor: &Tensor) -> Vec<Tensor> {
    match tensor.op() {
        Op::Detach(source) => source.source().into_iter().collect(),
        _ => tensor.inputs().to_vec(),
    }
}

/// What is known of the nodes of a body.
struct Walk {
    first: u64,
    /// Whether a node differs from step to step.
    varies: HashMap<u64, bool>,
    captured: Vec<Tensor>,
    known: HashSet<u64>,
    /// Nodes that read a captured value which was not known at first.
    reads_more: HashSet<u64>,
    /// The deepest loop inside.
    depth: usize,
}

impl Walk {
    fn new<'a>(first: u64, parameters: impl Iterator<Item = &'a Tensor>) -> Walk {
        Walk {
            first,
            varies: parameters.map(|parameter| (parameter.id(), true)).collect(),
            captured: Vec::new(),
            known: HashSet::new(),
            reads_more: HashSet::new(),
            depth: 0,
        }
    }

    /// Finds out about a node and all that it is made of.
    fn visit(&mut self, root: &Tensor) {
        let mut stack = vec![(root.clone(), false)];
        while let Some((tensor, ready)) = stack.pop() {
            if self.varies.contains_key(&tensor.id()) {
                continue;
            }
            if tensor.id() < self.first {
                self.varies.insert(tensor.id(), false);
                continue;
            }
            let operands = operands(&tensor);
            if !ready {
                stack.push((tensor, false));
                let last = stack.len() - 1;
                stack[last].1 = true;
                stack.extend(operands.into_iter().map(|operand| (operand, false)));
                continue;
            }
            let drawn = matches!(tensor.op(), Op::Random { .. });
            let varies = drawn || operands.iter().any(|operand| self.varies[&operand.id()]);
            self.varies.insert(tensor.id(), varies);
            if varies {
                if let Op::Loop(result) = tensor.op() {
                    self.depth = self.depth.max(result.body.depth());
                }
                assert!(
                    !matches!(tensor.op(), Op::Transfer),
                    "scan: the body moves a value of the step to {} (at {}); a loop runs on one device, so \
                     move what it is made of before the loop, or its results after it",
                    tensor.device().name(),
                    tensor.location()
                );
                for operand in &operands {
                    let more = match self.varies[&operand.id()] {
                        true => self.reads_more.contains(&operand.id()),
                        false => self.capture(operand),
                    };
                    if more {
                        self.reads_more.insert(tensor.id());
                    }
                }
            }
        }
    }

    /// Captures a value that does not vary, or what it is a view of. True if some of that is new, or was
    /// when it was first met.
    fn capture(&mut self, value: &Tensor) -> bool {
        let mut new = false;
        let mut stack = vec![value.clone()];
        while let Some(value) = stack.pop() {
            match value.id() >= self.first && is_made_inside(&value) {
                true => stack.extend(value.inputs().iter().cloned()),
                false => {
                    if self.known.insert(value.id()) {
                        self.captured.push(value.clone());
                    }
                    new |= self.captured.iter().any(|other| other.id() == value.id());
                }
            }
        }
        new
    }
}

/// True for what costs nothing to make at every step: constants, strides over something in memory, and
/// several quantized matrices in one, whose blocks are what products read.
fn is_made_inside(value: &Tensor) -> bool {
    if value.value().is_some() {
        return false;
    }
    match value.op() {
        Op::Constant(_) | Op::Argument(_) | Op::Iota { .. } => true,
        Op::Permute(_) | Op::Expand | Op::Slice { .. } | Op::Flip(_) => true,
        // A reshape of other views may need a copy, which is made once.
        Op::Reshape => {
            let operand = &value.inputs()[0];
            !operand.op().is_view() || operand.value().is_some()
        }
        Op::Concat { axis: 0 } => value.inputs().iter().all(Tensor::is_quantized),
        _ => false,
    }
}

/// The shape of a node's values at all steps.
///
/// # Panics
/// If they have too many elements.
#[track_caller]
pub(crate) fn stacked_shape(length: usize, node: &Tensor) -> crate::Shape {
    use crate::error::OrFail;
    let shape = node.shape();
    let stacked = match shape.rank() < crate::RANK_MAX {
        true => std::iter::once(length).chain(shape.iter().copied()).collect(),
        false => crate::Shape::new(&[length, shape.count()]),
    };
    shape_rules::addressable("scan", &stacked).or_fail();
    stacked
}
