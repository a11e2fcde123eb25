//! Loops: several carries, both directions, loops inside, captured values, any number of steps.

use gradloom_tensor::DType;

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::graphs::loops::looped;

pub(super) fn step(maker: &mut Maker<'_>) {
    let dtype = if maker.dice.once_in(5) { maker.float_dtype() } else { DType::F32 };
    let (rows, columns) = (maker.size().clamp(1, 9), maker.size().clamp(1, 9));
    let steps = maker.dice.pick(&[0, 1, 1, 2, 3, 3, 5, 7]);
    let parts = maker.dice.pick(&[[rows, columns], [1, columns], [1, 1], [rows, 1]]);
    let mut shape = vec![steps, parts[0], parts[1]];
    if parts[0] == 1 && maker.dice.once_in(2) {
        shape.remove(1);
    }
    let sequence = maker.operand(&shape, dtype);
    let first = maker.operand(&[rows, columns], dtype);
    let second = maker.operand(&[columns], dtype);
    let table = maker.operand(&[columns, columns], dtype);
    let count = 6 + 2 * maker.dice.between(1, 6);
    let codes: Vec<usize> = (0..count).map(|_| maker.dice.below(440)).collect();
    let action = call!(c => looped(c.s, [c.x[0], c.x[1], c.x[2], c.x[3]]));
    maker.call(action, &[sequence, first, second, table], Numbers::none().s(codes));
}
