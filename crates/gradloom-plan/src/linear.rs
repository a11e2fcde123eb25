//! [`Linear`]: the part of a graph that an evaluation needs, in topological order, with the words that
//! describe its structure. This runs at every evaluation, so it does little and allocates little.

use std::cell::Cell;

use gradloom_tensor::{Buffer, DType, Op, Retention, Scalar, State, Tensor};
use rustc_hash::FxHashMap;

use crate::words::Words;

/// First words of a node.
const LEAF: u64 = 0;
const COMPUTED: u64 = 1;

/// Ops in a row behind a node that are better kept than computed again and again.
const HISTORY_LONG: usize = 32;

/// Nodes and bytes of keys for which room is made at once.
const NODES_ROOM: usize = 16;
const KEY_ROOM: usize = 256;
/// Nodes beyond which a thread gives working memory back.
const SCRATCH_MAX: usize = 1 << 14;

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Working memory that a thread keeps from one evaluation to the next; empty between them.
#[derive(Default)]
struct Scratch {
    /// Position of a node by its id.
    index: FxHashMap<u64, u32>,
    /// Input of a memory by its address.
    storages: FxHashMap<usize, usize>,
    stack: Vec<Visit>,
}

impl Scratch {
    fn give_back(mut self) {
        if self.index.capacity() <= SCRATCH_MAX && self.stack.capacity() <= SCRATCH_MAX {
            self.index.clear();
            self.storages.clear();
            SCRATCH.set(self);
        }
    }
}

/// What is left to do for a node.
enum Visit {
    /// Find out what it is.
    Reach(Tensor),
    /// Write it down: its operands are there. A detached node has its value of the one with this id.
    Leave(Tensor, Option<u64>),
}

/// The operands whose values a node's value is made from.
fn operands(tensor: &Tensor) -> &[Tensor] {
    match tensor.op() {
        Op::Custom(_) => &tensor.inputs()[..1],
        _ => tensor.inputs(),
    }
}

/// A graph in topological order.
pub(crate) struct Linear {
    /// Nodes; operands come before their users.
    pub(crate) nodes: Vec<Tensor>,
    /// Operands of node `i`: `edges[starts[i]..starts[i + 1]]`.
    pub(crate) edges: Vec<u32>,
    pub(crate) starts: Vec<u32>,
    /// Position of each root in `nodes`, each once.
    pub(crate) roots: Vec<u32>,
    /// Values of the leaves, each memory once.
    pub(crate) inputs: Vec<Buffer>,
    /// For each node its input, if it is a leaf.
    pub(crate) input_of: Vec<Option<u32>>,
    /// Inputs whose memory nobody outside this graph holds.
    pub(crate) reusable: Vec<bool>,
    /// Values of the arguments.
    pub(crate) arguments: Vec<Scalar>,
    /// Dtypes of the arguments.
    pub(crate) argument_dtypes: Vec<DType>,
    /// The structure as words: equal words, equal plan.
    pub(crate) key: Words,
}

impl Linear {
    pub(crate) fn new(roots: &[Tensor], retention: Retention) -> Linear {
        let mut linear = Linear {
            nodes: Vec::with_capacity(NODES_ROOM),
            edges: Vec::with_capacity(NODES_ROOM),
            starts: Vec::with_capacity(NODES_ROOM),
            roots: Vec::new(),
            inputs: Vec::with_capacity(NODES_ROOM),
            input_of: Vec::with_capacity(NODES_ROOM),
            reusable: Vec::new(),
            arguments: Vec::new(),
            argument_dtypes: Vec::new(),
            key: Words::with_capacity(KEY_ROOM),
        };
        linear.starts.push(0);
        linear.key.push(retention as u64);
        let mut scratch = SCRATCH.take();
        let pending = || roots.iter().filter(|root| root.value().is_none());
        linear.visit(pending(), &mut scratch);
        let index = &scratch.index;
        linear.list_roots(pending().map(|root| index[&root.id()]));
        let kept = linear.kept_at_last();
        linear.list_roots(kept.into_iter());
        linear.reusable = match retention {
            Retention::Release => linear.find_reusable(roots, index),
            Retention::Keep => vec![false; linear.inputs.len()],
        };
        linear.key.extend(linear.reusable.iter().map(|&reusable| u64::from(reusable)));
        scratch.give_back();
        linear
    }

