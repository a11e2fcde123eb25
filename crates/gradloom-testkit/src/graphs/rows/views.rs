//! Rows of views, joins and nodes that only hold structure.

use gradloom_autodiff::{checkpoint, custom_grad};
use gradloom_tensor::{Op, Shape, Slice, SliceRange, Tensor};

use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    Row {
        is_shaped: true,
        ..row("reshape", "{0}.reshape({sizes})", |x, p, _| x[0].reshape(Shape::new(&p.sizes)))
    },
    row("permute", "{0}.permute(&{axes})", |x, p, _| x[0].permute(&p.axes)),
    Row {
        is_shaped: true,
        ..row("broadcast_to", "{0}.broadcast_to({sizes})", |x, p, _| {
            x[0].broadcast_to(Shape::new(&p.sizes))
        })
    },
    row("slice", "{0}.slice(s![{slice}])", |x, p, _| {
        let range = |range: &[usize]| SliceRange::Range {
            start: Some(range[0] as isize),
            end: Some(range[1] as isize),
            step: range[2] as isize,
        };
        x[0].slice(Slice::new(p.sizes.chunks(3).map(range).collect()))
    }),
    row("pad", "{0}.pad(&{pads})", |x, p, _| {
        let pairs: Vec<(usize, usize)> = p.sizes.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        x[0].pad(&pairs)
    }),
    row("pad_value", "{0}.pad_value(&{pads}, {number})", |x, p, _| {
        let pairs: Vec<(usize, usize)> = p.sizes.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        x[0].pad_value(&pairs, p.number)
    }),
    row("flip", "{0}.flip({axes})", |x, p, _| x[0].flip(&p.axes[..])),
    row("squeeze", "{0}.squeeze({axis})", |x, p, _| x[0].squeeze(p.axes[0])),
    row("unsqueeze", "{0}.unsqueeze({axis})", |x, p, _| x[0].unsqueeze(p.axes[0])),
    row("roll", "{0}.roll({s0}, {axis})", |x, p, _| x[0].roll(p.sizes[0] as isize, p.axes[0])),
    row("repeat", "{0}.repeat(&{sizes})", |x, p, _| x[0].repeat(&p.sizes)),
    row("concat", "Tensor::concat(&{all}, {axis})", |x, p, _| Tensor::concat(x, p.axes[0])),
    row("stack", "Tensor::stack(&{all}, {axis})", |x, p, _| Tensor::stack(x, p.axes[0])),
    row("tril", "{0}.tril(0)", |x, _, _| x[0].tril(0)),
    row("triu", "{0}.triu(1)", |x, _, _| x[0].triu(1)),
    row(
        "custom_grad",
        "custom_grad(&{0}.sin(), &[{0}.clone()], |x, _, g| vec![Some(g * &x[0])])",
        |x, _, _| custom_grad(&x[0].sin(), &[x[0].clone()], |x, _, g| vec![Some(g * &x[0])]),
    ),
    row(
        "checkpoint",
        "checkpoint(|x| x[0].tanh() * &x[0] + x[0].sum_keepdim(..), &[{0}.clone()])",
        |x, _, _| checkpoint(|x| x[0].tanh() * &x[0] + x[0].sum_keepdim(..), &[x[0].clone()]),
    ),
    row(
        "barrier",
        "Tensor::from_op(Op::Barrier, vec![{0}.clone(), {1}.clone()], *{0}.shape(), {0}.dtype(), &device)",
        |x, _, device| {
            let inputs = vec![x[0].clone(), x[1].clone()];
            Tensor::from_op(Op::Barrier, inputs, *x[0].shape(), x[0].dtype(), device)
        },
    ),
];
