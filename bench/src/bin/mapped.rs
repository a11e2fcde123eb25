//! `mapped`: what it costs to open weights and to use a part of them, read into memory or left in their
//! file: time, and memory as the system sees it.
//!
//! `cargo run --release -p bench --bin mapped -- make FILE GIGABYTES`, then `layer FILE` or, of a GGUF file,
//! `token FILE`, with `--read` for a file that is read as a whole, and `--device NAME`.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use gradloom::prelude::*;
use gradloom::weights::Checkpoint;
use gradloom::zoo::LlamaForCausalLanguageModel;
use gradloom::zoo::generation::{Generator, Sampler, Stop};

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "\
usage: mapped make FILE GIGABYTES                       a safetensors file of square layers
       mapped layer FILE [--read] [--device NAME]       opens it and multiplies by one layer
       mapped token FILE [--read] [--device NAME]       opens a GGUF model and answers one token";

/// Sides of a layer of the file that `make` makes: 64 MiB of f32.
const SIDE: usize = 4096;
/// Layers that `make` writes. The others are zeros, which take no place on most disks.
const WRITTEN_MAX: usize = 60;

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mapped: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mut read, mut device, mut words) = (false, "cpu".to_owned(), Vec::new());
    let mut rest = std::env::args().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--read" => read = true,
            "--device" => device = rest.next().ok_or(USAGE)?,
            _ => words.push(word),
        }
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", file, gigabytes] => make(Path::new(file), gigabytes.parse()?),
        ["layer", file] => layer(file, read, &Device::named(&device)?),
        ["token", file] => token(file, read, &Device::named(&device)?),
        _ => Err(USAGE.into()),
    }
}

/// Writes layers one after another, so that the file may be larger than memory.
fn make(path: &Path, gigabytes: f64) -> Result<(), Failure> {
    let bytes = SIDE * SIDE * 4;
    let layers = (gigabytes * 1e9 / bytes as f64).ceil() as usize;
    let entry = |layer: usize| {
        let (start, end) = (layer * bytes, (layer + 1) * bytes);
        format!(
            r#""layers.{layer}.weight":{{"dtype":"F32","shape":[{SIDE},{SIDE}],"data_offsets":[{start},{end}]}}"#
        )
    };
    let mut header = format!("{{{}}}", (0..layers).map(entry).collect::<Vec<_>>().join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut word = 1u32;
    let mut values = vec![0u8; bytes];
    for value in values.chunks_exact_mut(4) {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        value.copy_from_slice(&(word as f32 / u32::MAX as f32 - 0.5).to_le_bytes());
    }
    for layer in 0..layers.min(WRITTEN_MAX) {
        values.rotate_left(4 * (layer + 1));
        file.write_all(&values)?;
    }
    file.flush()?;
    file.get_ref().set_len((8 + header.len() + layers * bytes) as u64)?;
    println!("{layers} layers, {:.2} GB", (layers * bytes) as f64 / 1e9);
    Ok(())
}

fn open(file: &str, read: bool) -> Result<Checkpoint, Failure> {
    if read {
        return Ok(Checkpoint::open(file)?);
    }
    #[expect(unsafe_code, reason = "the file is mapped")]
    // SAFETY: nobody writes to the file while this program looks at it.
    Ok(unsafe { Checkpoint::open_mapped(file) }?)
}

/// Times a stage and says what it costs.
fn stage<T>(
    name: &str,
    device: &Device,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let result = work()?;
    let seconds = start.elapsed().as_secs_f64();
    let statistics = device.statistics();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{name:>12}: {seconds:9.4} s; {}; device: {:.1} MiB in use, {:.1} MiB outside",
        resident(),
        mib(statistics.bytes_in_use),
        mib(statistics.bytes_outside)
    );
    Ok(result)
}

fn layer(file: &str, read: bool, device: &Device) -> Result<(), Failure> {
    let x = Tensor::ones([1, SIDE], DType::F32, device);
    stage("start", device, || Ok(x.eval()?))?;
    let tensors = stage("open", device, || {
        let checkpoint = open(file, read)?;
        Ok(checkpoint.tensors(device)?)
    })?;
    let weight = tensors.get("layers.7.weight").ok_or("layers.7.weight is missing")?;
    for name in ["first use", "second use"] {
        let sum = stage(name, device, || Ok(x.matmul(&weight.t()).abs().sum(..).item()?))?;
        println!("{sum:>14}");
    }
    Ok(())
}

fn token(file: &str, read: bool, device: &Device) -> Result<(), Failure> {
    stage("start", device, || Ok(Tensor::ones([1], DType::F32, device).eval()?))?;
    let model = stage("open", device, || {
        let checkpoint = open(file, read)?;
        Ok(LlamaForCausalLanguageModel::from_gguf_checkpoint(&checkpoint, device)?)
    })?;
    let prompt: Vec<u32> = (0..32).map(|index| 1000 + index * 37).collect();
    let mut generator = Generator::new(&model, 1, prompt.len() + 2)?;
    for name in ["first token", "again"] {
        let tokens = stage(name, device, || {
            generator.clear();
            generator.prefill(&[&prompt])?;
            let mut sampler = Sampler::greedy();
            let tokens = generator.decode(&mut sampler, &Stop::after(1));
            Ok(tokens.collect::<Result<Vec<_>, _>>()?)
        })?;
        println!("{tokens:?}");
    }
    Ok(())
}

/// Memory of the process: what is its own and what is pages of files, where the system says it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key))?;
        let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024.0)
    };
    match (mib("RssAnon:"), mib("RssFile:"), mib("VmHWM:")) {
        (Some(own), Some(files), Some(peak)) => {
            format!("own {own:7.1} MiB, of files {files:7.1} MiB, peak {peak:7.1} MiB")
        }
        _ => "memory not known".to_owned(),
    }
}
