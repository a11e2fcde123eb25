//! Elementwise calls.

use gradloom_tensor::elementwise::Domain;
use gradloom_tensor::op::Unary;
use gradloom_tensor::{DType, Key, Shape, Tensor};

use super::maker::Maker;
use crate::graphs::action::{Action, Numbers, call};

/// Every function of floats in the table: as it is, and where it is smooth.
const FUNCTIONS: &[[Action; 2]] = {
    macro_rules! functions {
        ($($variant:ident $name:ident;)*) => {
            &[$(
                [call!(c => c.x[0].$name()), call!(c => on(Unary::$variant, c.x[0]).$name())],
            )*]
        };
    }
    gradloom_tensor::float_functions!(functions)
};

/// An operand moved to where an op is smooth.
fn on(op: Unary, x: &Tensor) -> Tensor {
    match op.nature().domain {
        Domain::Every => x.clamp(-4.0, 4.0),
        Domain::Positive => x.abs().add(0.125),
        Domain::Unit => x.tanh().mul(0.875),
    }
}

pub(super) fn unary(maker: &mut Maker<'_>) {
    let x = maker.float();
    if maker.dice.once_in(3) {
        let [anywhere, smooth] = maker.dice.pick(FUNCTIONS);
        let action = if maker.dice.once_in(3) { anywhere } else { smooth };
        maker.call(action, &[x], Numbers::none());
        return;
    }
    let action = maker.dice.pick(&[
        call!(c => c.x[0].neg()),
        call!(c => c.x[0].abs()),
        call!(c => c.x[0].sign()),
        call!(c => c.x[0].floor()),
        call!(c => c.x[0].ceil()),
        call!(c => c.x[0].round()),
        call!(c => c.x[0].trunc()),
        call!(c => c.x[0].abs().sqrt()),
        call!(c => c.x[0].abs().add(0.5).rsqrt()),
        call!(c => c.x[0].square().add(1.0).reciprocal()),
        call!(c => c.x[0].mul(0.25).exp()),
        call!(c => c.x[0].minimum(3.0).exp()),
        call!(c => c.x[0].mul(0.5).expm1()),
        call!(c => c.x[0].abs().add(0.125).log()),
        call!(c => c.x[0].abs().log1p()),
        call!(c => c.x[0].tanh()),
        call!(c => c.x[0].tanh()),
        call!(c => c.x[0].relu()),
        call!(c => c.x[0].relu()),
        call!(c => c.x[0].square()),
        call!(c => c.x[0].bessel_j0()),
        call!(c => c.x[0].abs().add(0.125).k0e()),
        call!(c => c.x[0].frexp().1),
        call!(c => c.x[0].gelu()),
        call!(c => c.x[0].gelu_tanh()),
        call!(c => c.x[0].silu()),
        call!(c => c.x[0].softplus()),
        call!(c => c.x[0].elu(1.5)),
        call!(c => c.x[0].leaky_relu(0.1)),
        call!(c => c.x[0].hardtanh()),
        call!(c => c.x[0].powi(3)),
        call!(c => c.x[0].abs().add(0.5).powf(1.5)),
        call!(c => c.x[0].asinh()),
        call!(c => c.x[0].abs().add(1.25).acosh()),
        call!(c => c.x[0].sinc()),
        call!(c => c.x[0].frac()),
        call!(c => c.x[0].nan_to_num(0.5, Some(2.0), None)),
        call!(c => c.x[0].hardshrink(0.5)),
        call!(c => c.x[0].is_nan()),
        call!(c => c.x[0].is_finite()),
    ]);
    maker.call(action, &[x], Numbers::none());
}

