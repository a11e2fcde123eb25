//! Files that are written whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::{Error, Result};
use gradloom_tensor::ErrorKind;

/// Writes a file beside its place and moves it there, so that a full disk leaves the old one as it was.
pub(crate) fn write(op: &str, path: &Path, bytes: &[u8]) -> Result<()> {
    let failure = |error: std::io::Error| {
        Error::caused(ErrorKind::Io, format!("{op}: writing {}", path.display()), error)
    };
    // A link stays one: what it leads to is written.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut options = tempfile::Builder::new();
    options.prefix(".gradloom").suffix(".tmp");
    let mut file = options.tempfile_in(folder.unwrap_or(Path::new("."))).map_err(failure)?;
    file.write_all(bytes).map_err(failure)?;
    file.as_file().sync_all().map_err(failure)?;
    // Temporary files are readable by their owner only; what is saved has ordinary rights.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let rights = match std::fs::metadata(&target) {
            Ok(old) => old.permissions(),
            Err(_) => std::fs::Permissions::from_mode(0o644),
        };
        std::fs::set_permissions(file.path(), rights).map_err(failure)?;
    }
    file.persist(&target).map_err(|error| failure(error.error))?;
    Ok(())
}
