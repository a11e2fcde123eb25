//! Convolutions and pooling.
//!
//! Where only one operand of a convolution differs between examples, the examples are more images or more
//! channels of one convolution; where both do, they are more groups of it.
//!
//! Letters: N images, G groups, C input channels, O output channels.

use gradloom_tensor::op::{Groups, Op, Window};
use gradloom_tensor::{Shape, Tensor};

use super::value::{Value, batched_shape};

/// Where the examples go: along this axis, inside each of so many groups of it.
#[derive(Clone, Copy)]
struct Place {
    axis: usize,
    groups: Groups,
}

/// Along the first axis of images, or of a weight's output channels.
const FIRST: Place = Place { axis: 0, groups: 1 };
/// Along the channels, before the groups.
const CHANNELS: Place = Place { axis: 1, groups: 1 };

/// The three convolutions, which are transposes of each other.
#[derive(Clone, Copy)]
pub(super) enum Family {
    /// `input [N, C, ..], weight [O, C / G, ..] -> [N, O, ..]`.
    Forward,
    /// `weight [O, C / G, ..], gradient [N, O, ..] -> [N, C, ..]`.
    Input,
    /// `input [N, C, ..], gradient [N, O, ..] -> [O, C / G, ..]`.
    Weight,
}

impl Family {
    fn op(self, window: Window, groups: Groups) -> Op {
        match self {
            Family::Forward => Op::Convolution(window, groups),
            Family::Input => Op::ConvolutionInput(window, groups),
            Family::Weight => Op::ConvolutionWeight(window, groups),
        }
    }

    /// Where the examples go in the first operand, the second and the result, if the first, the second or
    /// both differ between them.
    fn places(self, batched: [bool; 2], groups: Groups) -> [Place; 3] {
        let inside = |axis| Place { axis, groups };
        let none = FIRST;
        match (self, batched) {
            (Family::Forward, [true, false]) => [FIRST, none, FIRST],
            (Family::Forward, [false, _]) => [none, inside(0), inside(1)],
            (Family::Forward, [true, true]) => [CHANNELS, FIRST, CHANNELS],
            (Family::Input, [true, false]) => [CHANNELS, none, inside(1)],
            (Family::Input, [false, _]) => [none, FIRST, FIRST],
            (Family::Input, [true, true]) => [FIRST, CHANNELS, CHANNELS],
            (Family::Weight, [true, false]) => [inside(1), none, CHANNELS],
            (Family::Weight, [false, _]) => [none, inside(1), inside(0)],
            (Family::Weight, [true, true]) => [CHANNELS, CHANNELS, FIRST],
        }
    }
}

#[track_caller]
pub(super) fn convolution(
    node: &Tensor,
    family: Family,
    (window, groups): (Window, Groups),
    operands: &[Value],
    size: usize,
) -> Tensor {
    let batched = [operands[0].is_batched(), operands[1].is_batched()];
    let [first, second, result] = family.places(batched, groups);
    let inputs = vec![
        placed(&operands[0], node.inputs()[0].shape(), first, size),
        placed(&operands[1], node.inputs()[1].shape(), second, size),
    ];
    let groups = if batched == [true, true] { groups * size } else { groups };
    made(node, family.op(window, groups), inputs, result, size)
}

/// Each image of each example by itself.
#[track_caller]
pub(super) fn pooling(node: &Tensor, operands: &[Value], size: usize) -> Tensor {
    let mut inputs = Vec::with_capacity(operands.len());
    for (operand, own) in operands.iter().zip(node.inputs()) {
        inputs.push(placed(&Value::Batched(operand.each(size)), own.shape(), FIRST, size));
    }
    made(node, node.op().clone(), inputs, FIRST, size)
}

#[track_caller]
fn made(node: &Tensor, op: Op, inputs: Vec<Tensor>, place: Place, size: usize) -> Tensor {
    let shape = node.shape().with(place.axis, size * node.shape()[place.axis]);
    let result = Tensor::from_op(op, inputs, shape, node.dtype(), node.device());
    apart(&result, node.shape(), place, size)
}

/// An operand with the examples along an axis of its own; as it is where there is one for all.
#[track_caller]
fn placed(operand: &Value, own: &Shape, place: Place, size: usize) -> Tensor {
    let Value::Batched(x) = operand else { return operand.tensor().clone() };
    let Place { axis, groups } = place;
    let mut order: Vec<isize> = (1..own.rank() as isize + 2).collect();
    order.insert(axis + 1, 0);
    let split = std::iter::once(size).chain(in_groups(own, place));
    x.reshape(split.collect::<Shape>())
        .permute(&order)
        .reshape(own.with(axis, size * groups * (own[axis] / groups)))
}

/// The examples of a result, which lie along one of its axes, along a first axis.
#[track_caller]
fn apart(x: &Tensor, own: &Shape, place: Place, size: usize) -> Tensor {
    let mut split: Vec<usize> = in_groups(own, place).collect();
    split.insert(place.axis + 1, size);
    let mut order: Vec<isize> = (0..split.len() as isize).collect();
    let examples = order.remove(place.axis + 1);
    order.insert(0, examples);
    x.reshape(split).permute(&order).reshape(batched_shape(size, own))
}

/// The sizes of a shape with one axis as groups and what is in each.
fn in_groups(own: &Shape, Place { axis, groups }: Place) -> impl Iterator<Item = usize> + '_ {
    let inside = [groups, own[axis] / groups.max(1)];
    own[..axis].iter().copied().chain(inside).chain(own[axis + 1..].iter().copied())
}