/// Two operands that broadcast.
pub(super) fn binary(maker: &mut Maker<'_>) {
    let a = maker.number();
    let (shape, dtype) = (maker.shape_of(a), maker.dtype_of(a));
    // Dtypes that differ meet in one; few pairs are refused.
    let mixed = maker.dice.once_in(4);
    let found = maker.find(|maker, node| {
        let other = maker.shape_of(node);
        let fits = |back: usize| {
            let (one, two) = (shape[shape.len() - back], other[other.len() - back]);
            one == two || one == 1 || two == 1
        };
        (mixed || maker.dtype_of(node) == dtype) && (1..=shape.len().min(other.len())).all(fits)
    });
    let b = match found {
        Some(node) if !maker.dice.once_in(3) => node,
        _ => {
            let shape = maker.broadcastable(&shape);
            let other = if mixed { maker.dtype() } else { dtype };
            maker.operand(&shape, other)
        }
    };
    let operands = if maker.dice.once_in(2) { [a, b] } else { [b, a] };
    let mut actions = vec![
        call!(c => c.x[0].add(c.x[1])),
        call!(c => c.x[0].add(c.x[1])),
        call!(c => c.x[0].sub(c.x[1])),
        call!(c => c.x[0].mul(c.x[1])),
        call!(c => c.x[0].mul(c.x[1])),
        call!(c => c.x[0].div(c.x[1])),
        call!(c => c.x[0].maximum(c.x[1])),
        call!(c => c.x[0].minimum(c.x[1])),
        call!(c => c.x[0].rem(c.x[1])),
        call!(c => c.x[0].floor_divide(c.x[1])),
        call!(c => c.x[0].remainder(c.x[1])),
        call!(c => c.x[0].trunc_divide(c.x[1])),
        call!(c => c.x[0].true_divide(c.x[1])),
        call!(c => c.x[0].lt(c.x[1])),
        call!(c => c.x[0].le(c.x[1])),
        call!(c => c.x[0].gt(c.x[1])),
        call!(c => c.x[0].eq(c.x[1])),
        call!(c => c.x[0].ne(c.x[1])),
    ];
    if dtype.is_float() {
        actions.extend([
            call!(c => c.x[0].div(c.x[1].abs().add(0.5))),
            call!(c => c.x[0].abs().add(0.5).pow(c.x[1].tanh())),
            call!(c => c.x[0].lerp(c.x[1], 0.25)),
            call!(c => c.x[0].fmax(c.x[1])),
            call!(c => c.x[0].fmin(c.x[1])),
            call!(c => c.x[0].clamp(-4.0, 4.0).logaddexp(c.x[1].tanh())),
            call!(c => c.x[0].abs().add(0.5).atan2(c.x[1])),
            call!(c => c.x[0].xlogy(c.x[1].abs().add(0.5))),
        ]);
    } else {
        actions.extend([
            call!(c => c.x[0].bitand(c.x[1])),
            call!(c => c.x[0].bitor(c.x[1])),
            call!(c => c.x[0].bitxor(c.x[1])),
            call!(c => c.x[0].left_shift(c.x[1])),
            call!(c => c.x[0].right_shift(c.x[1])),
        ]);
    }
    let action = maker.dice.pick(&actions);
    maker.call(action, &operands, Numbers::none());
}

/// A number in an operator, which is an argument of the plan.
pub(super) fn scalar(maker: &mut Maker<'_>) {
    let x = maker.number();
    if maker.dtype_of(x).is_float() {
        let action = maker.dice.pick(&[
            call!(c => c.x[0].mul(c.f)),
            call!(c => c.x[0].mul(c.f)),
            call!(c => c.x[0].add(c.f)),
            call!(c => c.x[0].sub(c.f)),
            call!(c => c.x[0].div(c.f)),
            call!(c => c.x[0].maximum(c.f)),
            call!(c => c.x[0].clamp(-1.0, c.f)),
            call!(c => c.x[0].gt(c.f)),
            call!(c => c.x[0].rem(c.f)),
            call!(c => c.x[0].mul(c.x[0].constant_like(c.f))),
        ]);
        let number = maker.dice.pick(&[0.5, 1.0, 2.0, 0.1, -0.75, 3.0]);
        maker.call(action, &[x], Numbers::none().f(number));
        return;
    }
    let action = maker.dice.pick(&[
        call!(c => c.x[0].add(c.n[0] as i64)),
        call!(c => c.x[0].sub(c.n[0] as i64)),
        call!(c => c.x[0].mul(c.n[0] as i64)),
        call!(c => c.x[0].div(c.n[0] as i64)),
        call!(c => c.x[0].rem(c.n[0] as i64)),
        call!(c => c.x[0].gt(c.n[0] as i64)),
        call!(c => c.x[0].minimum(c.n[0] as i64)),
    ]);
    let number = maker.dice.pick(&[0, 1, 2, 3, 7, 100, 200]);
    maker.call(action, &[x], Numbers::none().n([number]));
}

