//! `shapes`: what programs of many shapes cost: shaders compiled, plans kept, bytes of the host, time.
//!
//! `cargo run --release -p bench --bin shapes -- --device gpu [--count N] [NAME ..]`
//!
//! Each workload runs once for the shape that is printed as `first`, then for all shapes. Bytes are those
//! that Rust code holds at the end (live) and what the system says of the process (resident), which has
//! the driver's share.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Instant;

use gradloom::nn::layers::{Conv2d, Flatten, Linear, Lstm, MaxPool2d, RecurrentOptions};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;
use gradloom::zoo::{CausalInput, Gpt2Config, Gpt2ForCausalLanguageModel, Pretrained};
use gradloom_wgpu::WgpuBackend;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: shapes [--device NAME] [--count N] [transformer | cnn | rnn | lstm ..]";

static LIVE: AtomicIsize = AtomicIsize::new(0);

/// The system's allocator, counting bytes.
struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shapes: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let (mut name, mut count, mut wanted) = ("best".to_owned(), None, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--device" => name = words.next().ok_or(USAGE)?,
            "--count" => count = Some(words.next().ok_or(USAGE)?.parse::<usize>()?),
            "transformer" | "cnn" | "rnn" | "lstm" => wanted.push(word),
            _ => return Err(USAGE.into()),
        }
    }
    let device = if name == "best" { Device::best()? } else { Device::named(&name)? };
    println!("{}", device.name());
    println!(
        "{:<24} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {:>9}",
        "", "shapes", "shaders", "plans", "seconds", "live MiB", "resident", "plan MiB"
    );
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if wants("transformer") {
        let model = transformer(&device)?;
        let step = |length: usize| forward(&model, length, &device);
        measure("transformer forward", &device, 100, 1..=count.unwrap_or(200), step)?;
    }
    if wants("cnn") {
        let model = cnn(&device)?;
        let step = |batch: usize| train(&model, batch, &device);
        measure("cnn training step", &device, 50, 1..=count.unwrap_or(100), step)?;
    }
    if wants("rnn") {
        let step = |steps: usize| recurrent(steps, &device);
        measure("rnn of 100 steps", &device, 100, [], step)?;
    }
    if wants("lstm") {
        let model =
            Lstm::new(16, 32, RecurrentOptions::default(), &mut Init::new(Key::new(0), &device));
        let step = |steps: usize| lstm(&model, steps, &device);
        measure("lstm step, 200 steps", &device, 200, [], step)?;
        measure("lstm step, 400 steps", &device, 400, [], step)?;
    }
    Ok(())
}

/// Runs `step` for one shape, then for all, and prints what each took.
fn measure(
    name: &str,
    device: &Device,
    first: usize,
    shapes: impl IntoIterator<Item = usize>,
    mut step: impl FnMut(usize) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let known = device.statistics().shaders;
    let mut run = |label: &str, shapes: &[usize]| -> Result<(), Failure> {
        let before = device.statistics();
        let live = LIVE.load(Ordering::Relaxed);
        let begin = Instant::now();
        for &shape in shapes {
            step(shape)?;
        }
        device.synchronize()?;
        let after = device.statistics();
        let done = after.since(&before);
        println!(
            "{label:<24} {:>7} {:>7} {:>7} {:>9.2} {:>+9.1} {:>9.0} {:>9.1}",
            shapes.len(),
            done.shaders,
            done.plans,
            begin.elapsed().as_secs_f64(),
            (LIVE.load(Ordering::Relaxed) - live) as f64 / f64::from(1 << 20),
            resident_mib(),
            after.plan_bytes as f64 / f64::from(1 << 20),
        );
        Ok(())
    };
    let shapes: Vec<usize> = shapes.into_iter().collect();
    run(&format!("{name}, first"), &[first])?;
    if !shapes.is_empty() {
        run(&format!("{name}, all"), &shapes)?;
    }
    run(&format!("{name}, again"), &[first])?;
    print_kinds(device, known);
    Ok(())
}

/// How many shaders there are of each kind of kernel since number `first`.
fn print_kinds(device: &Device, first: u64) {
    let Some(backend) = device.backend().as_any().downcast_ref::<WgpuBackend>() else { return };
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for shader in backend.shaders(first) {
        let kind = shader.kernel.split(['[', ' ']).next().unwrap_or_default().to_owned();
        *kinds.entry(kind).or_default() += 1;
        if std::env::var_os("SHAPES_LIST").is_some() {
            println!("    {}", shader.kernel);
        }
        if let Some(folder) = std::env::var_os("SHAPES_DUMP") {
            let path = std::path::Path::new(&folder).join(format!("{:04}.wgsl", shader.number));
            let _ = std::fs::write(path, format!("// {}\n{}", shader.kernel, shader.source));
        }
    }
    let list: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!("    {}", list.join(", "));
}

