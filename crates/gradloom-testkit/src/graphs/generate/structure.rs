//! Values without history, other gradients, recomputation.

use gradloom_autodiff::{checkpoint, custom_grad};

use super::maker::Maker;
use crate::graphs::action::{Numbers, call};
use crate::graphs::calls::{barrier, there_and_back};

pub(super) fn step(maker: &mut Maker<'_>) {
    if maker.dice.once_in(2) {
        let x = maker.any();
        let action = maker.dice.pick(&[
            call!(c => c.x[0].detach()),
            call!(c => c.x[0].detach()),
            call!(c => c.x[0].tracked()),
            call!(c => barrier(c.x[0], c.x[1])),
            call!(c => there_and_back(c.x[0])),
            call!(c => there_and_back(c.x[0])),
        ]);
        let other = maker.any();
        maker.call(action, &[x, other], Numbers::none());
        return;
    }
    let x = maker.float();
    let (shape, dtype) = (maker.shape_of(x), maker.dtype_of(x));
    let y = maker.operand(&shape, dtype);
    let action = maker.dice.pick(&[
        call!(c => custom_grad(&c.x[0].tanh(), &[c.x[0].clone()], |_, value, gradient| {
            vec![Some(gradient.mul(value))]
        })),
        call!(c => custom_grad(c.x[0], &[c.x[0].clone()], |_, _, gradient| {
            vec![Some(gradient.clamp(-1.0, 1.0))]
        })),
        call!(c => checkpoint(|x| x[0].mul(&x[1]).tanh(), &[c.x[0].clone(), c.x[1].clone()])),
        call!(c => checkpoint(|x| x[0].sin().mul(&x[0]).add(&x[1]), &[c.x[0].clone(), c.x[1].clone()])),
    ]);
    maker.call(action, &[x, y], Numbers::none());
}
