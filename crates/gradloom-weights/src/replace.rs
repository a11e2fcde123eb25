//! Writing a file beside its place and renaming it into it: a crash leaves the old file or the new one.

use std::io::Write;
use std::path::Path;

use crate::{Result, error};

/// Replaces the file at `path` by what `write` writes; `write` gets the file's name for its errors.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write, &str) -> Result<()>,
) -> Result<()> {
    let name = path.display().to_string();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |error| error::io(&name, "writing", error);
    let mut file = new_file_in(folder).map_err(failed)?;
    {
        let mut writer = std::io::BufWriter::with_capacity(1 << 20, file.as_file_mut());
        write(&mut writer, &name)?;
        writer.flush().map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A temporary file with the rights of an ordinary new one.
fn new_file_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".gradloom-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The process's mask takes away from these, as it does for any file.
        builder.permissions(std::fs::Permissions::from_mode(0o666)).tempfile_in(folder)
    }
    #[cfg(not(unix))]
    builder.tempfile_in(folder)
}
