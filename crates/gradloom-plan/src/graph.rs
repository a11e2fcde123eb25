//! [`Graph`]: the planner's own picture of a linear graph: equal nodes merged, aliases resolved, and
//! every view chain reduced to a base node and the steps from it.

use std::sync::Arc;

use gradloom_tensor::Op;
use rustc_hash::FxHashMap;

use crate::classes::{classify, fingerprint};
use crate::kernel::Plan;
use crate::linear::{Asked, Linear};
use crate::node::{Class, Node, STEPS_MAX, Step, read};
use crate::view::View;

/// How a node's elements must lie in memory for one that reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// All elements of a buffer in order.
    Whole,
    /// Through strides, without a mask.
    Strided,
}

/// All nodes, by the index of [`Linear`]; behind those, views that no tensor is.
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) roots: Vec<usize>,
    /// In the body of a loop: bases of roots that may be written over a leaf, each with that leaf.
    pub(crate) carried: Option<Vec<(usize, usize)>>,
    /// The loops, planned.
    pub(crate) loops: Vec<PlannedLoop>,
    /// Bases that use a base, per base.
    pub(crate) users: Vec<Vec<usize>>,
    /// Generated nodes that need memory, because they are roots or operands of structured kernels.
    pub(crate) filled: Vec<usize>,
}

/// A loop whose body has a plan.
pub(crate) struct PlannedLoop {
    pub(crate) length: usize,
    pub(crate) reverse: bool,
    /// Carries, sequences and captured values among the operands.
    pub(crate) operands: [usize; 3],
    /// What is asked of it.
    pub(crate) results: Vec<Asked>,
    /// Results that are stacked; the first roots of the body.
    pub(crate) stacked: usize,
    /// Carries that take part; the other roots of the body.
    pub(crate) carries: Vec<usize>,
    pub(crate) body: Arc<Plan>,
    /// Where the arguments of the body begin among those of the plan, and its nodes.
    pub(crate) arguments: usize,
    pub(crate) nodes: usize,
}

impl Graph {
    /// `loops` are those of the linear graph, `casts_on_read` is of the [`Limits`](crate::Limits).
    pub(crate) fn new(linear: &Linear, loops: Vec<PlannedLoop>, casts_on_read: bool) -> Graph {
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
        let mut graph = Graph {
            nodes: builder.nodes,
            roots,
            carried: None,
            loops,
            users: Vec::new(),
            filled: Vec::new(),
        };
        graph.resolve_bases();
        graph.claim_quantized();
        graph.copy_where_needed();
        if casts_on_read {
            graph.claim_casts();
        }
        graph.carried = linear.carried.as_ref().map(|carried| graph.alone(carried));
        graph.collect_users();
        graph.collect_filled();
        graph
    }

    /// Those of the next carries that are no other root too: they may be written over the old ones.
    fn alone(&self, carried: &[(u32, usize)]) -> Vec<(usize, usize)> {
        let uses = |base: usize| self.roots.iter().filter(|&&root| self.base(root) == base).count();
        let based = carried.iter().map(|&(root, leaf)| (self.base(root as usize), leaf));
        based.filter(|&(base, _)| uses(base) == 1).collect()
    }

    /// The base of a node.
    pub(crate) fn base(&self, node: usize) -> usize {
        self.nodes[node].base
    }

    /// The view of a node on its base.
    pub(crate) fn view(&self, node: usize) -> Option<View> {
        let Node { base, steps, .. } = &self.nodes[node];
        read(self.nodes[*base].shape, steps)
    }

    /// True if a node is all elements of its base in order.
    fn is_whole(&self, node: usize) -> bool {
        self.nodes[node].shape.count() == self.nodes[self.base(node)].shape.count()
            && self.view(node).is_some_and(|view| view.is_contiguous())
    }

