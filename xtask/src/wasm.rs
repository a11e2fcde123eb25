//! `wasm`: that everything but mapped files and threads compiles for wasm32, and trains there.
//!
//! (a) looks for a toolchain with the sources of `std`, (b) compiles every crate for
//! `wasm32-unknown-unknown`, (c) builds `examples/wasm`, runs it in Node and compares its losses with those
//! of the same program here.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::process::{cargo, root, run as step};

const TARGET: &str = "wasm32-unknown-unknown";
const STEPS: &str = "10";
/// How far the losses may be apart: some functions of the processor are others.
const TOLERANCE: f64 = 1e-5;

/// The crates that a browser may use. Ops on the host and threads come with them, mapped files do not.
const CRATES: [&str; 16] = [
    "gradloom-tensor",
    "gradloom-plan",
    "gradloom-cpu",
    "gradloom-shaders",
    "gradloom-wgpu",
    "gradloom-autodiff",
    "gradloom-fft",
    "gradloom-linalg",
    "gradloom-weights",
    "gradloom-metrics",
    "gradloom-nn",
    "gradloom-text",
    "gradloom-zoo",
    "gradloom-data",
    "gradloom-track",
    "gradloom-train",
];

const MISSING: &str = "\
no toolchain that builds for wasm32: Debian's has the sources of `std` (it stands beside any other):

  apt-get install rustc-web cargo-web rust-web-src lld-22

(`rust-lld` must be there: of lld that version which /usr/bin/rust-lld points to) or name one by GRADLOOM_WASM_RUSTC and GRADLOOM_WASM_CARGO";

/// A compiler with the sources of `std`.
struct Toolchain {
    rustc: String,
    cargo: String,
}

/// Runs the check. `optional` passes, and says so, where the toolchain is missing.
pub(crate) fn run(optional: bool) -> Result<(), String> {
    let start = Instant::now();
    let Some(toolchain) = Toolchain::find() else {
        if optional {
            eprintln!("\nSKIPPED: xtask wasm: {MISSING}");
            return Ok(());
        }
        return Err(MISSING.to_owned());
    };
    toolchain.compile()?;
    toolchain.train()?;
    eprintln!("\nxtask wasm: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

impl Toolchain {
    fn find() -> Option<Toolchain> {
        let named = |name, path: &str| std::env::var(name).unwrap_or_else(|_| path.to_owned());
        let rustc = named("GRADLOOM_WASM_RUSTC", "/usr/bin/rustc");
        let cargo = named("GRADLOOM_WASM_CARGO", "/usr/bin/cargo");
        let output = Command::new(&rustc).args(["--print", "sysroot"]).output().ok()?;
        let sysroot = String::from_utf8(output.stdout).ok()?;
        let std = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml");
        // Debian's is a link to a package that does not come with the compiler.
        let linker = rustc != "/usr/bin/rustc" || Path::new("/usr/bin/rust-lld").exists();
        let complete = std.exists() && Path::new(&cargo).exists() && linker;
        complete.then_some(Toolchain { rustc, cargo })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(root()).args(words);
        command.args(["-Zbuild-std=std,panic_abort", "--target", TARGET]);
        command.args(["--target-dir", "target/wasm"]);
        // What `std` was written with; the compiler lets no stable one build it otherwise.
        command.env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
        command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTFLAGS").env_remove("CARGO");
        command
    }

    fn compile(&self) -> Result<(), String> {
        let mut check = self.command(&["check", "--quiet"]);
        // Macros that run once are not worth the time to optimise.
        check.args(["--config", "profile.dev.package.\"*\".opt-level=0"]);
        for name in CRATES {
            check.args(["--package", name]);
        }
        check.args(["--package", "gradloom", "--features", "gradloom/fft"]);
        check.args(["--features", "gradloom/linalg,gradloom/text,gradloom/track"]);
        step(&mut check)
    }

    fn train(&self) -> Result<(), String> {
        let manifest = "examples/wasm/Cargo.toml";
        step(&mut self.command(&["build", "--quiet", "--lib", "--manifest-path", manifest]))?;
        let module = format!("target/wasm/{TARGET}/debug/wasm_training.wasm");
        let size = std::fs::metadata(root().join(&module)).map_or(0, |data| data.len());
        let mut node = Command::new("node");
        node.current_dir(root()).args(["examples/wasm/run.mjs", &module, STEPS]);
        if Command::new("node").arg("--version").output().is_err() {
            eprintln!("\nSKIPPED: there is no `node` to run {module} ({size} bytes)");
            return Ok(());
        }
        let mut native = cargo();
        native.args(["run", "--quiet", "--manifest-path", manifest, "--target-dir", "target"]);
        native.args(["--", STEPS]).env_remove("GRADLOOM_DEVICE");
        let (there, here) = (losses(&mut node)?, losses(&mut native)?);
        let apart = there.iter().zip(&here).map(|(there, here)| (there - here).abs());
        let apart = apart.fold(0.0, f64::max);
        eprintln!("losses on wasm32: {there:?}\nthe same here within {apart:e}");
        if there.len() != here.len() || here.is_empty() || apart.is_nan() || apart > TOLERANCE {
            return Err(format!("xtask wasm: the losses differ from those here: {here:?}"));
        }
        Ok(())
    }
}

/// What a program prints, a number a line.
fn losses(command: &mut Command) -> Result<Vec<f64>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{program}: {}\n{errors}", output.status));
    }
    eprint!("{errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| line.parse().map_err(|error| format!("{program}: {error}"))).collect()
}
