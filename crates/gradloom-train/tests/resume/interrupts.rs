//! Ctrl-C ends a run after its step and saves it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::runs::{Kind, files, run_interruptible};

/// The folder of the run that a child process shall do.
const FOLDER: &str = "GRADLOOM_TEST_INTERRUPTED_FOLDER";

/// Not a test by itself: the run of a child process.
#[test]
fn the_run_that_is_interrupted() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let fit = run_interruptible(Kind::Bf16, Path::new(&folder), 20).unwrap();
    println!("stopped: {:?} after {}", fit.stopped, fit.steps);
}

#[test]
fn an_interrupted_run_saves_and_goes_on_with_the_same_bits() {
    let whole = tempfile::tempdir().unwrap();
    run_interruptible(Kind::Bf16, whole.path(), 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "interrupts::the_run_that_is_interrupted", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The run listens before it makes the file that holds the folder.
    while !folder.path().join(".training-lock").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the child ended before it began");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(120));
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("stopped: Some(\"interrupted\")"), "{said}");
    assert!(folder.path().join("last.safetensors").exists());
    run_interruptible(Kind::Bf16, folder.path(), 0).unwrap();
    assert!(files(whole.path()) == files(folder.path()));
}