    /// Adds roots, each once.
    fn list_roots(&mut self, positions: impl Iterator<Item = u32>) {
        let mut listed = vec![false; self.nodes.len()];
        for &root in &self.roots {
            listed[root as usize] = true;
        }
        for position in positions {
            if !std::mem::replace(&mut listed[position as usize], true) {
                self.roots.push(position);
                self.key.push(u64::from(position));
            }
        }
    }

    /// Depth-first, without recursion: graphs of long sequences are deep. What a node is is decided at the
    /// first look, because other threads may give it a value meanwhile.
    fn visit<'a>(&mut self, roots: impl Iterator<Item = &'a Tensor>, scratch: &mut Scratch) {
        let Scratch { index, storages, stack } = scratch;
        for root in roots {
            stack.push(Visit::Reach(root.clone()));
            while let Some(visit) = stack.pop() {
                match visit {
                    Visit::Leave(tensor, source) => self.append_computed(tensor, source, index),
                    Visit::Reach(tensor) if index.contains_key(&tensor.id()) => {}
                    Visit::Reach(tensor) => match tensor.state() {
                        State::Value(value) => {
                            let value = value.clone();
                            self.append_leaf(tensor, value, index, storages);
                        }
                        State::Detached(source) => {
                            stack.push(Visit::Leave(tensor, Some(source.id())));
                            stack.push(Visit::Reach(source));
                        }
                        State::Node => {
                            stack.push(Visit::Leave(tensor.clone(), None));
                            let new = |operand: &&Tensor| !index.contains_key(&operand.id());
                            let new = operands(&tensor).iter().rev().filter(new);
                            stack.extend(new.cloned().map(Visit::Reach));
                        }
                    },
                }
            }
        }
    }

    fn append_leaf(
        &mut self,
        tensor: Tensor,
        value: Buffer,
        index: &mut FxHashMap<u64, u32>,
        storages: &mut FxHashMap<usize, usize>,
    ) {
        let address = std::sync::Arc::as_ptr(value.shared()).cast::<()>() as usize;
        let next = self.inputs.len();
        let input = *storages.entry(address).or_insert(next);
        if input == next {
            self.inputs.push(value);
        }
        self.input_of.push(Some(input as u32));
        self.key.extend([LEAF, input as u64]);
        self.append(tensor, index);
    }

    /// `source` is the node that a detached one has its value of.
    fn append_computed(
        &mut self,
        tensor: Tensor,
        source: Option<u64>,
        index: &mut FxHashMap<u64, u32>,
    ) {
        // Several users may have reached the node before it was left.
        if index.contains_key(&tensor.id()) {
            return;
        }
        match source {
            Some(source) => self.edges.push(index[&source]),
            None => self.edges.extend(operands(&tensor).iter().map(|input| index[&input.id()])),
        }
        self.key.push(COMPUTED);
        self.key.op(tensor.op(), tensor.dtype());
        self.collect_arguments(tensor.op(), tensor.dtype());
        self.input_of.push(None);
        self.append(tensor, index);
    }

    fn append(&mut self, tensor: Tensor, index: &mut FxHashMap<u64, u32>) {
        index.insert(tensor.id(), self.nodes.len() as u32);
        let start = self.starts[self.starts.len() - 1] as usize;
        self.key.push(
            tensor.dtype() as u64
                | u64::from(tensor.is_tracked()) << 8
                | (tensor.rank() as u64) << 16
                | ((self.edges.len() - start) as u64) << 24,
        );
        self.key.extend(tensor.shape().iter().map(|&size| size as u64));
        // How far back operands are is a smaller number than where they are.
        let position = self.nodes.len() as u64;
        self.key.extend(self.edges[start..].iter().map(|&edge| position - u64::from(edge)));
        self.starts.push(self.edges.len() as u32);
        self.nodes.push(tensor);
    }

    /// What an op adds to the arguments of the plan.
    fn collect_arguments(&mut self, op: &Op, dtype: DType) {
        match op {
            Op::Argument(value) => {
                self.arguments.push(value.cast(dtype));
                self.argument_dtypes.push(dtype);
            }
            Op::Random { key: words } => {
                for &half in words {
                    self.arguments.push(Scalar::Int(i64::from(half)));
                    self.argument_dtypes.push(DType::U32);
                }
            }
            _ => {}
        }
    }

    /// A node that has no value and that no op computes.
    pub(crate) fn placeholder(&self) -> Option<&Tensor> {
        self.nodes.iter().find(|node| matches!(node.op(), Op::Placeholder))
    }

    /// Nodes that an earlier evaluation has computed on its way, with a long history, and that new nodes
    /// read again: they keep their value this time, so that no history is computed at every step.
    fn kept_at_last(&self) -> Vec<u32> {
        if !self.nodes.iter().any(Tensor::was_passed) {
            return Vec::new();
        }
        let mut height = vec![0usize; self.nodes.len()];
        let mut kept = Vec::new();
        for node in 0..self.nodes.len() {
            if self.input_of[node].is_some() {
                continue;
            }
            let new = !self.nodes[node].was_passed();
            for operand in self.operands(node) {
                height[node] = height[node].max(height[operand] + 1);
                if new && height[operand] >= HISTORY_LONG && self.nodes[operand].was_passed() {
                    kept.push(operand as u32);
                }
            }
        }
        kept
    }

    /// Keeps every input as it is.
    pub(crate) fn forbid_reuse(&mut self) {
        let count = self.reusable.len();
        self.reusable.fill(false);
        self.key.clear_flags(count);
    }

    /// Which inputs only this graph holds, given that the roots will be cut from it.
    ///
    /// A node that somebody outside holds (other than a root, by its one owner) may be evaluated again
    /// later, so nothing that it depends on may be overwritten.
    fn find_reusable(&self, roots: &[Tensor], index: &FxHashMap<u64, u32>) -> Vec<bool> {
        let count = self.nodes.len();
        let mut references = vec![1usize; count];
        for &edge in &self.edges {
            references[edge as usize] += 1;
        }
        for node in self.nodes.iter().filter(|node| node.value().is_none()) {
            if let (Op::Custom(_), [_, operands @ ..]) = (node.op(), node.inputs()) {
                for position in operands.iter().filter_map(|operand| index.get(&operand.id())) {
                    references[*position as usize] += 1;
                }
            }
        }
        for root in roots {
            // The slice of roots, and the owner whose handle is about to be cut.
            if let Some(&position) = index.get(&root.id()) {
                references[position as usize] += 2;
            }
        }
        let mut held: Vec<bool> =
            (0..count).map(|i| self.nodes[i].handles() > references[i]).collect();
        for i in (0..count).rev() {
            if held[i] {
                for edge in self.operands(i) {
                    held[edge] = true;
                }
            }
        }
        let mut holders = vec![0usize; self.inputs.len()];
        let mut reusable = vec![true; self.inputs.len()];
        for (node, input) in self.input_of.iter().enumerate() {
            if let Some(input) = input.map(|input| input as usize) {
                holders[input] += 1;
                reusable[input] &= !held[node];
            }
        }
        for (input, buffer) in self.inputs.iter().enumerate() {
            // One holder per leaf node, one in this list.
            reusable[input] &= buffer.is_held_only_by(holders[input] + 1);
        }
        reusable
    }

    /// Operands of a node.
    pub(crate) fn operands(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let range = self.starts[node] as usize..self.starts[node + 1] as usize;
        self.edges[range].iter().map(|&edge| edge as usize)
    }
}
