//! [`Graph`]: the planner's own picture of a linear graph: equal nodes merged, aliases resolved, and
//! every view chain reduced to a base node and the steps from it.

use gradloom_tensor::{DType, Op, Shape};
use rustc_hash::FxHashMap;

use crate::linear::Linear;
pub(crate) use crate::node::{Claim, Class, Node, Step, follow};
use crate::view::View;

/// All nodes, by the index of [`Linear`].
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) roots: Vec<usize>,
    /// Bases that use a base, per base.
    pub(crate) users: Vec<Vec<usize>>,
    /// Trivial nodes that need memory, because they are roots or operands of structured kernels.
    pub(crate) filled: Vec<usize>,
}

impl Graph {
    pub(crate) fn new(linear: &Linear) -> Graph {
        let mut builder = Builder {
            nodes: Vec::new(),
            merged: Vec::new(),
            known: FxHashMap::default(),
            argument: 0,
        };
        for index in 0..linear.nodes.len() {
            builder.append(linear, index);
        }
        for (node, needed) in builder.nodes.iter_mut().zip(needed_by_gradients(linear)) {
            node.tracked &= needed;
        }
        let roots = linear.roots.iter().map(|&root| root as usize).collect();
        let mut graph =
            Graph { nodes: builder.nodes, roots, users: Vec::new(), filled: Vec::new() };
        graph.resolve_bases();
        graph.claim_blocks();
        graph.store_where_needed();
        graph.resolve_bases();
        graph.collect_users();
        graph.collect_filled();
        graph
    }

    /// The base of a node.
    pub(crate) fn base(&self, node: usize) -> usize {
        self.nodes[node].base
    }

    /// The view of a node on its base.
    pub(crate) fn view(&self, node: usize) -> Option<View> {
        let Node { base, steps, .. } = &self.nodes[node];
        follow(View::contiguous(self.nodes[*base].shape), steps)
    }

    /// True if a node is all elements of its base in order.
    fn is_whole(&self, node: usize) -> bool {
        self.nodes[node].shape.count() == self.nodes[self.base(node)].shape.count()
            && self.view(node).is_some_and(|view| view.is_contiguous())
    }

    /// Turns views into copies where a consumer or a root needs elements in order.
    fn store_where_needed(&mut self) {
        for index in 0..self.nodes.len() {
            let needs: Vec<(usize, bool)> = match &self.nodes[index].op {
                _ if self.nodes[index].class != Class::Heavy => continue,
                Op::Matmul | Op::ScatterAdd { .. } | Op::Attention(_) => {
                    self.nodes[index].inputs.iter().map(|&input| (input, true)).collect()
                }
                Op::Gather { .. } => {
                    let inputs = &self.nodes[index].inputs;
                    vec![(inputs[0], false), (inputs[1], true)]
                }
                Op::Write { .. } => {
                    let inputs = &self.nodes[index].inputs;
                    vec![(inputs[0], false), (inputs[2], true)]
                }
                _ => self.nodes[index].inputs.iter().map(|&input| (input, false)).collect(),
            };
            for (input, strided) in needs {
                let fits = match strided {
                    true => self.view(input).is_some_and(|view| view.mask.is_none()),
                    false => self.is_whole(input),
                };
                if !fits && self.nodes[input].class == Class::View {
                    self.nodes[input].class = Class::Elementwise;
                    self.resolve_bases();
                }
            }
        }
        for root in self.roots.clone() {
            if self.nodes[root].class == Class::View && !self.is_whole(root) {
                self.nodes[root].class = Class::Elementwise;
                self.resolve_bases();
            }
        }
    }

