//! Where the generated code finds `gradloom_nn`: the crate itself, or the facade's module `nn`.
//!
//! Renamed dependencies are not looked for; the `crate` attribute serves them.

use syn::{Path, parse_quote};

/// The path under which the crate that is being compiled reaches `gradloom_nn`.
pub(crate) fn find() -> Path {
    if uses_facade_alone() { parse_quote!(::gradloom::nn) } else { parse_quote!(::gradloom_nn) }
}

fn uses_facade_alone() -> bool {
    let name = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    if matches!(name.as_str(), "gradloom-nn" | "gradloom") {
        return false;
    }
    let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") else { return false };
    let manifest = std::path::Path::new(&folder).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap_or_default();
    names_dependency(&manifest, "gradloom") && !names_dependency(&manifest, "gradloom-nn")
}

/// True if a line of the manifest begins with the dependency's name, or a table is named after it.
fn names_dependency(manifest: &str, dependency: &str) -> bool {
    manifest.lines().map(str::trim).any(|line| {
        if let Some(table) = line.strip_prefix('[') {
            return table.trim_end_matches(']').ends_with(&format!("dependencies.{dependency}"));
        }
        let line = line.trim_start_matches('"');
        let Some(rest) = line.strip_prefix(dependency) else { return false };
        matches!(rest.trim_start_matches('"').trim_start().chars().next(), Some('=' | '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::names_dependency;

    #[test]
    fn dependencies_are_found_in_every_spelling() {
        for manifest in [
            "[dependencies]\ngradloom = \"0.1\"",
            "[dependencies]\n  gradloom.workspace = true",
            "[dev-dependencies]\n\"gradloom\" = { path = \"..\" }",
            "[dependencies.gradloom]\nversion = \"0.1\"",
            "[target.'cfg(unix)'.dependencies.gradloom]",
        ] {
            assert!(names_dependency(manifest, "gradloom"), "{manifest}");
            assert!(!names_dependency(manifest, "gradloom-nn"), "{manifest}");
        }
        assert!(!names_dependency("# gradloom = 1\nname = \"gradloom\"", "gradloom"));
        assert!(!names_dependency("gradloom-nn = \"0.1\"", "gradloom"));
    }
}
