//! Circles of imports between the files of a crate: data structures stand at the bottom, behaviour above.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use crate::modules::{Imports, imports};
use crate::process::root;

/// An import against the order of its crate, which stays until its circle is broken: crate, importing
/// file, imported file. An entry that closes no circle any more is a fault.
type Accepted = (&'static str, &'static str, &'static str);

const ACCEPTED: &[Accepted] = &[
    ("gradloom-nn", "module.rs", "layers/adapter.rs"),
    ("gradloom-tensor", "backend.rs", "tensor.rs"),
    ("gradloom-tensor", "op.rs", "tensor.rs"),
    ("gradloom-tensor", "loops.rs", "tensor.rs"),
    ("gradloom-tensor", "op.rs", "custom_op/call.rs"),
    ("gradloom-autodiff", "batching/looping.rs", "batching/mod.rs"),
    ("gradloom-testkit", "reference/looping.rs", "reference/mod.rs"),
    ("gradloom-tensor", "blocks/mod.rs", "blocks/block.rs"),
    ("gradloom-tensor", "blocks/mod.rs", "blocks/encode.rs"),
    ("gradloom-testkit", "reference/mod.rs", "reference/elementwise.rs"),
    ("gradloom-testkit", "reference/mod.rs", "reference/integers.rs"),
    ("gradloom-testkit", "reference/mod.rs", "reference/sequences.rs"),
    ("gradloom-testkit", "reference/mod.rs", "reference/structured.rs"),
    ("gradloom-testkit", "reference/mod.rs", "reference/views.rs"),
    ("gradloom-testkit", "reference/mod.rs", "reference/bounds/mod.rs"),
    ("gradloom-testkit", "reference/bounds/mod.rs", "reference/bounds/elementwise.rs"),
    ("gradloom-testkit", "reference/bounds/mod.rs", "reference/bounds/indices.rs"),
    ("gradloom-testkit", "reference/bounds/mod.rs", "reference/bounds/products.rs"),
    ("gradloom-testkit", "reference/bounds/mod.rs", "reference/bounds/sequences.rs"),
];

/// Checks every crate of the workspace.
pub(crate) fn run() -> Result<(), String> {
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for (name, sources) in crates()? {
        let accepted: Vec<(&str, &str)> = ACCEPTED
            .iter()
            .filter(|(of, ..)| *of == name)
            .map(|&(_, from, to)| (from, to))
            .collect();
        known.insert(name.clone());
        let mut found = Imports::new();
        for file in ["lib.rs", "main.rs"] {
            let path = sources.join(file);
            if path.exists() {
                let of_root = imports(&path).map_err(|error| format!("{name}: {error}"))?;
                for (file, on) in of_root {
                    found.entry(file).or_default().extend(on);
                }
            }
        }
        faults.extend(check(&found, &accepted).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    for (name, ..) in ACCEPTED.iter().filter(|(name, ..)| !known.contains(*name)) {
        faults.push(format!("{name}: accepted circles of a crate that is not there"));
    }
    eprintln!("circles: {} crates, {} imports accepted", known.len(), ACCEPTED.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Names and source folders of the workspace's crates.
fn crates() -> Result<BTreeMap<String, std::path::PathBuf>, String> {
    let root = root();
    let mut found = BTreeMap::new();
    let folder = root.join("crates");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut folders = [
        "bench",
        "conformance",
        "examples",
        "examples/explain",
        "examples/language",
        "examples/vision",
        "xtask",
    ]
    .map(|name| root.join(name))
    .to_vec();
    for entry in entries {
        folders.push(entry.map_err(|error| format!("{}: {error}", folder.display()))?.path());
    }
    for folder in folders.into_iter().filter(|folder| folder.join("src").is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.insert(name, folder.join("src"));
    }
    Ok(found)
}

/// The circles that are left without the accepted imports, one of each knot of files, and the accepted
/// imports that close none.
fn check(imports: &Imports, accepted: &[(&str, &str)]) -> Vec<String> {
    let mut ordered = imports.clone();
    let mut faults = Vec::new();
    for (from, to) in accepted {
        if !ordered.get_mut(*from).is_some_and(|on| on.remove(*to)) {
            faults.push(format!("{from} no longer imports {to}; strike it off the accepted list"));
        }
    }
    for (from, to) in accepted {
        if imports.get(*from).is_some_and(|on| on.contains(*to))
            && path(&ordered, to, from).is_none()
        {
            faults.push(format!(
                "{from} -> {to} closes no circle any more; strike it off the accepted list"
            ));
        }
    }
    let mut seen = BTreeSet::new();
    for circle in shortest_circles(&ordered) {
        // Of circles that share files the shortest is shown.
        if circle.iter().all(|file| !seen.contains(file)) {
            faults.push(format!("files import each other: {}", circle.join(" -> ")));
        }
        let start = circle.first().cloned().unwrap_or_default();
        for file in ordered.keys() {
            if path(&ordered, &start, file).is_some() && path(&ordered, file, &start).is_some() {
                seen.insert(file.clone());
            }
        }
    }
    faults
}

/// The shortest circle through each file that is in one, the shortest first.
fn shortest_circles(imports: &Imports) -> Vec<Vec<String>> {
    let mut circles: Vec<Vec<String>> =
        imports.keys().filter_map(|file| path(imports, file, file)).collect();
    circles.sort_by_key(Vec::len);
    circles
}

/// The shortest way along one import or more.
fn path(imports: &Imports, from: &str, to: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(file) = waiting.pop_front() {
        for on in imports.get(file).into_iter().flatten() {
            if on == to {
                let mut way = vec![to.to_owned(), file.to_owned()];
                let mut at = file;
                while at != from {
                    at = came_from.get(at)?;
                    way.push(at.to_owned());
                }
                way.reverse();
                return Some(way);
            }
            if on != from && !came_from.contains_key(on.as_str()) {
                came_from.insert(on, file);
                waiting.push_back(on);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::modules::Imports;

    fn graph(edges: &[(&str, &str)]) -> Imports {
        let mut imports = Imports::new();
        for (from, to) in edges {
            imports.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            imports.entry((*to).to_owned()).or_default();
        }
        imports
    }

    #[test]
    fn an_order_has_no_faults() {
        let edges = [("a.rs", "b.rs"), ("a.rs", "c.rs"), ("b.rs", "d.rs"), ("c.rs", "d.rs")];
        assert!(check(&graph(&edges), &[]).is_empty());
    }

    #[test]
    fn the_shortest_circle_of_each_knot_is_named() {
        let edges = [
            ("a.rs", "b.rs"),
            ("b.rs", "c.rs"),
            ("c.rs", "a.rs"),
            ("c.rs", "b.rs"),
            ("x.rs", "y.rs"),
            ("y.rs", "x.rs"),
            ("y.rs", "a.rs"),
        ];
        let expected = [
            "files import each other: b.rs -> c.rs -> b.rs",
            "files import each other: x.rs -> y.rs -> x.rs",
        ];
        assert_eq!(check(&graph(&edges), &[]), expected);
    }

    #[test]
    fn accepted_imports_are_let_by_while_they_close_a_circle() {
        let edges = [("a.rs", "b.rs"), ("b.rs", "a.rs"), ("b.rs", "c.rs")];
        assert!(check(&graph(&edges), &[("b.rs", "a.rs")]).is_empty());
        let faults = check(&graph(&edges), &[("b.rs", "a.rs"), ("b.rs", "c.rs"), ("c.rs", "a.rs")]);
        let expected = [
            "c.rs no longer imports a.rs; strike it off the accepted list",
            "b.rs -> c.rs closes no circle any more; strike it off the accepted list",
        ];
        assert_eq!(faults, expected);
    }
}