    /// How a structured node reads each operand: in order, or through strides without a mask.
    fn needs(&self, node: usize) -> impl Iterator<Item = (usize, Need)> + '_ {
        let Node { op, inputs, .. } = &self.nodes[node];
        inputs.iter().enumerate().filter_map(move |(position, &input)| {
            let need = match (op, position) {
                (Op::Matmul | Op::ScatterAdd { .. } | Op::Attention(_), _)
                | (Op::Gather { .. }, 1)
                | (Op::Write { .. }, 2) => Need::Strided,
                // An update is computed where it is written.
                (Op::Write { .. }, 1) => return None,
                _ => Need::Whole,
            };
            Some((input, need))
        })
    }

    fn fits(&self, node: usize, need: Need) -> bool {
        match need {
            Need::Strided => self.view(node).is_some_and(|view| view.mask.is_none()),
            Need::Whole => self.is_whole(node),
        }
    }

    /// Turns views and aliases into copies where a structured node or a root needs elements in memory
    /// as the view does not give them.
    fn copy_where_needed(&mut self) {
        let mut needs: Vec<Vec<Need>> = vec![Vec::new(); self.nodes.len()];
        for node in 0..self.nodes.len() {
            if self.nodes[node].class == Class::Structured {
                for (input, need) in self.needs(node) {
                    needs[input].push(need);
                }
            }
        }
        for &root in &self.roots {
            needs[root].push(Need::Whole);
        }
        // Views of what is copied read the copy, unless that would make a copy of them necessary too.
        for node in 0..self.nodes.len() {
            if !matches!(self.nodes[node].class, Class::View | Class::Alias) {
                continue;
            }
            let fits = |graph: &Graph| needs[node].iter().all(|&need| graph.fits(node, need));
            if let Some(source) = self.source(node) {
                let entry = &mut self.nodes[node];
                let kept = (entry.base, std::mem::take(&mut entry.steps));
                (entry.base, entry.steps) = source;
                if !fits(self) {
                    (self.nodes[node].base, self.nodes[node].steps) = kept;
                }
            }
            if !fits(self) {
                self.make_copy(node);
            }
        }
    }

    /// Gives a view or an alias elements of its own. What it waits for stands in [`Node::after`]: it is
    /// not read.
    pub(crate) fn make_copy(&mut self, node: usize) {
        let entry = &mut self.nodes[node];
        entry.class = Class::Copy;
        entry.inputs.truncate(1);
        entry.base = node;
        entry.steps.clear();
    }

    fn resolve_bases(&mut self) {
        for node in 0..self.nodes.len() {
            if !matches!(self.nodes[node].class, Class::View | Class::Alias) {
                continue;
            }
            let inputs = &self.nodes[node].inputs;
            let mut after = self.nodes[inputs[0]].after.clone();
            if self.nodes[node].class == Class::Alias {
                after.extend(&inputs[1..]);
            }
            after.sort_unstable();
            after.dedup();
            self.nodes[node].after = after;
            match self.source(node) {
                Some(source) => (self.nodes[node].base, self.nodes[node].steps) = source,
                None => self.make_copy(node),
            }
        }
    }

    /// The base of a view or an alias and the steps from it, if strides can express them.
    fn source(&self, node: usize) -> Option<(usize, Vec<Step>)> {
        let entry = &self.nodes[node];
        let input = &self.nodes[entry.inputs[0]];
        let mut steps = input.steps.clone();
        if entry.class == Class::View {
            let step = entry.own_step();
            if let (Step::Reshape(_), Some(Step::Reshape(_))) = (step, steps.last()) {
                steps.pop();
            }
            steps.push(step);
            let shape = self.nodes[input.base].shape;
            if steps.len() > STEPS_MAX || read(shape, &steps).is_none() {
                return None;
            }
        }
        Some((input.base, steps))
    }

    fn collect_filled(&mut self) {
        let structured = self.nodes.iter().filter(|node| node.class == Class::Structured);
        let mut bases: Vec<usize> = structured
            .flat_map(Node::stored_inputs)
            .chain(&self.roots)
            .map(|&node| self.nodes[node].base)
            .filter(|&base| self.nodes[base].class == Class::Generated)
            .collect();
        bases.sort_unstable();
        bases.dedup();
        self.filled = bases;
    }

    fn collect_users(&mut self) {
        let mut users = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            if node.base != index || matches!(node.class, Class::Leaf(_) | Class::Generated) {
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
    known: FxHashMap<Vec<u8>, usize>,
    argument: usize,
}

impl Builder {
    fn append(&mut self, linear: &Linear, index: usize) {
        let tensor = &linear.nodes[index];
        let inputs: Vec<usize> = linear.operands(index).map(|input| self.merged[input]).collect();
        let leaf = linear.input_of[index].map(|input| input as usize);
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
            result: linear.result_of.get(&(index as u32)).copied(),
            tracked: tensor.is_tracked(),
        };
        let duplicate = fingerprint(&node).and_then(|words| {
            let first = *self.known.entry(words).or_insert(index);
            (first != index).then_some(first)
        });
        if let Some(first) = duplicate {
            // The same value, whatever op made it.
            node.op = Op::Barrier;
            node.class = Class::Alias;
            node.inputs = vec![first];
            self.merged.push(first);
        } else {
            self.merged.push(index);
        }
        self.nodes.push(node);
    }
}
