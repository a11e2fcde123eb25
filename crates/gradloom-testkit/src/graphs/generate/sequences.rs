//! Attention, writes at places, matrices in blocks.

use gradloom_tensor::{BlockFormat, DType, Tensor};

use super::indexing::index;
use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::graphs::calls::{blocks, seen};
use gradloom_tensor::ops::attention::AttentionOptions;

pub(super) fn attention(maker: &mut Maker<'_>) {
    let dtype = if maker.dice.once_in(4) { maker.float_dtype() } else { DType::F32 };
    let few = |maker: &mut Maker<'_>| maker.dice.between(1, 3);
    let (batch, shared, group) = (few(maker), few(maker), few(maker));
    let (queries, depth, features) =
        (maker.size().clamp(1, 16), maker.size().clamp(1, 16), few(maker));
    let keys = queries + maker.dice.pick(&[0, 0, 1, 3]);
    let query = maker.operand(&[batch, shared * group, queries, depth], dtype);
    let key = maker.operand(&[batch, shared, keys, depth], dtype);
    let value = maker.operand(&[batch, shared, keys, features], dtype);
    let mut operands = vec![query, key, value];
    let window = maker.dice.between(1, keys);
    let action = match maker.dice.below(8) {
        0 | 1 => call!(c =>
            Tensor::attention(c.x[0], c.x[1], c.x[2], &AttentionOptions::default())),
        2 | 3 => call!(c =>
            Tensor::attention(c.x[0], c.x[1], c.x[2], &AttentionOptions::default().causal(true))),
        4 => call!(c => Tensor::attention(
            c.x[0], c.x[1], c.x[2], &AttentionOptions::default().causal(true).window(c.s[0]))),
        5 => {
            let mask = maker.operand(&[batch, 1, queries, keys], DType::Bool);
            operands.push(mask);
            call!(c => Tensor::attention(
                c.x[0], c.x[1], c.x[2], &AttentionOptions::default().mask(&seen(c.x[3]))))
        }
        6 => {
            let mask = maker.operand(&[queries, keys], dtype);
            operands.push(mask);
            call!(c => Tensor::attention(
                c.x[0], c.x[1], c.x[2], &AttentionOptions::default().scale(0.5).mask(c.x[3])))
        }
        _ => {
            let start = index(maker, &[batch], keys - queries + 1);
            if maker.dtype_of(start) != DType::I32 {
                return;
            }
            operands.push(start);
            call!(c => Tensor::attention(
                c.x[0], c.x[1], c.x[2], &AttentionOptions::default().causal(true).start(c.x[3])))
        }
    };
    maker.call(action, &operands, Numbers::none().s([window]));
}

pub(super) fn write_or_blocks(maker: &mut Maker<'_>) {
    match maker.dice.below(5) {
        0 => product_of_blocks(maker),
        1 => rows_of_blocks(maker),
        _ => write(maker),
    }
}

fn write(maker: &mut Maker<'_>) {
    let x = maker.any();
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    if shape.len() < 2 {
        return;
    }
    let axis = maker.dice.between(1, shape.len() - 1);
    let length = maker.dice.between(0, shape[axis]);
    let mut update_shape = shape.clone();
    update_shape[axis] = length;
    let update = maker.operand(&update_shape, dtype);
    let start = index(maker, &shape[..1], shape[axis] - length + 1);
    let numbers = Numbers::none().n([axis as isize]);
    maker.call(call!(c => c.x[0].write(c.n[0], c.x[1], c.x[2])), &[x, start, update], numbers);
}

/// A matrix in one of the formats: `[rows, columns]`.
fn matrix(maker: &mut Maker<'_>, rows: usize) -> Option<(usize, usize)> {
    let format = maker.dice.below(BlockFormat::ALL.len());
    let columns = BlockFormat::ALL[format].elements() * maker.dice.between(1, 2);
    let numbers = Numbers::none().s([format, rows, columns, maker.dice.below(1000)]);
    let action = call!(c => blocks(BlockFormat::ALL[c.s[0]], [c.s[1], c.s[2]], c.s[3], c.t));
    Some((maker.call(action, &[], numbers)?, columns))
}

fn product_of_blocks(maker: &mut Maker<'_>) {
    let rows = maker.dice.pick(&[1, 5, 16, 19]);
    let Some((weight, columns)) = matrix(maker, rows) else { return };
    let count = maker.dice.between(1, 3);
    let x = maker.operand(&[count, columns], DType::F32);
    maker.call(call!(c => c.x[0].matmul(&c.x[1].t())), &[x, weight], Numbers::none());
}

fn rows_of_blocks(maker: &mut Maker<'_>) {
    let rows = maker.dice.between(1, 20);
    let Some((table, _)) = matrix(maker, rows) else { return };
    let count = maker.dice.between(1, 4);
    let index = index(maker, &[count], rows);
    maker.call(call!(c => c.x[0].embedding(c.x[1])), &[table, index], Numbers::none());
}
