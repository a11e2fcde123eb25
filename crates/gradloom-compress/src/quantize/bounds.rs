//! [`bounded`]: ReLU and the like behind a node, as bounds of its values.

use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{Op, Tensor};

use crate::graph::Graph;

/// No bounds.
pub(super) const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

/// The node that alone reads another.
pub(super) fn only_user(graph: &Graph, node: &Tensor) -> Option<Tensor> {
    match graph.users(node) {
        [user] => Some(user.clone()),
        _ => None,
    }
}

/// ReLU and the like right behind a node: the last node, all nodes that it is made of, and the bounds.
pub(super) fn bounded(graph: &Graph, node: &Tensor) -> Option<(Tensor, Vec<u64>, [f32; 2])> {
    if let Some(user) = only_user(graph, node) {
        return match user.op() {
            Op::Unary(Unary::Relu) => Some((user, Vec::new(), [0.0, f32::INFINITY])),
            _ => None,
        };
    }
    // `select(x <= low, low, select(high <= x, high, x))`, however the two are nested.
    let (mut found, mut bounds) = (None, UNBOUNDED);
    let mut nodes: Vec<Tensor> = Vec::new();
    let mut end = node.clone();
    for _ in 0..2 {
        let users = graph.users(node).iter().chain(graph.users(&end)).cloned();
        let step = users.into_iter().find_map(|user| one_sided(&user, node, &end));
        let Some(step) = step.filter(|step| step.select.id() != end.id()) else { break };
        let Some(both) = step.bounds_after(bounds) else { break };
        bounds = both;
        if end.id() != node.id() {
            nodes.push(end);
        }
        nodes.push(step.comparison);
        end = step.select;
        // What others read remains a result of its own.
        let own =
            |user: &Tensor| user.id() == end.id() || nodes.iter().any(|own| own.id() == user.id());
        if nodes.iter().chain([node]).all(|inner| graph.users(inner).iter().all(own)) {
            found = Some((end.clone(), nodes.iter().map(Tensor::id).collect(), bounds));
        }
    }
    found
}

/// `select(compared <= bound, bound, value)` and the same with `>=`.
struct OneSided {
    select: Tensor,
    comparison: Tensor,
    /// Whether it bounds from below.
    is_low: bool,
    bound: f32,
    /// Whether the value itself is compared, not the node that it was made of.
    of_value: bool,
}

impl OneSided {
    /// The bounds of a value within others, none if the results are no numbers between two bounds.
    fn bounds_after(&self, [low, high]: [f32; 2]) -> Option<[f32; 2]> {
        let bound = self.bound;
        if self.of_value {
            return Some(match self.is_low {
                true => [low.max(bound), high.max(bound)],
                false => [low.min(bound), high.min(bound)],
            });
        }
        match self.is_low {
            true if low == f32::NEG_INFINITY && bound <= high => Some([bound, high]),
            false if high == f32::INFINITY && low <= bound => Some([low, bound]),
            _ => None,
        }
    }
}

/// What bounds a value that was made of a node. What is compared is the node or the value.
fn one_sided(user: &Tensor, node: &Tensor, value: &Tensor) -> Option<OneSided> {
    let (Op::Select, [comparison, constant, rest]) = (user.op(), user.inputs()) else {
        return None;
    };
    let bound = scalar(constant)?;
    let (Op::Binary(Binary::Le), [left, right]) = (comparison.op(), comparison.inputs()) else {
        return None;
    };
    let is_own = |tensor: &Tensor| tensor.id() == node.id() || tensor.id() == value.id();
    if rest.id() != value.id() {
        return None;
    }
    let (is_low, compared) = match (is_own(left), is_own(right)) {
        (true, false) if scalar(right) == Some(bound) => (true, left),
        (false, true) if scalar(left) == Some(bound) => (false, right),
        _ => return None,
    };
    let of_value = compared.id() == value.id();
    let (select, comparison) = (user.clone(), comparison.clone());
    Some(OneSided { select, comparison, is_low, bound, of_value })
}

fn scalar(tensor: &Tensor) -> Option<f32> {
    match (tensor.op(), tensor.inputs()) {
        (Op::Constant(scalar) | Op::Argument(scalar), _) => Some(scalar.as_f64() as f32),
        (Op::Expand | Op::Reshape, [base]) => self::scalar(base),
        _ => None,
    }
}
