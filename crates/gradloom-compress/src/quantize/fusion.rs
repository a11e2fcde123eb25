//! [`Fusion`]: the products of a run with what follows each of them and can be computed with it: factors and terms of
//! channels (batch norm, bias), and bounds (ReLU).

use gradloom_tensor::op::{Binary, Groups, Window};
use gradloom_tensor::{Op, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use super::bounds::{UNBOUNDED, bounded, only_user};
use crate::graph::Graph;

/// How a weight is multiplied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `[N, C, ..]` with `[O, C / groups, ..]`.
    Convolution(Window, Groups),
    /// `[rows, K]` with `[O, K]`.
    Linear,
}

impl Kind {
    /// The axis of outputs in a result of this rank.
    pub(super) fn channel_axis(self, rank: usize) -> usize {
        match self {
            Kind::Convolution(..) => 1,
            Kind::Linear => rank - 1,
        }
    }
}

/// A product with a weight: `clamp(product * factor + term)`.
#[derive(Clone, Debug)]
pub(super) struct Product {
    /// The weight's name, with `#1` for its second use in the run, and so on.
    pub(super) name: String,
    pub(super) weight: String,
    pub(super) kind: Kind,
    pub(super) x: Tensor,
    /// `[O]`, or `[1]` for all; none for 1.
    pub(super) factor: Option<Tensor>,
    /// `[O]`, or `[1]` for all; none for 0.
    pub(super) term: Option<Tensor>,
    /// Number of nodes that factor and term come from.
    pub(super) absorbed: usize,
    pub(super) bounds: [f32; 2],
}

/// What can be computed with integers.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A product with a weight.
    Product(Product),
    /// The maximum of windows, whose scale is that of its input.
    PoolMax(Tensor, Window),
    /// The sum of two results, within bounds.
    Sum([Tensor; 2], [f32; 2]),
    /// `[N, C, ..]` as `[N, C * ..]`, or the same elements in another shape.
    Reshape(Tensor),
}

/// The steps of a run, by the nodes that are their results.
pub(super) struct Fusion {
    steps: FxHashMap<u64, Step>,
    /// Nodes within steps.
    inside: FxHashSet<u64>,
    /// Numbers of sums, in the order of the run.
    sums: FxHashMap<u64, usize>,
    sum_count: usize,
}

impl Fusion {
    /// Of a run. `quantized` says which weights have integers.
    pub(super) fn of(graph: &Graph, quantized: &dyn Fn(&str) -> bool) -> Fusion {
        let mut fusion = Fusion {
            steps: FxHashMap::default(),
            inside: FxHashSet::default(),
            sums: FxHashMap::default(),
            sum_count: 0,
        };
        let mut uses: FxHashMap<String, usize> = FxHashMap::default();
        for node in &graph.nodes {
            if fusion.inside.contains(&node.id()) || fusion.steps.contains_key(&node.id()) {
                continue;
            }
            if let Some((weight, kind, x)) = product(graph, node) {
                if !quantized(&weight) {
                    continue;
                }
                let count = uses.entry(weight.clone()).or_default();
                let name = if *count == 0 { weight.clone() } else { format!("{weight}#{count}") };
                *count += 1;
                let step = Product {
                    name,
                    weight,
                    kind,
                    x,
                    factor: None,
                    term: None,
                    absorbed: 0,
                    bounds: UNBOUNDED,
                };
                fusion.follow(graph, node, step);
                continue;
            }
            fusion.other(graph, node);
        }
        fusion
    }

    /// What follows a product joins it as far as it can.
    fn follow(&mut self, graph: &Graph, node: &Tensor, mut step: Product) {
        let kind = step.kind;
        let axis = |node: &Tensor| kind.channel_axis(node.rank());
        let mut end = node.clone();
        loop {
            if let Some((bounded, nodes, bounds)) = bounded(graph, &end) {
                self.inside.insert(end.id());
                self.inside.extend(nodes);
                step.bounds = bounds;
                end = bounded;
                break;
            }
            let Some(user) = only_user(graph, &end) else { break };
            let channels = end.shape()[axis(&end)];
            let last = user.rank().checked_sub(1).map(|last| user.shape()[last]);
            let keeps = matches!(kind, Kind::Linear) && last == Some(channels);
            match user.op() {
                Op::Reshape if keeps => {}
                Op::Detach(_) | Op::Custom(_) | Op::Barrier => {}
                Op::Binary(binary) => {
                    let Some((value, first)) = channel_operand(graph, &user, &end, axis(&end))
                    else {
                        break;
                    };
                    if !step.absorb(*binary, value, first) {
                        break;
                    }
                }
                _ => break,
            }
            self.inside.insert(end.id());
            end = user;
        }
        self.inside.remove(&end.id());
        self.steps.insert(end.id(), Step::Product(step));
    }

