//! [`Folder`]: a folder that one run at a time writes to.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::checkpoint::best::Best;
use crate::{Result, error};

const LOCK: &str = ".training-lock";

/// A folder of checkpoints, held for one run. The system lets it go when the process ends, however it does.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing the file would not do: a process that another thread is starting has it open too.
        let _ = self.lock.unlock();
    }
}

impl Folder {
    /// Makes the folder if it is not there, holds it, and removes what killed runs left half-written.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let failed = |doing: &str, cause| error::io(format!("checkpoint: {name}: {doing}"), cause);
        std::fs::create_dir_all(path).map_err(|cause| failed("no folder can be made", cause))?;
        let lock = File::options().create(true).append(true).open(path.join(LOCK));
        let lock = lock.map_err(|cause| failed("nothing can be written", cause))?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(error::invalid(format!(
                    "checkpoint: another run writes to {name}; give each run a folder of its own"
                )));
            }
            // Where there are no locks, nobody is kept out.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let folder = Folder { path: path.to_owned(), lock };
        gradloom_files::remove_stale(path).map_err(|error| error.context("checkpoint"))?;
        Ok(folder)
    }

    /// Removes files of best epochs that are not among these: a run may have been killed after it wrote of
    /// their end and before it removed them.
    pub(crate) fn keep_best(&self, best: &Best) -> Result<()> {
        let name = self.path.display();
        let failed = |cause| error::io(format!("checkpoint: {name}: removing"), cause);
        for entry in std::fs::read_dir(&self.path).map_err(failed)?.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let number =
                file.strip_prefix("best-").and_then(|rest| rest.strip_suffix(".safetensors"));
            let is_numbered = number.is_some_and(|number| number.parse::<u32>().is_ok());
            if is_numbered && !best.entries.iter().any(|(_, _, kept)| *kept == file) {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_free_when_its_run_ends_though_a_child_still_has_the_lock_open() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let inherited = folder.lock.try_clone().unwrap();
        Folder::open(dir.path()).expect_err("it is held");
        drop(folder);
        Folder::open(dir.path()).unwrap();
        drop(inherited);
    }
}