/// Memory that the process has, as Linux counts it; zero elsewhere.
fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0 / f64::from(1 << 20)
}

/// GPT-2 of two narrow layers.
fn transformer(device: &Device) -> Result<Gpt2ForCausalLanguageModel, Failure> {
    let config = Gpt2Config {
        vocab_size: 256,
        n_positions: 512,
        n_embd: 64,
        n_layer: 2,
        n_head: 4,
        ..Gpt2Config::default()
    };
    let mut model = Gpt2ForCausalLanguageModel::new(&config, &mut Init::new(Key::new(0), device))?;
    model.freeze();
    commit(&mut model)?;
    Ok(model)
}

fn forward(
    model: &Gpt2ForCausalLanguageModel,
    length: usize,
    device: &Device,
) -> Result<(), Failure> {
    let tokens: Vec<i32> = (0..2 * length).map(|place| (place * 31 % 256) as i32).collect();
    let tokens = Tensor::from_vec(tokens, [2, length], device)?;
    let output = model.forward(&CausalInput::new(&tokens), &mut Context::eval());
    output.logits.narrow(1, length - 1, 1).to_vec::<f32>()?;
    Ok(())
}

fn cnn(device: &Device) -> Result<Sequential, Failure> {
    let mut init = Init::new(Key::new(0), device);
    let mut model = Sequential::new()
        .with(Conv2d::new(1, 8, [3, 3], Conv2dOptions::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(8, 16, [3, 3], Conv2dOptions::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(16 * 5 * 5, 32, &mut init))
        .with(Activation::Relu)
        .with(Linear::new(32, 10, &mut init));
    commit(&mut model)?;
    Ok(model)
}

/// The gradients of a batch.
fn train(model: &Sequential, batch: usize, device: &Device) -> Result<(), Failure> {
    let pixels: Vec<f32> = (0..batch * 784).map(|place| (place % 17) as f32 / 17.0).collect();
    let images = Tensor::from_vec(pixels, [batch, 1, 28, 28], device)?;
    let labels: Vec<i32> = (0..batch).map(|image| (image % 10) as i32).collect();
    let labels = Tensor::from_vec(labels, [batch], device)?;
    let loss = model.forward(&images, &mut Context::eval()).cross_entropy(&labels);
    let gradients = gradients(&loss, model);
    let mut roots = vec![loss.clone()];
    roots.extend(gradients.iter().map(|(_, gradient)| gradient.clone()));
    eval(roots.iter())?;
    loss.item()?;
    Ok(())
}

/// A plain recurrent network, unrolled.
fn recurrent(steps: usize, device: &Device) -> Result<(), Failure> {
    let (batch, size) = (4, 32);
    let x = Tensor::normal(Key::new(1), [batch, steps, size], 0.0, 1.0, device).detach();
    let weight = Tensor::normal(Key::new(2), [size, size], 0.0, 0.1, device).detach();
    eval([&x, &weight])?;
    let mut state = Tensor::zeros([batch, size], DType::F32, device);
    let mut states = Vec::new();
    for step in 0..steps {
        state = (state.matmul(&weight) + x.narrow(1, step, 1).squeeze(1)).tanh();
        states.push(state.clone());
    }
    // Some devices bind no more operands at once.
    let parts: Vec<Tensor> = states.chunks(24).map(|states| Tensor::stack(states, 1)).collect();
    Tensor::concat(&parts, 1).to_vec::<f32>()?;
    Ok(())
}

/// The gradients of a layer of LSTM.
fn lstm(model: &Lstm, steps: usize, device: &Device) -> Result<(), Failure> {
    let x = Tensor::normal(Key::new(1), [4, steps, 16], 0.0, 1.0, device).detach();
    let (states, _) = model.run(&x, None, &mut Context::eval());
    let loss = states.square().mean(..);
    let gradients = gradients(&loss, model);
    let mut roots = vec![loss];
    roots.extend(gradients.iter().map(|(_, gradient)| gradient.clone()));
    eval(roots.iter())?;
    Ok(())
}
