//! [`Lowering`]: the graph of a run, made again with products of integers.

use std::collections::BTreeMap;

use gradloom_tensor::op::Window;
use gradloom_tensor::{Op, Tensor};
use rustc_hash::FxHashMap;

use super::activation::Activation;
use super::fusion::{Fusion, Kind, Product, Step};
use super::integer_layer::IntegerLayer;
use crate::graph::Graph;
use crate::int8::{self, Finish, Integers};

/// What stands for a node of the run.
#[derive(Clone)]
enum Value {
    Float(Tensor),
    Integer(Tensor, Activation),
}

/// One pass over a run, operands first.
pub(super) struct Lowering<'a> {
    layers: &'a BTreeMap<String, IntegerLayer>,
    /// None where inputs are rounded as they come.
    activations: &'a BTreeMap<String, Activation>,
    graph: &'a Graph,
    fusion: &'a Fusion,
    values: FxHashMap<u64, Value>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(
        layers: &'a BTreeMap<String, IntegerLayer>,
        activations: &'a BTreeMap<String, Activation>,
        graph: &'a Graph,
        fusion: &'a Fusion,
    ) -> Self {
        Lowering { layers, activations, graph, fusion, values: FxHashMap::default() }
    }

    /// The output, made again.
    #[track_caller]
    pub(super) fn run(mut self, output: &Tensor) -> Tensor {
        for node in &self.graph.nodes {
            if self.fusion.is_inside(node) {
                continue;
            }
            let value = match self.fusion.step(node) {
                Some(Step::Product(product)) => self.product(node, product),
                Some(Step::PoolMax(x, window)) => self.pool(node, x, *window),
                Some(Step::Sum(operands, bounds)) => self.sum(node, operands, *bounds),
                Some(Step::Reshape(x)) => match self.values.get(&x.id()) {
                    Some(Value::Integer(x, own)) => Value::Integer(x.reshape(*node.shape()), *own),
                    _ => self.same(node),
                },
                None => self.same(node),
            };
            self.values.insert(node.id(), value);
        }
        self.float(output)
    }

    /// The node's op on what stands for its operands.
    #[track_caller]
    fn same(&self, node: &Tensor) -> Value {
        let operands = self.graph.operands(node);
        if operands.is_empty() {
            return Value::Float(node.clone());
        }
        if let (Op::Detach(_) | Op::Custom(_) | Op::Barrier, [x, ..]) = (node.op(), &operands[..]) {
            return self.value(x);
        }
        let inputs = operands.iter().map(|operand| self.float(operand)).collect();
        let op = node.op().clone();
        Value::Float(Tensor::from_op(op, inputs, *node.shape(), node.dtype(), node.device()))
    }

    fn value(&self, node: &Tensor) -> Value {
        self.values.get(&node.id()).cloned().unwrap_or_else(|| Value::Float(node.clone()))
    }

    /// The numbers of a node.
    #[track_caller]
    fn float(&self, node: &Tensor) -> Tensor {
        match self.value(node) {
            Value::Float(tensor) => tensor,
            Value::Integer(integers, own) => own.dequantize(&integers),
        }
    }

    /// The integers of a node, by a scale if it has none yet.
    #[track_caller]
    fn integers(&self, node: &Tensor, by: Activation) -> (Tensor, Activation) {
        match self.value(node) {
            Value::Float(tensor) => (by.quantize(&tensor), by),
            Value::Integer(integers, own) => (integers, own),
        }
    }

    /// The scale of a result that is read as integers.
    fn scale_of(&self, node: &Tensor) -> Option<Activation> {
        let name = self.fusion.scale_name(self.graph, node)?;
        self.activations.get(&name).copied()
    }

    #[track_caller]
    fn product(&self, node: &Tensor, product: &Product) -> Value {
        let Some(layer) = self.layers.get(&product.name) else {
            panic!(
                "int8: {} is multiplied more often than in the run that the model was converted by",
                product.weight
            );
        };
        assert!(
            layer.absorbed == product.absorbed,
            "int8: {} is followed by other factors or terms than in the run that the model was converted by; \
             convert it by a run on an input of the usual shape",
            product.name
        );
        let (packed, outputs) = (layer.packed.tensor(), layer.of_outputs());
        let to = self.scale_of(node);
        let finish = Finish { bounds: product.bounds, to: to.map(Integers::from) };
        let result = match (product.kind, self.activations.get(&product.weight)) {
            (_, None) => int8::dynamic_linear(&self.float(&product.x), packed, outputs, finish),
            (Kind::Linear, Some(own)) => {
                let (x, own) = self.integers(&product.x, *own);
                int8::linear(&x, own.zero_point as u8, packed, outputs, finish)
            }
            (Kind::Convolution(window, groups), Some(own)) => {
                let (x, own) = self.integers(&product.x, *own);
                let zero_point = own.zero_point as u8;
                int8::convolution(&x, zero_point, packed, outputs, window, groups, finish)
            }
        };
        let result = result.reshape(*node.shape());
        to.map_or_else(|| Value::Float(result.clone()), |to| Value::Integer(result.clone(), to))
    }

    #[track_caller]
    fn pool(&self, node: &Tensor, x: &Tensor, window: Window) -> Value {
        match self.values.get(&x.id()) {
            Some(Value::Integer(integers, own)) if window.axes < 3 => {
                Value::Integer(int8::pool_max(integers, window), *own)
            }
            _ => self.same(node),
        }
    }

    #[track_caller]
    fn sum(&self, node: &Tensor, [one, other]: &[Tensor; 2], bounds: [f32; 2]) -> Value {
        let sum = self.float(one) + self.float(other);
        match self.scale_of(node) {
            Some(to) => Value::Integer(to.within(&sum, bounds), to),
            None => Value::Float(within(&sum, bounds)),
        }
    }
}

#[track_caller]
fn within(x: &Tensor, [low, high]: [f32; 2]) -> Tensor {
    match (low, high) {
        (f32::NEG_INFINITY, f32::INFINITY) => x.clone(),
        (0.0, f32::INFINITY) => x.relu(),
        _ => x.clamp(f64::from(low), f64::from(high)),
    }
}
