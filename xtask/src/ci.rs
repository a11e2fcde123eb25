//! Everything CI runs, in the order in which failures are cheapest to find.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::process::{cargo, root, run as step};
use crate::{circles, dependencies, tidy};

/// Runs all checks, stops at the first that fails, and says how long it took.
pub(crate) fn run() -> Result<(), String> {
    let start = Instant::now();
    let done = all();
    eprintln!("\nxtask ci: {:.0} s", start.elapsed().as_secs_f64());
    done
}

fn all() -> Result<(), String> {
    step(cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    circles::run()?;
    dependencies::run()?;
    // With what is off unless asked for and has tests of its own.
    let features =
        ["--features", "gradloom-train/ctrlc,gradloom-train/track,language-examples/explain"];
    let clippy = ["clippy", "--workspace", "--all-targets"];
    step(cargo().args(clippy).args(features).args(["--", "-D", "warnings"]))?;
    step(cargo().args(["test", "--workspace"]).args(features))?;
    // Always of the whole workspace: of one package alone libraries have other features, and are built again.
    step(cargo().args(["test", "--workspace", "--bench", "planning"]).args(features))?;
    // A crate outside of the workspace, as a user's is.
    let manifest = "examples/custom-op/Cargo.toml";
    step(cargo().args(["test", "--quiet", "--manifest-path", manifest, "--target-dir", "target"]))?;
    step(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    // The tests have built them.
    for example in EXAMPLES {
        let program = target().join("debug/examples").join(example);
        step(Command::new(&program).current_dir(root()).env("GRADLOOM_TINY", "1"))?;
    }
    for example in EXAMPLES.iter().chain(&EXAMPLES_OF_DATA) {
        let program = target().join("debug/examples").join(example);
        step(Command::new(program).current_dir(root()).arg("--help"))?;
    }
    Ok(())
}

/// Examples that need data in any case: they say which, and are run by hand.
const EXAMPLES_OF_DATA: [&str; 2] = ["04-fashion-mnist", "05-cifar-cnn"];

/// Examples that need no downloaded data in tiny mode.
const EXAMPLES: &[&str] = &[
    "01-tensors",
    "02-derivatives",
    "03-train-digits",
    "06-maml-sine",
    "07-ensemble",
    "10-sentence-embeddings",
    "11-chat",
    "12-fine-tune-sentiment",
    "13-char-gpt",
    "14-pretrain-bert",
    "21-fine-tune-photos",
    "23-segment",
    "28-medical",
    "24-vae",
    "25-gan",
    "26-diffusion",
    "27-vq-vae",
    "20-classify-photo",
    "29-super-resolution",
    "22-detect",
    "31-prune",
    "32-distil",
    "30-quantize",
    "34-explain-digits",
    "35-explain-sentiment",
    "36-explain-table",
    "37-embedding-map",
    "33-compress-language-model",
    "38-compress-sentiment",
];

/// Where cargo builds.
fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR");
    root().join(chosen.unwrap_or_else(|| "target".into()))
}

/// Builds the benchmark program in release mode and runs it.
pub(crate) fn bench(arguments: &[&str]) -> Result<(), String> {
    step(
        cargo()
            .args(["run", "--release", "--quiet", "--package", "bench", "--bin", "bench", "--"])
            .args(arguments),
    )
}