    fn other(&mut self, graph: &Graph, node: &Tensor) {
        let operands = graph.operands(node);
        let step = match (node.op(), &operands[..]) {
            (Op::PoolMax(window), [x]) => Step::PoolMax(x.clone(), *window),
            (Op::Reshape, [x]) if graph.varies(x) => Step::Reshape(x.clone()),
            (Op::Binary(Binary::Add), [one, other])
                if graph.varies(one) && graph.varies(other) && one.rank() == 4 =>
            {
                // All are counted, so that a number does not depend on what is quantized.
                let number = self.sum_count;
                self.sum_count += 1;
                let known = |operand: &Tensor| self.steps.contains_key(&operand.id());
                if !known(one) || !known(other) {
                    return;
                }
                let (mut end, mut bounds) = (node.clone(), UNBOUNDED);
                if let Some((node, nodes, found)) = bounded(graph, &end) {
                    self.inside.insert(end.id());
                    self.inside.extend(nodes);
                    self.inside.remove(&node.id());
                    (end, bounds) = (node, found);
                }
                self.sums.insert(end.id(), number);
                let step = Step::Sum([one.clone(), other.clone()], bounds);
                self.steps.insert(end.id(), step);
                return;
            }
            _ => return,
        };
        self.steps.insert(node.id(), step);
    }

    /// The step whose result a node is.
    pub(super) fn step(&self, node: &Tensor) -> Option<&Step> {
        self.steps.get(&node.id())
    }

    /// Whether a node is computed within a step.
    pub(super) fn is_inside(&self, node: &Tensor) -> bool {
        self.inside.contains(&node.id())
    }

    /// The names of the scales that a result may have which is read as integers: of the weights that read it, else one
    /// of its own if a sum reads it.
    pub(super) fn scale_names(&self, graph: &Graph, node: &Tensor) -> Vec<String> {
        let weights = self.weights_after(graph, node, true);
        if !weights.is_empty() || !self.is_summed(graph, node) {
            return weights;
        }
        let own = match self.step(node) {
            Some(Step::Product(product)) => Some(format!("{}:output", product.name)),
            Some(Step::Sum(..)) => self.sums.get(&node.id()).map(|number| format!("sum:{number}")),
            _ => None,
        };
        own.into_iter().collect()
    }

    /// The weights that a result is multiplied with, perhaps after pooling or flattening. `is_alone` if nothing else is
    /// made of what the node is made of.
    fn weights_after(&self, graph: &Graph, node: &Tensor, is_alone: bool) -> Vec<String> {
        let own = |step: &Step| match step {
            Step::Product(product) if product.x.id() == node.id() => Some(product.weight.clone()),
            _ => None,
        };
        let mut found: Vec<String> = self.readers(graph, node).filter_map(own).collect();
        let users = graph.users(node);
        let is_alone = is_alone && users.len() == 1;
        for user in users {
            match self.step(user) {
                // What else is made of the numbers may read those that are below the range of the maxima.
                Some(Step::PoolMax(..)) if !is_alone => {}
                Some(Step::PoolMax(..) | Step::Reshape(_)) => {
                    found.extend(self.weights_after(graph, user, is_alone));
                }
                _ => {}
            }
        }
        found
    }

    /// Steps that begin at a node.
    fn readers<'a>(&'a self, graph: &'a Graph, node: &'a Tensor) -> impl Iterator<Item = &'a Step> {
        let mut reached: Vec<&Step> = Vec::new();
        for user in graph.users(node) {
            let mut at = user.clone();
            // To the end of the step that the user is within.
            while self.is_inside(&at) {
                let Some(next) = graph.users(&at).first() else { break };
                at = next.clone();
            }
            reached.extend(self.step(&at));
        }
        reached.into_iter()
    }

    fn is_summed(&self, graph: &Graph, node: &Tensor) -> bool {
        let mut steps = self.readers(graph, node);
        let sums = |step: &Step| match step {
            Step::Sum(operands, _) => operands.iter().any(|operand| operand.id() == node.id()),
            _ => false,
        };
        steps.any(sums)
    }
}

