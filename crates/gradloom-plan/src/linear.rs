//! [`Linear`]: the part of a graph that an evaluation needs, in topological order, with the words that
//! describe its structure. This runs at every evaluation, so it does little and allocates little.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use gradloom_tensor::op::Loop;
use gradloom_tensor::{Buffer, DType, Op, Retention, Scalar, State, Tensor};
use rustc_hash::FxHashMap;

use crate::words::Words;

/// First words of a node.
pub(crate) const LEAF: u64 = 0;
const COMPUTED: u64 = 1;
/// After the last node.
pub(crate) const END: u64 = 2;

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
pub(crate) struct Scratch {
    /// Position of a node by its id.
    pub(crate) index: FxHashMap<u64, u32>,
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
pub(crate) fn operands(tensor: &Tensor) -> Cow<'_, [Tensor]> {
    let inputs = tensor.inputs();
    match tensor.op() {
        Op::Custom(_) => Cow::Borrowed(&inputs[..1]),
        Op::Loop(result) if inputs.iter().any(Tensor::is_quantized) => {
            let captured = inputs.len() - result.body.captured().len();
            let passed = inputs[captured..].iter().map(passed);
            Cow::Owned(inputs[..captured].iter().chain(passed).cloned().collect())
        }
        _ => Cow::Borrowed(inputs),
    }
}

/// What a loop gets of a value that its body has captured: a quantized matrix as its blocks, which
/// products in the body read.
pub(crate) fn passed(captured: &Tensor) -> &Tensor {
    if captured.is_quantized() { &captured.inputs()[0] } else { captured }
}

/// What is the same for values in the same memory.
pub(crate) fn address(value: &Buffer) -> usize {
    Arc::as_ptr(value.shared()).cast::<()>() as usize
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
    /// Values of the leaves, each memory once. A body has none: its leaves are parameters.
    pub(crate) inputs: Vec<Buffer>,
    /// Dtype and number of elements of the leaves.
    pub(crate) sizes: Vec<(DType, usize)>,
    /// For each node its input, if it is a leaf.
    pub(crate) input_of: Vec<Option<u32>>,
    /// Inputs whose memory nobody outside this graph holds.
    pub(crate) reusable: Vec<bool>,
    /// Values of the arguments.
    pub(crate) arguments: Vec<Scalar>,
    /// Dtypes of the arguments.
    pub(crate) argument_dtypes: Vec<DType>,
    /// Loops, each with the results that are asked for.
    pub(crate) loops: Vec<Looped>,
    /// Loops by their address and operands.
    pub(crate) known_loops: FxHashMap<(usize, Box<[u32]>), usize>,
    /// For each result of a loop the loop, and its place in [`Looped::results`].
    pub(crate) result_of: FxHashMap<u32, (usize, usize)>,
    /// In the body of a loop: roots that are the next carries, each with the leaf that it may be written
    /// over. Other roots have memory of their own.
    pub(crate) carried: Option<Vec<(u32, usize)>>,
    /// The structure as words: equal words, equal plan.
    pub(crate) key: Words,
}

/// A loop and its body.
pub(crate) struct Looped {
    pub(crate) body: Arc<Loop>,
    /// Results that are asked for: a carry, or the position of a root of the body.
    pub(crate) results: Vec<Asked>,
    /// Nodes of the body that are stacked: the first roots of the body.
    pub(crate) stacked: Vec<Tensor>,
    /// Carries that some result depends on: the other roots of the body.
    pub(crate) carries: Vec<usize>,
    pub(crate) linear: Linear,
}

/// A result of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The last carry.
    Carry(usize),
    /// Position in [`Looped::stacked`].
    Stacked(usize),
}

