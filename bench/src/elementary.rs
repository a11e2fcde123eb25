//! Products, elementwise chains, softmax and layer norm: the cases W1 and W8 of the peers.

use gradloom::prelude::*;

use crate::timing::{Failure, Figure, rates};

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) repeats: usize,
    pub(crate) seconds: f64,
}

/// Values between -1 and 1 on a device.
fn noise(shape: [usize; 2], seed: u64, dtype: DType, device: &Device) -> Result<Tensor, Failure> {
    let tensor = Tensor::uniform(Key::new(seed), shape, -1.0, 1.0, device).cast(dtype).detach();
    tensor.eval()?;
    Ok(tensor)
}

/// Computes a tensor and waits for it.
fn finish(tensor: &Tensor) -> Result<(), Failure> {
    tensor.eval()?;
    tensor.device().synchronize()?;
    Ok(())
}

/// A square product, a new output each time.
pub(crate) fn matmul(
    device: &Device,
    size: usize,
    dtype: DType,
    effort: Effort,
) -> Result<Figure, Failure> {
    let lhs = noise([size, size], 1, dtype, device)?;
    let rhs = noise([size, size], 2, dtype, device)?;
    let flops = 2.0 * (size as f64).powi(3) / 1e9;
    let samples =
        rates(flops, effort.repeats, effort.seconds, || finish(&lhs.detach().matmul(&rhs)))?;
    Ok(Figure::new("GFLOPS", samples))
}

/// `gelu(x * 1.1 + 0.3) * 0.7` of `count` floats.
pub(crate) fn gelu_chain(device: &Device, count: usize, effort: Effort) -> Result<Figure, Failure> {
    let x = noise([count / 1024, 1024], 3, DType::F32, device)?;
    let bytes = 8.0 * count as f64 / 1e9;
    let samples = rates(bytes, effort.repeats, effort.seconds, || {
        finish(&((x.detach() * 1.1 + 0.3).gelu() * 0.7))
    })?;
    Ok(Figure::new("GB/s", samples))
}

/// Softmax over the last axis.
pub(crate) fn softmax(device: &Device, rows: usize, effort: Effort) -> Result<Figure, Failure> {
    let x = noise([rows, 1024], 4, DType::F32, device)?;
    let bytes = 8.0 * (rows * 1024) as f64 / 1e9;
    let samples = rates(bytes, effort.repeats, effort.seconds, || finish(&x.detach().softmax(-1)))?;
    Ok(Figure::new("GB/s", samples))
}

/// Layer norm over the last axis with scale and shift.
pub(crate) fn layer_norm(device: &Device, rows: usize, effort: Effort) -> Result<Figure, Failure> {
    let x = noise([rows, 1024], 5, DType::F32, device)?;
    let weight = noise([1, 1024], 6, DType::F32, device)?.reshape([1024]);
    let bias = noise([1, 1024], 7, DType::F32, device)?.reshape([1024]);
    let bytes = 8.0 * (rows * 1024) as f64 / 1e9;
    let samples = rates(bytes, effort.repeats, effort.seconds, || {
        finish(&x.detach().layer_norm(1, Some(&weight), Some(&bias), 1e-5))
    })?;
    Ok(Figure::new("GB/s", samples))
}

/// The simplest kernel on `count` floats: what the device's memory can do.
pub(crate) fn copy(device: &Device, count: usize, effort: Effort) -> Result<Figure, Failure> {
    let x = noise([count / 1024, 1024], 8, DType::F32, device)?;
    let bytes = 8.0 * count as f64 / 1e9;
    let samples = rates(bytes, effort.repeats, effort.seconds, || finish(&-x.detach()))?;
    Ok(Figure::new("GB/s", samples))
}

/// Microseconds per kernel in a chain of small kernels that cannot be fused.
pub(crate) fn dispatch(device: &Device, effort: Effort) -> Result<Figure, Failure> {
    const LENGTH: usize = 64;
    let x = noise([8, 8], 9, DType::F32, device)?;
    let per_second = rates(LENGTH as f64, effort.repeats, effort.seconds, || {
        let mut y = x.detach();
        for _ in 0..LENGTH {
            y = y.matmul(&x);
        }
        finish(&y)
    })?;
    let samples = per_second.into_iter().map(|rate| 1e6 / rate).collect();
    Ok(Figure::new("us/kernel", samples).note("64 dependent 8x8 products in one evaluation"))
}

/// Microseconds from `x + y` of 16 floats to its value on the host.
pub(crate) fn small_add(device: &Device, effort: Effort) -> Result<Figure, Failure> {
    let (x, y) = (noise([1, 16], 11, DType::F32, device)?, noise([1, 16], 12, DType::F32, device)?);
    let per_second = rates(1.0, effort.repeats, effort.seconds, || {
        std::hint::black_box((&x + &y).to_vec::<f32>()?);
        Ok(())
    })?;
    let samples = per_second.into_iter().map(|rate| 1e6 / rate).collect();
    Ok(Figure::new("us", samples).note("from graph to value on the host"))
}

/// Nanoseconds per node to find a known plan for a graph.
pub(crate) fn planning(device: &Device, effort: Effort) -> Result<Figure, Failure> {
    let x = noise([8, 8], 10, DType::F32, device)?;
    let build = || {
        let mut y = x.detach();
        for _ in 0..100 {
            y = (y.matmul(&x) + &x).tanh() * &x;
        }
        y
    };
    let nodes = 100.0 * 4.0;
    let planner = gradloom_plan::Planner::default();
    let graph = build();
    let roots = [graph];
    let per_second = rates(nodes, effort.repeats, effort.seconds, || {
        let prepared = planner.prepare(&roots, gradloom::Retention::Keep);
        std::hint::black_box(&prepared);
        Ok(())
    })?;
    let samples = per_second.into_iter().map(|rate| 1e9 / rate).collect();
    Ok(Figure::new("ns/node", samples).note("known structure of 400 nodes"))
}
