//! `narrow`: what numbers of each width take of a device's memory, and how long work on them takes.
//!
//! `cargo run --release -p bench --bin narrow -- --device gpu`
//!
//! Bytes are those of 24 matrices of 512 x 512. Times are the least of several runs in milliseconds: an
//! elementwise formula of 2^22 numbers, and `x W^T` with 256 rows, 1024 columns and 1024 terms; that of i8
//! is summed in i32.

use std::time::Instant;

use gradloom::prelude::*;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: narrow [--device NAME]";
const RUNS: usize = 9;

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("narrow: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut name = "best".to_owned();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--device" => name = words.next().ok_or(USAGE)?,
            _ => return Err(USAGE.into()),
        }
    }
    let device = if name == "best" { Device::best()? } else { Device::named(&name)? };
    println!("{}", device.name());
    println!("{:<6} {:>12} {:>14} {:>14}", "", "bytes", "elementwise ms", "product ms");
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::I8] {
        let bytes = held(dtype, &device)?;
        let [elementwise, product] = [elementwise(dtype, &device)?, product(dtype, &device)?];
        println!("{:<6} {bytes:>12} {elementwise:>14.2} {product:>14.2}", dtype.name());
    }
    Ok(())
}

/// Small whole numbers of a dtype.
fn numbers(shape: [usize; 2], dtype: DType, device: &Device) -> Result<Tensor, Failure> {
    let values = (0..shape[0] * shape[1]).map(|index| (index * 37 % 101) as f32 - 50.0).collect();
    let values = Tensor::from_vec(values, shape, device)?.cast(dtype);
    values.eval()?;
    Ok(values)
}

/// Bytes that the device holds for the matrices of a model.
fn held(dtype: DType, device: &Device) -> Result<u64, Failure> {
    let before = device.statistics().bytes_in_use;
    let matrices = (0..24).map(|_| numbers([512, 512], dtype, device));
    let matrices = matrices.collect::<Result<Vec<Tensor>, Failure>>()?;
    let bytes = device.statistics().bytes_in_use - before;
    drop(matrices);
    Ok(bytes)
}

fn elementwise(dtype: DType, device: &Device) -> Result<f64, Failure> {
    let [x, y] = [numbers([4096, 1024], dtype, device)?, numbers([4096, 1024], dtype, device)?];
    least(device, || (&x * &y + &x).relu() - &y)
}

fn product(dtype: DType, device: &Device) -> Result<f64, Failure> {
    let [x, weight] = [numbers([256, 1024], dtype, device)?, numbers([1024, 1024], dtype, device)?];
    least(device, || match dtype {
        DType::I8 => x.matmul_as(&weight.t(), DType::I32),
        _ => x.matmul(&weight.t()),
    })
}

/// The shortest time of what `make` makes.
fn least(device: &Device, make: impl Fn() -> Tensor) -> Result<f64, Failure> {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let begin = Instant::now();
        let result = make();
        result.eval()?;
        device.synchronize()?;
        least = least.min(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(least)
}
