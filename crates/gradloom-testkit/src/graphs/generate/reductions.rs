//! Reductions, running sums, and what works on rows: softmax, norms, losses.

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::graphs::calls::cumsum_from_end;
use crate::graphs::pattern::Pattern;
use gradloom_tensor::DType;

/// A reduction over any axes; often it is read beside its operand again.
pub(super) fn reduce(maker: &mut Maker<'_>) {
    let x = maker.number();
    let axes = maker.axes(x);
    let numbers = Numbers::none().n(axes);
    let mut kept = vec![
        call!(c => c.x[0].sum_keepdim(c.n)),
        call!(c => c.x[0].sum_keepdim(c.n)),
        call!(c => c.x[0].max_keepdim(c.n)),
        call!(c => c.x[0].min_keepdim(c.n)),
    ];
    let mut dropped = vec![
        call!(c => c.x[0].sum(c.n)),
        call!(c => c.x[0].sum(..)),
        call!(c => c.x[0].max(c.n)),
        call!(c => c.x[0].any(c.n)),
        call!(c => c.x[0].all(c.n)),
        call!(c => c.x[0].count_nonzero(c.n)),
    ];
    if maker.dtype_of(x).is_float() {
        kept.extend([
            call!(c => c.x[0].mean_keepdim(c.n)),
            call!(c => c.x[0].var_keepdim(c.n, 0)),
            call!(c => c.x[0].logsumexp_keepdim(c.n)),
            call!(c => c.x[0].norm_keepdim(c.n)),
        ]);
        dropped.extend([
            call!(c => c.x[0].tanh().prod(c.n)),
            call!(c => c.x[0].nanmean(c.n)),
            call!(c => c.x[0].mean(c.n)),
            call!(c => c.x[0].mean(..)),
            call!(c => c.x[0].var(c.n, 1)),
            call!(c => c.x[0].std(c.n, 0)),
            call!(c => c.x[0].logsumexp(c.n)),
        ]);
    }
    if maker.dice.once_in(2) {
        let action = maker.dice.pick(&dropped);
        maker.call(action, &[x], numbers);
        return;
    }
    let action = maker.dice.pick(&kept);
    let Some(row) = maker.call(action, &[x], numbers) else { return };
    if maker.dtype_of(row) != maker.dtype_of(x) {
        return;
    }
    let again = maker.dice.pick(&[
        call!(c => c.x[0].sub(c.x[1])),
        call!(c => c.x[0].mul(c.x[1])),
        call!(c => c.x[1].broadcast_to(*c.x[0].shape())),
        call!(c => c.x[0].gt(c.x[1])),
        call!(c => c.x[0].add(c.x[1].mul(c.x[1]))),
        call!(c => c.x[0].transpose(0, -1).mul(c.x[1].transpose(0, -1))),
    ]);
    if maker.dice.below(4) > 0 {
        maker.call(again, &[x, row], Numbers::none());
    }
}

pub(super) fn arg(maker: &mut Maker<'_>) {
    let x = maker.number();
    let action = maker.dice.pick(&[
        call!(c => c.x[0].argmax(c.n[0])),
        call!(c => c.x[0].argmin(c.n[0])),
        call!(c => c.x[0].argmax_keepdim(c.n[0])),
    ]);
    let axis = maker.axis(x);
    if maker.rank_of(x) > 0 {
        maker.call(action, &[x], Numbers::none().n([axis]));
    }
}

pub(super) fn scan(maker: &mut Maker<'_>) {
    let x = maker.number();
    if maker.rank_of(x) == 0 {
        return;
    }
    let axis = maker.axis(x);
    if maker.dice.once_in(2) || matches!(maker.dtype_of(x), DType::U8 | DType::I8) {
        let mut actions = vec![call!(c => c.x[0].cumsum(c.n[0])); 3];
        if maker.dtype_of(x).is_float() {
            actions.extend([
                call!(c => c.x[0].tanh().cumprod(c.n[0])),
                call!(c => c.x[0].logcumsumexp(c.n[0])),
            ]);
        }
        if maker.dtype_of(x) != DType::Bool {
            actions.push(call!(c => c.x[0].cummax(c.n[0]).0));
        }
        let action = maker.dice.pick(&actions);
        maker.call(action, &[x], Numbers::none().n([axis]));
    } else {
        let axis = axis.rem_euclid(maker.rank_of(x) as isize) as usize;
        maker.call(call!(c => cumsum_from_end(c.x[0], c.s[0])), &[x], Numbers::none().s([axis]));
    }
}

