//! [`Sources`]: elementwise functions of one variable, however many nodes they are made of.
//!
//! `x sigmoid(x)` is two nodes and leaky ReLU four, but each element of the result depends on one element
//! of `x` alone. Rules for nonlinear functions are about such a whole, so each elementwise node gets its
//! source: the last node that every way to it goes through, which is its immediate dominator among
//! elementwise nodes.

use gradloom_tensor::{Op, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use super::graph::Graph;

/// The source of each elementwise node that has one.
pub(crate) struct Sources(FxHashMap<u64, Tensor>);

impl Sources {
    /// Of the nodes of a graph. Nodes in `apart` are not looked behind: they are asked for themselves.
    pub(crate) fn of(graph: &Graph, apart: &[Tensor]) -> Sources {
        let apart: FxHashSet<u64> = apart.iter().map(Tensor::id).collect();
        let mut sources = Sources(FxHashMap::default());
        for node in &graph.nodes {
            let elementwise = graph.same_as(node).is_some()
                || matches!(node.op(), Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast);
            if !elementwise || graph.is_feature(node) || apart.contains(&node.id()) {
                continue;
            }
            let mut operands = graph.varying_operands(node).into_iter();
            let Some(first) = operands.next() else { continue };
            let common = operands.try_fold(first, |common, other| sources.common(common, other));
            if let Some(common) = common {
                sources.0.insert(node.id(), common);
            }
        }
        sources
    }

    /// The last node that every way to both goes through. Nodes are older than their users, so the younger
    /// of two is never a source of the other.
    fn common(&self, mut a: Tensor, mut b: Tensor) -> Option<Tensor> {
        while a.id() != b.id() {
            let younger = if a.id() > b.id() { &mut a } else { &mut b };
            *younger = self.0.get(&younger.id())?.clone();
        }
        Some(a)
    }

    /// The last floating-point node that an elementwise node is a function of.
    pub(crate) fn source(&self, node: &Tensor) -> Option<Tensor> {
        let mut source = self.0.get(&node.id())?;
        while !source.dtype().is_float() {
            source = self.0.get(&source.id())?;
        }
        Some(source.clone())
    }
}
