//! The workspace's chores, so that people and CI run the same commands.
#![forbid(unsafe_code)]

mod assets;
mod ci;
mod circles;
mod conformance;
mod dependencies;
mod graphs;
mod modules;
mod new_op;
mod packages;
mod process;
mod profile;
mod rust_tokens;
mod tidy;
mod wasm;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci                 everything CI runs: fmt, clippy, tidy, test, docs, examples
  test               the same
  bench [ARGS]       measures every device of this machine; --help lists the options
  profile TRACE [--by op|layer|line|kernel]
                     tables of what GRADLOOM_PROFILE=trace.json has written
  graphs [ARGS]      random graphs against the reference: --count N, --seed S, --device D, --level L
  tidy               file lengths, headers, names, circles of imports, dependency arrows
  assets [NAME]...   fetches data sets and models into assets/; without a name, lists them
  conformance [--data FOLDER] [--device cpu|gpus] [--op NAME] [--write]
                     runs PyTorch's operator samples; --write writes docs/conformance.md
  wasm               compiles all crates for wasm32 and trains there, in Node
  new-op [--structured] NAME   lists what a new function of floats, or an op with a kernel, needs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["ci" | "test"] => ci::run(),
        ["bench", ref rest @ ..] => ci::bench(rest),
        ["profile", ref rest @ ..] => profile::run(rest),
        ["graphs", ref rest @ ..] => graphs::run(rest),
        ["conformance", ref rest @ ..] => conformance::run(rest),
        ["tidy"] => tidy::run().and_then(|()| circles::run()).and_then(|()| dependencies::run()),
        ["assets"] => assets::list(),
        ["assets", ref names @ ..] => assets::fetch(names),
        ["wasm"] => wasm::run(false),
        ["wasm", "--if-installed"] => wasm::run(true),
        ["new-op", "--structured", name] => new_op::structured(name),
        ["new-op", name] => new_op::run(name),
        _ => Err(USAGE.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
