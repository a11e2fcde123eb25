//! `conformance [--data FOLDER] [--device cpu|gpus|all] [--dtype f32|f64|f16|bf16] [--op NAME] [--write]`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use conformance::golden::{self, Golden};
use conformance::report::{self, Counts};
use conformance::run::Options;
use gradloom::{DType, Device, SelectDevice as _};

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
    let mut dtype = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--data" => data = Some(PathBuf::from(value()?)),
            "--device" => device = value()?,
            "--dtype" => {
                dtype = Some(match value()?.as_str() {
                    "f32" => DType::F32,
                    "f64" => DType::F64,
                    "f16" => DType::F16,
                    "bf16" => DType::BF16,
                    other => return Err(format!("{other} is no dtype of samples")),
                });
            }
            "--op" => op = Some(value()?),
            "--write" => write = true,
            _ => {
                let usage = "[--data FOLDER] [--device cpu|gpus|all] [--dtype f32|f64|f16|bf16] \
                             [--op NAME] [--write]";
                return Err(format!("{word}? conformance {usage}"));
            }
        }
    }
    let wanted = |golden: Vec<Golden>| -> Vec<Golden> {
        golden.into_iter().filter(|of| op.as_ref().is_none_or(|op| of.op == *op)).collect()
    };
    // Samples that were rounded to halves are in folders of their own.
    let of = |dtype: DType| -> Result<Vec<Golden>, String> {
        match &data {
            None => golden::slice().map(wanted),
            Some(folder) => match dtype {
                DType::F16 | DType::BF16 => golden::folder(&folder.join(dtype.to_string())),
                _ => golden::folder(folder),
            }
            .map(wanted),
        }
    };
    let mut runs = Vec::new();
    if device != "gpus" {
        runs.push((Device::cpu(), dtype.unwrap_or(DType::F32)));
        if dtype.is_none() && data.is_some() {
            let others = [DType::F64, DType::F16, DType::BF16];
            runs.extend(others.map(|dtype| (Device::cpu(), dtype)));
        }
    }
    if device != "cpu" {
        let dtype = dtype.unwrap_or(DType::F32);
        runs.extend(Device::gpus().into_iter().map(|gpu| (gpu, dtype)));
    }
    // A sample that panics is counted, not shown.
    std::panic::set_hook(Box::new(|_| {}));
    // Devices side by side: what takes the time on a GPU is one thread that compiles shaders.
    let run = |(own, dtype): (Device, DType)| -> Result<(String, Vec<Counts>), String> {
        // On a GPU each gradient is shaders to compile.
        let second = own.capabilities().host;
        let name = format!("{}, {dtype}", own.name());
        let golden = of(dtype)?;
        let options = Options { device: own, dtype, second };
        let counts = report::all(&golden, &options, usize::MAX);
        for op in &counts {
            for reason in &op.failed {
                println!("{name}: {} {reason}", op.op);
            }
        }
        Ok((name, counts))
    };
    let reports = std::thread::scope(|scope| {
        let running: Vec<_> = runs.into_iter().map(|own| scope.spawn(|| run(own))).collect();
        let ended =
            running.into_iter().map(|one| one.join().unwrap_or_else(|_| Err("a panic".into())));
        ended.collect::<Result<Vec<_>, String>>()
    })?;
    let text = report::markdown(&reports);
    println!("{}", text.split("\n## ").next().unwrap_or_default());
    if write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(reports.iter().all(|(_, counts)| counts.iter().all(|op| op.failed.is_empty())))
}
