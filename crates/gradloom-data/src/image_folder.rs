//! [`ImageFolder`]: pictures in a folder for each class, read when they are asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::dataset::{Dataset, Labelled};
use crate::format::class_folder::ClassFolder;
use crate::format::picture::PictureReader;
use crate::{Error, Image, Result};

/// Pictures whose folders are their classes: `cat/1.png`, `dog/2.jpg`. Clones share the list.
///
/// torchvision: `datasets.ImageFolder`.
#[derive(Clone)]
pub struct ImageFolder {
    files: Arc<[(PathBuf, i32)]>,
    classes: Arc<[String]>,
    reader: PictureReader,
}

/// A picture that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Its index in the folder.
    pub index: usize,
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

impl ImageFolder {
    /// Lists the PNG and JPEG files below each folder in `root`. They are read later, so what cannot be
    /// read shows then; [`check`](ImageFolder::check) reads all now.
    ///
    /// # Errors
    /// If the folder is not there, has no folders, or a class has no pictures.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        ImageFolder::open_with(root, PictureReader::new())
    }

    /// As [`open`](ImageFolder::open), read as `reader` says.
    ///
    /// # Errors
    /// As [`open`](ImageFolder::open).
    pub fn open_with(root: impl AsRef<Path>, reader: PictureReader) -> Result<Self> {
        let listed = ClassFolder::list("image folder", root.as_ref(), &["png", "jpg", "jpeg"])?;
        Ok(ImageFolder { files: listed.files.into(), classes: listed.classes.into(), reader })
    }

    /// The names of the classes, in the order of the labels.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// The class of each picture.
    pub fn labels(&self) -> Vec<i32> {
        self.files.iter().map(|(_, label)| *label).collect()
    }

    /// The file of a picture.
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.files.get(index).map(|(path, _)| path.as_path())
    }

    /// Reads all pictures on this many threads and gives those that cannot be read, by index.
    pub fn unreadable(&self, threads: usize) -> Vec<Unreadable> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((path, _)) = self.files.get(index) else { return found };
                if let Err(error) = self.reader.read(path) {
                    found.push(Unreadable { index, path: path.clone(), error });
                }
            }
        };
        let mut found = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut found = work();
            for thread in others {
                // The reader catches panics of decoders, so no thread has any.
                found.extend(thread.join().unwrap_or_default());
            }
            found
        });
        found.sort_by_key(|unreadable| unreadable.index);
        found
    }

    /// Reads all pictures on this many threads.
    ///
    /// # Errors
    /// If some cannot be read: the message counts them and names the first few.
    pub fn check(self, threads: usize) -> Result<Self> {
        let unreadable = self.unreadable(threads);
        let Some(first) = unreadable.first() else { return Ok(self) };
        let shown: Vec<String> =
            unreadable.iter().take(5).map(|unreadable| unreadable.error.to_string()).collect();
        let more = unreadable.len() - shown.len();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let message = format!(
            "image folder: {} of {} pictures cannot be read: {}{more}. ImageFolder::skip_unreadable leaves \
             them out",
            unreadable.len(),
            self.files.len(),
            shown.join("; ")
        );
        Err(Error::new(first.error.kind(), message))
    }

    /// The folder without the pictures that cannot be read, and those, so that a program can say what it
    /// left out.
    ///
    /// # Errors
    /// If none can be read.
    pub fn skip_unreadable(mut self, threads: usize) -> Result<(Self, Vec<Unreadable>)> {
        let unreadable = self.unreadable(threads);
        if unreadable.len() == self.files.len() {
            return self.check(threads).map(|folder| (folder, unreadable));
        }
        let mut left = unreadable.iter().map(|unreadable| unreadable.index).peekable();
        let files = self.files.iter().enumerate();
        let kept = files.filter(|(index, _)| left.next_if_eq(index).is_none());
        self.files = kept.map(|(_, file)| file.clone()).collect();
        Ok((self, unreadable))
    }
}

impl Dataset for ImageFolder {
    type Item = Labelled<Image>;

    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&self, index: usize) -> Result<Self::Item> {
        let (path, label) = self
            .files
            .get(index)
            .ok_or_else(|| Error::sample_out_of_range("image folder", index, self.files.len()))?;
        Ok(Labelled { input: self.reader.read(path)?, label: *label })
    }
}

impl std::fmt::Debug for ImageFolder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (pictures, classes) = (self.files.len(), self.classes.len());
        write!(formatter, "ImageFolder({pictures} pictures, {classes} classes)")
    }
}

impl Image {
    /// Reads a PNG or a JPEG, `[3, H, W]`, as [`PictureReader::new`] does.
    ///
    /// # Errors
    /// As [`PictureReader::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Image> {
        PictureReader::new().read(path.as_ref())
    }

    /// Writes the image as PNG, whole or not at all.
    ///
    /// # Errors
    /// If it has neither one nor three channels, or the file cannot be written.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut bytes = Vec::new();
        crate::format::picture::write_png(self, &mut bytes)?;
        gradloom_files::write(path, &bytes).map_err(|error| error.context("save png"))
    }
}
