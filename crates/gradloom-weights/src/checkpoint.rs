//! [`Checkpoint`]: the tensors of a model in one file or several, whatever their format.

use std::collections::BTreeMap;
use std::path::Path;

use crate::contents::Located;
use crate::convert::WideIntegers;
use crate::file::{File, Format};
use crate::folder::{self, Index, Set};
use crate::source::{Opening, Source};
use crate::tfjs::Manifest;
use crate::{Entry, ReadOptions, Result, Value, error, source};
use gradloom_tensor::{Device, Tensor};

/// The tensors of a model, listed; their elements are read when they are asked for.
///
/// ```no_run
/// # fn f(device: gradloom_tensor::Device) -> gradloom_weights::Result<()> {
/// let checkpoint = gradloom_weights::Checkpoint::open("model.safetensors")?;
/// for (name, entry) in checkpoint.entries() {
///     println!("{name}: {:?} {}", entry.shape, entry.stored);
/// }
/// let weight = checkpoint.tensor("lm_head.weight", &device)?;
/// # Ok(())
/// # }
/// ```
pub struct Checkpoint {
    name: String,
    files: Vec<File>,
    /// In which file a tensor is.
    index: BTreeMap<String, usize>,
    metadata: BTreeMap<String, Value>,
    wide_integers: WideIntegers,
}

impl Checkpoint {
    /// Lists the tensors of a file, of a set of files through its index, or of a folder as model hubs
    /// publish them. Names do not matter for files: the content tells the format.
    ///
    /// Files are read into memory, all of a set. [`Checkpoint::open_mapped`] reads only what is asked
    /// for, of files that nobody changes.
    ///
    /// # Errors
    /// If a file is missing, damaged, of no known format, or does not fit into memory.
    pub fn open(path: impl AsRef<Path>) -> Result<Checkpoint> {
        Checkpoint::open_with(path.as_ref(), Opening::READ)
    }

    /// As [`Checkpoint::open`] with the files mapped into memory, and their tensors left there until they
    /// are needed: opening takes the time of the headers, and a model may be larger than memory.
    ///
    /// On the CPU a tensor is used in place where its elements lie in the file as they are needed: plain
    /// ones of the tensor's own dtype, without gaps, at a place that is a multiple of their size. It is
    /// not written in place: what [`commit`](gradloom_tensor::commit) stores has memory of its own. Blocks
    /// are copied at their first use, since tensors hold them in another order, and so are
    /// elements that are converted, rows in another order and what is not
    /// aligned. On a GPU every tensor is uploaded at its first use, in pieces. 64-bit integers that are
    /// narrowed, and what a PyTorch checkpoint has compressed or with gaps, are read at once.
    ///
    /// [`Statistics::bytes_outside`](gradloom_tensor::Statistics) has the bytes that are in the files.
    ///
    /// ```no_run
    /// // SAFETY: the program's own files, which nothing writes while it runs.
    /// let checkpoint = unsafe { gradloom_weights::Checkpoint::open_mapped("model.gguf") }?;
    /// # Ok::<(), gradloom_weights::Error>(())
    /// ```
    ///
    /// # Safety
    /// Nothing, in this process or another, may write to the files or cut them while the checkpoint or a
    /// tensor of it lives: bytes that change under a slice are undefined behaviour. Replacing a file by
    /// renaming another over it, as [`safetensors::save`](crate::safetensors::save) does, is no write to it.
    ///
    /// A file that was cut all the same is found: its length is looked at before each evaluation that
    /// reads it in place, and what is copied is read through the file's handle, so that an evaluation
    /// fails with an error. Only if it is cut at the moment in which it is opened, read at once or
    /// read in place by kernels does the system end the process: on Unix by `SIGBUS`, which a shell
    /// reports as a bus error.
    ///
    /// # Errors
    /// If a file is missing, damaged, or of no known format.
    #[expect(unsafe_code, reason = "mapping a file rests on what only the caller can promise")]
    pub unsafe fn open_mapped(path: impl AsRef<Path>) -> Result<Checkpoint> {
        // SAFETY: the promise is the caller's.
        Checkpoint::open_with(path.as_ref(), unsafe { Opening::mapped() })
    }

    fn open_with(path: &Path, opening: Opening) -> Result<Checkpoint> {
        let found;
        let path = if path.is_dir() {
            found = folder::find(path)?;
            &found
        } else {
            path
        };
        let name = path.display().to_string();
        let source = opening.open(path)?;
        Checkpoint::read(name, source, |file| {
            let path = path.with_file_name(file);
            Ok((path.display().to_string(), opening.open(&path)?))
        })
    }

