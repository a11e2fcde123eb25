//! The arrows between crates, held against `cargo metadata`.

use serde_json::Value;

use crate::process::cargo;

/// What each crate of ours may depend on, of ours.
const ARROWS: &[(&str, &[&str])] = &[
    ("gradloom-error", &[]),
    ("gradloom-files", &["gradloom-error"]),
    ("gradloom-tensor", &["gradloom-error"]),
    ("gradloom-plan", &["gradloom-tensor"]),
    ("gradloom-shaders", &[]),
    ("gradloom-cpu", &["gradloom-plan", "gradloom-tensor"]),
    ("gradloom-wgpu", &["gradloom-plan", "gradloom-shaders", "gradloom-tensor"]),
    ("gradloom-autodiff", &["gradloom-tensor"]),
    ("gradloom-fft", &["gradloom-tensor"]),
    ("gradloom-linalg", &["gradloom-tensor"]),
    ("gradloom-macros", &[]),
    ("gradloom-metrics", &["gradloom-error"]),
    ("gradloom-weights", &["gradloom-files", "gradloom-tensor"]),
    ("gradloom-text", &["gradloom-error"]),
    (
        "gradloom-nn",
        &["gradloom-autodiff", "gradloom-macros", "gradloom-tensor", "gradloom-weights"],
    ),
    (
        "gradloom-zoo",
        &[
            "gradloom-autodiff",
            "gradloom-files",
            "gradloom-nn",
            "gradloom-tensor",
            "gradloom-text",
            "gradloom-weights",
        ],
    ),
    (
        "gradloom-vision",
        &[
            "gradloom-autodiff",
            "gradloom-data",
            "gradloom-nn",
            "gradloom-tensor",
            "gradloom-weights",
        ],
    ),
    ("gradloom-track", &["gradloom-files", "gradloom-metrics", "gradloom-nn", "gradloom-tensor"]),
    ("gradloom-data", &["gradloom-files", "gradloom-tensor"]),
    (
        "gradloom-compress",
        &[
            "gradloom-autodiff",
            "gradloom-files",
            "gradloom-nn",
            "gradloom-tensor",
            "gradloom-weights",
        ],
    ),
    (
        "gradloom-explain",
        &["gradloom-autodiff", "gradloom-nn", "gradloom-tensor", "gradloom-track"],
    ),
    (
        "gradloom-train",
        &[
            "gradloom-data",
            "gradloom-files",
            "gradloom-metrics",
            "gradloom-nn",
            "gradloom-tensor",
            "gradloom-track",
            "gradloom-weights",
        ],
    ),
    ("gradloom-testkit", &["gradloom-autodiff", "gradloom-tensor"]),
    (
        "gradloom",
        &[
            "gradloom-autodiff",
            "gradloom-compress",
            "gradloom-cpu",
            "gradloom-data",
            "gradloom-explain",
            "gradloom-fft",
            "gradloom-linalg",
            "gradloom-metrics",
            "gradloom-nn",
            "gradloom-tensor",
            "gradloom-text",
            "gradloom-track",
            "gradloom-train",
            "gradloom-vision",
            "gradloom-weights",
            "gradloom-wgpu",
            "gradloom-zoo",
        ],
    ),
];

/// Crates in the default tree of a package, at most: the facade, and the main job, which writes a report.
const CRATES_MAX: [(&str, usize); 2] = [("gradloom", 100), ("examples", 105)];

/// Checks the arrows and the number of crates that the facade pulls in.
pub(crate) fn run() -> Result<(), String> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let dev = dependency["kind"].as_str() == Some("dev");
            if on.starts_with("gradloom") && !dev && !allowed.contains(&on) {
                faults.push(format!("{name} must not depend on {on} (see ARCHITECTURE.md)"));
            }
        }
    }
    for (package, most) in CRATES_MAX {
        let count = crates_of(package)?;
        if count > most {
            faults.push(format!("{package} pulls in {count} crates, more than {most}"));
        }
        eprintln!("dependencies: {count} crates in the default tree of {package}");
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn crates_of(package: &str) -> Result<usize, String> {
    let output = cargo()
        .args(["tree", "--package", package, "--edges", "normal,build", "--prefix", "none"])
        .output()
        .map_err(|error| format!("cargo tree: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<&str> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names.len())
}
