//! [`Temporary`]: a file beside the place where it shall be, until it is whole.
//!
//! Who writes one holds its lock, which the system takes back when the process ends, however it does. So a
//! temporary file that can be locked is nobody's. Where there are no locks, nothing is removed.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What temporary files begin with, before 16 digits.
const PREFIX: &str = ".gradloom-";
const DIGITS: usize = 16;
/// Names that are tried: each is taken by one chance in 2^64, unless somebody removes them at once.
const ATTEMPTS: usize = 100;
/// Folders that are remembered as clean.
const FOLDERS_MAX: usize = 1000;

/// A file that is removed unless it is put in its place.
pub(crate) struct Temporary {
    pub(crate) file: File,
    path: PathBuf,
    is_put: bool,
}

impl Temporary {
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let random = RandomState::new().hash_one(0_u8);
            let path = folder.join(format!("{PREFIX}{random:0DIGITS$x}"));
            // A new file only, so that no link of somebody else is followed.
            let file = match File::options().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            let is_ours = !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
            // Between its making and its lock, another process may have found it and removed it.
            if is_ours && path.exists() {
                return Ok(Temporary { file, path, is_put: false });
            }
        }
        Err(Error::other("temporary files vanish as soon as they are made"))
    }

    /// Puts the file, which is on the disk, in its place.
    pub(crate) fn put(mut self, place: &Path) -> Result<()> {
        std::fs::rename(&self.path, place)?;
        self.is_put = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_put {
            // What cannot be removed is in nobody's way.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what killed processes left half-written in a folder, and says how many files that were. Files that
/// a living process writes stay, and so does what cannot be removed.
///
/// [`replace`](crate::replace) does this by itself for each folder that it writes in first.
///
/// # Errors
/// If the folder cannot be listed.
pub fn remove_stale(folder: impl AsRef<Path>) -> crate::Result<usize> {
    let folder = folder.as_ref();
    remove(folder).map_err(|cause| {
        let kind = gradloom_error::ErrorKind::of_io(&cause);
        crate::Error::caused(kind, format!("{}: listing failed", folder.display()), cause)
    })
}

fn remove(folder: &Path) -> Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !is_temporary(&name.to_string_lossy()) {
            continue;
        }
        // Removed while it is locked, so that nobody begins to write it meanwhile.
        let Ok(file) = File::options().write(true).open(entry.path()) else { continue };
        if file.try_lock().is_ok() && std::fs::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_temporary(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.len() == DIGITS && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Cleans a folder if this process has not yet: listing it for each file would be slow among many.
pub(crate) fn clean_once(folder: &Path) {
    static CLEAN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut clean = CLEAN.lock().unwrap_or_else(PoisonError::into_inner);
    if clean.len() >= FOLDERS_MAX {
        clean.clear();
    }
    if clean.insert(folder.to_owned()) {
        drop(clean);
        // What cannot be listed can still be written.
        let _ = remove(folder);
    }
}
