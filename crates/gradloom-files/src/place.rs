//! [`Place`]: what is where a file shall be.

use std::fs::Metadata;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Links that lead to links, at most, as Linux follows them.
const LINKS_MAX: usize = 40;

/// What is where a file shall be. Links are followed.
pub(crate) enum Place {
    /// Nothing.
    Free(PathBuf),
    /// A file.
    Taken(PathBuf, Metadata),
    /// A pipe, a terminal, a device: something to write into, which a file must not replace.
    Stream(PathBuf),
}

impl Place {
    pub(crate) fn of(path: &Path) -> Result<Place> {
        match path.metadata() {
            Ok(found) if found.is_dir() => {
                Err(Error::new(ErrorKind::IsADirectory, "it is a folder"))
            }
            Ok(found) if !found.is_file() => Ok(Place::Stream(path.to_owned())),
            Ok(found) if found.permissions().readonly() => {
                Err(Error::new(ErrorKind::PermissionDenied, "the file is read-only"))
            }
            Ok(found) => Ok(Place::Taken(path.canonicalize()?, found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Place::Free(followed(path)?)),
            Err(error) => Err(error),
        }
    }
}

/// Where links lead whose end is not there yet.
fn followed(path: &Path) -> Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..LINKS_MAX {
        match at.symlink_metadata() {
            Ok(found) if found.is_symlink() => at = folder_of(&at).join(at.read_link()?),
            _ => return Ok(at),
        }
    }
    Err(Error::other("too many symbolic links"))
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
