//! [`Recipe`]: a graph as data, to be built on any device, shrunk and printed.

use super::action::{Action, Call, Numbers};
use super::graph::Graph;
use super::pattern::Pattern;
use super::scenario::Scenario;
use gradloom_tensor::{DType, Tensor};

/// One node of a graph.
#[derive(Clone, Debug)]
pub enum Step {
    /// Elements.
    Leaf {
        /// Sizes.
        shape: Vec<usize>,
        /// Their type.
        dtype: DType,
        /// What they are.
        pattern: Pattern,
        /// Which of those.
        seed: u64,
    },
    /// A call with earlier nodes.
    Call {
        /// The call.
        action: Action,
        /// Numbers of earlier nodes.
        operands: Vec<usize>,
        /// The other arguments.
        numbers: Numbers,
    },
}

impl Step {
    /// Numbers of the nodes that it reads.
    pub fn operands(&self) -> &[usize] {
        match self {
            Step::Leaf { .. } => &[],
            Step::Call { operands, .. } => operands,
        }
    }

    /// Adds the node to a graph.
    #[track_caller]
    pub fn add(&self, graph: &mut Graph) {
        match self {
            Step::Leaf { shape, dtype, pattern, seed } => {
                graph.leaf(shape, *dtype, *pattern, *seed);
            }
            Step::Call { action, operands, numbers } => {
                let x: Vec<&Tensor> = operands.iter().map(|&operand| &graph[operand]).collect();
                let node = (action.run)(&Call {
                    x: &x,
                    n: &numbers.n,
                    s: &numbers.s,
                    f: numbers.f + graph.variation(),
                    d: numbers.d,
                    t: graph.device(),
                });
                graph.push(node);
            }
        }
    }
}

/// A graph, which of its nodes are asked for, and how.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its nodes.
    pub steps: Vec<Step>,
    /// Numbers of the nodes that are asked for.
    pub roots: Vec<usize>,
    /// How they are asked for.
    pub scenario: Scenario,
}

impl Recipe {
    /// Adds the nodes to a graph.
    pub fn build(&self, graph: &mut Graph) -> Vec<usize> {
        for step in &self.steps {
            step.add(graph);
        }
        self.roots.clone()
    }
}
