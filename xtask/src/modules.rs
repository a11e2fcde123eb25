//! The modules of a crate and what each file of it imports, read as text: [`Modules`].
//!
//! A path counts for the file that defines what it names: a re-export is followed to the definition, so
//! that `use crate::Error` is an import of `error.rs`, not of `lib.rs`. A module that only re-exports a name
//! does not import it.
//! What text cannot show is absent: which file has the methods of a type, and names that macros make.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::rust_tokens::{is_name, tokens};

/// Which files a file imports from, by path below the crate's `src`.
pub(crate) type Imports = BTreeMap<String, BTreeSet<String>>;

/// The modules below one root file.
#[derive(Default)]
pub(crate) struct Modules {
    modules: Vec<Module>,
}

#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Names of items that stand here.
    defined: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths and single names outside of `use`.
    mentioned: BTreeSet<Vec<String>>,
}

/// Names of `use` that were followed on the way to a definition, by module and number: each once, as a
/// crate and an item of it may have the same name.
type Tried = BTreeSet<(usize, usize)>;

/// One name of a `use` item.
struct Use {
    /// `*` for a glob.
    name: String,
    path: Vec<String>,
    public: bool,
}

/// The imports of the crate whose root file this is.
pub(crate) fn imports(root: &Path) -> Result<Imports, String> {
    let folder = root.parent().unwrap_or(root);
    let read = |name: &str| {
        let path: PathBuf = folder.join(name);
        if !path.exists() {
            return Ok(None);
        }
        fs::read_to_string(&path).map(Some).map_err(|error| format!("{}: {error}", path.display()))
    };
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Modules::read(&name.unwrap_or_default(), &read)?.imports())
}

impl Modules {
    /// Reads a root file and all files that its `mod` lines name.
    pub(crate) fn read(
        root: &str,
        text_of: &dyn Fn(&str) -> Result<Option<String>, String>,
    ) -> Result<Self, String> {
        let mut modules = Modules::default();
        modules.modules.push(Module { file: root.to_owned(), ..Module::default() });
        // The folder where a module's files are, and the module.
        let mut waiting = vec![(String::new(), 0)];
        while let Some((folder, module)) = waiting.pop() {
            let file = modules.modules[module].file.clone();
            let text = text_of(&file)?.ok_or_else(|| format!("{file}: not found"))?;
            for (folder, name, parent) in modules.scan(module, &folder, &tokens(&text)) {
                let flat = format!("{folder}{name}.rs");
                let nested = format!("{folder}{name}/mod.rs");
                let file = if text_of(&flat)?.is_some() { flat } else { nested };
                let child = modules.add(parent, &name, file);
                waiting.push((format!("{folder}{name}/"), child));
            }
        }
        Ok(modules)
    }

    fn add(&mut self, parent: usize, name: &str, file: String) -> usize {
        let child = self.modules.len();
        self.modules.push(Module { file, parent: Some(parent), ..Module::default() });
        self.modules[parent].children.insert(name.to_owned(), child);
        child
    }