impl Linear {
    pub(crate) fn new(roots: &[Tensor], retention: Retention) -> Linear {
        let mut linear = Linear::empty(retention);
        let mut scratch = SCRATCH.take();
        let pending = || roots.iter().filter(|root| root.value().is_none());
        linear.visit(pending(), &mut scratch);
        let companions = match retention {
            Retention::Release => linear.companions(&scratch.index),
            Retention::Keep => Vec::new(),
        };
        linear.visit(companions.iter(), &mut scratch);
        linear.key.push(END);
        linear.enter_loops();
        let index = &scratch.index;
        let companions: Vec<u32> =
            companions.into_iter().map(|companion| index[&companion.id()]).collect();
        linear.list_roots(pending().map(|root| index[&root.id()]));
        linear.list_roots(companions.iter().copied());
        let kept = linear.kept_at_last();
        linear.list_roots(kept.into_iter());
        linear.reusable = match retention {
            Retention::Release => linear.find_reusable(roots, &companions, index),
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

    pub(crate) fn empty(retention: Retention) -> Linear {
        let mut linear = Linear {
            nodes: Vec::with_capacity(NODES_ROOM),
            edges: Vec::with_capacity(NODES_ROOM),
            starts: Vec::with_capacity(NODES_ROOM),
            roots: Vec::new(),
            inputs: Vec::with_capacity(NODES_ROOM),
            sizes: Vec::new(),
            input_of: Vec::with_capacity(NODES_ROOM),
            reusable: Vec::new(),
            arguments: Vec::new(),
            argument_dtypes: Vec::new(),
            loops: Vec::new(),
            known_loops: FxHashMap::default(),
            result_of: FxHashMap::default(),
            carried: None,
            key: Words::with_capacity(KEY_ROOM),
        };
        linear.starts.push(0);
        linear.key.push(retention as u64);
        linear
    }

    /// Number of all nodes, see [`Linear::all_nodes`].
    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len() + self.loops.iter().map(|looped| looped.linear.node_count()).sum::<usize>()
    }

    /// All nodes: these, then those of each loop's body.
    pub(crate) fn all_nodes(&self) -> Vec<Tensor> {
        let mut nodes = self.nodes.clone();
        for looped in &self.loops {
            nodes.extend(looped.linear.all_nodes());
        }
        nodes
    }

    /// Depth-first, without recursion: graphs of long sequences are deep. What a node is is decided at the
    /// first look, because other threads may give it a value meanwhile.
    pub(crate) fn visit<'a>(
        &mut self,
        roots: impl Iterator<Item = &'a Tensor>,
        scratch: &mut Scratch,
    ) {
        let Scratch { index, storages, stack } = scratch;
        for root in roots {
            stack.push(Visit::Reach(root.clone()));
            while let Some(visit) = stack.pop() {
                match visit {
                    Visit::Leave(tensor, source) => self.append_computed(tensor, source, index),
                    Visit::Reach(tensor) if index.contains_key(&tensor.id()) => {}
                    Visit::Reach(tensor) => match self.state(&tensor) {
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
                            let operands = operands(&tensor);
                            let new = |operand: &&Tensor| !index.contains_key(&operand.id());
                            let new = operands.iter().rev().filter(new);
                            stack.extend(new.cloned().map(Visit::Reach));
                        }
                    },
                }
            }
        }
    }

    /// What has to be done for a node. What a body computes has no value, whatever others have made of
    /// the same node.
    fn state<'a>(&self, tensor: &'a Tensor) -> State<'a> {
        match (self.carried.is_some(), tensor.op()) {
            (false, _) => tensor.state(),
            (true, Op::Detach(source)) => source.source().map_or(State::Node, State::Detached),
            (true, _) => State::Node,
        }
    }

    fn append_leaf(
        &mut self,
        tensor: Tensor,
        value: Buffer,
        index: &mut FxHashMap<u64, u32>,
        storages: &mut FxHashMap<usize, usize>,
    ) {
        let next = self.inputs.len();
        let input = *storages.entry(address(&value)).or_insert(next);
        if input == next {
            self.sizes.push((value.dtype(), value.len()));
            self.inputs.push(value);
        }
        self.input_of.push(Some(input as u32));
        self.key.extend([LEAF, input as u64]);
        self.append(tensor, index);
    }

    /// `source` is the node that a detached one has its value of.
    pub(crate) fn append_computed(
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
        if let Op::Loop(result) = tensor.op() {
            self.append_result(result);
        }
        self.append(tensor, index);
    }

    pub(crate) fn append(&mut self, tensor: Tensor, index: &mut FxHashMap<u64, u32>) {
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
        let computed = self.nodes.iter().zip(&self.input_of).filter(|(_, leaf)| leaf.is_none());
        let mut computed = computed.map(|(node, _)| node);
        computed.find(|node| matches!(node.op(), Op::Placeholder | Op::Transfer))
    }

    /// A leaf whose value is another by now.
    pub(crate) fn overwritten(&self) -> Option<&Tensor> {
        self.nodes.iter().find(|node| node.is_overwritten())
    }

    /// Operands of a node.
    pub(crate) fn operands(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let range = self.starts[node] as usize..self.starts[node + 1] as usize;
        self.edges[range].iter().map(|&edge| edge as usize)
    }
}
