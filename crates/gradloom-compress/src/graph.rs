//! [`Graph`]: what a run of a model made between its inputs and its output, with the weights by their names.

use gradloom_nn::Module;
use gradloom_nn::Path;
use gradloom_tensor::{Op, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

/// The nodes that depend on the inputs and that the output depends on.
pub(crate) struct Graph {
    /// Operands before users, the inputs among them.
    pub(crate) nodes: Vec<Tensor>,
    varying: FxHashSet<u64>,
    inputs: FxHashSet<u64>,
    names: FxHashMap<u64, String>,
    users: FxHashMap<u64, Vec<Tensor>>,
}

/// What is left to do for a node.
enum Visit {
    Reach(Tensor),
    Leave(Tensor),
}

impl Graph {
    /// Of a model's output, made from these inputs after they were.
    pub(crate) fn of(model: &(impl Module + ?Sized), inputs: &[Tensor], output: &Tensor) -> Graph {
        let mut names = FxHashMap::default();
        model.visit(&mut Path::root(), &mut |name, parameter| {
            names.insert(parameter.tensor().id(), name.to_owned());
        });
        let inputs: FxHashSet<u64> = inputs.iter().map(Tensor::id).collect();
        let first = inputs.iter().min().copied().unwrap_or(u64::MAX);
        let (nodes, users) = (Vec::new(), FxHashMap::default());
        let mut graph = Graph { nodes, varying: inputs.clone(), inputs, names, users };
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
                Visit::Leave(node) => graph.leave(node),
            }
        }
        graph
    }

    fn leave(&mut self, node: Tensor) {
        let operands = self.operands(&node);
        let varies = operands.iter().any(|operand| self.varies(operand));
        if !varies && !self.inputs.contains(&node.id()) {
            return;
        }
        for operand in operands {
            self.users.entry(operand.id()).or_default().push(node.clone());
        }
        self.varying.insert(node.id());
        self.nodes.push(node);
    }

    /// Whether a node depends on the inputs.
    pub(crate) fn varies(&self, node: &Tensor) -> bool {
        self.varying.contains(&node.id())
    }

    /// What a node is made of, none for an input. A node that only stands for another is made of that one.
    pub(crate) fn operands(&self, node: &Tensor) -> Vec<Tensor> {
        if self.inputs.contains(&node.id()) {
            return Vec::new();
        }
        match (node.op(), node.inputs()) {
            (Op::Detach(source), _) => source.source().into_iter().collect(),
            (Op::Custom(_) | Op::Barrier, [value, ..]) => vec![value.clone()],
            (_, operands) => operands.to_vec(),
        }
    }

    /// The nodes that read a node.
    pub(crate) fn users(&self, node: &Tensor) -> &[Tensor] {
        self.users.get(&node.id()).map_or(&[], Vec::as_slice)
    }

    /// The name of a weight, if the tensor is one.
    pub(crate) fn weight(&self, tensor: &Tensor) -> Option<&str> {
        self.names.get(&tensor.id()).map(String::as_str)
    }
}