    /// Notes what a file says; returns the modules whose files it names: folder, name and parent.
    fn scan(
        &mut self,
        module: usize,
        folder: &str,
        tokens: &[&str],
    ) -> Vec<(String, String, usize)> {
        let mut files = Vec::new();
        // Modules that stand in the file itself, with the depth of their braces.
        let mut open = vec![(module, folder.to_owned(), 0)];
        let mut depth = 0;
        let mut at = 0;
        while let Some(&token) = tokens.get(at) {
            let (module, folder, floor) = open.last().cloned().unwrap_or_default();
            let next = tokens.get(at + 1).copied().unwrap_or_default();
            let after = tokens.get(at + 2).copied().unwrap_or_default();
            match token {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if open.len() > 1 && depth == floor {
                        open.pop();
                    }
                }
                "mod" if is_name(next) && after == ";" => {
                    files.push((folder, next.to_owned(), module));
                    at += 3;
                    continue;
                }
                "mod" if is_name(next) && after == "{" => {
                    let file = self.modules[module].file.clone();
                    let child = self.add(module, next, file);
                    open.push((child, format!("{folder}{next}/"), depth));
                    depth += 1;
                    at += 3;
                    continue;
                }
                "use" if is_name(next) || matches!(next, "{" | "::" | "*") => {
                    let public = at > 0 && matches!(tokens[at - 1], "pub" | ")");
                    at = self.scan_use(module, public, tokens, at + 1);
                    continue;
                }
                "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static"
                    if is_name(next) =>
                {
                    self.modules[module].defined.insert(next.to_owned());
                }
                "macro_rules" if next == "!" => {
                    self.modules[module].defined.insert(after.to_owned());
                }
                _ if is_name(token) => {
                    at = self.scan_path(module, tokens, at);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        files
    }

    /// Notes the path that starts here; returns where it ends.
    fn scan_path(&mut self, module: usize, tokens: &[&str], start: usize) -> usize {
        let mut path = vec![tokens[start].to_owned()];
        let mut at = start + 1;
        while tokens.get(at) == Some(&"::") && tokens.get(at + 1).is_some_and(|name| is_name(name))
        {
            path.push(tokens[at + 1].to_owned());
            at += 2;
        }
        let behind = start.checked_sub(1).map(|before| tokens[before]);
        if !matches!(behind, Some("." | "::")) {
            self.modules[module].mentioned.insert(path);
        }
        at
    }

    /// Notes the names of a `use` item; returns where it ends.
    fn scan_use(&mut self, module: usize, public: bool, tokens: &[&str], start: usize) -> usize {
        // The path before each open brace.
        let mut before: Vec<Vec<String>> = Vec::new();
        let mut path: Vec<String> = Vec::new();
        let mut alias: Option<String> = None;
        let mut named = false;
        let mut at = start;
        while let Some(&token) = tokens.get(at) {
            at += 1;
            match token {
                "::" => {}
                "{" => {
                    before.push(path.clone());
                    named = false;
                }
                "as" => {
                    alias = tokens.get(at).map(|name| (*name).to_owned());
                    at += 1;
                }
                "," | "}" | ";" => {
                    if named {
                        self.note_use(module, public, &path, alias.take());
                    }
                    named = false;
                    path = before.last().cloned().unwrap_or_default();
                    if token == "}" {
                        before.pop();
                    }
                    if token == ";" {
                        break;
                    }
                }
                name => {
                    path.push(name.to_owned());
                    named = true;
                }
            }
        }
        at
    }

    fn note_use(&mut self, module: usize, public: bool, path: &[String], alias: Option<String>) {
        let mut path = path.to_vec();
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let Some(last) = path.last() else { return };
        let name = alias.unwrap_or_else(|| last.clone());
        self.modules[module].uses.push(Use { name, path, public });
    }

    /// Which files each file imports from.
    pub(crate) fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (index, module) in self.modules.iter().enumerate() {
            let of_file = imports.entry(module.file.clone()).or_default();
            for used in &module.uses {
                let mentioned = || module.mentioned.iter().any(|path| path[0] == used.name);
                if !used.public || mentioned() {
                    of_file.extend(self.file_of(index, &used.path));
                }
            }
            for path in module.mentioned.iter().filter(|path| path.len() > 1) {
                of_file.extend(self.file_of(index, path));
            }
            of_file.remove(&module.file);
        }
        imports
    }

    /// The file that defines what a path names; none for a path out of the crate or to a whole module.
    fn file_of(&self, module: usize, path: &[String]) -> Option<String> {
        self.resolve(module, path, &mut BTreeSet::new())
            .map(|found| self.modules[found].file.clone())
    }

    fn resolve(&self, module: usize, path: &[String], tried: &mut Tried) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.resolve_in(0, rest, tried),
            "self" => self.resolve_in(module, rest, tried),
            "super" => {
                let mut parent = self.modules[module].parent?;
                let mut rest = rest;
                while let Some(("super", further)) =
                    rest.split_first().map(|(first, further)| (first.as_str(), further))
                {
                    parent = self.modules[parent].parent?;
                    rest = further;
                }
                self.resolve_in(parent, rest, tried)
            }
            _ => {
                let here = &self.modules[module];
                let known = here.children.contains_key(first)
                    || here.uses.iter().any(|used| used.name == *first);
                if known { self.resolve_in(module, path, tried) } else { None }
            }
        }
    }

    /// The module that defines what a path inside this module names.
    fn resolve_in(&self, module: usize, path: &[String], tried: &mut Tried) -> Option<usize> {
        let here = &self.modules[module];
        let (first, rest) = path.split_first()?;
        let child = here.children.get(first);
        let defined = here.defined.contains(first);
        if first == "*" || defined && (rest.is_empty() || child.is_none()) {
            return Some(module);
        }
        if let (Some(&child), false) = (child, rest.is_empty()) {
            return self.resolve_in(child, rest, tried);
        }
        let mut imported = false;
        for (index, used) in here.uses.iter().enumerate().filter(|(_, used)| used.name == *first) {
            imported = true;
            if !tried.insert((module, index)) {
                continue;
            }
            let further: Vec<String> = used.path.iter().chain(rest).cloned().collect();
            if let Some(found) = self.resolve(module, &further, tried) {
                return Some(found);
            }
        }
        if imported || child.is_some() {
            return None;
        }
        for (index, used) in here.uses.iter().enumerate().filter(|(_, used)| used.name == "*") {
            if !tried.insert((module, index)) {
                continue;
            }
            let glob = &used.path[..used.path.len() - 1];
            if let Some(target) = self.module_of(module, glob)
                && target != module
                && self.provides(target, first)
            {
                return self.resolve_in(target, path, tried);
            }
        }
        // Exported macros stand at the root, wherever they are written.
        let defines = |other: &Module| other.defined.contains(first);
        let exported = (module == 0).then(|| self.modules.iter().position(defines)).flatten();
        Some(exported.unwrap_or(module))
    }

    fn provides(&self, module: usize, name: &str) -> bool {
        let module = &self.modules[module];
        module.defined.contains(name)
            || module.children.contains_key(name)
            || module.uses.iter().any(|used| used.name == name || used.name == "*")
    }

    /// The module that a path names as a whole.
    fn module_of(&self, module: usize, path: &[String]) -> Option<usize> {
        let mut at = module;
        for (index, name) in path.iter().enumerate() {
            at = match name.as_str() {
                "crate" if index == 0 => 0,
                "self" => at,
                "super" => self.modules[at].parent?,
                name => *self.modules[at].children.get(name)?,
            };
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::{Imports, Modules};

    /// The imports of a made-up crate, as `a.rs: b.rs c.rs` a line.
    fn imports(files: &[(&str, &str)]) -> String {
        let read = |name: &str| {
            let found = files.iter().find(|(file, _)| *file == name);
            Ok(found.map(|(_, text)| (*text).to_owned()))
        };
        let imports: Imports = Modules::read("lib.rs", &read).map(|all| all.imports()).unwrap();
        let lines = imports.iter().filter(|(_, on)| !on.is_empty()).map(|(file, on)| {
            format!("{file}: {}", on.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn reexports_are_followed_to_the_definition() {
        let files = [
            (
                "lib.rs",
                "mod error; mod deep; pub use error::{Error, Result as Outcome}; pub use deep::*;",
            ),
            ("error.rs", "pub struct Error; pub type Result = ();"),
            (
                "deep/mod.rs",
                "mod leaf; pub use leaf::Leaf; use crate::Error; pub fn f() -> Error {}",
            ),
            ("deep/leaf.rs", "pub struct Leaf(crate::Outcome, super::super::f);"),
        ];
        let expected = "deep/leaf.rs: deep/mod.rs error.rs\ndeep/mod.rs: error.rs";
        assert_eq!(imports(&files), expected);
    }

    #[test]
    fn a_parent_imports_only_the_children_it_uses() {
        let root = "mod a; mod b; mod c; mod d; pub use b::B; pub(crate) use c::C; pub use d::d;
            fn f(_: C) { a::g() }";
        let files = [
            ("lib.rs", root),
            ("a.rs", "pub fn g() {}"),
            ("b.rs", "pub struct B;"),
            ("c.rs", "pub struct C;"),
            ("d.rs", "pub fn d() { super::B }"),
        ];
        assert_eq!(imports(&files), "d.rs: b.rs\nlib.rs: a.rs c.rs");
    }

    #[test]
    fn paths_through_imported_modules_count() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::{b, c::{self, inner}}; fn f() { b::g(); c::h(); inner::i() }"),
            ("b.rs", "pub(crate) fn g() { let x = y.c::<u8>(); }"),
            ("c/mod.rs", "pub mod inner; pub fn h() {}"),
            ("c/inner.rs", "pub fn i() { std::mem::drop(1) }"),
        ];
        assert_eq!(imports(&files), "a.rs: b.rs c/inner.rs c/mod.rs");
    }

    #[test]
    fn modules_inside_a_file_and_tests_are_understood() {
        let files = [
            ("lib.rs", "mod a; mod b; pub mod outside { pub use crate::b::B; }"),
            (
                "a.rs",
                "mod inner { use super::super::outside::B; } #[cfg(test)] mod t { use crate::c; }",
            ),
            (
                "b.rs",
                "pub struct B; #[cfg(test)] use crate::a::X; impl<'a> Y { fn z() { use crate::w; } }",
            ),
        ];
        assert_eq!(imports(&files), "a.rs: b.rs\nb.rs: lib.rs");
    }

    #[test]
    fn names_that_are_their_own_crates_end() {
        let files = [
            ("lib.rs", "use a::a; use b::c; use c::b; mod d; use d::*;"),
            ("d.rs", "use super::*; b::c::d!();"),
        ];
        assert_eq!(imports(&files), "d.rs: lib.rs\nlib.rs: d.rs");
    }

    #[test]
    fn other_crates_and_exported_macros_are_told_apart() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use half::f16;"),
            ("a.rs", "use crate::f16; use serde::Value; fn f() { crate::shout!(Value::Null) }"),
            ("b.rs", "macro_rules! shout { () => { $crate::a::f() } }"),
        ];
        assert_eq!(imports(&files), "a.rs: b.rs\nb.rs: a.rs");
    }
}
