//! The second half of fusion: which members of a group are stored, and which are cheap enough to be
//! computed again by the groups that need them.
//!
//! Nodes are decided from the last to the first, so everything that reads a node is known by then: by
//! which group, and through which steps. A node is only left to be computed again where each of its
//! operands could be read from memory through those steps; so whatever is decided about the operands
//! later, [`lower`](crate::lower) finds a view for every read.

use std::cell::Cell;
use std::rc::Rc;

use gradloom_tensor::Op;
use rustc_hash::FxHashSet;

use crate::graph::Graph;
use crate::node::{Class, Step, follow, read};
use crate::partition::{MEMBERS_MAX, Partition, operand_steps};
use crate::program::Level;

/// Arithmetic that a second computation may cost, in units of an addition, before storing is better.
const DUPLICATION_MAX: usize = 6;

/// The same when the user reads each element many times (a vector broadcast over a batch).
const AMPLIFIED_MAX: usize = 4;

/// Stored operands that a second computation may read.
const OPERANDS_MAX: usize = 3;

/// Ways in which other groups may read a node that they compute again.
const ACCESSES_MAX: usize = 16;

/// Steps of such a way.
const STEPS_MAX: usize = 64;

/// What becomes of each node.
pub(crate) struct Storing {
    /// True for nodes that get memory.
    pub(crate) stored: Vec<bool>,
    /// Generated nodes among them that were not in a group before.
    pub(crate) filled: Vec<usize>,
}

/// One way in which a node is read: by a group, through steps from the node's shape to its space.
#[derive(Clone, Debug, PartialEq)]
struct Access {
    group: usize,
    steps: Rc<[Step]>,
}

impl Storing {
    pub(crate) fn new(graph: &Graph, partition: &Partition) -> Storing {
        let count = graph.nodes.len();
        let mut must = vec![false; count];
        for &root in &graph.roots {
            must[graph.base(root)] = true;
        }
        let used = used(graph);
        for node in 0..count {
            if graph.nodes[node].class == Class::Structured && used[node] {
                for &input in graph.nodes[node].stored_inputs() {
                    must[graph.base(input)] = true;
                }
            }
        }
        let mut decision = Decision {
            graph,
            partition,
            accesses: vec![Vec::new(); count],
            needed: vec![Vec::new(); count],
            known: FxHashSet::default(),
            again: vec![0; partition.groups.len()],
            stored: must,
            filled: Vec::new(),
            costly: vec![Cell::new(None); count],
        };
        for node in (0..count).rev() {
            decision.decide(node);
        }
        Storing { stored: decision.stored, filled: decision.filled }
    }
}

/// Whether a root depends on each base. A quantized matrix whose users read the blocks is not used.
fn used(graph: &Graph) -> Vec<bool> {
    let mut used = vec![false; graph.nodes.len()];
    for &root in &graph.roots {
        used[graph.base(root)] = true;
    }
    for node in (0..graph.nodes.len()).rev().filter(|&node| graph.base(node) == node) {
        if used[node] {
            for &input in &graph.nodes[node].inputs {
                used[graph.base(input)] = true;
            }
        }
    }
    used
}

struct Decision<'a> {
    graph: &'a Graph,
    partition: &'a Partition,
    /// How groups other than its own read a node.
    accesses: Vec<Vec<Access>>,
    /// Groups that need a node's value, but for leaves; and the same as pairs, node first.
    needed: Vec<Vec<usize>>,
    known: FxHashSet<(usize, usize)>,
    /// How many nodes each group computes again.
    again: Vec<usize>,
    stored: Vec<bool>,
    filled: Vec<usize>,
    /// What [`Decision::is_costly`] found.
    costly: Vec<Cell<Option<bool>>>,
}

