//! Rules of style that the compiler does not know.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::root;

const LINES_MAX: usize = 400;

/// Checks every Rust and WGSL file of the workspace.
pub(crate) fn run() -> Result<(), String> {
    let root = root();
    let mut files = Vec::new();
    for folder in ["crates", "shaders", "examples", "xtask", "bench", "conformance"] {
        collect(&root.join(folder), &mut files)?;
    }
    let mut faults = Vec::new();
    for path in &files {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.strip_prefix(&root).unwrap_or(path).display().to_string();
        check(&name, &text, &mut faults);
    }
    if faults.is_empty() {
        eprintln!("tidy: {} files", files.len());
        return Ok(());
    }
    Err(faults.join("\n"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "wgsl")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn check(name: &str, text: &str, faults: &mut Vec<String>) {
    let rust = name.ends_with(".rs");
    if rust && !text.starts_with("//!") {
        faults.push(format!("{name}: does not open with `//!`, what the file is and why"));
    }
    if !rust && !text.starts_with("//") {
        faults.push(format!("{name}: does not open with a comment: formula, grid mapping, limits"));
    }
    let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
    let lines = text[..tests].lines().count();
    let in_tests =
        name.contains("/tests/") || name.contains("/cases/") || name.contains("_tests.rs");
    if lines > LINES_MAX && !in_tests {
        faults.push(format!("{name}: {lines} lines without tests; split it by concept"));
    }
    let file = name.rsplit('/').next().unwrap_or(name);
    for vague in ["utils", "util", "common", "misc", "helpers"] {
        if file == format!("{vague}.rs") {
            faults.push(format!("{name}: the name says nothing; name the concept"));
        }
    }
    if name == "xtask/src/tidy.rs" {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() != line {
            faults.push(format!("{name}:{}: trailing whitespace", number + 1));
        }
        for mark in ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!("] {
            if line.contains(mark) {
                faults.push(format!("{name}:{}: {mark}", number + 1));
            }
        }
    }
}