    fn resolve_bases(&mut self) {
        for index in 0..self.nodes.len() {
            let (base, steps) = match self.nodes[index].class {
                Class::Alias => {
                    let input = self.nodes[index].inputs[0];
                    let mut after = self.nodes[input].after.clone();
                    after.extend(&self.nodes[index].inputs[1..]);
                    self.nodes[index].after = after;
                    (self.nodes[input].base, self.nodes[input].steps.clone())
                }
                Class::View => {
                    let input = self.nodes[index].inputs[0];
                    self.nodes[index].after = self.nodes[input].after.clone();
                    let base = self.nodes[input].base;
                    let mut steps = self.nodes[input].steps.clone();
                    steps.push(self.own_step(index));
                    if follow(View::contiguous(self.nodes[base].shape), &steps).is_some() {
                        (base, steps)
                    } else {
                        self.nodes[index].class = Class::Elementwise;
                        (index, Vec::new())
                    }
                }
                _ => (index, Vec::new()),
            };
            self.nodes[index].base = base;
            self.nodes[index].steps = steps;
        }
    }

    /// The step that a view node (or a stored view) makes from its operand.
    pub(crate) fn own_step(&self, node: usize) -> Step {
        let Node { op, shape, .. } = &self.nodes[node];
        match op {
            Op::Permute(permutation) => Step::Permute(*permutation),
            Op::Expand => Step::Expand(*shape),
            Op::Slice { starts, steps } => {
                Step::Slice { starts: *starts, steps: *steps, shape: *shape }
            }
            Op::Pad { before } => Step::Pad { before: *before, shape: *shape },
            Op::Flip(axes) => Step::Flip(*axes),
            _ => Step::Reshape(*shape),
        }
    }

    fn collect_filled(&mut self) {
        let heavy = self.nodes.iter().filter(|node| node.class == Class::Heavy);
        let mut bases: Vec<usize> = heavy
            .flat_map(Node::stored_inputs)
            .chain(&self.roots)
            .map(|&node| self.nodes[node].base)
            .filter(|&base| self.nodes[base].class == Class::Trivial)
            .collect();
        bases.sort_unstable();
        bases.dedup();
        self.filled = bases;
    }

    fn collect_users(&mut self) {
        let mut users = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            if node.base != index || matches!(node.class, Class::Leaf(_) | Class::Trivial) {
                continue;
            }
            for &input in &node.inputs {
                let base = self.nodes[input].base;
                if users[base].last() != Some(&index) {
                    users[base].push(index);
                }
            }
        }
        self.users = users;
    }
}

/// Whether a later gradient may read each node's value: not what lies behind a custom gradient, whose
/// rule has its own way back (a checkpoint computes it again).
fn needed_by_gradients(linear: &Linear) -> Vec<bool> {
    let count = linear.nodes.len();
    let (mut needed, mut open) = (vec![false; count], vec![false; count]);
    for &root in &linear.roots {
        (needed[root as usize], open[root as usize]) = (true, true);
    }
    for node in (0..count).rev().filter(|&node| linear.nodes[node].value().is_none()) {
        let through = open[node] && !matches!(linear.nodes[node].op(), Op::Custom(_));
        for operand in linear.operands(node) {
            needed[operand] |= open[node];
            open[operand] |= through;
        }
    }
    needed
}

/// Builds nodes in order, replacing duplicates by their first occurrence.
struct Builder {
    nodes: Vec<Node>,
    /// For each linear index the node that stands for it.
    merged: Vec<usize>,
    known: FxHashMap<Vec<u64>, usize>,
    argument: usize,
}

impl Builder {
    fn append(&mut self, linear: &Linear, index: usize) {
        let tensor = &linear.nodes[index];
        let inputs: Vec<usize> = linear.operands(index).map(|input| self.merged[input]).collect();
        let leaf = linear.input_of.get(&(index as u32)).copied();
        let op = tensor.op().clone();
        let class = classify(&op, leaf, &inputs, &self.nodes, *tensor.shape(), tensor.dtype());
        let argument = self.argument;
        if leaf.is_none() {
            self.argument += match op {
                Op::Argument(_) => 1,
                Op::Random { .. } => 2,
                _ => 0,
            };
        }
        let mut node = Node {
            op,
            claim: None,
            inputs,
            shape: *tensor.shape(),
            dtype: tensor.dtype(),
            class,
            base: index,
            steps: Vec::new(),
            after: Vec::new(),
            argument,
            tracked: tensor.is_tracked(),
        };
        let duplicate = fingerprint(&node).and_then(|words| {
            let first = *self.known.entry(words).or_insert(index);
            (first != index).then_some(first)
        });
        if let Some(first) = duplicate {
            node.class = Class::Alias;
            node.inputs = vec![first];
            self.merged.push(first);
        } else {
            self.merged.push(index);
        }
        self.nodes.push(node);
    }
}