impl Decision<'_> {
    fn decide(&mut self, node: usize) {
        let class = self.graph.nodes[node].class;
        if class == Class::Generated && !self.stored[node] {
            self.decide_generated(node);
        }
        let Some(own) = self.partition.group_of[node] else {
            return;
        };
        if self.needed[node].is_empty() && !self.stored[node] {
            return;
        }
        let outside = self.needed[node].iter().any(|&group| group != own);
        if !self.stored[node] && outside {
            let small = self.partition.level[node] == Level::Row
                && self.partition.groups[own].space.columns() > 1;
            self.stored[node] = !class.is_elementwise()
                || small
                || !self.worth_computing_again(node, own)
                || !self.is_readable_again(node);
        }
        let accesses = std::mem::take(&mut self.accesses[node]);
        if self.stored[node] || self.needed[node].contains(&own) {
            self.need_operands(node, own, &self.own_steps(node, own));
        }
        if !self.stored[node] {
            for access in &accesses {
                self.again[access.group] += 1;
                self.need_operands(node, access.group, &access.steps);
            }
        }
    }

    /// A node made from indexes is computed where it is used, if its indexes have strides there.
    fn decide_generated(&mut self, node: usize) {
        let index = self.graph.nodes[node].index_view();
        let readable = |access: &Access| follow(index, &access.steps).is_some();
        if !self.accesses[node].iter().all(readable) {
            self.stored[node] = true;
            self.filled.push(node);
        }
    }

    /// Steps from a member's shape to the space of its own group.
    fn own_steps(&self, node: usize, own: usize) -> Vec<Step> {
        let group = &self.partition.groups[own];
        match (self.graph.nodes[node].class, &group.order) {
            (Class::Reduce, Some((_, order))) => {
                vec![Step::Permute(*order), Step::Reshape(group.space.shape)]
            }
            (Class::Reduce, None) => vec![Step::Reshape(group.space.shape)],
            _ => group.space.steps(self.partition.level[node]),
        }
    }

    /// Notes that a group needs what a node reads, through steps from the node's shape to its space.
    fn need_operands(&mut self, node: usize, group: usize, steps: &[Step]) {
        for &input in &self.graph.nodes[node].inputs {
            let base = self.graph.base(input);
            if matches!(self.graph.nodes[base].class, Class::Leaf(_)) {
                continue;
            }
            if self.known.insert((base, group)) {
                self.needed[base].push(group);
            }
            if self.partition.group_of[base] != Some(group) {
                let mut through = operand_steps(self.graph, node, input);
                through.extend_from_slice(steps);
                let access = Access { group, steps: through.into() };
                // Only generated nodes are decided by more accesses than those.
                let accesses = &mut self.accesses[base];
                let recent = &accesses[accesses.len().saturating_sub(ACCESSES_MAX + 1)..];
                let enough =
                    recent.len() > ACCESSES_MAX && self.graph.nodes[base].class != Class::Generated;
                if !enough && !recent.contains(&access) {
                    accesses.push(access);
                }
            }
        }
    }

    /// Whether every group that reads a node could read the node's operands from memory instead.
    fn is_readable_again(&self, node: usize) -> bool {
        let entry = &self.graph.nodes[node];
        let accesses = &self.accesses[node];
        let checks = matches!(entry.op, Op::CheckIndex { .. });
        accesses.len() <= ACCESSES_MAX
            && accesses.iter().all(|access| {
                // A check must see all elements, whatever of them is read.
                let partial =
                    checks && access.steps.iter().any(|s| matches!(s, Step::Slice { .. }));
                !partial
                    && self.again[access.group] < MEMBERS_MAX
                    && access.steps.len() < STEPS_MAX
                    && entry.inputs.iter().all(|&input| {
                        let mut steps = operand_steps(self.graph, node, input);
                        steps.extend_from_slice(&access.steps);
                        let shape = self.graph.nodes[self.graph.base(input)].shape;
                        read(shape, &steps).is_some()
                    })
            })
    }

    /// Whether the groups that need a node should compute it themselves.
    fn worth_computing_again(&self, node: usize, own: usize) -> bool {
        let users = &self.needed[node];
        let exclusive = users.len() == 1 && !users.contains(&own);
        let largest = users
            .iter()
            .map(|&user| self.partition.groups[user].space.shape.count())
            .max()
            .unwrap_or(0);
        let amplified = largest >= 8 * self.graph.nodes[node].shape.count().max(1);
        let mut walk = Walk { cost: 0, operands: Vec::new(), visited: 0, amplified };
        self.walk(node, exclusive, &mut walk);
        if walk.visited > 64 {
            return false;
        }
        if exclusive && !amplified {
            return walk.cost <= DUPLICATION_MAX;
        }
        let limit = if amplified { AMPLIFIED_MAX } else { DUPLICATION_MAX };
        walk.cost <= limit && walk.operands.len() <= OPERANDS_MAX
    }

    /// True if an operand of several users costs so much that it is going to be stored for them. It comes
    /// before them in the graph, so nothing is decided about it yet.
    fn is_costly(&self, node: usize) -> bool {
        if let Some(known) = self.costly[node].get() {
            return known;
        }
        let mut walk = Walk { cost: 0, operands: Vec::new(), visited: 0, amplified: false };
        self.walk(node, false, &mut walk);
        let costly = walk.cost > DUPLICATION_MAX || walk.visited > 64;
        self.costly[node].set(Some(costly));
        costly
    }

    fn walk(&self, node: usize, exclusive: bool, walk: &mut Walk) {
        walk.visited += 1;
        if walk.visited > 64 {
            return;
        }
        if !exclusive || walk.amplified {
            walk.cost += cost(&self.graph.nodes[node].op);
        }
        for &input in &self.graph.nodes[node].inputs {
            let base = self.graph.base(input);
            let inlined = !self.stored[base] && self.graph.nodes[base].class.is_elementwise();
            let generated = self.graph.nodes[base].class == Class::Generated;
            let shared = self.graph.users[base].len() > 1;
            if inlined && !(shared && self.is_costly(base)) {
                self.walk(base, exclusive && !shared, walk);
            } else if generated {
                if matches!(self.graph.nodes[base].op, Op::Random { .. })
                    && (!exclusive || walk.amplified)
                {
                    walk.cost += 12;
                }
            } else if !walk.operands.contains(&base)
                && self.graph.nodes[base].shape.count() * 8 > self.graph.nodes[node].shape.count()
            {
                walk.operands.push(base);
            }
        }
    }
}

struct Walk {
    cost: usize,
    operands: Vec<usize>,
    visited: usize,
    amplified: bool,
}

/// Cost of one element, in units of an addition.
fn cost(op: &Op) -> usize {
    match op {
        Op::Unary(unary) => unary.nature().cost,
        Op::Binary(binary) => binary.nature().cost,
        _ => 1,
    }
}
