//! The rules of DeepLIFT: what a node hands to its operands so that the sum of their parts times their
//! differences is what arrived times the node's own difference.

use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{Error, Op, Result, Tensor};
use rustc_hash::FxHashMap;

use super::graph::{Graph, Parts, pulled_back};
use super::sources::Sources;

/// A graph at the features and at the baselines, node by node.
pub(crate) struct Pair<'g> {
    graph: &'g Graph,
    sources: Sources,
    /// The nodes at the baselines, by the numbers of those at the features.
    twins: FxHashMap<u64, Tensor>,
    epsilon: f64,
}

/// What kind of rule a node has.
enum Kind {
    /// Linear in what varies: its derivative.
    Linear,
    /// An elementwise function.
    Elementwise,
    /// Linear in each of two operands.
    Bilinear,
    /// A maximum or a minimum of the operand's elements.
    Extremum(Reduction),
    /// Gives no floating-point numbers, so nothing arrives at it.
    Discrete,
    /// None.
    Unknown,
}

impl<'g> Pair<'g> {
    /// # Errors
    /// If a node has no rule.
    pub(crate) fn new(
        graph: &'g Graph,
        features: &[Tensor],
        baselines: &[Tensor],
        wanted: &[Tensor],
        epsilon: f64,
    ) -> Result<Self> {
        let sources = Sources::of(graph, wanted);
        let ends = features.iter().zip(baselines);
        let twins = ends.map(|(feature, baseline)| (feature.id(), baseline.clone())).collect();
        let mut pair = Pair { graph, sources, twins, epsilon };
        for node in &graph.nodes {
            if pair.twins.contains_key(&node.id()) {
                continue;
            }
            if matches!(pair.kind(node), Kind::Unknown) {
                return Err(without_rule(node, "has no rule"));
            }
            let twin = match graph.same_as(node) {
                Some(operand) => pair.twin(&operand),
                None => {
                    let operands = node.inputs().iter().map(|operand| pair.twin(operand)).collect();
                    remade(node, operands)
                }
            };
            pair.twins.insert(node.id(), twin);
        }
        Ok(pair)
    }

    /// A node at the baselines.
    fn twin(&self, node: &Tensor) -> Tensor {
        self.twins.get(&node.id()).unwrap_or(node).clone()
    }

    /// A node's difference from the baselines.
    pub(crate) fn difference(&self, node: &Tensor) -> Tensor {
        node.sub(self.twin(node))
    }

    fn kind(&self, node: &Tensor) -> Kind {
        let (graph, operands) = (self.graph, node.inputs());
        let varies = |place: usize| operands.get(place).is_some_and(|x| graph.varies(x));
        if graph.same_as(node).is_some() {
            return Kind::Linear;
        }
        match node.op() {
            Op::Unary(Unary::Neg)
            | Op::Binary(Binary::Add | Binary::Sub)
            | Op::Reduce(Reduction::Sum, _)
            | Op::Scan { .. }
            | Op::Reshape
            | Op::Permute(_)
            | Op::Expand
            | Op::Slice { .. }
            | Op::Pad { .. }
            | Op::Flip(_)
            | Op::Concat { .. }
            | Op::Transfer
            | Op::PoolSum(_)
            | Op::PoolSumScatter(_)
            | Op::ScatterAdd { .. } => Kind::Linear,
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast => Kind::Elementwise,
            Op::Matmul
            | Op::Convolution(..)
            | Op::ConvolutionInput(..)
            | Op::ConvolutionWeight(..) => match varies(0) && varies(1) {
                true => Kind::Bilinear,
                false => Kind::Linear,
            },
            Op::Reduce(reduction, _) => Kind::Extremum(*reduction),
            Op::PoolMax(_) => Kind::Extremum(Reduction::Max),
            Op::Gather { .. } if !varies(1) => Kind::Linear,
            Op::Write { .. } if !varies(2) => Kind::Linear,
            Op::CheckIndex { .. } | Op::ArgReduce(..) | Op::ArgSort { .. } => Kind::Discrete,
            Op::Buffer
            | Op::Placeholder
            | Op::Constant(_)
            | Op::Argument(_)
            | Op::Iota { .. }
            | Op::Random { .. }
            | Op::Gather { .. }
            | Op::Write { .. }
            | Op::PoolMaxScatter(_)
            | Op::PoolMaxGather(_)
            | Op::Dequantize(_)
            | Op::Attention(_)
            | Op::Call(_)
            | Op::Loop(_)
            | Op::Detach(_)
            | Op::Custom(_)
            | Op::Barrier => Kind::Unknown,
        }
    }

    /// What a node hands on.
    pub(crate) fn parts(&self, node: &Tensor, multiplier: &Tensor) -> Result<Parts> {
        match self.kind(node) {
            Kind::Linear => Ok(self.graph.derivative(node, multiplier)),
            Kind::Elementwise => self.elementwise(node, multiplier),
            Kind::Bilinear => Ok(self.bilinear(node, multiplier)),
            Kind::Extremum(reduction) => Ok(self.extremum(node, multiplier, reduction)),
            Kind::Discrete => Ok(Vec::new()),
            Kind::Unknown => Err(without_rule(node, "has no rule")),
        }
    }