/// Words that are equal for nodes of equal value; `None` for nodes that are never merged.
fn fingerprint(node: &Node) -> Option<Vec<u64>> {
    let mut words = vec![node.dtype as u64, node.shape.rank() as u64];
    words.extend(node.shape.iter().map(|&size| size as u64));
    words.extend(node.inputs.iter().map(|&input| input as u64));
    words.push(u64::MAX);
    match &node.op {
        Op::Unary(unary) => words.extend([1, *unary as u64]),
        Op::Binary(binary) => words.extend([2, *binary as u64]),
        Op::Select => words.push(3),
        Op::Cast => words.push(4),
        Op::Reduce(reduction, axes) => {
            words.extend([5, *reduction as u64, u64::from(axes.bits())]);
        }
        Op::Reshape => words.push(6),
        Op::Permute(permutation) => {
            words.push(7);
            words.extend(permutation.iter().map(|axis| axis as u64));
        }
        Op::Expand => words.push(8),
        Op::Constant(value) => {
            let (kind, bits) = value.cast(node.dtype).key();
            words.extend([9, u64::from(kind), bits]);
        }
        Op::Iota { axis } => words.extend([10, *axis as u64]),
        Op::Slice { starts, steps } => {
            words.push(11);
            words.extend(starts.iter().chain(steps).map(|&value| value as u64));
        }
        Op::Matmul => words.push(12),
        Op::Dequantize(format) => words.extend([13, *format as u64]),
        _ => return None,
    }
    if matches!(node.class, Class::Leaf(_)) {
        return None;
    }
    Some(words)
}

fn classify(
    op: &Op,
    leaf: Option<usize>,
    inputs: &[usize],
    nodes: &[Node],
    shape: Shape,
    dtype: DType,
) -> Class {
    if let Some(input) = leaf {
        return Class::Leaf(input);
    }
    let same_as_input = || nodes[inputs[0]].shape == shape && nodes[inputs[0]].dtype == dtype;
    match op {
        Op::Buffer | Op::Constant(_) | Op::Argument(_) | Op::Iota { .. } | Op::Random { .. } => {
            Class::Trivial
        }
        Op::Cast if same_as_input() => Class::Alias,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::CheckIndex { .. } => {
            Class::Elementwise
        }
        Op::Reduce(_, axes) => {
            let operand = nodes[inputs[0]].shape;
            if axes.iter().all(|axis| operand[axis] == 1) { Class::Alias } else { Class::Reduce }
        }
        Op::Reshape
        | Op::Permute(_)
        | Op::Expand
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Flip(_) => Class::View,
        Op::ArgReduce(..)
        | Op::Scan { .. }
        | Op::Concat { .. }
        | Op::Matmul
        | Op::Convolution(..)
        | Op::ConvolutionInput(..)
        | Op::ConvolutionWeight(..)
        | Op::PoolMax(_)
        | Op::PoolMaxScatter(_)
        | Op::PoolMaxGather(_)
        | Op::PoolSum(_)
        | Op::PoolSumScatter(_)
        | Op::Gather { .. }
        | Op::ScatterAdd { .. }
        | Op::Write { .. }
        | Op::Dequantize(_)
        | Op::Attention(_)
        | Op::ArgSort { .. } => Class::Heavy,
        Op::Detach(_) | Op::Custom(_) | Op::Barrier => Class::Alias,
    }
}
