//! Products, convolutions and pooling, with their transposes.

use gradloom_tensor::{Shape, Tensor};

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::graphs::calls::window;

pub(super) fn matmul(maker: &mut Maker<'_>) {
    let x = maker.float();
    let rank = maker.dice.pick(&[1, 2, 2, 2, 3, 3, 4]);
    let Some(x) = maker.with_rank(x, rank) else { return };
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let k = shape[shape.len() - 1];
    let n = maker.size();
    let batch = match maker.dice.below(3) {
        0 if shape.len() > 2 => maker.broadcastable(&shape[..shape.len() - 2]),
        _ => Vec::new(),
    };
    if maker.dice.once_in(8) {
        let y = maker.operand(&[k], dtype);
        maker.call(call!(c => c.x[0].matmul(c.x[1])), &[x, y], Numbers::none());
        return;
    }
    let with = |sizes: [usize; 2]| -> Vec<usize> { batch.iter().copied().chain(sizes).collect() };
    if maker.dice.once_in(2) {
        let y = maker.operand(&with([n, k]), dtype);
        let action = call!(c => c.x[0].matmul(&c.x[1].transpose(-1, -2)));
        maker.call(action, &[x, y], Numbers::none());
    } else if maker.dice.once_in(3) && shape.len() >= 2 {
        let m = shape[shape.len() - 2];
        let y = maker.operand(&with([m, n]), dtype);
        let action = call!(c => c.x[0].transpose(-1, -2).matmul(c.x[1]));
        maker.call(action, &[x, y], Numbers::none());
    } else {
        let y = maker.operand(&with([k, n]), dtype);
        let action = maker.dice.pick(&[
            call!(c => c.x[0].matmul(c.x[1])),
            call!(c => c.x[0].matmul(c.x[1])),
            call!(c => c.x[0].matmul(c.x[1]).relu()),
            call!(c => c.x[0].matmul_as(c.x[1], c.x[0].dtype().compute())),
        ]);
        maker.call(action, &[x, y], Numbers::none());
    }
}

/// A window that fits a picture, as [`window`] reads it.
fn fitting(maker: &mut Maker<'_>, size: [usize; 2]) -> Option<Vec<usize>> {
    let mut list = vec![1; 10];
    for axis in 0..2 {
        let padding = [maker.dice.pick(&[0, 0, 1, 2]), maker.dice.pick(&[0, 0, 1])];
        let padded = size[axis] + padding[0] + padding[1];
        let kernel = maker.dice.between(1, padded.clamp(1, 3));
        let dilation =
            if kernel > 1 && padded > 2 * (kernel - 1) && maker.dice.once_in(3) { 2 } else { 1 };
        if padded < dilation * (kernel - 1) + 1 {
            return None;
        }
        list[axis] = kernel;
        list[2 + axis] = maker.dice.pick(&[1, 1, 2, 3]);
        list[4 + axis] = dilation;
        list[6 + 2 * axis] = padding[0];
        list[7 + 2 * axis] = padding[1];
    }
    Some(list)
}

fn picture(maker: &mut Maker<'_>) -> Option<usize> {
    let x = maker.float();
    if maker.count_of(x) > 1_500 {
        return None;
    }
    maker.with_rank(x, 4)
}

pub(super) fn convolution(maker: &mut Maker<'_>) {
    let Some(x) = picture(maker) else { return };
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let Some(place) = fitting(maker, [shape[2], shape[3]]) else { return };
    let channels = shape[1];
    let divisors: Vec<usize> =
        (1..=channels).filter(|groups| channels.is_multiple_of(*groups)).collect();
    if divisors.is_empty() {
        return;
    }
    let groups = maker.dice.pick(&divisors);
    let outputs = groups * maker.dice.between(1, 3);
    let weight_shape = [outputs, channels / groups, place[0], place[1]];
    let weight = maker.operand(&weight_shape, dtype);
    let numbers: Vec<usize> = place.iter().copied().chain([groups]).collect();
    let forward = call!(c => Tensor::conv2d_forward(c.x[0], c.x[1], window(c.s), c.s[10]));
    let Some(y) = maker.call(forward, &[x, weight], Numbers::none().s(numbers.clone())) else {
        return;
    };
    let gradient_shape = maker.shape_of(y);
    match maker.dice.below(4) {
        0 => {
            let gradient = maker.operand(&gradient_shape, dtype);
            let numbers: Vec<usize> = numbers.into_iter().chain(shape).collect();
            let action = call!(c => Tensor::conv2d_input(
                c.x[0], c.x[1], Shape::new(&[c.s[11], c.s[12], c.s[13], c.s[14]]), window(c.s), c.s[10]));
            maker.call(action, &[weight, gradient], Numbers::none().s(numbers));
        }
        1 => {
            let gradient = maker.operand(&gradient_shape, dtype);
            let numbers: Vec<usize> = numbers.into_iter().chain(weight_shape).collect();
            let action = call!(c => Tensor::conv2d_weight(
                c.x[0], c.x[1], Shape::new(&[c.s[11], c.s[12], c.s[13], c.s[14]]), window(c.s), c.s[10]));
            maker.call(action, &[x, gradient], Numbers::none().s(numbers));
        }
        _ => {}
    }
}

pub(super) fn pooling(maker: &mut Maker<'_>) {
    let Some(x) = picture(maker) else { return };
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let Some(place) = fitting(maker, [shape[2], shape[3]]) else { return };
    // Windows of nothing but padding have no maximum.
    let inside = (0..2).all(|axis| {
        let (kernel, dilation) = (place[axis], place[4 + axis]);
        let half = (dilation * (kernel - 1)).div_ceil(2);
        place[6 + 2 * axis] <= half
            && place[7 + 2 * axis] <= half
            && dilation == 1
            && shape[2 + axis] > 0
    });
    let numbers = Numbers::none().s(place.clone());
    let maximum = inside && maker.dice.once_in(2);
    let action = match maximum {
        true => call!(c => c.x[0].pool_max(window(c.s))),
        false => call!(c => c.x[0].pool_sum(window(c.s))),
    };
    let Some(y) = maker.call(action, &[x], numbers.clone()) else { return };
    let output = maker.shape_of(y);
    match (maker.dice.below(3), maximum) {
        (0, true) => {
            let values = maker.operand(&output, dtype);
            let action = call!(c => Tensor::pool_max_scatter(c.x[0], c.x[1], window(c.s)));
            maker.call(action, &[x, values], numbers);
        }
        (1, true) => {
            let source = maker.operand(&shape, dtype);
            let action = call!(c => Tensor::pool_max_gather(c.x[0], c.x[1], window(c.s)));
            maker.call(action, &[x, source], numbers);
        }
        (0, false) => {
            let values = maker.operand(&output, dtype);
            let sizes: Vec<usize> = place.into_iter().chain(shape).collect();
            let action = call!(c => Tensor::pool_sum_scatter(
                c.x[0], Shape::new(&[c.s[10], c.s[11], c.s[12], c.s[13]]), window(c.s)));
            maker.call(action, &[values], Numbers::none().s(sizes));
        }
        _ => {}
    }
}
