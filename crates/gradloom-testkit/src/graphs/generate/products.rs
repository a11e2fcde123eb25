//! Products, also of casts.

use gradloom_tensor::DType;

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};

/// A node as a float that products and convolutions may read before its cast: a cast that is there, or a
/// new one, with views on either side of it, or of what is computed.
pub(super) fn cast(maker: &mut Maker<'_>, node: usize, dtype: DType) -> usize {
    if maker.dtype_of(node) == dtype {
        return node;
    }
    let mut actions = vec![
        call!(c => c.x[0].cast(c.d)),
        call!(c => c.x[0].cast(c.d)),
        call!(c => c.x[0].mul(0.5).cast(c.d)),
    ];
    if maker.rank_of(node) >= 2 {
        actions.extend([
            call!(c => c.x[0].transpose(0, -1).cast(c.d).transpose(0, -1)),
            call!(c => c.x[0].flip([0]).cast(c.d)),
            call!(c => c.x[0].cast(c.d).flip([-1])),
            call!(c => c.x[0].reshape([-1]).cast(c.d).reshape(*c.x[0].shape())),
        ]);
    }
    let action = maker.dice.pick(&actions);
    maker.call(action, &[node], Numbers::none().d(dtype)).unwrap_or(node)
}

/// A float node as another float, where the dice say so, for products and convolutions.
pub(super) fn mixed(maker: &mut Maker<'_>, node: usize) -> usize {
    if !maker.dice.once_in(3) {
        return node;
    }
    let dtype = maker.float_dtype();
    cast(maker, node, dtype)
}

/// An operand of a product or a convolution: of its dtype, or a cast of another float.
pub(super) fn factor(maker: &mut Maker<'_>, shape: &[usize], dtype: DType) -> usize {
    let stored = if maker.dice.once_in(3) { maker.float_dtype() } else { dtype };
    let node = maker.operand(shape, stored);
    cast(maker, node, dtype)
}

/// Products of signed bytes, as they are summed.
fn matmul_of_bytes(maker: &mut Maker<'_>) {
    let x = maker.of(|dtype| dtype == DType::I8, DType::I8);
    let rank = maker.dice.pick(&[2, 2, 3]);
    let Some(x) = maker.with_rank(x, rank) else { return };
    let shape = maker.shape_of(x);
    let n = maker.size();
    let batch = &shape[..shape.len() - 2];
    let [m, k] = [shape[shape.len() - 2], shape[shape.len() - 1]];
    let with = |sizes: [usize; 2]| -> Vec<usize> { batch.iter().copied().chain(sizes).collect() };
    let (sizes, action) = match maker.dice.below(3) {
        0 => ([n, k], call!(c => c.x[0].matmul_as(&c.x[1].transpose(-1, -2), DType::I32))),
        1 => ([m, n], call!(c => c.x[0].transpose(-1, -2).matmul_as(c.x[1], DType::I32))),
        _ => ([k, n], call!(c => c.x[0].matmul_as(c.x[1], DType::I32))),
    };
    let y = maker.operand(&with(sizes), DType::I8);
    maker.call(action, &[x, y], Numbers::none());
}

pub(super) fn matmul(maker: &mut Maker<'_>) {
    if maker.dice.once_in(6) {
        return matmul_of_bytes(maker);
    }
    let x = maker.float();
    let rank = maker.dice.pick(&[1, 2, 2, 2, 3, 3, 4]);
    let Some(x) = maker.with_rank(x, rank) else { return };
    let x = mixed(maker, x);
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let k = shape[shape.len() - 1];
    let n = maker.size();
    let batch = match maker.dice.below(3) {
        0 if shape.len() > 2 => maker.broadcastable(&shape[..shape.len() - 2]),
        _ => Vec::new(),
    };
    if maker.dice.once_in(8) {
        let y = factor(maker, &[k], dtype);
        maker.call(call!(c => c.x[0].matmul(c.x[1])), &[x, y], Numbers::none());
        return;
    }
    let with = |sizes: [usize; 2]| -> Vec<usize> { batch.iter().copied().chain(sizes).collect() };
    if maker.dice.once_in(2) {
        let y = factor(maker, &with([n, k]), dtype);
        let action = call!(c => c.x[0].matmul(&c.x[1].transpose(-1, -2)));
        maker.call(action, &[x, y], Numbers::none());
    } else if maker.dice.once_in(3) && shape.len() >= 2 {
        let m = shape[shape.len() - 2];
        let y = factor(maker, &with([m, n]), dtype);
        let action = call!(c => c.x[0].transpose(-1, -2).matmul(c.x[1]));
        let made = maker.call(action, &[x, y], Numbers::none());
        // The operand once more, as in the backward pass.
        if let Some(z) = made.filter(|_| maker.dice.once_in(3)) {
            maker.call(call!(c => c.x[0].matmul(c.x[1])), &[x, z], Numbers::none());
        }
    } else {
        let y = factor(maker, &with([k, n]), dtype);
        let action = maker.dice.pick(&[
            call!(c => c.x[0].matmul(c.x[1])),
            call!(c => c.x[0].matmul(c.x[1])),
            call!(c => c.x[0].matmul(c.x[1]).relu()),
            call!(c => c.x[0].matmul_as(c.x[1], c.x[0].dtype().compute())),
        ]);
        maker.call(action, &[x, y], Numbers::none());
    }
}
