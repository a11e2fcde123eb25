//! Reading and adding at indices, and orders.

use gradloom_tensor::{DType, Shape, Tensor};

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::graphs::pattern::Pattern;

/// Indices in `0..size`: a leaf, or integers of the graph that are brought into range.
pub(super) fn index(maker: &mut Maker<'_>, shape: &[usize], size: usize) -> usize {
    let dtypes = [DType::I32, DType::I32, DType::I32, DType::U32, DType::U8, DType::I8, DType::I64];
    let wide = maker.options.dtypes.contains(&DType::I64);
    let dtype = maker.dice.pick(&dtypes[..dtypes.len() - usize::from(!wide)]);
    let existing = maker.find(|maker, node| {
        matches!(maker.dtype_of(node), DType::I32 | DType::I64)
            && maker.graph[node].shape()[..] == *shape
    });
    if let Some(node) = existing.filter(|_| maker.dice.once_in(2)) {
        // The absolute value of the least integer is none, its remainder is.
        let action = call!(c => c.x[0].rem(c.n[0] as i64).abs());
        let made = maker.call(action, &[node], Numbers::none().n([size as isize]));
        if let Some(made) = made {
            return made;
        }
    }
    let dtype = if size > 127 { DType::I32 } else { dtype };
    maker.leaf_of(shape, dtype, Pattern::Index(size))
}

pub(super) fn gather(maker: &mut Maker<'_>) {
    let x = maker.any();
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    if shape.is_empty() {
        return;
    }
    let axis = maker.dice.below(shape.len());
    let size = shape[axis];
    if size == 0 {
        return;
    }
    let numbers = Numbers::none().n([axis as isize]);
    let taken = maker.size();
    let mut index_shape = shape.clone();
    index_shape[axis] = taken;
    if !maker.has_few(&index_shape) {
        return;
    }
    match maker.dice.below(4) {
        0 => {
            let index = index(maker, &[taken], size);
            maker.call(call!(c => c.x[0].index_select(c.n[0], c.x[1])), &[x, index], numbers);
        }
        1 => {
            let shape = [taken.min(4), 2];
            let index = index(maker, &shape, size);
            maker.call(call!(c => c.x[0].take(c.n[0], c.x[1])), &[x, index], numbers);
        }
        2 => {
            let index = index(maker, &index_shape, size);
            maker.call(call!(c => c.x[0].gather(c.n[0], c.x[1])), &[x, index], numbers);
        }
        _ if dtype == DType::Bool => {}
        _ => {
            // Into a longer or shorter axis.
            let size = maker.dice.between(1, 6);
            let index = index(maker, &shape, size);
            let mut target = shape.clone();
            target[axis] = size;
            let numbers = numbers.s(target.clone());
            if maker.dice.once_in(2) {
                let action = call!(c =>
                    Tensor::scatter_add_zeros(Shape::new(c.s), c.n[0], c.x[1], c.x[0]));
                maker.call(action, &[x, index], numbers);
            } else {
                let onto = maker.operand(&target, dtype);
                let action = call!(c => c.x[2].scatter_add(c.n[0], c.x[1], c.x[0]));
                maker.call(action, &[x, index, onto], numbers);
            }
        }
    }
}

pub(super) fn sort(maker: &mut Maker<'_>) {
    let x = maker.number();
    let shape = maker.shape_of(x);
    if shape.is_empty() {
        return;
    }
    let axis = maker.dice.below(shape.len());
    let count = maker.dice.between(0, shape[axis].min(4));
    let numbers = Numbers::none().n([axis as isize]).s([count]);
    let action = maker.dice.pick(&[
        call!(c => c.x[0].argsort(c.n[0], false)),
        call!(c => c.x[0].argsort(c.n[0], true)),
        call!(c => c.x[0].sort(c.n[0], false).0),
        call!(c => c.x[0].sort(c.n[0], true).0),
        call!(c => c.x[0].topk(c.s[0], c.n[0], true).0),
        call!(c => c.x[0].topk(c.s[0], c.n[0], false).1),
        call!(c => c.x[0].sort(-1, false).0.searchsorted(c.x[0], false)),
        call!(c => c.x[0].sort(-1, false).0.searchsorted(&c.x[0].flip([-1]), true)),
    ]);
    maker.call(action, &[x], numbers);
}
