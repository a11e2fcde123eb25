//! `conformance [--data FOLDER] [--device cpu|gpus] [--op NAME] [--write]`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use conformance::golden::{self, Golden};
use conformance::report;
use gradloom::{Device, SelectDevice as _};

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("conformance: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// True if no sample failed.
fn work() -> Result<bool, String> {
    let (mut data, mut device, mut op, mut write) = (None, String::from("all"), None, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--data" => data = Some(PathBuf::from(value()?)),
            "--device" => device = value()?,
            "--op" => op = Some(value()?),
            "--write" => write = true,
            _ => {
                let usage = "[--data FOLDER] [--device cpu|gpus|all] [--op NAME] [--write]";
                return Err(format!("{word}? conformance {usage}"));
            }
        }
    }
    let wanted = |golden: Vec<Golden>| -> Vec<Golden> {
        golden.into_iter().filter(|of| op.as_ref().is_none_or(|op| of.op == *op)).collect()
    };
    let slice = wanted(golden::slice()?);
    let all = data.map(|folder| golden::folder(&folder).map(wanted)).transpose()?;
    // Of all devices, only the processor takes every sample: shaders are compiled for each shape of a view.
    let every = all.as_ref().unwrap_or(&slice);
    let mut devices = Vec::new();
    if device != "gpus" {
        devices.push((Device::cpu(), every));
    }
    if device != "cpu" {
        let own = if device == "gpus" { every } else { &slice };
        devices.extend(Device::gpus().into_iter().map(|gpu| (gpu, own)));
    }
    // A sample that panics is counted, not shown.
    std::panic::set_hook(Box::new(|_| {}));
    let mut reports = Vec::new();
    for (device, golden) in &devices {
        let counts = report::all(golden, device, usize::MAX);
        for op in &counts {
            for reason in &op.failed {
                println!("{}: {} {reason}", device.name(), op.op);
            }
        }
        reports.push((device.name(), counts));
    }
    let text = report::markdown(&reports);
    println!("{}", text.split("\n## ").next().unwrap_or_default());
    if write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(reports.iter().all(|(_, counts)| counts.iter().all(|op| op.failed.is_empty())))
}
