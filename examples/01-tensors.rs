//! Tensors: making them, computing lazily, looking at them, and what the planner makes of a graph.
//!
//! `cargo run --release --example 01-tensors`, which takes less than a second
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::device_and_tiny;
use gradloom::prelude::*;

fn main() -> Result<(), Failure> {
    let (device, _) = device_and_tiny(include_str!("01-tensors.rs"))?;
    println!("device: {}\n", device.name());

    let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    println!("x = {x}\n");
    println!("x.t().matmul(x) = {}\n", x.t().matmul(&x));
    println!(
        "x.slice(s![.., 1..]) * 10 + x[:, :1] = {}\n",
        x.slice(s![.., 1..]) * 10.0 + x.slice(s![.., ..1])
    );
    println!("softmax over the last axis = {}\n", x.softmax(-1));
    println!("mean {} and standard deviation {}\n", x.mean(..).item()?, x.std(.., 1).item()?);

    // Random numbers come from a key: the same key, the same bits, on every device.
    let noise = Tensor::normal(Key::new(7), [1000, 1000], 0.0, 1.0, &device);
    println!("a million normal numbers:\n{noise}\n");

    // Nothing above was computed before it was printed. A whole chain becomes one kernel.
    let before = device.statistics();
    let y = ((&noise * 1.1 + 0.3).gelu() * 0.7).sum(-1);
    y.eval()?;
    let after = device.statistics();
    println!(
        "gelu(noise * 1.1 + 0.3) * 0.7 summed along rows: {} kernel(s)",
        after.kernels - before.kernels
    );

    // Indexing with tensors, sorting, and joining.
    let (values, indices) = y.topk(3, 0, true);
    println!("the three largest row sums {values} are in rows {indices}");
    let rows = noise.index_select(0, &indices).slice(s![.., ..4]);
    println!("their first columns: {rows}");
    Ok(())
}
