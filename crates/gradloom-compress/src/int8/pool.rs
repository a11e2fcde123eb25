//! Maxima of windows of integers.

use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::op::Window;
use gradloom_tensor::{DType, Error, Result, Tensor};
use rayon::prelude::*;

use super::geometry::Geometry;

/// Bytes of a task.
const TASK_BYTES: usize = 1 << 16;

/// `[N, L, C]` or `[N, H, W, C]` u8, the greatest of each window. What is outside is never the greatest.
///
/// PyTorch: `torch.nn.functional.max_pool2d`, of memory format `torch.channels_last`.
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

/// The greatest of the windows of a picture.
fn picture(geometry: &Geometry, input: &[u8], out: &mut [u8]) {
    let Geometry { channels, kernel, stride, dilation, before, .. } = *geometry;
    let [height, width] = geometry.input;
    // Elements of a window that are inside, along an axis.
    let inside = |position: usize, axis: usize, size: usize| {
        let first = position * stride[axis];
        let places = (0..kernel[axis]).map(move |element| first + element * dilation[axis]);
        places.filter_map(move |at| at.checked_sub(before[axis]).filter(|&at| at < size))
    };
    for (position, out) in out.chunks_exact_mut(channels).enumerate() {
        let (y, x) = (position / geometry.output[1], position % geometry.output[1]);
        let mut first = true;
        for row in inside(y, 0, height) {
            for column in inside(x, 1, width) {
                let values = &input[(row * width + column) * channels..][..channels];
                if std::mem::replace(&mut first, false) {
                    out.copy_from_slice(values);
                } else {
                    let pairs = out.iter_mut().zip(values);
                    pairs.for_each(|(most, &value)| *most = value.max(*most));
                }
            }
        }
        if first {
            out.fill(0);
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
        let geometry = Geometry::new(&x.shape, &self.0)?;
        let shape = geometry.result(self.0.axes, geometry.channels);
        Ok(vec![TensorType { shape, dtype: DType::U8 }])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let geometry = Geometry::new(&operands[0].of.shape, &self.0)?;
        let (from, to) = (geometry.input_bytes(), geometry.output_area() * geometry.channels);
        let out = results[0].elements::<u8>();
        if out.is_empty() {
            return Ok(());
        }
        let pictures = TASK_BYTES.div_ceil(from);
        let inputs = operands[0].elements::<u8>().par_chunks(pictures * from);
        out.par_chunks_mut(pictures * to).zip(inputs).for_each(|(out, input)| {
            for (out, input) in out.chunks_exact_mut(to).zip(input.chunks_exact(from)) {
                picture(&geometry, input, out);
            }
        });
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let geometry = Geometry::new(&operands[0].shape, &self.0).ok()?;
        let Geometry { channels, input, output, kernel, stride, dilation, before, .. } = geometry;
        let source = format!(
            "fn element(index: u32) {{
                let channel = index % {channels}u;
                let x = i32(index / {channels}u % {width}u);
                let y = i32(index / {channels}u / {width}u % {height}u);
                let picture = index / {channels}u / {area}u * {volume}u;
                var most = 0u;
                for (var tap = 0u; tap < {taps}u; tap++) {{
                    let row = y * {sy} + i32(tap / {kx}u) * {dy} - {by};
                    let column = x * {sx} + i32(tap % {kx}u) * {dx} - {bx};
                    if (row >= 0 && row < {ih} && column >= 0 && column < {iw}) {{
                        let place = picture + u32(row * {iw} + column) * {channels}u + channel;
                        most = max(most, read0(place));
                    }}
                }}
                write0(index, most);
            }}",
            width = output[1],
            height = output[0],
            area = geometry.output_area(),
            volume = geometry.input_bytes(),
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
