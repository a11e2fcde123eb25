//! Convolutions of 8-bit integers.

use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Error, Result, Tensor};
use rayon::prelude::*;

use super::depthwise::Plane;
use super::dots::{Level, dispatch};
use super::finish::{Finish, FinishBits, Finished, OfOutputs, check_product};
use super::geometry::Geometry;
use super::packed::{BLOCK, FOUR, Layout, MIDDLE, SIGNS};
use super::rows::{OfRows, Rows};

/// Multiplications of some positions of a picture from which on they are a task of their own.
const TASK_WORK: usize = 1 << 18;

/// `x [N, L, C]` or `[N, H, W, C]` u8, weights of [`pack_convolution`](super::pack_convolution), and of the `O` outputs the
/// sums of their weights (i32), factors and terms (f32) `-> [N, .., O]` in f32 or u8, as [`Finish`] says. The sum of an
/// output is that of `(x - zero_point) * weight`; padding stands for zero.
///
/// PyTorch: `torch.nn.quantized.functional.conv2d`, of memory format `torch.channels_last`.
///
/// # Panics
/// If shapes or dtypes do not fit, or a sum has more than 65,536 products.
#[track_caller]
pub fn convolution(
    x: &Tensor,
    zero_point: u8,
    packed: &Tensor,
    [sums, factor, term]: [&Tensor; 3],
    window: Window,
    groups: usize,
    finish: Finish,
) -> Tensor {
    let op = Convolution { window, groups, zero_point, finish: finish.into() };
    let [y] = custom_op(op, &[x, packed, sums, factor, term]);
    y
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Convolution {
    window: Window,
    groups: usize,
    zero_point: u8,
    finish: FinishBits,
}

impl Convolution {
    fn sizes(&self, operands: &[TensorType]) -> Result<(Geometry, Layout)> {
        let (groups, outputs) = (self.groups, operands[2].shape.count());
        let geometry = Geometry::new(&operands[0].shape, &self.window)?;
        let channels = geometry.channels;
        let divides =
            groups > 0 && channels.is_multiple_of(groups) && outputs.is_multiple_of(groups);
        if !divides {
            return Err(Error::shape(format!(
                "{channels} channels, {outputs} outputs and {groups} groups"
            )));
        }
        let layout = Layout::of_windows(&self.window, groups, channels / groups, outputs / groups);
        Ok((geometry, layout))
    }

    fn compute<T: Finished>(
        &self,
        (geometry, layout): (Geometry, Layout),
        input: &[u8],
        packed: &[i8],
        of_outputs: OfOutputs<'_>,
        out: &mut [T],
    ) {
        let outputs = layout.groups * layout.outputs;
        let area = geometry.output_area();
        if out.is_empty() {
            return;
        }
        let sizes = Sizes {
            geometry,
            layout,
            starts: geometry.starts(),
            offsets: geometry.offsets(&layout),
        };
        let level = Level::best();
        let inputs = input.par_chunks_exact(geometry.input_bytes());
        let outs = out.par_chunks_exact_mut(area * outputs);
        let whole_fours = layout.run.is_multiple_of(FOUR);
        outs.zip(inputs).for_each(|(out, input)| {
            geometry.padded(input, self.zero_point, whole_fours, |source| {
                let work = layout.runs * layout.run * outputs;
                let positions = TASK_WORK.div_ceil(work.max(1)).next_multiple_of(8);
                let tasks = out.par_chunks_mut(positions * outputs).enumerate();
                tasks.for_each(|(task, out)| {
                    sizes.positions(level, source, task * positions, packed, of_outputs, out);
                });
            });
        });
    }
}

/// What is known of all pictures.
struct Sizes {
    geometry: Geometry,
    layout: Layout,
    starts: Vec<usize>,
    offsets: Vec<usize>,
}

impl Sizes {
    /// All outputs at some positions of a picture, from the first on.
    fn positions<T: Finished>(
        &self,
        level: Level,
        source: &[u8],
        first: usize,
        packed: &[i8],
        of_outputs: OfOutputs<'_>,
        out: &mut [T],
    ) {
        let Sizes { geometry, layout, starts, offsets } = self;
        let step = layout.groups * layout.outputs;
        let starts = &starts[first..first + out.len() / step];
        if layout.is_depthwise() {
            let plane = Plane { source, starts, offsets, weights: packed, of_outputs, out };
            return dispatch(level, plane);
        }
        let weights: &[u8] = bytemuck::cast_slice(packed);
        for group in 0..layout.groups {
            let channel = group * (geometry.channels / layout.groups);
            let output = group * layout.outputs;
            let rows = Rows { bytes: &source[channel..], starts, offsets, scales: None };
            let weights = &weights[group * layout.group_bytes()..][..layout.group_bytes()];
            let of_outputs = of_outputs.part(output, layout.outputs);
            let out = &mut out[output..];
            dispatch(level, OfRows { rows, weights, of_outputs, out, step });
        }
    }
}

impl CustomOp for Convolution {
    fn name(&self) -> &'static str {
        "int8 convolution"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        check_product(operands, DType::U8, self.finish, || {
            let (_, layout) = self.sizes(operands)?;
            Ok((layout, layout.runs * layout.run))
        })?;
        let (geometry, layout) = self.sizes(operands)?;
        let shape = geometry.result(self.window.axes, layout.groups * layout.outputs);
        Ok(vec![TensorType { shape, dtype: self.finish.dtype() }])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let types: Vec<TensorType> = operands.iter().map(|operand| operand.of).collect();
        let sizes = self.sizes(&types)?;
        let of_outputs = OfOutputs::of(operands, i32::from(self.zero_point), self.finish);
        let (input, packed) = (operands[0].elements::<u8>(), operands[1].elements::<i8>());
        match self.finish.dtype() {
            DType::U8 => {
                self.compute(sizes, input, packed, of_outputs, results[0].elements::<u8>());
            }
            _ => self.compute(sizes, input, packed, of_outputs, results[0].elements::<f32>()),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let (geometry, layout) = self.sizes(operands).ok()?;
        let Layout { groups, outputs, runs, run } = layout;
        let Geometry { channels, input, output, stride, dilation, before, .. } = geometry;
        let of_group = channels / groups;
        let zero = i32::from(self.zero_point);
        // What a window reads at an element of it, inside of the picture and outside, and what is too much in the sum.
        let (reads, [inside, outside], moved) = if of_group.is_multiple_of(FOUR) {
            let first = "block / 4u + element * 16u + own % 16u";
            let inside = format!(
                "let four = (image + u32(row * {iw} + column) * {channels}u + group * {of_group}u) / 4u;
                sum += dot_bytes(word0(four + element % {fours}u) ^ {SIGNS}u, word1({first}));",
                iw = input[1],
                fours = of_group / FOUR,
            );
            let padding = (u32::from(self.zero_point) * 0x0101_0101) ^ SIGNS;
            let outside = format!("sum += dot_bytes({padding}u, word1({first}));");
            (of_group / FOUR, [inside, outside], zero - MIDDLE)
        } else {
            let place = match layout.is_depthwise() {
                true => format!("element * {groups}u + group"),
                false => format!(
                    "block + ((element / {run}u * {fours}u + element % {run}u / 4u) * 16u + own % 16u) * 4u + element % {run}u % 4u",
                    fours = layout.fours(),
                ),
            };
            let inside = format!(
                "let channel = group * {of_group}u + element % {of_group}u;
                let value = i32(read0(image + u32(row * {iw} + column) * {channels}u + channel));
                sum += value * read1({place});",
                iw = input[1],
            );
            (of_group, [inside, format!("sum += {zero} * read1({place});")], zero)
        };
        let source = format!(
            "fn element(index: u32) {{
                let output = index % {every}u;
                let x = i32(index / {every}u % {width}u);
                let y = i32(index / {every}u / {width}u % {height}u);
                let image = index / {every}u / {area}u * {volume}u;
                let group = output / {outputs}u;
                let own = output % {outputs}u;
                let block = group * {group_bytes}u + own / {BLOCK}u * {block_bytes}u;
                var sum = 0;
                for (var element = 0u; element < {elements}u; element++) {{
                    let tap = element / {reads}u;
                    let row = y * {sy} + i32(tap / {kx}u) * {dy} - {by};
                    let column = x * {sx} + i32(tap % {kx}u) * {dx} - {bx};
                    if (row >= 0 && row < {ih} && column >= 0 && column < {iw}) {{
                        {inside}
                    }} else {{
                        {outside}
                    }}
                }}
                let value = f32(sum - {moved} * read2(output)) * read3(output) + read4(output);
                {finish}
            }}",
            every = groups * outputs,
            width = output[1],
            height = output[0],
            area = geometry.output_area(),
            volume = geometry.input_bytes(),
            group_bytes = layout.group_bytes(),
            block_bytes = layout.block_bytes(),
            elements = runs * run * reads / of_group,
            kx = geometry.kernel[1],
            sy = stride[0],
            sx = stride[1],
            dy = dilation[0],
            dx = dilation[1],
            by = before[0],
            bx = before[1],
            ih = input[0],
            iw = input[1],
            finish = self.finish.wgsl("value", "index"),
        );
        Some(Wgsl::elements(source, results[0].shape.count()))
    }
}
