//! Maxima of windows of integers.

use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Error, Result, Tensor};
use rayon::prelude::*;

use super::planes::Geometry;

/// Planes of a task.
const TASK_BYTES: usize = 1 << 16;

/// `[N, C, L]` or `[N, C, H, W]` u8, the greatest of each window. What is outside is never the greatest.
///
/// PyTorch: `torch.nn.functional.max_pool2d`.
///
/// # Panics
/// If windows do not fit, or it is not u8.
#[track_caller]
pub fn pool_max(x: &Tensor, window: Window) -> Tensor {
    let [y] = custom_op(PoolMax(window), &[x]);
    y
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PoolMax(Window);

impl PoolMax {
    fn geometry(&self, x: &TensorType) -> Result<Geometry> {
        let channels = if x.shape.rank() > 1 { x.shape[1] } else { 0 };
        Geometry::new(&x.shape, channels, &self.0, channels)
    }
}

/// The greatest of the windows of a plane.
fn plane(geometry: &Geometry, input: &[u8], row: &mut [u8], out: &mut [u8]) {
    let Geometry { kernel, stride, dilation, before, .. } = *geometry;
    let [height, width] = geometry.input;
    for (y, out) in out.chunks_exact_mut(geometry.output[1]).enumerate() {
        // Columns first, because rows lie side by side.
        let row = &mut row[..width];
        let rows = (0..kernel[0]).filter_map(|ky| {
            let at = (y * stride[0] + ky * dilation[0]).checked_sub(before[0])?;
            (at < height).then(|| &input[at * width..(at + 1) * width])
        });
        let mut first = true;
        for values in rows {
            match std::mem::replace(&mut first, false) {
                true => row.copy_from_slice(values),
                false => {
                    row.iter_mut().zip(values).for_each(|(most, &value)| *most = value.max(*most));
                }
            }
        }
        if first {
            row.fill(0);
        }
        if (kernel[1], stride[1], dilation[1], before[1]) == (2, 2, 1, 0) && out.len() * 2 <= width
        {
            for (slot, pair) in out.iter_mut().zip(row.chunks_exact(2)) {
                *slot = pair[0].max(pair[1]);
            }
            continue;
        }
        for (x, slot) in out.iter_mut().enumerate() {
            let places =
                (0..kernel[1]).map(|kx| (x * stride[1] + kx * dilation[1]).wrapping_sub(before[1]));
            *slot = places.filter_map(|place| row.get(place)).copied().max().unwrap_or(0);
        }
    }
}

impl CustomOp for PoolMax {
    fn name(&self) -> &'static str {
        "int8 pool_max"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let x = operands[0];
        if x.dtype != DType::U8 {
            return Err(Error::shape(format!("{} instead of u8", x.dtype)));
        }
        let geometry = self.geometry(&x)?;
        let mut shape = x.shape[..2].to_vec();
        shape.extend(&geometry.output[2 - self.0.axes..]);
        Ok(vec![TensorType::new(&shape[..], DType::U8)])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let geometry = self.geometry(&operands[0].of)?;
        let (area, size) = (geometry.output_area(), geometry.input_area());
        let out = results[0].elements::<u8>();
        if out.is_empty() {
            return Ok(());
        }
        let planes = TASK_BYTES.div_ceil(size.max(1));
        let inputs = operands[0].elements::<u8>().par_chunks(planes * size);
        out.par_chunks_mut(planes * area).zip(inputs).for_each(|(out, input)| {
            let mut row = vec![0; geometry.input[1]];
            for (out, input) in out.chunks_exact_mut(area).zip(input.chunks_exact(size)) {
                plane(&geometry, input, &mut row, out);
            }
        });
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let geometry = self.geometry(&operands[0]).ok()?;
        let Geometry { input, output, kernel, stride, dilation, before, .. } = geometry;
        let source = format!(
            "fn element(index: u32) {{
                let x = i32(index % {width}u);
                let y = i32(index / {width}u % {height}u);
                let plane = index / {area}u * {size}u;
                var most = 0u;
                for (var tap = 0u; tap < {taps}u; tap++) {{
                    let row = y * {sy} + i32(tap / {kx}u) * {dy} - {by};
                    let column = x * {sx} + i32(tap % {kx}u) * {dx} - {bx};
                    if (row >= 0 && row < {ih} && column >= 0 && column < {iw}) {{
                        most = max(most, read0(plane + u32(row * {iw} + column)));
                    }}
                }}
                write0(index, most);
            }}",
            width = output[1],
            height = output[0],
            area = geometry.output_area(),
            size = geometry.input_area(),
            taps = kernel[0] * kernel[1],
            sy = stride[0],
            sx = stride[1],
            dy = dilation[0],
            dx = dilation[1],
            by = before[0],
            bx = before[1],
            kx = kernel[1],
            ih = input[0],
            iw = input[1],
        );
        Some(Wgsl::elements(source, results[0].shape.count()))
    }
}
