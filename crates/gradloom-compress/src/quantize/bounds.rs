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
    let mut bounds = UNBOUNDED;
    let mut nodes: Vec<u64> = Vec::new();
    let mut end = node.clone();
    for _ in 0..2 {
        let users = graph.users(node).iter().chain(graph.users(&end)).cloned();
        let select = users.into_iter().find_map(|user| one_sided(&user, node, &end));
        let Some((select, comparison, low, bound)) = select else { break };
        if nodes.contains(&select.id()) {
            break;
        }
        bounds[usize::from(!low)] = bound;
        nodes.extend([end.id(), comparison.id(), select.id()]);
        end = select;
    }
    nodes.retain(|id| *id != node.id() && *id != end.id());
    let own = |user: &Tensor| nodes.contains(&user.id()) || user.id() == end.id();
    (end.id() != node.id() && graph.users(node).iter().all(own)).then_some((end, nodes, bounds))
}

/// `select(compared <= bound, bound, value)` and the same with `>=`: the select, the comparison, whether it bounds
/// from below, and the bound. What is compared is the node or the value.
fn one_sided(user: &Tensor, node: &Tensor, value: &Tensor) -> Option<(Tensor, Tensor, bool, f32)> {
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
    let low = match (is_own(left), is_own(right)) {
        (true, false) if scalar(right) == Some(bound) => true,
        (false, true) if scalar(left) == Some(bound) => false,
        _ => return None,
    };
    Some((user.clone(), comparison.clone(), low, bound))
}

fn scalar(tensor: &Tensor) -> Option<f32> {
    match (tensor.op(), tensor.inputs()) {
        (Op::Constant(scalar) | Op::Argument(scalar), _) => Some(scalar.as_f64() as f32),
        (Op::Expand | Op::Reshape, [base]) => self::scalar(base),
        _ => None,
    }
}
