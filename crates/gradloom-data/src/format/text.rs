//! Text files: whole, by lines, and folders with a folder for each class.

use std::path::Path;

use super::class_folder::ClassFolder;
use crate::table::{Categories, Column, Table};
use crate::{Result, Source, error};

/// Reads a text, plain or gzipped, without a byte order mark.
///
/// # Errors
/// If it is not there, is not UTF-8 (the error has the position), or is larger than the source's limit.
pub fn read_text<'a>(source: impl Into<Source<'a>>) -> Result<String> {
    let mut input = source.into().open()?;
    let bytes = input.rest()?;
    let file = input.name();
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|fault| {
        let position = fault.utf8_error().valid_up_to() as u64;
        error::malformed(file, position, "the text is not UTF-8; convert it")
    })
}

/// The lines of a text without their ends, blank ones among them.
///
/// # Errors
/// As [`read_text`].
pub fn read_lines<'a>(source: impl Into<Source<'a>>) -> Result<Vec<String>> {
    Ok(read_text(source)?.lines().map(str::to_owned).collect())
}

/// The texts of a folder that has a folder of `.txt` files for each class, as the columns `text`, `label`
/// (categories) and `file`. scikit-learn: `load_files`.
///
/// # Errors
/// If the folder is not there, has no folders, a class has no texts, or a text cannot be read.
pub fn read_text_folder(folder: impl AsRef<Path>) -> Result<Table> {
    let listed = ClassFolder::list("text folder", folder.as_ref(), &["txt"])?;
    let mut texts = Vec::with_capacity(listed.files.len());
    for (path, _) in &listed.files {
        texts.push(read_text(path)?);
    }
    let codes = listed.files.iter().map(|(_, label)| Some(*label as u32)).collect();
    let files = listed.files.iter().map(|(path, _)| path.display().to_string());
    Table::new()
        .with("text", texts)?
        .with("label", Column::Category(Categories::new(codes, listed.classes)?))?
        .with("file", files.collect::<Vec<String>>())
}