    fn elementwise(&self, node: &Tensor, multiplier: &Tensor) -> Result<Parts> {
        let (graph, operands) = (self.graph, node.inputs());
        let varies = |place: usize| graph.varies(&operands[place]);
        let linear = match node.op() {
            Op::Binary(Binary::Mul) => !(varies(0) && varies(1)),
            Op::Binary(Binary::Div) => !varies(1),
            Op::Select => !varies(0),
            Op::Cast => operands[0].dtype().is_float(),
            _ => false,
        };
        if linear {
            return Ok(graph.derivative(node, multiplier));
        }
        if let Some(source) = self.sources.source(node) {
            return Ok(vec![self.rescaled(node, multiplier, source)]);
        }
        match node.op() {
            Op::Binary(Binary::Mul) => Ok(self.bilinear(node, multiplier)),
            Op::Binary(Binary::Div) => Ok(self.quotient(node, multiplier)),
            Op::Binary(Binary::Maximum) => Ok(self.extremum(node, multiplier, Reduction::Max)),
            Op::Binary(Binary::Minimum) => Ok(self.extremum(node, multiplier, Reduction::Min)),
            Op::Select => Ok(self.choice(node, multiplier)),
            _ => Err(without_rule(node, "is a function of several variables without a rule")),
        }
    }

    /// The rescale rule: the quotient of differences, or the derivative where the source does not differ.
    fn rescaled(&self, node: &Tensor, multiplier: &Tensor, source: Tensor) -> (Tensor, Tensor) {
        let (_, slope) = pulled_back(node, multiplier, vec![source.clone()]).remove(0);
        let moved = multiplier.mul(self.difference(node)).cast(source.dtype());
        let part = self.quotient_or(&moved, &source, &slope);
        (source, part)
    }

    /// `moved` over the difference of a node, or `slope` where that is next to nothing.
    fn quotient_or(&self, moved: &Tensor, node: &Tensor, slope: &Tensor) -> Tensor {
        let difference = self.difference(node);
        let still = difference.abs().lt(self.epsilon);
        let divisor = still.select(difference.constant_like(1.0), &difference);
        still.select(slope, moved.div(divisor))
    }

    /// `a b - a0 b0 = (a - a0) (b + b0) / 2 + (b - b0) (a + a0) / 2`, for products of all kinds: the
    /// derivative half way.
    fn bilinear(&self, node: &Tensor, multiplier: &Tensor) -> Parts {
        let mut middles: FxHashMap<u64, Tensor> = FxHashMap::default();
        let receivers = self.graph.receivers(node);
        for receiver in &receivers {
            middles.insert(receiver.id(), receiver.add(self.twin(receiver)).mul(0.5));
        }
        let middle = |operand: &Tensor| middles.get(&operand.id()).unwrap_or(operand).clone();
        let half_way = remade(node, node.inputs().iter().map(middle).collect());
        let asked = receivers.iter().map(middle).collect();
        let parts = pulled_back(&half_way, multiplier, asked);
        receivers.into_iter().zip(parts).map(|(receiver, (_, part))| (receiver, part)).collect()
    }

    /// A product with the reciprocal, whose difference is `-(b - b0) / (b b0)`.
    fn quotient(&self, node: &Tensor, multiplier: &Tensor) -> Parts {
        let (a, b) = (&node.inputs()[0], &node.inputs()[1]);
        let (one, one_at_baseline) = (b.constant_like(1.0).div(b), self.twin(b));
        let one_at_baseline = one_at_baseline.constant_like(1.0).div(&one_at_baseline);
        let for_a = multiplier.mul(one.add(&one_at_baseline)).mul(0.5);
        let middle = a.add(self.twin(a)).mul(0.5);
        let for_b = multiplier.mul(middle).mul(one.mul(&one_at_baseline)).neg();
        vec![(a.clone(), for_a), (b.clone(), for_b)]
    }

    /// What rises above both extrema of a window comes from the element that is the extremum, at the
    /// features or at the baselines.
    fn extremum(&self, node: &Tensor, multiplier: &Tensor, reduction: Reduction) -> Parts {
        let twin = self.twin(node);
        let outer = match reduction {
            Reduction::Min => node.minimum(&twin),
            _ => node.maximum(&twin),
        };
        let receivers = self.graph.receivers(node);
        let twins = receivers.iter().map(|receiver| self.twin(receiver)).collect();
        let here = pulled_back(node, &multiplier.mul(outer.sub(&twin)), receivers.clone());
        let there = pulled_back(&twin, &multiplier.mul(node.sub(&outer)), twins);
        let slopes = pulled_back(node, multiplier, receivers);
        let parts = here.into_iter().zip(there).zip(slopes);
        let parts = parts.map(|(((receiver, here), (_, there)), (_, slope))| {
            let part = self.quotient_or(&here.add(there), &receiver, &slope);
            (receiver, part)
        });
        parts.collect()
    }

    /// A choice by a condition on other variables: each branch gets the mean of what it has at both ends.
    /// What the condition itself brings about where it differs belongs to no branch, and shows in the sum.
    fn choice(&self, node: &Tensor, multiplier: &Tensor) -> Parts {
        let (condition, half) = (&node.inputs()[0], multiplier.mul(0.5));
        let other = self.twin(condition);
        let zero = half.constant_like(0.0);
        let taken = condition.select(&half, &zero).add(other.select(&half, &zero));
        let left = condition.select(&zero, &half).add(other.select(&zero, &half));
        let branches = node.inputs()[1..].iter().cloned().zip([taken, left]);
        branches.filter(|(branch, _)| self.graph.varies(branch)).collect()
    }
}

/// The same op on other operands.
pub(super) fn remade(node: &Tensor, operands: Vec<Tensor>) -> Tensor {
    Tensor::from_op(node.op().clone(), operands, *node.shape(), node.dtype(), node.device())
}

fn without_rule(node: &Tensor, what: &str) -> Error {
    Error::unsupported(format!(
        "deep_lift: {} made at {} {what}; use IntegratedGradients, which needs derivatives alone, or explain \
         the part behind it with Forward::from_layer",
        node.op().name(),
        node.location()
    ))
}