/// Results that only sums read: names of their scales, and the nodes.
pub(super) fn between_products(graph: &Graph) -> Vec<(String, Tensor)> {
    let fusion = Fusion::of(graph, &|_| true);
    let own = |node: &Tensor| {
        let names = fusion.scale_names(graph, node);
        let name = names.into_iter().find(|name| name.contains(':'))?;
        fusion.step(node).is_some().then(|| (name, node.clone()))
    };
    graph.nodes.iter().filter_map(own).collect()
}

impl Product {
    /// `result op value`, or `value op result` if the value comes first. False if it is another op.
    fn absorb(&mut self, binary: Binary, value: Tensor, first: bool) -> bool {
        let scaled = |own: &Option<Tensor>, by: &Tensor| own.as_ref().map(|own| own * by);
        match (binary, first) {
            (Binary::Add, _) => self.shift(value),
            (Binary::Sub, false) => self.shift(-value),
            (Binary::Sub, true) => {
                let minus = value.full_like(-1.0);
                self.factor = Some(scaled(&self.factor, &minus).unwrap_or(minus));
                self.term =
                    Some(self.term.as_ref().map_or_else(|| value.clone(), |term| &value - term));
            }
            (Binary::Mul, _) => {
                self.factor = Some(scaled(&self.factor, &value).unwrap_or_else(|| value.clone()));
                self.term = scaled(&self.term, &value);
            }
            (Binary::Div, false) => {
                let by = value.reciprocal();
                self.term = scaled(&self.term, &by);
                self.factor = Some(scaled(&self.factor, &by).unwrap_or(by));
            }
            _ => return false,
        }
        self.absorbed += 1;
        true
    }

    fn shift(&mut self, value: Tensor) {
        self.term = Some(self.term.as_ref().map_or_else(|| value.clone(), |term| term + &value));
    }
}

/// A product with a weight: the weight's name, the way, and what is multiplied.
fn product(graph: &Graph, node: &Tensor) -> Option<(String, Kind, Tensor)> {
    let operands = graph.operands(node);
    match (node.op(), &operands[..]) {
        (Op::Convolution(window, groups), [x, weight]) if graph.varies(x) => {
            let name = graph.weight(weight)?.to_owned();
            Some((name, Kind::Convolution(*window, *groups), x.clone()))
        }
        (Op::Matmul, [x, weight]) if graph.varies(x) && x.rank() == 2 => {
            let shape = *weight.shape();
            let mut weight = weight.clone();
            while matches!(weight.op(), Op::Reshape) && weight.rank() == 2 {
                weight = weight.inputs().first()?.clone();
            }
            let transposed = match (weight.op(), weight.inputs()) {
                (Op::Permute(_), [own]) if *weight.shape() == shape => own,
                _ => return None,
            };
            Some((graph.weight(transposed)?.to_owned(), Kind::Linear, x.clone()))
        }
        _ => None,
    }
}

/// What an elementwise node joins with `end` if it is a number for each channel, `[C]` or `[1]`, and whether it is the
/// first operand.
fn channel_operand(
    graph: &Graph,
    node: &Tensor,
    end: &Tensor,
    axis: usize,
) -> Option<(Tensor, bool)> {
    let [one, other] = node.inputs() else { return None };
    let (value, first) = if one.id() == end.id() { (other, false) } else { (one, true) };
    if graph.varies(value) {
        return None;
    }
    let base = match (value.op(), value.inputs()) {
        (Op::Constant(scalar) | Op::Argument(scalar), _) => {
            return Some((
                Tensor::full([1], scalar.as_f64(), value.dtype(), value.device()),
                first,
            ));
        }
        (Op::Expand, [base]) => base,
        _ => value,
    };
    let channels = end.shape()[axis];
    let fits = base.rank() == end.rank()
        && base
            .shape()
            .iter()
            .enumerate()
            .all(|(at, &size)| size == 1 || (at == axis && size == channels));
    fits.then(|| (base.reshape([base.count()]), first))
}
