//! Finds the shader files of this folder and of `shared/`, and lists them for `src/files.rs`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut names = Vec::new();
    for folder in ["", "shared/"] {
        println!("cargo::rerun-if-changed={}", root.join(folder).display());
        for entry in fs::read_dir(root.join(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".wgsl") {
                names.push(format!("{folder}{name}"));
            }
        }
    }
    names.sort();
    let mut list = String::from("&[\n");
    for name in names {
        let path = root.join(&name);
        // Writing to a String cannot fail.
        let _ = writeln!(list, "    ({name:?}, include_str!({path:?})),");
    }
    list.push_str("]\n");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("files.rs"), list)
}
