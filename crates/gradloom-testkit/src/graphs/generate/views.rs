//! Views, and concatenation.

use gradloom_tensor::{Shape, Tensor};

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::graphs::calls::{pairs, steps};

pub(super) fn reshape(maker: &mut Maker<'_>) {
    let x = maker.any();
    let rank = maker.dice.between(1, 5);
    let shape = maker.factors(maker.count_of(x), rank);
    maker.call(call!(c => c.x[0].reshape(c.s)), &[x], Numbers::none().s(shape));
}

pub(super) fn permute(maker: &mut Maker<'_>) {
    let x = maker.any();
    let order = maker.dice.shuffled((0..maker.rank_of(x) as isize).collect());
    maker.call(call!(c => c.x[0].permute(c.n)), &[x], Numbers::none().n(order));
}

/// Size-one axes repeated, also ones that are made for it.
pub(super) fn broadcast(maker: &mut Maker<'_>) {
    let mut x = maker.any();
    if maker.rank_of(x) > 4 {
        return;
    }
    if maker.dice.once_in(2) {
        let axis = maker.dice.below(maker.rank_of(x) + 1) as isize;
        let made =
            maker.call(call!(c => c.x[0].unsqueeze(c.n[0])), &[x], Numbers::none().n([axis]));
        x = made.unwrap_or(x);
    }
    let mut shape = maker.shape_of(x);
    for axis in 0..shape.len() {
        if shape[axis] == 1 && !maker.dice.once_in(3) {
            shape[axis] = maker.size();
        }
    }
    if maker.dice.once_in(3) {
        let size = maker.size();
        shape.insert(0, size);
    }
    if maker.has_few(&shape) {
        let numbers = Numbers::none().s(shape);
        maker.call(call!(c => c.x[0].broadcast_to(Shape::new(c.s))), &[x], numbers);
    }
}

pub(super) fn slice(maker: &mut Maker<'_>) {
    let x = maker.any();
    let shape = maker.shape_of(x);
    if shape.is_empty() {
        return;
    }
    let axis = maker.dice.below(shape.len());
    let size = shape[axis];
    if maker.dice.once_in(2) {
        let length =
            if size == 0 || maker.dice.once_in(40) { 0 } else { maker.dice.between(1, size) };
        let start = maker.dice.between(0, size - length);
        let numbers = Numbers::none().n([axis as isize]).s([start, length]);
        maker.call(call!(c => c.x[0].narrow(c.n[0], c.s[0], c.s[1])), &[x], numbers);
        return;
    }
    // Start, end and step of every axis; what is outside is moved to what exists.
    let mut numbers = Vec::new();
    for &size in &shape {
        let backwards = maker.dice.once_in(4);
        let step = maker.dice.pick(&[1, 1, 2, 3]);
        let start = maker.dice.below(size / 2 + 1) as isize;
        let end = size as isize - maker.dice.below(size / 3 + 1) as isize;
        numbers.extend(if backwards { [end, start, -step] } else { [start, end, step] });
    }
    maker.call(call!(c => c.x[0].slice(steps(c.n))), &[x], Numbers::none().n(numbers));
}

/// Zeros around, often under another shape afterwards, which the padding may not divide.
pub(super) fn pad(maker: &mut Maker<'_>) {
    let x = maker.any();
    let rank = maker.rank_of(x);
    let mut padding = vec![0; 2 * rank];
    for size in &mut padding {
        if maker.dice.once_in(3) {
            *size = maker.dice.between(1, 3);
        }
    }
    let padded: Vec<usize> = maker
        .shape_of(x)
        .iter()
        .zip(padding.chunks(2))
        .map(|(size, pair)| size + pair[0] + pair[1])
        .collect();
    if !maker.has_few(&padded) {
        return;
    }
    let action = maker.dice.pick(&[
        call!(c => c.x[0].pad(&pairs(c.s))),
        call!(c => c.x[0].pad(&pairs(c.s))),
        call!(c => c.x[0].pad(&pairs(c.s))),
        call!(c => c.x[0].pad_value(&pairs(c.s), 1)),
    ]);
    let made = maker.call(action, &[x], Numbers::none().s(padding));
    if let Some(node) = made.filter(|_| maker.dice.once_in(2)) {
        let rank = maker.dice.between(1, 4);
        let shape = maker.factors(maker.count_of(node), rank);
        maker.call(call!(c => c.x[0].reshape(c.s)), &[node], Numbers::none().s(shape));
    }
}

pub(super) fn flip(maker: &mut Maker<'_>) {
    let x = maker.any();
    let axes = maker.axes(x);
    if !axes.is_empty() && maker.dice.once_in(4) {
        let numbers = Numbers::none().n([axes[0], maker.dice.below(5) as isize - 2]);
        maker.call(call!(c => c.x[0].roll(c.n[1], c.n[0])), &[x], numbers);
        return;
    }
    maker.call(call!(c => c.x[0].flip(c.n)), &[x], Numbers::none().n(axes));
}

pub(super) fn concat(maker: &mut Maker<'_>) {
    let x = maker.any();
    if maker.rank_of(x) == 0 {
        return;
    }
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let axis = maker.dice.below(shape.len());
    let mut other = shape.clone();
    other[axis] = maker.size();
    let dtype = if maker.dice.once_in(5) { maker.dtype() } else { dtype };
    let y = maker.operand(&other, dtype);
    let numbers = Numbers::none().n([axis as isize]);
    let operands = maker.dice.shuffled(vec![x, y]);
    match maker.dice.below(6) {
        0 => {
            maker.call(call!(c => Tensor::concat(&[c.x[0]], c.n[0])), &[x], numbers);
        }
        1 => {
            let action = call!(c => Tensor::concat(&[c.x[0], c.x[1], c.x[2]], c.n[0]));
            maker.call(action, &[operands[0], operands[1], x], numbers);
        }
        2 => {
            maker.call(call!(c => Tensor::stack(&[c.x[0], c.x[1]], c.n[0])), &[x, x], numbers);
        }
        _ => {
            maker.call(call!(c => Tensor::concat(&[c.x[0], c.x[1]], c.n[0])), &operands, numbers);
        }
    }
}
