//! Derivatives of products, convolutions, pooling and indexing. Each is bilinear or linear in what it
//! is differentiated by, and the families are closed: the derivative of one is another.

use gradloom_tensor::op::{Groups, Op, Permutation, Window};
use gradloom_tensor::{Shape, Tensor};

fn node(op: Op, inputs: &[&Tensor], shape: Shape, like: &Tensor) -> Tensor {
    let inputs = inputs.iter().map(|&input| input.clone()).collect();
    Tensor::from_op(op, inputs, shape, like.dtype(), like.device())
}

/// The last two axes exchanged.
fn transposed(x: &Tensor) -> Tensor {
    let rank = x.rank();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 1, rank - 2);
    let shape = order.iter().map(|&axis| x.shape()[axis]).collect();
    node(Op::Permute(Permutation::new(&order)), &[x], shape, x)
}

/// `dA = g B^T`, `dB = A^T g`. Where an operand is itself a transpose, its gradient is built transposed
/// too, so that the gradient of what lies below is a plain product and not one to be copied. Where the
/// value is wider than the operands, the products are as wide, and rounded at their end.
pub(super) fn matmul(a: &Tensor, b: &Tensor, g: &Tensor, needs: &[bool]) -> Vec<Option<Tensor>> {
    let product = |lhs: &Tensor, rhs: &Tensor| {
        let rank = g.rank();
        let (lhs, rhs) = (&lhs.cast(g.dtype()), &rhs.cast(g.dtype()));
        let shape = g.shape().with(rank - 2, lhs.shape()[rank - 2]);
        node(Op::Matmul, &[lhs, rhs], shape.with(rank - 1, rhs.shape()[rank - 1]), g)
    };
    let of_a = || match is_transpose(a) {
        true => transposed(&product(b, &transposed(g))),
        false => product(g, &transposed(b)),
    };
    let of_b = || match is_transpose(b) {
        true => transposed(&product(&transposed(g), a)),
        false => product(&transposed(a), g),
    };
    vec![needs[0].then(|| of_a().cast(a.dtype())), needs[1].then(|| of_b().cast(b.dtype()))]
}

/// True for a view that exchanges the last two axes and leaves the others.
fn is_transpose(x: &Tensor) -> bool {
    let Op::Permute(permutation) = x.op() else { return false };
    let rank = x.rank();
    let mut exchanged: Vec<usize> = (0..rank).collect();
    exchanged.swap(rank - 1, rank - 2);
    permutation.iter().eq(exchanged)
}

pub(super) fn convolution(
    x: &Tensor,
    w: &Tensor,
    g: &Tensor,
    needs: &[bool],
    window: Window,
    groups: Groups,
) -> Vec<Option<Tensor>> {
    vec![
        needs[0].then(|| node(Op::ConvolutionInput(window, groups), &[w, g], *x.shape(), g)),
        needs[1].then(|| node(Op::ConvolutionWeight(window, groups), &[x, g], *w.shape(), g)),
    ]
}

/// The value is an input gradient made of a weight `w` and an output gradient `v`; `h` is its own
/// gradient, of the input's shape.
pub(super) fn convolution_input(
    w: &Tensor,
    v: &Tensor,
    h: &Tensor,
    needs: &[bool],
    window: Window,
    groups: Groups,
) -> Vec<Option<Tensor>> {
    vec![
        needs[0].then(|| node(Op::ConvolutionWeight(window, groups), &[h, v], *w.shape(), h)),
        needs[1].then(|| node(Op::Convolution(window, groups), &[h, w], *v.shape(), h)),
    ]
}

/// The value is a weight gradient made of an input `x` and an output gradient `v`; `h` is its own
/// gradient, of the weight's shape.
pub(super) fn convolution_weight(
    x: &Tensor,
    v: &Tensor,
    h: &Tensor,
    needs: &[bool],
    window: Window,
    groups: Groups,
) -> Vec<Option<Tensor>> {
    vec![
        needs[0].then(|| node(Op::ConvolutionInput(window, groups), &[h, v], *x.shape(), h)),
        needs[1].then(|| node(Op::Convolution(window, groups), &[x, h], *v.shape(), h)),
    ]
}

pub(super) fn pool_max_scatter(x: &Tensor, values: &Tensor, window: Window) -> Tensor {
    node(Op::PoolMaxScatter(window), &[x, values], *x.shape(), values)
}

pub(super) fn pool_max_gather(x: &Tensor, source: &Tensor, window: Window) -> Tensor {
    node(Op::PoolMaxGather(window), &[x, source], pooled(source.shape(), window), source)
}

pub(super) fn pool_sum(source: &Tensor, shape: Shape, window: Window) -> Tensor {
    node(Op::PoolSum(window), &[source], shape, source)
}

pub(super) fn pool_sum_scatter(values: &Tensor, shape: Shape, window: Window) -> Tensor {
    node(Op::PoolSumScatter(window), &[values], shape, values)
}

/// The shape of a pooled input; the window fitted when the value was made.
fn pooled(shape: &Shape, window: Window) -> Shape {
    window.shape(shape[0], shape[1], window.output(window.of(shape)).unwrap_or([0; 3]))
}

pub(super) fn scatter_add(index: &Tensor, updates: &Tensor, shape: Shape, axis: usize) -> Tensor {
    node(Op::ScatterAdd { axis }, &[index, updates], shape, updates)
}

pub(super) fn gather(data: &Tensor, index: &Tensor, axis: usize) -> Tensor {
    node(Op::Gather { axis }, &[data, index], *index.shape(), data)
}

/// Gradients of data, update and start: what was overwritten gets none.
pub(super) fn write(
    update: &Tensor,
    start: &Tensor,
    gradient: &Tensor,
    axis: usize,
) -> Vec<Option<Tensor>> {
    let zeros = update.constant_like(0.0);
    let of_data = node(Op::Write { axis }, &[gradient, &zeros, start], *gradient.shape(), gradient);
    let index = Tensor::written_index(start, axis, *update.shape());
    vec![Some(of_data), Some(gather(gradient, &index, axis)), None]
}
