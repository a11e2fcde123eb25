//! The suite: each device's measured ceilings, each workload's figure and its share of the ceiling.

use std::path::PathBuf;

use gradloom::prelude::*;
use serde_json::{Value, json};

use crate::elementary::{self, Effort};
use crate::networks;
use crate::timing::{Failure, Figure};

/// What to run.
pub(crate) struct Options {
    /// Smaller sizes and fewer repeats.
    pub(crate) quick: bool,
    /// Only this device.
    pub(crate) device: Option<String>,
    /// Where the JSON goes.
    pub(crate) json: PathBuf,
}

/// The highest figures that this device reached with the simplest kernels.
struct Ceilings {
    gflops: f64,
    gbytes: f64,
}

/// Measures, prints a table, writes the JSON.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let devices = match &options.device {
        Some(name) => vec![Device::named(name)?],
        None => std::iter::once(Device::cpu()).chain(Device::gpus()).collect(),
    };
    let mut report = Vec::new();
    for device in devices {
        println!("\n{}", device.name());
        report
            .push(json!({ "device": device.name(), "figures": measure(&device, options.quick)? }));
    }
    if let Some(folder) = options.json.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&options.json, serde_json::to_string_pretty(&report)?)
        .map_err(|error| format!("{}: {error}", options.json.display()))?;
    println!("\nwrote {}", options.json.display());
    Ok(())
}

fn measure(device: &Device, quick: bool) -> Result<Vec<Value>, Failure> {
    let effort = if quick {
        Effort { repeats: 3, seconds: 0.1 }
    } else {
        Effort { repeats: 5, seconds: 0.4 }
    };
    let (count, rows) = if quick { (1 << 20, 1024) } else { (16 << 20, 16_384) };
    let size = if quick { 512 } else { 2048 };
    let ceilings = Ceilings {
        gflops: elementary::matmul(device, size, DType::F32, effort)?.median(),
        gbytes: elementary::copy(device, count, effort)?.median(),
    };
    println!(
        "  ceilings measured here: {:.1} GFLOP/s (product of {size}), {:.2} GB/s (copy)",
        ceilings.gflops, ceilings.gbytes
    );
    let mut figures = Vec::new();
    let mut add = |name: &str, figure: Result<Figure, Failure>| {
        let line = match figure {
            Ok(figure) => {
                print_line(name, &figure, &ceilings);
                let mut line = figure.json();
                line["case"] = name.into();
                line
            }
            Err(error) => {
                println!("  {name:28} failed: {error}");
                json!({ "case": name, "error": error.to_string() })
            }
        };
        figures.push(line);
    };
    add("dispatch", elementary::dispatch(device, effort));
    add("x + y of 16", elementary::small_add(device, effort));
    add("MLP step, 3 layers of 64", networks::mlp(device, if quick { 50 } else { 1000 }, 3));
    add("planning", elementary::planning(device, effort));
    for size in [256, 512, 1024] {
        add(&format!("matmul {size}"), elementary::matmul(device, size, DType::F32, effort));
    }
    add("gelu(x*a+b)*c", elementary::gelu_chain(device, count, effort));
    add("softmax", elementary::softmax(device, rows, effort));
    add("layer norm", elementary::layer_norm(device, rows, effort));
    let (steps, repeats) = if quick { (3, 2) } else { (30, 3) };
    add("CNN step, 64x1x28x28", networks::fashion(device, steps, repeats));
    add("CNN step, 64x3x32x32", networks::cifar(device, steps.min(10), repeats));
    if !quick {
        add("BiLSTM step, 32x100", networks::recurrent(device, 2, 2));
    }
    Ok(figures)
}

fn print_line(name: &str, figure: &Figure, ceilings: &Ceilings) {
    let value = figure.median();
    let ceiling = match figure.unit {
        "GFLOPS" => Some(ceilings.gflops),
        "GB/s" => Some(ceilings.gbytes),
        _ => None,
    };
    let share =
        ceiling.map_or(String::new(), |ceiling| format!("{:5.1} %", 100.0 * value / ceiling));
    println!("  {name:28} {value:12.3} {:10} {share:8} {}", figure.unit, figure.note);
}