pub(super) fn cast(maker: &mut Maker<'_>) {
    let (x, dtype) = (maker.any(), maker.dtype());
    maker.call(call!(c => c.x[0].cast(c.d)), &[x], Numbers::none().d(dtype));
}

/// Truth values, and choosing by them.
pub(super) fn choice(maker: &mut Maker<'_>) {
    let a = maker.any();
    let (shape, dtype) = (maker.shape_of(a), maker.dtype_of(a));
    let condition_shape = maker.broadcastable(&shape);
    let condition = maker.operand(&condition_shape, DType::Bool);
    if dtype == DType::Bool {
        let action = maker.dice.pick(&[
            call!(c => c.x[0].logical_and(c.x[1])),
            call!(c => c.x[0].logical_or(c.x[1])),
            call!(c => c.x[0].logical_xor(c.x[1])),
            call!(c => c.x[0].logical_not().eq(c.x[1])),
        ]);
        maker.call(action, &[a, condition], Numbers::none());
        return;
    }
    let other_shape = maker.broadcastable(&shape);
    let other = if maker.dice.once_in(5) { maker.dtype() } else { dtype };
    let b = maker.operand(&other_shape, other);
    let action = maker.dice.pick(&[
        call!(c => c.x[0].select(c.x[1], c.x[2])),
        call!(c => c.x[0].select(c.x[2], c.x[1])),
        call!(c => c.x[1].gt(c.x[2]).select(c.x[1], c.x[2])),
        call!(c => c.x[1].masked_fill(c.x[0], 1)),
    ]);
    maker.call(action, &[condition, a, b], Numbers::none());
}

pub(super) fn integer(maker: &mut Maker<'_>) {
    let ints: Vec<DType> =
        maker.options.dtypes.iter().copied().filter(|dtype| dtype.is_int()).collect();
    let dtype = maker.dice.pick(&ints);
    let x = maker.of(DType::is_int, dtype);
    let action = maker.dice.pick(&[
        call!(c => c.x[0].neg()),
        call!(c => c.x[0].abs()),
        call!(c => c.x[0].sign()),
        call!(c => c.x[0].relu()),
        call!(c => c.x[0].bitnot()),
        call!(c => c.x[0].mul(c.x[0])),
        call!(c => c.x[0].left_shift(3).right_shift(1)),
        call!(c => c.x[0].mul(0.5)),
        call!(c => c.x[0].gt(0.5)),
        call!(c => c.x[0].add(c.x[0]).div(2)),
        call!(c => c.x[0].sub(5).div(2)),
        call!(c => c.x[0].add(100).gt(120)),
        call!(c => c.x[0].mul(3).cast(c.d)),
    ]);
    let dtype = maker.dtype();
    maker.call(action, &[x], Numbers::none().d(dtype));
}

/// Leaves that are computed: indices, numbers everywhere, random numbers.
pub(super) fn made(maker: &mut Maker<'_>) {
    let shape = maker.shape();
    if !maker.has_few(&shape) {
        return;
    }
    let axis = maker.dice.below(shape.len().max(1)) as isize;
    let action = maker.dice.pick(&[
        call!(c => Tensor::iota(Shape::new(c.s), c.n[0], c.t)),
        call!(c => Tensor::iota(Shape::new(c.s), c.n[0], c.t).cast(DType::F32).mul(c.f)),
        call!(c => Tensor::full(Shape::new(c.s), c.f, DType::F32, c.t)),
        call!(c => Tensor::constant(Shape::new(c.s), 2, c.d, c.t)),
        call!(c => Tensor::zeros(Shape::new(c.s), c.d, c.t)),
        call!(c => Tensor::ones(Shape::new(c.s), c.d, c.t)),
        call!(c => Tensor::random_bits(Key::new(c.n[1] as u64), Shape::new(c.s), c.t)),
        call!(c => Tensor::uniform(Key::new(c.n[1] as u64), Shape::new(c.s), -1.0, c.f, c.t)),
        call!(c => Tensor::normal(Key::new(c.n[1] as u64), Shape::new(c.s), 0.0, 1.0, c.t)),
        call!(c => Tensor::bernoulli(Key::new(c.n[1] as u64), Shape::new(c.s), 0.5, c.t)),
    ]);
    let key = maker.dice.below(1000) as isize;
    let dtype = maker.dtype();
    let numbers = Numbers::none().s(shape).n([axis, key]).d(dtype).f(0.5);
    maker.call(action, &[], numbers);
}
