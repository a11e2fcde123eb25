//! [`ClassFolder`]: the files of a folder that has a folder for each class.

use std::path::{Path, PathBuf};

use crate::{Error, Result, error};
use gradloom_tensor::ErrorKind;

/// Folders within a class are followed this deep.
const DEPTH_MAX: usize = 32;

/// Files and their classes: the names of the folders in alphabetical order.
pub(crate) struct ClassFolder {
    pub(crate) classes: Vec<String>,
    pub(crate) files: Vec<(PathBuf, i32)>,
}

impl ClassFolder {
    /// The files with one of `extensions` below each folder in `root`, in alphabetical order. Hidden files
    /// and folders, and links to folders (which may lead in circles), are passed over.
    pub(crate) fn list(op: &str, root: &Path, extensions: &[&str]) -> Result<Self> {
        let mut listed = ClassFolder { classes: Vec::new(), files: Vec::new() };
        for (path, folder) in entries(root)? {
            if !folder {
                continue;
            }
            let label = i32::try_from(listed.classes.len())
                .map_err(|_| Error::invalid(format!("{op}: more classes than i32 counts")))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let before = listed.files.len();
            walk(op, &path, extensions, label, 0, &mut listed.files)?;
            if listed.files.len() == before {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!(
                        "{op}: {} has no files of the kinds {extensions:?}; put some there or take the \
                         folder away",
                        path.display()
                    ),
                ));
            }
            listed.classes.push(name.unwrap_or_default());
        }
        if listed.classes.is_empty() {
            let message = format!("{op}: {} has no folders; each class needs one", root.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(listed)
    }
}

/// What is in a folder, in alphabetical order, and whether it is a folder itself.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>> {
    let name = folder.display().to_string();
    let failure = |fault: std::io::Error| {
        if fault.kind() == std::io::ErrorKind::NotFound {
            return error::not_found(name.clone(), "check the path");
        }
        Error::caused(ErrorKind::Io, format!("{name}: listing failed"), fault)
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failure)? {
        let entry = entry.map_err(failure)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(failure)?;
        let link_to_folder = kind.is_symlink() && entry.path().is_dir();
        if !link_to_folder {
            found.push((entry.path(), kind.is_dir()));
        }
    }
    found.sort();
    Ok(found)
}

fn walk(
    op: &str,
    folder: &Path,
    extensions: &[&str],
    label: i32,
    depth: usize,
    files: &mut Vec<(PathBuf, i32)>,
) -> Result<()> {
    if depth > DEPTH_MAX {
        let message = format!("{op}: {} is more than {DEPTH_MAX} folders deep", folder.display());
        return Err(Error::invalid(message));
    }
    for (path, is_folder) in entries(folder)? {
        if is_folder {
            walk(op, &path, extensions, label, depth + 1, files)?;
            continue;
        }
        let extension =
            path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        if extension.is_some_and(|extension| extensions.contains(&&*extension)) {
            files.push((path, label));
        }
    }
    Ok(())
}
