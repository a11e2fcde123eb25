//! Everything CI runs, in the order in which failures are cheapest to find.

use std::time::Instant;

use crate::process::{cargo, run as step};
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
    step(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    step(cargo().args(["test", "--workspace"]))?;
    step(cargo().args(["test", "--package", "gradloom-plan", "--benches"]))?;
    // A crate outside of the workspace, as a user's is.
    let manifest = "examples/custom-op/Cargo.toml";
    step(cargo().args(["test", "--quiet", "--manifest-path", manifest, "--target-dir", "target"]))?;
    step(
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    for example in EXAMPLES {
        step(
            cargo()
                .args(["run", "--quiet", "--package", "examples", "--example", example])
                .env("GRADLOOM_TINY", "1"),
        )?;
    }
    Ok(())
}

/// Examples that need no downloaded data in tiny mode; the others say what they need and are run by
/// hand.
const EXAMPLES: [&str; 9] = [
    "01-tensors",
    "02-derivatives",
    "03-train-digits",
    "06-maml-sine",
    "07-ensemble",
    "10-sentence-embeddings",
    "12-fine-tune-sentiment",
    "13-char-gpt",
    "14-pretrain-bert",
];

/// Builds the benchmark program in release mode and runs it.
pub(crate) fn bench(arguments: &[&str]) -> Result<(), String> {
    step(
        cargo()
            .args(["run", "--release", "--quiet", "--package", "bench", "--bin", "bench", "--"])
            .args(arguments),
    )
}