    fn read(
        name: String,
        source: Source,
        beside: impl FnMut(&str) -> Result<(String, Source)>,
    ) -> Result<Checkpoint> {
        match folder::set(&source).map_err(|fault| error::of(&name, fault))? {
            Some(Set::Index(index)) => Checkpoint::sharded(name, index, beside),
            Some(Set::Manifest(manifest)) => Checkpoint::grouped(name, manifest, beside),
            None => Checkpoint::single(File::new(name, source)?),
        }
    }

    /// Lists the tensors of a file that is in memory; errors give it the name.
    ///
    /// # Errors
    /// If the bytes are damaged or of no known format.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Checkpoint> {
        Checkpoint::from_bytes_with(name, bytes, |_| {
            let message = "the index of a set of files; open it by its path";
            Err(error::unsupported(name, message))
        })
    }

    /// As [`Checkpoint::from_bytes`], of a set of files too: `beside` gives the bytes of a file by the name
    /// that the index of a set or the manifest of TensorFlow.js has for it, as a program in a browser fetches
    /// them.
    ///
    /// ```
    /// let manifest = br#"[{"paths": ["a.bin"],
    ///     "weights": [{"name": "scale", "shape": [2], "dtype": "float32"}]}]"#;
    /// let checkpoint = gradloom_weights::Checkpoint::from_bytes_with(
    ///     "weights_manifest.json",
    ///     manifest.to_vec(),
    ///     |file| Ok(if file == "a.bin" { [0, 0, 128, 63].repeat(2) } else { Vec::new() }),
    /// )?;
    /// assert_eq!(checkpoint.entry("scale").unwrap().shape, [2]);
    /// # Ok::<(), gradloom_weights::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the bytes are damaged or of no known format, and those of `beside`.
    pub fn from_bytes_with(
        name: &str,
        bytes: Vec<u8>,
        mut beside: impl FnMut(&str) -> Result<Vec<u8>>,
    ) -> Result<Checkpoint> {
        Checkpoint::read(name.to_owned(), Source::Owned(bytes), |file| {
            Ok((file.to_owned(), Source::Owned(beside(file)?)))
        })
    }

    fn single(mut file: File) -> Result<Checkpoint> {
        let index = file.contents.tensors.keys().map(|name| (name.clone(), 0)).collect();
        let metadata = std::mem::take(&mut file.contents.metadata);
        let (name, wide_integers) = (file.name.clone(), WideIntegers::default());
        Ok(Checkpoint { name, files: vec![file], index, metadata, wide_integers })
    }

    fn sharded(
        name: String,
        found: Index,
        mut beside: impl FnMut(&str) -> Result<(String, Source)>,
    ) -> Result<Checkpoint> {
        let mut files: Vec<File> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for shard in found.files.values() {
            if !places.contains_key(shard.as_str()) {
                places.insert(shard, files.len());
                let (name, source) = beside(shard)?;
                files.push(File::new(name, source)?);
            }
        }
        let mut index = BTreeMap::new();
        for (tensor, shard) in &found.files {
            let place = places[shard.as_str()];
            if !files[place].contents.tensors.contains_key(tensor) {
                let message = format!(
                    "{tensor}: the index says it is in {shard}, but it is not; get both again"
                );
                return Err(error::malformed(&name, message));
            }
            index.insert(tensor.clone(), place);
        }
        let (metadata, wide_integers) = (found.metadata, WideIntegers::default());
        Ok(Checkpoint { name, files, index, metadata, wide_integers })
    }

    /// Tensors that run through files, as TensorFlow.js' do.
    fn grouped(
        name: String,
        manifest: Manifest,
        mut beside: impl FnMut(&str) -> Result<(String, Source)>,
    ) -> Result<Checkpoint> {
        let (mut files, mut index) = (Vec::new(), BTreeMap::new());
        for group in &manifest.groups {
            let parts = group.files.iter().map(|file| beside(file)).collect::<Result<Vec<_>>>()?;
            let count = parts.len();
            let (first, source) = source::joined(parts)
                .map_err(|error| error::io(&name, "joining its files", error))?;
            let shown = if count > 1 { format!("{first} and what follows it") } else { first };
            let file = File::group(shown, group, source)?;
            for tensor in file.contents.tensors.keys() {
                if index.insert(tensor.clone(), files.len()).is_some() {
                    let message = format!("two tensors are named {tensor}");
                    return Err(error::malformed(&name, message));
                }
            }
            files.push(file);
        }
        let (metadata, wide_integers) = (manifest.metadata, WideIntegers::default());
        Ok(Checkpoint { name, files, index, metadata, wide_integers })
    }

    /// The tensors of one part, under their names within it: the object of this name in a PyTorch checkpoint
    /// (`ema`, `netD_state_dict`, `teacher.model`), or those whose names begin with it and a dot (`encoder`), in
    /// any format. Without it, of a PyTorch checkpoint that has several state dicts the usual one is taken:
    /// `state_dict`, `model_state_dict`, `model` and their like.
    ///
    /// ```no_run
    /// # fn f() -> gradloom_weights::Result<()> {
    /// let checkpoint = gradloom_weights::Checkpoint::open("last.pt")?.part("ema")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If there is no tensor in this part, or the file is damaged there.
    pub fn part(self, part: &str) -> Result<Checkpoint> {
        let (mut files, mut index) = (Vec::with_capacity(self.files.len()), BTreeMap::new());
        for (place, file) in self.files.into_iter().enumerate() {
            let file = file.part(part)?;
            index.extend(file.contents.tensors.keys().map(|name| (name.clone(), place)));
            files.push(file);
        }
        if index.is_empty() {
            let message = format!("there is no tensor in a part {part:?}; names() lists all");
            return Err(error::missing(&self.name, message));
        }
        Ok(Checkpoint { files, index, ..self })
    }

    /// Says what 64-bit integers become; they are narrowed otherwise.
    #[must_use]
    pub fn wide_integers(self, wide_integers: WideIntegers) -> Checkpoint {
        Checkpoint { wide_integers, ..self }
    }

    /// The format; of a set of files, the first one's.
    pub fn format(&self) -> Format {
        self.files.first().map_or(Format::Safetensors, |file| file.format)
    }

    /// Names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// All tensors, in alphabetical order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.index
            .iter()
            .map(|(name, &file)| (name.as_str(), &self.files[file].contents.tensors[name].entry))
    }

    /// What the file says about a tensor, if it has one of this name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.find(name).map(|(_, located)| &located.entry)
    }

    /// What the file says beside its tensors: the table of texts of safetensors, the typed values of
    /// GGUF, the numbers and texts of a PyTorch checkpoint by their path, the index of a set of files, who wrote
    /// a manifest of TensorFlow.js.
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// Reads one tensor to a device.
    ///
    /// Integers of 16 bits become `i32`, and so do those of 64, of which one that does not fit is an
    /// error, unless [`Checkpoint::wide_integers`] keeps them. `f64` and
    /// `f16` become `f32` on a device without them. Blocks stay blocks: a matrix of them is a quantised
    /// tensor of dtype `f32`; a tensor of another rank is one, folded into a matrix, and reshaped.
    ///
    /// # Errors
    /// If there is no such tensor, its elements are of a kind that tensors cannot have, or the device
    /// refuses.
    #[track_caller]
    pub fn tensor(&self, name: &str, device: &Device) -> Result<Tensor> {
        self.tensor_with(name, &ReadOptions::new(), device)
    }

    /// As [`Checkpoint::tensor`], with other elements than the file has.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`], and for rows of blocks that are no matrix.
    ///
    /// # Panics
    /// If rows are asked for that the tensor has not.
    #[track_caller]
    pub fn tensor_with(
        &self,
        name: &str,
        options: &ReadOptions<'_>,
        device: &Device,
    ) -> Result<Tensor> {
        let Some((file, located)) = self.find(name) else {
            let count = self.index.len();
            let message = format!("no tensor {name:?} among the {count}; names() lists them");
            return Err(error::missing(&self.name, message));
        };
        file.tensor(name, located, options, self.wide_integers, device)
    }

    /// Reads all tensors to a device.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`].
    #[track_caller]
    pub fn tensors(&self, device: &Device) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for name in self.names() {
            tensors.insert(name.to_owned(), self.tensor(name, device)?);
        }
        Ok(tensors)
    }

    fn find(&self, name: &str) -> Option<(&File, &Located)> {
        let file = &self.files[*self.index.get(name)?];
        Some((file, file.contents.tensors.get(name)?))
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Checkpoint({}, {} tensors)", self.name, self.index.len())
    }
}
