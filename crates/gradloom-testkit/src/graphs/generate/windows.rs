//! Convolutions over one to three axes, their transposes, unfolding and folding.

use gradloom_tensor::{Shape, Tensor};

use super::maker::Maker;
use super::products::{factor, mixed};
use crate::graphs::action::{Numbers, call};
use crate::graphs::window_calls::{conv, conv_transpose, fold, rest, unfold, window};

/// A tensor `[N, C, ..]` with its number of axes after the first two.
pub(super) fn picture(maker: &mut Maker<'_>) -> Option<(usize, usize)> {
    let x = maker.float();
    if maker.count_of(x) > 1_500 {
        return None;
    }
    let axes = maker.dice.pick(&[1, 2, 2, 2, 3, 3]);
    Some((maker.with_rank(x, axes + 2)?, axes))
}

/// A window that fits sizes, as [`window`] reads it.
pub(super) fn fitting(maker: &mut Maker<'_>, sizes: &[usize]) -> Option<Vec<usize>> {
    let axes = sizes.len();
    let mut list = vec![1; 1 + 5 * axes];
    list[0] = axes;
    for (axis, &size) in sizes.iter().enumerate() {
        let padding = [maker.dice.pick(&[0, 0, 1, 2]), maker.dice.pick(&[0, 0, 1])];
        let padded = size + padding[0] + padding[1];
        let kernel = maker.dice.between(1, padded.clamp(1, 3));
        let dilation =
            if kernel > 1 && padded > 2 * (kernel - 1) && maker.dice.once_in(3) { 2 } else { 1 };
        if padded < dilation * (kernel - 1) + 1 {
            return None;
        }
        list[1 + axis] = kernel;
        list[1 + axes + axis] = maker.dice.pick(&[1, 1, 2, 3]);
        list[1 + 2 * axes + axis] = dilation;
        list[1 + 3 * axes + 2 * axis] = padding[0];
        list[2 + 3 * axes + 2 * axis] = padding[1];
    }
    Some(list)
}

/// A number of groups for so many channels.
fn groups(maker: &mut Maker<'_>, channels: usize) -> Option<usize> {
    let divisors: Vec<usize> =
        (1..=channels).filter(|groups| channels.is_multiple_of(*groups)).collect();
    if divisors.is_empty() { None } else { Some(maker.dice.pick(&divisors)) }
}

/// The convolution of any window, and the gradients in its operands.
pub(super) fn convolution(maker: &mut Maker<'_>) {
    let Some((x, axes)) = picture(maker) else { return };
    let x = mixed(maker, x);
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let Some(place) = fitting(maker, &shape[2..]) else { return };
    let Some(groups) = groups(maker, shape[1]) else { return };
    let outputs = groups * maker.dice.between(1, 3);
    let weight_shape = [&[outputs, shape[1] / groups], &place[1..=axes]].concat();
    let weight = factor(maker, &weight_shape, dtype);
    let numbers: Vec<usize> = place.iter().copied().chain([groups]).collect();
    let forward = call!(c => Tensor::convolution(c.x[0], c.x[1], window(c.s), rest(c.s)[0]));
    let Some(y) = maker.call(forward, &[x, weight], Numbers::none().s(numbers.clone())) else {
        return;
    };
    let gradient_shape = maker.shape_of(y);
    match maker.dice.below(4) {
        0 => {
            let gradient = factor(maker, &gradient_shape, dtype);
            let numbers: Vec<usize> = numbers.into_iter().chain(shape).collect();
            let action = call!(c => Tensor::convolution_input(
                c.x[0], c.x[1], Shape::new(&rest(c.s)[1..]), window(c.s), rest(c.s)[0]));
            maker.call(action, &[weight, gradient], Numbers::none().s(numbers));
        }
        1 => {
            let gradient = factor(maker, &gradient_shape, dtype);
            let numbers: Vec<usize> = numbers.into_iter().chain(weight_shape).collect();
            let action = call!(c => Tensor::convolution_weight(
                c.x[0], c.x[1], Shape::new(&rest(c.s)[1..]), window(c.s), rest(c.s)[0]));
            maker.call(action, &[x, gradient], Numbers::none().s(numbers));
        }
        _ => {}
    }
}

/// What the methods make of convolutions and of unfolding.
pub(super) fn layers(maker: &mut Maker<'_>) {
    let Some((x, axes)) = picture(maker) else { return };
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let Some(place) = fitting(maker, &shape[2..]) else { return };
    let cut: Vec<isize> = (0..2 * axes).map(|_| maker.dice.pick(&[0, 0, 0, 1, 3])).collect();
    match maker.dice.below(3) {
        0 => {
            let Some(groups) = groups(maker, shape[1]) else { return };
            let weight = [&[groups * 2, shape[1] / groups], &place[1..=axes]].concat();
            let weight = factor(maker, &weight, dtype);
            let numbers: Vec<usize> = place.into_iter().chain([groups]).collect();
            let action = call!(c => conv(c.x[0], c.x[1], c.n, c.s));
            maker.call(action, &[x, weight], Numbers::none().n(cut).s(numbers));
        }
        1 => {
            let Some(groups) = groups(maker, shape[1]) else { return };
            let weight = [&[shape[1], maker.dice.between(1, 2)], &place[1..=axes]].concat();
            let weight = maker.operand(&weight, dtype);
            let added = (0..axes).map(|axis| {
                let most = place[1 + axes + axis].max(place[1 + 2 * axes + axis]);
                maker.dice.below(most)
            });
            let added: Vec<usize> = added.collect();
            let numbers: Vec<usize> = place.into_iter().chain([groups]).chain(added).collect();
            let action = call!(c => conv_transpose(c.x[0], c.x[1], c.n, c.s));
            maker.call(action, &[x, weight], Numbers::none().n(cut).s(numbers));
        }
        _ => {
            let action = call!(c => unfold(c.x[0], c.s));
            let Some(columns) = maker.call(action, &[x], Numbers::none().s(place.clone())) else {
                return;
            };
            if maker.dice.once_in(2) {
                let columns = maker.shape_of(columns);
                let values = maker.operand(&columns, dtype);
                let numbers: Vec<usize> =
                    place.into_iter().chain(shape[2..].iter().copied()).collect();
                let action = call!(c => fold(c.x[0], c.s));
                maker.call(action, &[values], Numbers::none().s(numbers));
            }
        }
    }
}
