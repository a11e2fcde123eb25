//! `graphs`: random graphs on a device against the reference, as many as are asked for.
//!
//! Prints what was compared, and for each kind of failure one case, shrunk to a test that can be
//! pasted. `cargo xtask graphs` runs it.
#![forbid(unsafe_code)]

mod findings;
mod options;
mod run;

fn main() -> std::process::ExitCode {
    let options = match options::Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return std::process::ExitCode::FAILURE;
        }
    };
    match run::run(&options) {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(error) => {
            eprintln!("graphs: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
