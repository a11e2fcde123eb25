//! Ops that come in by the door for ops.

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::woven::Woven;

pub(super) fn woven(maker: &mut Maker<'_>) {
    let x = maker.any();
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    if shape.is_empty() {
        return;
    }
    let y = maker.operand(&shape, dtype);
    let action = maker.dice.pick(&[
        call!(c => Woven { batches: true }.apply(c.x[0], c.x[1])[0].clone()),
        call!(c => Woven { batches: true }.apply(c.x[0], c.x[1])[1].clone()),
        call!(c => Woven { batches: false }.apply(c.x[0], c.x[1])[0].clone()),
        call!(c => Woven { batches: false }.apply(c.x[0], c.x[1])[1].clone()),
    ]);
    let operands = if maker.dice.once_in(2) { [x, y] } else { [y, x] };
    maker.call(action, &operands, Numbers::none());
}
