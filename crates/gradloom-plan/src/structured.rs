//! Lowering of structured nodes: their kernel kind with its sizes, and their operands.

use gradloom_tensor::op::Window2d;
use gradloom_tensor::{Op, Shape};

use crate::graph::{Claim, Graph, Step};
use crate::kernel::{Convolution, KernelKind, Pool};
use crate::lower::Lowering;
use crate::view::View;

impl Lowering<'_> {
    fn strided(&mut self, node: usize) -> View {
        let base = self.graph.base(node);
        self.inputs.push(base);
        self.after.extend(&self.graph.nodes[node].after);
        // Graph::store_where_needed has made sure that the view exists and has no mask.
        self.graph.view(node).unwrap_or_else(|| View::contiguous(self.graph.nodes[node].shape))
    }

    /// The kernel kind of a structured node; its operands become the kernel's first inputs.
    pub(crate) fn heavy_kind(&mut self, node: usize) -> KernelKind {
        let graph = self.graph;
        let entry = &graph.nodes[node];
        let inputs: Vec<usize> = entry.stored_inputs().copied().collect();
        let shape_of = |position: usize| graph.nodes[inputs[position]].shape;
        let views: Vec<View> = inputs.iter().map(|&input| self.strided(input)).collect();
        match (&entry.claim, &entry.op) {
            (Some(Claim::Product(parts)), _) => {
                return KernelKind::QuantizedMatmul { lhs: views[0], parts: parts.clone() };
            }
            (Some(Claim::Rows(format, rows)), _) => {
                let index = first_column(views[1]);
                return KernelKind::QuantizedRows { format: *format, rows: *rows, index };
            }
            (None, _) => {}
        }
        match &entry.op {
            Op::Matmul => KernelKind::Matmul { lhs: views[0], rhs: views[1] },
            Op::Convolution(window, groups) => KernelKind::Convolution(convolution(
                *window,
                *groups,
                shape_of(0),
                shape_of(1),
                entry.shape,
            )),
            Op::ConvolutionInput(window, groups) => KernelKind::ConvolutionInput(convolution(
                *window,
                *groups,
                entry.shape,
                shape_of(0),
                shape_of(1),
            )),
            Op::ConvolutionWeight(window, groups) => KernelKind::ConvolutionWeight(convolution(
                *window,
                *groups,
                shape_of(0),
                entry.shape,
                shape_of(1),
            )),
            Op::PoolMax(window) => KernelKind::PoolMax(pool(*window, shape_of(0), entry.shape)),
            Op::PoolMaxScatter(window) => {
                KernelKind::PoolMaxScatter(pool(*window, shape_of(0), shape_of(1)))
            }
            Op::PoolMaxGather(window) => {
                KernelKind::PoolMaxGather(pool(*window, shape_of(0), entry.shape))
            }
            Op::PoolSum(window) => KernelKind::PoolSum(pool(*window, shape_of(0), entry.shape)),
            Op::PoolSumScatter(window) => {
                KernelKind::PoolSumScatter(pool(*window, entry.shape, shape_of(0)))
            }
            Op::Gather { axis } => {
                KernelKind::Gather { data: shape_of(0), axis: *axis, index: views[1] }
            }
            Op::ScatterAdd { axis } => {
                KernelKind::ScatterAdd { axis: *axis, index: views[0], updates: views[1] }
            }
            Op::Write { axis } => {
                KernelKind::Write { data: entry.shape, axis: *axis, start: views[1] }
            }
            Op::Dequantize(format) => KernelKind::Dequantize(*format),
            Op::Attention(attention) => KernelKind::Attention { attention: *attention, views },
            Op::Scan { axis, reverse } => KernelKind::Scan { axis: *axis, reverse: *reverse },
            Op::ArgReduce(reduction, axis) => {
                KernelKind::ArgReduce { reduction: *reduction, input: shape_of(0), axis: *axis }
            }
            Op::ArgSort { axis, descending } => {
                KernelKind::ArgSort { axis: *axis, descending: *descending }
            }
            Op::Concat { axis } => {
                KernelKind::Concat { axis: *axis, parts: (0..inputs.len()).map(shape_of).collect() }
            }
            _ => KernelKind::Map,
        }
    }
}

/// The shape in which a write computes its update: where that is a reshape of what is computed, the
/// shape before, in which operands have views.
pub(crate) fn update_shape(graph: &Graph, node: usize) -> Shape {
    let update = &graph.nodes[graph.nodes[node].inputs[1]];
    let in_order = update.steps.iter().all(|step| matches!(step, Step::Reshape(_)));
    if in_order { graph.nodes[update.base].shape } else { update.shape }
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
    window: Window2d,
    groups: usize,
    input: Shape,
    weight: Shape,
    output: Shape,
) -> Convolution {
    Convolution {
        window,
        groups,
        batch: input[0],
        channels: input[1],
        outputs: weight[0],
        input_size: [input[2], input[3]],
        output_size: [output[2], output[3]],
    }
}

fn pool(window: Window2d, input: Shape, output: Shape) -> Pool {
    Pool {
        window,
        planes: input[0] * input[1],
        input_size: [input[2], input[3]],
        output_size: [output[2], output[3]],
    }
}
