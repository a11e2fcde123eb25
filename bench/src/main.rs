//! `bench`: measures every device of this machine and prints each figure beside that device's own
//! ceilings; JSON beside it.
//!
//! It also answers the peers' protocol (`--cases`, `--version`, `CASE`), so that other frameworks can be
//! timed in the same run on the same device.
#![forbid(unsafe_code)]

mod elementary;
mod integers;
mod language;
mod networks;
mod pictures;
mod self_test;
mod suite;
mod timing;

use elementary::Effort;
use gradloom::prelude::*;
use timing::{Failure, Figure};

const USAGE: &str = "\
usage: bench [--quick] [--device NAME] [--json FILE]   the suite, on every device or on one
       bench --self-test                               every case of the testkit on every device
       bench --cases | --version | CASE                the peers' protocol";

/// Effort of a case when timed beside peers.
const PEER_EFFORT: Effort = Effort { repeats: 7, seconds: 0.5 };

const CASES: [&str; 30] = [
    "base",
    "small.add",
    "small.mlp",
    "w1.f32.512",
    "w1.f32.1024",
    "w1.f32.2048",
    "w1.bf16.1024",
    "w1.bf16.2048",
    "w2.train",
    "w3.train",
    "w4.b1",
    "w4.b32",
    "w5.train",
    "w6.train",
    "w6.decode",
    "w7",
    "w7.perplexity",
    "w8.gelu",
    "w8.softmax",
    "w8.layernorm",
    "w9.b1",
    "w9.b8",
    "w9.train",
    "mobilenet.b1",
    "mobilenet.b8",
    "lite0.b1",
    "lite0.b8",
    "int8.fashion",
    "int8.resnet18",
    "int8.mobilenet",
];

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut options = suite::Options { quick: false, device: None, json: "out/bench.json".into() };
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "--cases" => {
                println!("{}", CASES.join("\n"));
                return Ok(());
            }
            "--version" => {
                println!("gradloom {} on {}", env!("CARGO_PKG_VERSION"), Device::best()?.name());
                return Ok(());
            }
            "--self-test" => return self_test::run(),
            "--quick" => options.quick = true,
            "--device" => options.device = Some(rest.next().ok_or(USAGE)?.into()),
            "--json" => options.json = rest.next().ok_or(USAGE)?.into(),
            case if CASES.contains(&case) => {
                for figure in peer_case(case, &Device::best()?)? {
                    println!("{}", figure.json());
                }
                print_profile();
                return Ok(());
            }
            _ => return Err(USAGE.into()),
        }
    }
    suite::run(&options)
}

/// The time of each kernel, if the process was started with `GRADLOOM_PROFILE`.
fn print_profile() {
    if let Some(profile) = gradloom_plan::profile::active() {
        eprint!("{}", profile.table(gradloom_plan::profile::By::Kernel));
    }
}

/// The figures under a peer's case name.
fn peer_case(case: &str, device: &Device) -> Result<Vec<Figure>, Failure> {
    let figure = match case.split('.').collect::<Vec<_>>()[..] {
        ["base"] => Ok(Figure::new("none", vec![0.0])),
        ["w1", dtype, size] => {
            let dtype = if dtype == "bf16" { DType::BF16 } else { DType::F32 };
            elementary::matmul(device, size.parse()?, dtype, PEER_EFFORT)
        }
        ["small", "add"] => elementary::small_add(device, PEER_EFFORT),
        ["small", "mlp"] => networks::mlp(device, 2000, 5),
        ["w2", _] => networks::fashion(device, 100, 3),
        ["w3", _] => networks::cifar(device, 20, 3),
        ["w4", batch] => language::encode(device, batch[1..].parse()?),
        ["w5", _] => networks::recurrent(device, 3, 3),
        ["w6", "train"] => language::gpt2_train(device, 3, 3),
        ["w6", "decode"] => language::gpt2_decode(device, 3),
        ["w7"] => return language::smollm2(device, 5),
        ["w7", "perplexity"] => language::perplexity(device),
        ["w8", "gelu"] => elementary::gelu_chain(device, 16 << 20, PEER_EFFORT),
        ["w8", "softmax"] => elementary::softmax(device, 16_384, PEER_EFFORT),
        ["w8", "layernorm"] => elementary::layer_norm(device, 16_384, PEER_EFFORT),
        ["w9", "train"] => pictures::resnet18_train(device, 4, 3),
        ["w9", batch] => pictures::resnet18(device, batch[1..].parse()?),
        ["mobilenet", batch] => pictures::mobilenet_v2(device, batch[1..].parse()?),
        ["int8", network] => return integers::pictures(network, device),
        ["lite0", batch] => pictures::efficientnet_lite0(device, batch[1..].parse()?),
        _ => Err(format!("no case {case:?}").into()),
    };
    Ok(vec![figure?])
}
