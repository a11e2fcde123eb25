//! Convolutions of 8-bit integers.
#![expect(unsafe_code, reason = "tiles read by pointer; bounds are checked once before them")]

use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Result, Tensor};
use rayon::prelude::*;

use super::depthwise;
use super::dots::{Dots, Level, Task, dispatch};
use super::finish::{Finish, FinishBits, Finished, OfOutputs, check_product};
use super::packed::{BLOCK, FOUR, Layout};
use super::planes::{Geometry, Planes, with_bytes};
use super::tiles::{SUMS_MAX, TILE_WIDTH, of_positions};

/// Multiplications of a block of outputs of a picture from which on it is a task of its own.
const TASK_WORK: usize = 1 << 18;

/// `x [N, C, L]` or `[N, C, H, W]` u8, weights of [`pack_convolution`](super::pack_convolution), and of the `O` outputs the
/// sums of their weights (i32), factors and terms (f32) `-> [N, O, ..]` in f32 or u8, as [`Finish`] says. The sum of an
/// output is that of `(x - zero_point) * weight`; padding stands for zero.
///
/// PyTorch: `torch.nn.quantized.functional.conv2d`.
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
    fn geometry(&self, operands: &[TensorType]) -> Result<Geometry> {
        let outputs = operands[2].shape.count();
        Geometry::new(&operands[0].shape, outputs, &self.window, self.groups)
    }

    fn compute<T: Finished>(
        &self,
        geometry: Geometry,
        level: Level,
        input: &[u8],
        packed: &[i8],
        of_outputs: OfOutputs<'_>,
        out: &mut [T],
    ) {
        let layout = geometry.layout();
        let (in_volume, area) = (geometry.channels * geometry.input_area(), geometry.output_area());
        if out.is_empty() {
            return;
        }
        let packed: &[u8] = bytemuck::cast_slice(packed);
        let groups = input.par_chunks_exact(in_volume.max(1));
        let outs = out.par_chunks_exact_mut(geometry.outputs * area);
        if depthwise::applies(&geometry) {
            outs.zip(groups).enumerate().for_each(|(index, (out, input))| {
                let group = index % geometry.groups;
                let weights = &packed[group * layout.block_bytes()..][..layout.block_bytes()];
                let plane = (self.zero_point, group);
                depthwise::plane(level, &geometry, weights, input, plane, of_outputs, out);
            });
            return;
        }
        let planes = Planes::new(geometry);
        let work = layout.steps() * FOUR * BLOCK * area;
        let blocks_of_task = TASK_WORK.div_ceil(work.max(1)).min(layout.blocks());
        outs.zip(groups).enumerate().for_each(|(index, (out, input))| {
            let group = index % geometry.groups;
            with_bytes(planes.bytes(), |source| {
                planes.fill(input, self.zero_point, source);
                let source = &*source;
                let tasks = out.par_chunks_mut(blocks_of_task * BLOCK * area).enumerate();
                tasks.for_each(|(task, out)| {
                    let first = task * blocks_of_task;
                    for (block, out) in out.chunks_mut(BLOCK * area).enumerate() {
                        let block = first + block;
                        let place = (group * layout.blocks() + block) * layout.block_bytes();
                        let task = OfBlock {
                            planes: &planes,
                            output: geometry.output,
                            weights: &packed[place..place + layout.block_bytes()],
                            source,
                            first: group * geometry.outputs + block * BLOCK,
                            of_outputs,
                            out,
                        };
                        dispatch(level, task);
                    }
                });
            });
        });
    }
}

/// A block of outputs of one picture.
struct OfBlock<'a, T> {
    planes: &'a Planes,
    output: [usize; 2],
    weights: &'a [u8],
    source: &'a [u8],
    /// The first output.
    first: usize,
    of_outputs: OfOutputs<'a>,
    out: &'a mut [T],
}

