//! Pooling over one to three axes: the ops with any window, and the methods.

use gradloom_tensor::{Shape, Tensor};

use super::maker::Maker;
use super::windows::{fitting, picture};
use crate::graphs::action::{Numbers, call};
use crate::graphs::window_calls::{
    adaptive_avg_pool, adaptive_max_pool, adaptive_max_pool_indices, avg_pool, lp_pool, max_pool,
    max_pool_indices, max_unpool, rest, window,
};

/// The ops with any window, and their transposes.
pub(super) fn pooling(maker: &mut Maker<'_>) {
    let Some((x, axes)) = picture(maker) else { return };
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let Some(place) = fitting(maker, &shape[2..]) else { return };
    // Windows of nothing but padding have no maximum.
    let inside = (0..axes).all(|axis| {
        let (kernel, dilation) = (place[1 + axis], place[1 + 2 * axes + axis]);
        let half = (dilation * (kernel - 1)).div_ceil(2);
        let padding = &place[1 + 3 * axes + 2 * axis..][..2];
        padding.iter().all(|&size| size <= half) && dilation == 1 && shape[2 + axis] > 0
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
                c.x[0], Shape::new(rest(c.s)), window(c.s)));
            maker.call(action, &[values], Numbers::none().s(sizes));
        }
        _ => {}
    }
}

/// What the methods make of pooling.
pub(super) fn layers(maker: &mut Maker<'_>) {
    let Some((x, _)) = picture(maker) else { return };
    let shape = maker.shape_of(x);
    if maker.dice.once_in(3) {
        let output: Vec<usize> =
            shape[2..].iter().map(|&size| maker.dice.between(1, size + 1)).collect();
        let action = maker.dice.pick(&[
            call!(c => adaptive_avg_pool(c.x[0], c.s)),
            call!(c => adaptive_max_pool(c.x[0], c.s)),
            call!(c => adaptive_max_pool_indices(c.x[0], c.s)),
        ]);
        maker.call(action, &[x], Numbers::none().s(output));
        return;
    }
    let Some(mut place) = fitting(maker, &shape[2..]) else { return };
    place.extend([maker.dice.below(2), maker.dice.below(2)]);
    let action = maker.dice.pick(&[
        call!(c => max_pool(c.x[0], c.s)),
        call!(c => max_pool_indices(c.x[0], c.s)),
        call!(c => max_unpool(c.x[0], c.s)),
        call!(c => avg_pool(c.x[0], c.s)),
        call!(c => avg_pool(c.x[0], c.s)),
        call!(c => lp_pool(c.x[0], c.f, c.s)),
    ]);
    let power = maker.dice.pick(&[1.0, 2.0, 2.0, 3.0]);
    maker.call(action, &[x], Numbers::none().s(place).f(power));
}