/// Layers that read a row's reduction again in the same row.
pub(super) fn rows(maker: &mut Maker<'_>) {
    let x = maker.float();
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let Some(&last) = shape.last() else { return };
    let axis = maker.axis(x);
    let numbers = Numbers::none().n([axis]);
    match maker.dice.below(8) {
        0 | 1 => {
            maker.call(call!(c => c.x[0].softmax(c.n[0])), &[x], numbers);
        }
        2 => {
            maker.call(call!(c => c.x[0].log_softmax(c.n[0])), &[x], numbers);
        }
        3 => {
            let weight = maker.operand(&[last], dtype);
            let bias = maker.operand(&[last], dtype);
            let action = maker.dice.pick(&[
                call!(c => c.x[0].layer_norm(1, Some(c.x[1]), Some(c.x[2]), 1e-3)),
                call!(c => c.x[0].layer_norm(1, None, Some(c.x[2]), 1e-3)),
            ]);
            maker.call(action, &[x, weight, bias], numbers);
        }
        4 => {
            let weight = maker.operand(&[last], dtype);
            maker.call(call!(c => c.x[0].rms_norm(Some(c.x[1]), 1e-3)), &[x, weight], numbers);
        }
        5 if shape.len() >= 2 => {
            let channels = shape[1];
            let groups = (1..=channels).rev().find(|&groups| {
                channels.is_multiple_of(groups) && (groups < channels || channels == 1)
            });
            let weight = maker.operand(&[channels], dtype);
            let numbers = numbers.s([groups.unwrap_or(1)]);
            let action = call!(c => c.x[0].group_norm(c.s[0], Some(c.x[1]), None, 1e-3));
            maker.call(action, &[x, weight], numbers);
        }
        6 => {
            let action = call!(c => c.x[0].normalize(c.n[0], 1e-3));
            maker.call(action, &[x], numbers);
        }
        // A batch norm: over every axis but one, then as it was.
        _ => {
            let axes: Vec<isize> = (0..shape.len() as isize).filter(|&axis| axis != 1).collect();
            let numbers = Numbers::none().n(axes);
            let action = call!(c => c.x[0]
                .sub(c.x[0].mean_keepdim(c.n))
                .mul(c.x[0].var_keepdim(c.n, 0).add(1e-3).rsqrt()));
            maker.call(action, &[x], numbers);
        }
    }
}

pub(super) fn loss(maker: &mut Maker<'_>) {
    let x = maker.float();
    let Some(logits) = maker.with_rank(x, 2) else { return };
    let (shape, dtype) = (maker.shape_of(logits), maker.dtype_of(logits));
    if shape[1] > 0 && maker.dice.once_in(2) {
        let targets = maker.leaf_of(&shape[..1], DType::I32, Pattern::Index(shape[1]));
        maker.call(call!(c => c.x[0].cross_entropy(c.x[1])), &[logits, targets], Numbers::none());
        return;
    }
    let target = maker.operand(&shape, dtype);
    let action = maker.dice.pick(&[
        call!(c => c.x[0].mse_loss(c.x[1])),
        call!(c => c.x[0].l1_loss(c.x[1])),
        call!(c => c.x[0].huber_loss(c.x[1], 0.5)),
        call!(c => c.x[0].bce_with_logits(&c.x[1].sigmoid())),
        call!(c => c.x[0].cosine_similarity(c.x[1], -1)),
    ]);
    maker.call(action, &[logits, target], Numbers::none());
}
