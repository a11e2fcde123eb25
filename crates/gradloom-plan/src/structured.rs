//! What a structured node is as a kernel: its kind with its sizes, and the operands that the kind reads.

use gradloom_tensor::op::Window;
use gradloom_tensor::{Op, Shape};

use crate::factors::Factors;
use crate::graph::Graph;
use crate::kernel::{Convolution, KernelKind, Pool};
use crate::node::Claim;
use crate::view::View;

/// The kernel kind of a structured node, and the bases that are its first inputs.
///
/// `None` for a node that is none, or whose operands have no view: the graph was not prepared for it.
pub(crate) fn kind(graph: &Graph, node: usize) -> Option<(KernelKind, Vec<usize>)> {
    let entry = &graph.nodes[node];
    let inputs: Vec<usize> = entry.stored_inputs().copied().collect();
    let views = inputs.iter().map(|&input| graph.view(input)).collect::<Option<Vec<View>>>()?;
    let bases = inputs.iter().map(|&input| graph.base(input)).collect();
    let kind = match &entry.claim {
        Some(Claim::Product(parts)) => {
            KernelKind::QuantizedMatmul { lhs: views[0], parts: parts.clone() }
        }
        Some(Claim::Rows(format, rows)) => {
            let index = first_column(views[1]);
            KernelKind::QuantizedRows { format: *format, rows: *rows, index }
        }
        Some(Claim::Casts(_)) | None => {
            let shapes: Vec<Shape> = inputs.iter().map(|&input| graph.nodes[input].shape).collect();
            own_kind(&entry.op, entry.shape, &shapes, views, factors(graph, node))?
        }
    };
    Some((kind, bases))
}

/// What a product or a convolution multiplies; of other ops nothing that means anything.
fn factors(graph: &Graph, node: usize) -> Factors {
    let entry = &graph.nodes[node];
    match entry.claim {
        Some(Claim::Casts(factors)) => factors,
        _ => {
            let first = entry.inputs.first();
            Factors::of(first.map_or(entry.dtype, |&first| graph.nodes[first].dtype))
        }
    }
}

fn own_kind(
    op: &Op,
    shape: Shape,
    inputs: &[Shape],
    views: Vec<View>,
    factors: Factors,
) -> Option<KernelKind> {
    let convolution = |window: &Window, groups: &usize, input, weight, output| {
        convolution(*window, *groups, [input, weight, output], factors)
    };
    Some(match op {
        Op::Matmul => KernelKind::Matmul { lhs: views[0], rhs: views[1], factors },
        Op::Convolution(window, groups) => {
            KernelKind::Convolution(convolution(window, groups, inputs[0], inputs[1], shape))
        }
        Op::ConvolutionInput(window, groups) => {
            KernelKind::ConvolutionInput(convolution(window, groups, shape, inputs[0], inputs[1]))
        }
        Op::ConvolutionWeight(window, groups) => {
            KernelKind::ConvolutionWeight(convolution(window, groups, inputs[0], shape, inputs[1]))
        }
        Op::PoolMax(window) => KernelKind::PoolMax(pool(*window, inputs[0], shape)),
        Op::PoolMaxScatter(window) => {
            KernelKind::PoolMaxScatter(pool(*window, inputs[0], inputs[1]))
        }
        Op::PoolMaxGather(window) => KernelKind::PoolMaxGather(pool(*window, inputs[0], shape)),
        Op::PoolSum(window) => KernelKind::PoolSum(pool(*window, inputs[0], shape)),
        Op::PoolSumScatter(window) => KernelKind::PoolSumScatter(pool(*window, shape, inputs[0])),
        Op::Gather { axis } => KernelKind::Gather { data: inputs[0], axis: *axis, index: views[1] },
        Op::ScatterAdd { axis } => {
            KernelKind::ScatterAdd { axis: *axis, index: views[0], updates: views[1] }
        }
        Op::Write { axis } => KernelKind::Write { data: shape, axis: *axis, start: views[1] },
        Op::Dequantize(format) => KernelKind::Dequantize(*format),
        Op::Attention(attention) => KernelKind::Attention { attention: *attention, views },
        Op::Scan { axis, reverse } => KernelKind::Scan { axis: *axis, reverse: *reverse },
        Op::ArgReduce(reduction, axis) => {
            KernelKind::ArgReduce { reduction: *reduction, input: inputs[0], axis: *axis }
        }
        Op::ArgSort { axis, descending } => {
            KernelKind::ArgSort { axis: *axis, descending: *descending }
        }
        Op::Call(call) => KernelKind::Call(call.clone()),
        Op::Concat { axis } => KernelKind::Concat { axis: *axis, parts: inputs.to_vec() },
        Op::Buffer
        | Op::Placeholder
        | Op::Transfer
        | Op::Constant(_)
        | Op::Argument(_)
        | Op::Iota { .. }
        | Op::Random { .. }
        | Op::Unary(_)
        | Op::Binary(_)
        | Op::Select
        | Op::Cast
        | Op::CheckIndex { .. }
        | Op::Reduce(..)
        | Op::Reshape
        | Op::Permute(_)
        | Op::Expand
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Flip(_)
        | Op::Loop(_)
        | Op::Detach(_)
        | Op::Custom(_)
        | Op::Barrier => return None,
    })
}

/// The view `[n]` of the first column of a view `[n, columns]`.
fn first_column(view: View) -> View {
    let mut first = view;
    first.shape = Shape::new(&view.shape[..1]);
    for stride in &mut first.strides[1..] {
        *stride = 0;
    }
    first
}

fn convolution(
    window: Window,
    groups: usize,
    [input, weight, output]: [Shape; 3],
    factors: Factors,
) -> Convolution {
    Convolution {
        window,
        groups,
        batch: input[0],
        channels: input[1],
        outputs: weight[0],
        input_size: window.of(&input),
        output_size: window.of(&output),
        factors,
    }
}

/// Planes that windows do not cross in depth are planes of their own.
fn pool(window: Window, input: Shape, output: Shape) -> Pool {
    let (input_size, output_size) = (window.of(&input), window.of(&output));
    let planes = input[0] * input[1];
    if input_size[0] == output_size[0] && window.kernel[0] == 1 && window.padding[0] == [0, 0] {
        let planes = planes * input_size[0];
        let flat = |[_, height, width]: [usize; 3]| [1, height, width];
        return Pool {
            window,
            planes,
            input_size: flat(input_size),
            output_size: flat(output_size),
        };
    }
    Pool { window, planes, input_size, output_size }
}