impl<T: Finished> Task for OfBlock<'_, T> {
    #[inline(always)]
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(self) {
        let OfBlock { planes, output, weights, source, first, of_outputs, out } = self;
        let offsets = &planes.offsets[..];
        let [height, width] = output;
        let area = height * width;
        let outputs = out.len() / area;
        let (positions, row) = (planes.positions(), planes.row());
        let reach = offsets.iter().copied().max().unwrap_or(0);
        let vectors = positions.div_ceil(D::LANES);
        assert!(source.len() >= FOUR * (reach + vectors * D::LANES), "convolution: source");
        assert!(weights.len() >= offsets.len() * BLOCK * FOUR && BLOCK.is_multiple_of(ROWS));
        assert!(COLUMNS * D::LANES <= TILE_WIDTH, "convolution: a tile is too wide");
        let mut sums = [0i32; SUMS_MAX];
        let mut vector = 0;
        while vector < vectors {
            let columns = if vectors - vector >= COLUMNS { COLUMNS } else { 1 };
            let position = vector * D::LANES;
            for own in (0..outputs).step_by(ROWS) {
                // SAFETY: the assertions above: the weights of this block, and the source for these positions.
                unsafe {
                    let weights = weights.as_ptr().add(own * FOUR);
                    let source = source.as_ptr().add(position * FOUR);
                    if columns == COLUMNS {
                        of_positions::<D, ROWS, COLUMNS>(weights, source, offsets, &mut sums);
                    } else {
                        of_positions::<D, ROWS, 1>(weights, source, offsets, &mut sums);
                    }
                }
                let count = columns * D::LANES;
                let kept = ROWS.min(outputs - own);
                let last = positions.min(position + count);
                for (index, sums) in sums.chunks_exact(count).take(kept).enumerate() {
                    let output = own + index;
                    let mut values = [T::zeroed(); TILE_WIDTH];
                    of_outputs.finish(sums, first + output, &mut values[..count]);
                    let out = &mut out[output * area..(output + 1) * area];
                    // What lies between rows is left out.
                    let (mut place, mut y) = (position, position / row);
                    while place < last {
                        let (start, end) = (y * row, last.min((y + 1) * row));
                        let (x, stop) = (place - start, end.min(start + width));
                        if place < stop {
                            let values = &values[place - position..stop - position];
                            out[y * width + x..][..values.len()].copy_from_slice(values);
                        }
                        (place, y) = (end, y + 1);
                    }
                }
            }
            vector += columns;
        }
    }
}

impl CustomOp for Convolution {
    fn name(&self) -> &'static str {
        "int8 convolution"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        check_product(operands, DType::U8, self.finish, || {
            let geometry = self.geometry(operands)?;
            Ok((geometry.layout(), geometry.channels * geometry.taps()))
        })?;
        let geometry = self.geometry(operands)?;
        let mut shape = vec![geometry.images, geometry.groups * geometry.outputs];
        shape.extend(&geometry.output[2 - self.window.axes..]);
        Ok(vec![TensorType::new(&shape[..], self.finish.dtype())])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let types: Vec<TensorType> = operands.iter().map(|operand| operand.of).collect();
        let geometry = self.geometry(&types)?;
        let of_outputs = OfOutputs::of(operands, i32::from(self.zero_point), self.finish);
        let (input, packed) = (operands[0].elements::<u8>(), operands[1].elements::<i8>());
        let level = Level::best();
        match self.finish.dtype() {
            DType::U8 => {
                let out = results[0].elements::<u8>();
                self.compute(geometry, level, input, packed, of_outputs, out);
            }
            _ => {
                let out = results[0].elements::<f32>();
                self.compute(geometry, level, input, packed, of_outputs, out);
            }
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let geometry = self.geometry(operands).ok()?;
        let Layout { groups, outputs, taps, .. } = geometry.layout();
        let layout = geometry.layout();
        let Geometry { channels, input, output, kernel, stride, dilation, before, .. } = geometry;
        let source = format!(
            "fn element(index: u32) {{
                let x = i32(index % {width}u);
                let y = i32(index / {width}u % {height}u);
                let all = index / {area}u;
                let output = all % {every}u;
                let group = output / {outputs}u;
                let own = output % {outputs}u;
                let block = (group * {blocks}u + own / {BLOCK}u) * {block_bytes}u;
                let image = (all / {every}u * {groups}u + group) * {volume}u;
                var sum = 0;
                for (var channel = 0u; channel < {channels}u; channel++) {{
                    for (var tap = 0u; tap < {taps}u; tap++) {{
                        let row = y * {sy} + i32(tap / {kx}u) * {dy} - {by};
                        let column = x * {sx} + i32(tap % {kx}u) * {dx} - {bx};
                        let step = channel / {FOUR}u * {taps}u + tap;
                        let weight = read1(block + (step * {BLOCK}u + own % {BLOCK}u) * {FOUR}u + channel % {FOUR}u);
                        if (row >= 0 && row < {ih} && column >= 0 && column < {iw}) {{
                            let place = image + channel * {plane}u + u32(row * {iw} + column);
                            sum += i32(read0(place)) * weight;
                        }} else {{
                            sum += {zero} * weight;
                        }}
                    }}
                }}
                let whole = sum - {zero} * read2(output);
                let value = f32(whole) * read3(output) + read4(output);
                {finish}
            }}",
            width = output[1],
            height = output[0],
            area = geometry.output_area(),
            every = groups * outputs,
            blocks = layout.blocks(),
            block_bytes = layout.block_bytes(),
            volume = channels * geometry.input_area(),
            plane = geometry.input_area(),
            sy = stride[0],
            sx = stride[1],
            dy = dilation[0],
            dx = dilation[1],
            by = before[0],
            bx = before[1],
            kx = kernel[1],
            ih = input[0],
            iw = input[1],
            zero = self.zero_point,
            finish = self.finish.wgsl("value", "index"),
        );
        Some(Wgsl::elements(source, results[0].shape.count()))
    }
}
