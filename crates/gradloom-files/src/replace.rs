//! [`replace`]: a file that is there whole or is as it was.

use std::fs::{File, Metadata};
use std::io::{BufWriter, Write};
use std::path::Path;

use gradloom_error::ErrorKind;

use crate::place::{Place, folder_of};
use crate::temporary::{Temporary, clean_once};
use crate::{Error, Result};

const BUFFER_BYTES: usize = 1 << 20;

/// Writes the file at `path` by what `content` writes, whole or not at all.
///
/// Errors of `content` are passed on as they are; that it fails, or panics, leaves the old file as it was and
/// nothing else behind.
///
/// ```
/// # fn main() -> gradloom_files::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("figures.txt");
/// gradloom_files::write(&path, b"accuracy 0.99\n")?;
/// let failed = gradloom_files::replace(&path, |file| {
///     file.write_all(b"accur")?;
///     Err(gradloom_files::Error::invalid("figures: there are none"))
/// });
/// assert!(failed.is_err());
/// assert_eq!(std::fs::read(&path)?, b"accuracy 0.99\n");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the file cannot be written: there is no such folder, it is full or read-only, the file itself is
/// read-only. The message begins with the path.
pub fn replace(
    path: impl AsRef<Path>,
    content: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let failed = |cause: std::io::Error| {
        let kind = ErrorKind::of_io(&cause);
        Error::caused(kind, format!("{}: writing failed", path.display()), cause)
    };
    let (place, old) = match Place::of(path).map_err(failed)? {
        Place::Stream(stream) => {
            let file = File::options().write(true).open(stream).map_err(failed)?;
            return fill(&file, content, failed);
        }
        Place::Free(place) => (place, None),
        Place::Taken(place, old) => (place, Some(old)),
    };
    let folder = folder_of(&place);
    if !folder.is_dir() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("{}: writing failed: there is no folder {}", path.display(), folder.display()),
        ));
    }
    clean_once(folder);
    let temporary = Temporary::in_folder(folder).map_err(failed)?;
    fill(&temporary.file, content, failed)?;
    if let Some(old) = old {
        keep_rights(&temporary.file, &old).map_err(failed)?;
    }
    temporary.file.sync_all().map_err(failed)?;
    temporary.put(&place).map_err(failed)?;
    // The name itself is on the disk once its folder is. Not all systems have that.
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// As [`replace`], of bytes that are there.
///
/// # Errors
/// As [`replace`].
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    replace(path, |file| {
        file.write_all(bytes).map_err(|cause| {
            let kind = ErrorKind::of_io(&cause);
            Error::caused(kind, format!("{}: writing failed", path.display()), cause)
        })
    })
}

fn fill(
    file: &File,
    content: impl FnOnce(&mut dyn Write) -> Result<()>,
    failed: impl Fn(std::io::Error) -> Error,
) -> Result<()> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    let written = content(&mut writer);
    if written.is_err() {
        // What is left in the buffer is not worth another try.
        let _ = writer.into_parts();
        return written;
    }
    writer.flush().map_err(failed)
}

/// Gives a file the rights of the one whose place it takes, and its owner if the process may.
fn keep_rights(file: &File, old: &Metadata) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            // Only the super-user may give files away.
            let _ = fchown(file, Some(old.uid()), Some(old.gid()));
        }
    }
    file.set_permissions(old.permissions())
}
