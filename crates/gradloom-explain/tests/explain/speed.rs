//! Times of integrated gradients and KernelSHAP here and in captum 0.9, in turn, on the same weights and inputs, and of
//! t-SNE of 1,797 digits here and in scikit-learn. Run by hand, with a Python that has captum, torch, safetensors and
//! scikit-learn:
//!
//!     CAPTUM_PYTHON=python RAYON_NUM_THREADS=2 \
//!         cargo test --release -p gradloom-explain --test explain -- --ignored --nocapture speed
//!
//! `golden/speed.py` is the other side: it answers each name on its input with a time and a figure of its result.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use gradloom_explain::*;
use gradloom_nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom_nn::{Activation, Init, ModuleExt, Sequential, StateDict, weights};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{Device, Key, Tensor};

/// Rounds in which each side runs each method once.
const ROUNDS: usize = 15;

fn cnn(device: &Device) -> Sequential {
    let init = &mut Init::new(Key::new(0), device);
    let padded = || Conv2dOptions::default().padding(1);
    Sequential::new()
        .with(Conv2d::new(1, 16, 3, padded(), init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(16, 32, 3, padded(), init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(32 * 49, 128, init))
        .with(Activation::Relu)
        .with(Linear::new(128, 10, init))
}

fn mlp(device: &Device) -> Sequential {
    let init = &mut Init::new(Key::new(1), device);
    Sequential::new()
        .with(Linear::new(30, 128, init))
        .with(Activation::Relu)
        .with(Linear::new(128, 128, init))
        .with(Activation::Relu)
        .with(Linear::new(128, 10, init))
}

/// captum in a process of its own, which waits while it is not asked.
struct Captum {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Captum {
    fn start(python: &str, file: &Path, threads: usize) -> Captum {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/speed.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(file)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asks, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut captum = Captum { child, asks, answers: BufReader::new(answers) };
        assert_eq!(captum.answer().trim(), "ready");
        captum
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line
    }

    /// Seconds, and the sum of the sizes of all attributions, or the trustworthiness of a map.
    fn run(&mut self, name: &str) -> (f64, f64) {
        writeln!(self.asks, "{name}").unwrap();
        let line = self.answer();
        let (seconds, sum) = line.trim().split_once(' ').unwrap();
        (seconds.parse().unwrap(), sum.parse().unwrap())
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
#[ignore = "measures; see above"]
fn speed() {
    let python = std::env::var("CAPTUM_PYTHON").expect("CAPTUM_PYTHON names a Python with captum");
    let threads = std::env::var("RAYON_NUM_THREADS").map_or(0, |count| count.parse().unwrap());
    assert!(threads > 0, "RAYON_NUM_THREADS says how many threads both sides have");
    let device = gradloom_cpu::device();
    let (cnn, mlp) = (cnn(&device), mlp(&device));
    let digits = Tensor::normal(Key::new(2), [8, 1, 28, 28], 0.0, 1.0, &device);
    let rows = Tensor::normal(Key::new(3), [64, 30], 0.0, 1.0, &device);
    let mut all = StateDict::new();
    for (prefix, model) in [("cnn.", &cnn), ("mlp.", &mlp)] {
        for (name, tensor) in model.state_dict().iter() {
            all.insert(format!("{prefix}{name}"), tensor.clone());
        }
    }
    all.insert("digits", digits.clone());
    all.insert("rows", rows.clone());
    let file =
        std::env::temp_dir().join(format!("gradloom-speed-{}.safetensors", std::process::id()));
    weights::save(&file, &all).unwrap();
    let mut captum = Captum::start(&python, &file, threads);

    let (of_cnn, of_mlp) = (Forward::of(&cnn), Forward::of(&mlp));
    let squares = Some(Features::grid(&[1, 28, 28], [4, 4]).unwrap());
    let shap = |features| KernelShap { features, samples: 500, ..KernelShap::new(Key::new(0)) };
    let (of_squares, of_columns) = (shap(squares), shap(None));
    let integrated = IntegratedGradients::default();
    let (digit, row) = (digits.narrow(0, 0, 1), rows.narrow(0, 0, 1));
    let methods: [(&str, &Forward, &dyn Method, &Tensor); 6] = [
        ("cnn, integrated gradients", &of_cnn, &integrated, &digits),
        ("mlp, integrated gradients", &of_mlp, &integrated, &rows),
        ("cnn, KernelSHAP", &of_cnn, &of_squares, &digit),
        ("cnn, KernelSHAP, 50 at a time there", &of_cnn, &of_squares, &digit),
        ("mlp, KernelSHAP", &of_mlp, &of_columns, &row),
        ("mlp, KernelSHAP, 50 at a time there", &of_mlp, &of_columns, &row),
    ];
    for (name, forward, method, x) in methods {
        let inputs = Inputs::from(x);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let start = Instant::now();
            let found = method.attribute(forward, &inputs, &Target::Class(3)).unwrap();
            let found = found.first().to_vec::<f32>().unwrap();
            let taken = start.elapsed().as_secs_f64();
            let (their_time, their_sum) = captum.run(name);
            if round == 0 {
                let sum: f64 = found.iter().map(|value| f64::from(value.abs())).sum();
                // KernelSHAP draws, so only the other agrees to the digit.
                let bound = if name.contains("integrated") { 1e-4 } else { 0.5 };
                assert!((sum - their_sum).abs() <= bound * their_sum, "{name}: {sum}, {their_sum}");
                continue;
            }
            ours.push(taken);
            theirs.push(their_time);
        }
        let (ours, theirs) = (1e3 * median(&mut ours), 1e3 * median(&mut theirs));
        let ratio = theirs / ours;
        println!("{name}: {ours:.2} ms, captum {theirs:.2} ms, {ratio:.1} times as fast");
    }
    maps(&mut captum, &file, &device);
    drop(captum.asks);
    captum.child.wait().unwrap();
    std::fs::remove_file(&file).unwrap();
}

/// t-SNE by a tree, as scikit-learn does it.
fn maps(captum: &mut Captum, beside: &Path, device: &Device) {
    let file = beside.with_extension("safetensors.points");
    let points = weights::load(&file, device).unwrap();
    let points = points.get("points").unwrap();
    let tsne = Tsne { angle: Some(0.5), ..Tsne::default() };
    for _ in 0..3 {
        let start = Instant::now();
        let map = tsne.map(points).unwrap();
        let taken = start.elapsed().as_secs_f64();
        let ours = trustworthiness(points, &map, 5).unwrap();
        let (their_time, theirs) = captum.run("t-SNE");
        println!(
            "t-SNE: {taken:.2} s and trustworthiness {ours:.5}, scikit-learn {their_time:.2} s and {theirs:.5}"
        );
    }
    std::fs::remove_file(&file).unwrap();
}
