//! [`Graph`]: the nodes between features and an output, and the pass over them.

use gradloom_autodiff::partial_vjp;
use gradloom_tensor::{Op, Result, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

/// What a node hands to others: each with its part.
pub(crate) type Parts = Vec<(Tensor, Tensor)>;

/// The nodes that depend on features and that an output depends on.
pub(crate) struct Graph {
    /// Operands before users; the features are among them.
    pub(crate) nodes: Vec<Tensor>,
    varying: FxHashSet<u64>,
    ends: FxHashSet<u64>,
    transparent: bool,
}

/// What is left to do for a node.
enum Visit {
    Reach(Tensor),
    Leave(Tensor),
}

impl Graph {
    /// Between features and an output. A `transparent` graph says what depends on what, through whatever
    /// keeps derivatives out; another one is what derivatives go through.
    pub(crate) fn between(features: &[Tensor], output: &Tensor, transparent: bool) -> Graph {
        let ends: FxHashSet<u64> = features.iter().map(Tensor::id).collect();
        let first = ends.iter().min().copied().unwrap_or(u64::MAX);
        let mut graph = Graph { nodes: Vec::new(), varying: ends.clone(), ends, transparent };
        let mut visited: FxHashSet<u64> = FxHashSet::default();
        let mut stack = vec![Visit::Reach(output.clone())];
        while let Some(visit) = stack.pop() {
            match visit {
                // A node's operands are older than the node.
                Visit::Reach(node) if node.id() < first || !visited.insert(node.id()) => {}
                Visit::Reach(node) => {
                    let operands = graph.operands(&node);
                    stack.push(Visit::Leave(node));
                    stack.extend(operands.into_iter().rev().map(Visit::Reach));
                }
                Visit::Leave(node) => {
                    let is_end = graph.ends.contains(&node.id());
                    if is_end || graph.operands(&node).iter().any(|operand| graph.varies(operand)) {
                        graph.varying.insert(node.id());
                        graph.nodes.push(node);
                    }
                }
            }
        }
        graph
    }

    /// Whether a node depends on the features.
    pub(crate) fn varies(&self, node: &Tensor) -> bool {
        self.varying.contains(&node.id())
    }

    /// Whether a node is a feature.
    pub(crate) fn is_feature(&self, node: &Tensor) -> bool {
        self.ends.contains(&node.id())
    }

    /// What a node is made of, none for a feature.
    pub(crate) fn operands(&self, node: &Tensor) -> Vec<Tensor> {
        if self.is_feature(node) {
            return Vec::new();
        }
        match (self.transparent, node.op(), node.inputs()) {
            (true, Op::Detach(source), _) => source.source().into_iter().collect(),
            (true, Op::Custom(_) | Op::Barrier, [value, ..]) => vec![value.clone()],
            (false, Op::Custom(_), [_, operands @ ..]) => operands.to_vec(),
            (false, Op::Barrier, [value, ..]) => vec![value.clone()],
            (_, _, operands) => operands.to_vec(),
        }
    }

    /// The operand that a node has the value of, if it only stands for it.
    pub(crate) fn same_as(&self, node: &Tensor) -> Option<Tensor> {
        let stands = matches!(node.op(), Op::Detach(_) | Op::Custom(_) | Op::Barrier);
        if stands && self.transparent { self.operands(node).into_iter().next() } else { None }
    }

    /// The operands that depend on the features, by their places.
    pub(crate) fn varying_operands(&self, node: &Tensor) -> Vec<Tensor> {
        self.operands(node).into_iter().filter(|operand| self.varies(operand)).collect()
    }

    /// The floating-point ones of [`varying_operands`](Graph::varying_operands), each once.
    pub(crate) fn receivers(&self, node: &Tensor) -> Vec<Tensor> {
        let mut seen = FxHashSet::default();
        let operands = self.varying_operands(node).into_iter();
        operands.filter(|operand| operand.dtype().is_float() && seen.insert(operand.id())).collect()
    }

    /// What the derivative hands on.
    pub(crate) fn derivative(&self, node: &Tensor, multiplier: &Tensor) -> Parts {
        if let Some(operand) = self.same_as(node) {
            return vec![(operand, multiplier.clone())];
        }
        pulled_back(node, multiplier, self.receivers(node))
    }

    /// The pass: what arrives at each of the `wanted` nodes if `seed` stands at the output. `rule` says
    /// what a node hands on of what has arrived at it.
    pub(crate) fn pass(
        &self,
        output: &Tensor,
        seed: Tensor,
        wanted: &[Tensor],
        rule: &mut dyn FnMut(&Tensor, &Tensor) -> Result<Parts>,
    ) -> Result<Vec<Tensor>> {
        let kept: FxHashSet<u64> = wanted.iter().map(Tensor::id).collect();
        let mut arrived: FxHashMap<u64, Tensor> = FxHashMap::default();
        arrived.insert(output.id(), seed);
        for node in self.nodes.iter().rev() {
            let Some(multiplier) = arrived.get(&node.id()).cloned() else { continue };
            if !kept.contains(&node.id()) {
                arrived.remove(&node.id());
            }
            if self.is_feature(node) {
                continue;
            }
            for (receiver, part) in rule(node, &multiplier)? {
                let sum = match arrived.remove(&receiver.id()) {
                    Some(sum) => sum.add(part),
                    None => part,
                };
                arrived.insert(receiver.id(), sum);
            }
        }
        let found = wanted.iter().map(|node| match arrived.get(&node.id()) {
            Some(multiplier) => multiplier.clone(),
            None => node.zeros_like(),
        });
        Ok(found.collect())
    }
}

/// The vector-Jacobian products of a node in some that it is made of.
pub(crate) fn pulled_back(node: &Tensor, multiplier: &Tensor, receivers: Vec<Tensor>) -> Parts {
    let asked: Vec<&Tensor> = receivers.iter().collect();
    let parts = partial_vjp(node, multiplier, &asked);
    receivers.into_iter().zip(parts).collect()
}
