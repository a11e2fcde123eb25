//! [`Lowering`]: the graph of a run, made again with products of integers.

use std::collections::BTreeMap;

use gradloom_tensor::op::Window;
use gradloom_tensor::{Op, Tensor};
use rustc_hash::FxHashMap;

use super::activation::Activation;
use super::bounds::UNBOUNDED;
use super::fusion::{Fusion, Kind, Product, Step};
use super::integer_layer::IntegerLayer;
use crate::graph::Graph;
use crate::int8::{self, Finish, Integers};

/// What stands for a node of the run.
#[derive(Clone)]
enum Value {
    Float(Tensor),
    Integer(Integer),
}

/// Integers of a node.
#[derive(Clone)]
struct Integer {
    tensor: Tensor,
    own: Activation,
    /// Whether channels, the second axis of the node, are the last one.
    channels_last: bool,
}

impl Integer {
    /// With the axes of the node.
    #[track_caller]
    fn in_order(&self) -> Tensor {
        if self.channels_last { in_order(&self.tensor) } else { self.tensor.clone() }
    }

    /// With channels as the last axis, of a node that has them as the second.
    #[track_caller]
    fn channels_last(&self) -> Tensor {
        if self.channels_last {
            return self.tensor.clone();
        }
        let rank = self.tensor.rank() as isize;
        let axes: Vec<isize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        self.tensor.permute(&axes[..])
    }
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
                    Some(Value::Integer(x)) => Value::Integer(Integer {
                        tensor: x.in_order().reshape(*node.shape()),
                        own: x.own,
                        channels_last: false,
                    }),
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
            Value::Integer(integer) => integer.own.dequantize(&integer.in_order()),
        }
    }

    /// The integers of a node, by a scale if it has none yet, with channels as the last axis if that is asked for.
    #[track_caller]
    fn integers(&self, node: &Tensor, by: Activation, channels_last: bool) -> (Tensor, Activation) {
        match self.value(node) {
            Value::Integer(integer) if channels_last => (integer.channels_last(), integer.own),
            Value::Integer(integer) => (integer.in_order(), integer.own),
            Value::Float(tensor) => {
                let finish = by.within(UNBOUNDED);
                let integers = match channels_last {
                    true => int8::quantize_channels_last(&tensor, finish),
                    false => int8::quantize(&tensor, finish),
                };
                (integers, by)
            }
        }
    }

    /// The scale of a result that is read as integers: the least of those that have room for it, as that of another
    /// reader may be of larger numbers, which it reads elsewhere.
    fn scale_of(&self, node: &Tensor) -> Option<Activation> {
        let names = self.fusion.scale_names(self.graph, node).into_iter();
        let scales = names.filter_map(|name| self.activations.get(&name).copied());
        scales.min_by(|one, other| one.scale.total_cmp(&other.scale))
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
        let packed = layer.packed.tensor();
        let to = self.scale_of(node);
        let finish = Finish { bounds: product.bounds, to: to.map(Integers::from) };
        let (result, channels_last) = match (product.kind, self.activations.get(&product.weight)) {
            (_, None) => {
                let x = self.float(&product.x);
                (int8::dynamic_linear(&x, packed, layer.of_outputs(), finish), false)
            }
            (kind, Some(by)) => {
                let channels_last = matches!(kind, Kind::Convolution(..));
                let (x, own) = self.integers(&product.x, *by, channels_last);
                let zero_point = own.zero_point as u8;
                let [sums, factor, term] = layer.of_outputs();
                // Integers that others read, too, may have the scale of those.
                let scaled = (own.scale != by.scale)
                    .then(|| factor * (f64::from(own.scale) / f64::from(by.scale)));
                let outputs = [sums, scaled.as_ref().unwrap_or(factor), term];
                let result = match kind {
                    Kind::Linear => int8::linear(&x, zero_point, packed, outputs, finish),
                    Kind::Convolution(window, groups) => {
                        int8::convolution(&x, zero_point, packed, outputs, window, groups, finish)
                    }
                };
                (result, channels_last)
            }
        };
        let tensor = if channels_last { result } else { result.reshape(*node.shape()) };
        match to {
            Some(own) => Value::Integer(Integer { tensor, own, channels_last }),
            None if channels_last => Value::Float(in_order(&tensor)),
            None => Value::Float(tensor),
        }
    }

    #[track_caller]
    fn pool(&self, node: &Tensor, x: &Tensor, window: Window) -> Value {
        match self.values.get(&x.id()) {
            Some(Value::Integer(integer)) if window.axes < 3 => Value::Integer(Integer {
                tensor: int8::pool_max(&integer.channels_last(), window),
                own: integer.own,
                channels_last: true,
            }),
            _ => self.same(node),
        }
    }

    #[track_caller]
    fn sum(&self, node: &Tensor, [one, other]: &[Tensor; 2], bounds: [f32; 2]) -> Value {
        let to = self.scale_of(node);
        let tensor = match (self.value(one), self.value(other)) {
            (Value::Integer(one), Value::Integer(other)) => {
                let finish = Finish { bounds, to: to.map(Integers::from) };
                let terms = [one.channels_last(), other.channels_last()];
                int8::add(terms.each_ref(), [one.own.into(), other.own.into()], finish)
            }
            _ => {
                let sum = self.float(one) + self.float(other);
                match to {
                    Some(to) => int8::quantize_channels_last(&sum, to.within(bounds)),
                    None => return Value::Float(within(&sum, bounds)),
                }
            }
        };
        match to {
            Some(own) => Value::Integer(Integer { tensor, own, channels_last: true }),
            None => Value::Float(in_order(&tensor)),
        }
    }
}

/// `[N, .., C]` as `[N, C, ..]`.
#[track_caller]
fn in_order(tensor: &Tensor) -> Tensor {
    let rank = tensor.rank() as isize;
    let axes: Vec<isize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    tensor.permute(&axes[..])
}

#[track_caller]
fn within(x: &Tensor, [low, high]: [f32; 2]) -> Tensor {
    match (low, high) {
        (f32::NEG_INFINITY, f32::INFINITY) => x.clone(),
        (0.0, f32::INFINITY) => x.relu(),
        _ => x.clamp(f64::from(low), f64::from(high)),
    }
}
