//! The second half of fusion: which members of a group are stored, and which are cheap enough to be
//! computed again by the groups that need them.

use std::cell::Cell;

use gradloom_tensor::Op;
use gradloom_tensor::op::{Binary, Unary};

use crate::graph::{Class, Graph};
use crate::partition::Partition;
use crate::program::Level;

/// Arithmetic that a second computation may cost, in units of an addition, before storing is better.
const DUPLICATION_MAX: usize = 6;

/// The same when the user reads each element many times (a vector broadcast over a batch).
const AMPLIFIED_MAX: usize = 4;

/// Stored operands that a second computation may read.
const OPERANDS_MAX: usize = 3;

/// What becomes of each node.
pub(crate) struct Storing {
    /// True for nodes that get memory.
    pub(crate) stored: Vec<bool>,
}

impl Storing {
    /// `forced` lists nodes that must be stored whatever it costs.
    pub(crate) fn new(graph: &Graph, partition: &Partition, forced: &[usize]) -> Storing {
        let count = graph.nodes.len();
        let mut must = vec![false; count];
        for &node in forced {
            must[node] = true;
        }
        for &root in &graph.roots {
            must[graph.base(root)] = true;
        }
        let used = used(graph);
        for node in 0..count {
            if graph.nodes[node].class == Class::Heavy && used[node] {
                for &input in graph.nodes[node].stored_inputs() {
                    must[graph.base(input)] = true;
                }
            }
        }
        let mut decision = Decision {
            graph,
            partition,
            needed: vec![Vec::new(); count],
            stored: must,
            costly: vec![Cell::new(None); count],
        };
        for node in (0..count).rev() {
            decision.decide(node);
        }
        Storing { stored: decision.stored }
    }
}

/// Whether a root depends on each base. A matrix in blocks whose users read the blocks is not used.
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
    /// Groups that need a node's value.
    needed: Vec<Vec<usize>>,
    stored: Vec<bool>,
    /// What [`Decision::is_costly`] found.
    costly: Vec<Cell<Option<bool>>>,
}

impl Decision<'_> {
    fn decide(&mut self, node: usize) {
        let class = self.graph.nodes[node].class;
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
            self.stored[node] =
                class != Class::Elementwise || small || !self.worth_computing_again(node, own);
        }
        let users = if self.stored[node] { vec![own] } else { self.needed[node].clone() };
        for &input in &self.graph.nodes[node].inputs {
            let base = self.graph.base(input);
            for &user in &users {
                if !self.needed[base].contains(&user) {
                    self.needed[base].push(user);
                }
            }
        }
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
            let inlined = !self.stored[base] && self.graph.nodes[base].class == Class::Elementwise;
            let trivial = self.graph.nodes[base].class == Class::Trivial;
            let shared = self.graph.users[base].len() > 1;
            if inlined && !(shared && self.is_costly(base)) {
                self.walk(base, exclusive && !shared, walk);
            } else if trivial {
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
        Op::Unary(unary) => match unary {
            Unary::Neg
            | Unary::Abs
            | Unary::Sign
            | Unary::Floor
            | Unary::Ceil
            | Unary::Round
            | Unary::Relu
            | Unary::Not
            | Unary::IsNan => 1,
            Unary::Sqrt | Unary::Rsqrt | Unary::Reciprocal => 2,
            Unary::Exp
            | Unary::Expm1
            | Unary::Log
            | Unary::Log1p
            | Unary::Sin
            | Unary::Cos
            | Unary::Tanh
            | Unary::Erf
            | Unary::Sigmoid => 8,
        },
        Op::Binary(Binary::Div | Binary::Rem) => 2,
        Op::Binary(Binary::Pow) => 16,
        _ => 1,
    }
}
