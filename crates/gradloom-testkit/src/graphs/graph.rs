//! [`Graph`]: the nodes of a graph while a recipe (or a pasted test) builds it.

use std::ops::Index;

use gradloom_tensor::{DType, Device, Shape, Tensor};

use super::pattern::Pattern;
use crate::case::tensor;

/// The nodes of a graph, in the order in which they were made.
pub struct Graph {
    device: Device,
    variation: f64,
    nodes: Vec<Tensor>,
    /// Leaves that are given instead of made, by the number of their node.
    given: Vec<(usize, Tensor)>,
}

impl Graph {
    /// An empty graph. `variation` is added to numbers in operators; `given` are the leaves that stand
    /// for those of these numbers.
    pub fn new(device: &Device, variation: f64, given: Vec<(usize, Tensor)>) -> Graph {
        Graph { device: device.clone(), variation, nodes: Vec::new(), given }
    }

    /// Where it is built.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What is added to numbers in operators, so that a replay has other arguments.
    pub fn variation(&self) -> f64 {
        self.variation
    }

    /// Adds a leaf.
    ///
    /// # Panics
    /// If the device refuses it.
    #[track_caller]
    pub fn leaf(&mut self, shape: &[usize], dtype: DType, pattern: Pattern, seed: u64) {
        let number = self.nodes.len();
        let given = self.given.iter().position(|(given, _)| *given == number);
        let leaf = match given {
            Some(position) => self.given.swap_remove(position).1,
            None => {
                let shape = Shape::new(shape);
                let values = pattern.values(dtype, shape.count(), seed);
                tensor(&values, shape, dtype, &self.device)
                    .unwrap_or_else(|error| panic!("leaf: {error}"))
            }
        };
        self.nodes.push(leaf);
    }

    /// Adds a node.
    pub fn push(&mut self, node: Tensor) {
        self.nodes.push(node);
    }

    /// Takes the last node back.
    pub(crate) fn pop(&mut self) {
        self.nodes.pop();
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Tensor] {
        &self.nodes
    }
}

impl Index<usize> for Graph {
    type Output = Tensor;

    fn index(&self, number: usize) -> &Tensor {
        &self.nodes[number]
    }
}
