//! [`File`]: one file of weights, its format told by its content.

use crate::contents::{Contents, Located};
use crate::convert::WideIntegers;
use crate::error::Fault;
use crate::reading::Reading;
use crate::source::Source;
use crate::{
    Entry, ReadOptions, Result, Stored, error, formats, gguf, numpy, safetensors, tfjs, torch,
};
use gradloom_tensor::{Device, RANK_MAX, Shape, Tensor};

/// How a file stores tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A header of JSON and plain elements.
    Safetensors,
    /// PyTorch's `.pt`, `.pth` and `.bin`.
    Torch,
    /// The format of llama.cpp.
    Gguf,
    /// NumPy's `.npy` and `.npz`.
    Numpy,
    /// TensorFlow.js' `model.json` or manifest of weights, and the files that it names.
    TensorFlowJs,
}

/// One file and what is in it.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) format: Format,
    source: Source,
    pub(crate) contents: Contents,
}

impl File {
    /// Lists the tensors of a file.
    pub(crate) fn new(name: String, source: Source) -> Result<File> {
        let parsed = recognise(&source).and_then(|format| {
            let contents = match format {
                Format::Safetensors => safetensors::parse(&source),
                Format::Torch => torch::parse(&source, None),
                Format::Gguf => gguf::parse(&source),
                Format::Numpy if numpy::recognise(&source) => numpy::parse(&source),
                Format::Numpy => numpy::parse_archive(&source),
                Format::TensorFlowJs => return Err("a manifest without its files".into()),
            };
            Ok((format, contents?))
        });
        let (format, contents) = parsed.map_err(|fault| error::of(&name, fault))?;
        Ok(File { name, format, source, contents })
    }

    /// The tensors of a group of TensorFlow.js' in the files that hold it, one after another.
    pub(crate) fn group(name: String, group: &tfjs::Group, source: Source) -> Result<File> {
        let contents = group.locate(&source).map_err(|fault| error::of(&name, fault))?;
        Ok(File { name, format: Format::TensorFlowJs, source, contents })
    }

    /// The same file with the tensors of one part only: the object at this place of a PyTorch checkpoint, or
    /// else what has names that begin so, without that beginning. Without such tensors it has none.
    pub(crate) fn part(self, part: &str) -> Result<File> {
        let File { name, format, source, mut contents } = self;
        let prefix = format!("{part}.");
        let tensors = std::mem::take(&mut contents.tensors);
        let within = |(name, located): (String, Located)| {
            Some((name.strip_prefix(&prefix)?.to_owned(), located))
        };
        contents.tensors = tensors.into_iter().filter_map(within).collect();
        if contents.tensors.is_empty() && format == Format::Torch {
            let parsed = torch::parse(&source, Some(part));
            contents = parsed.map_err(|fault| error::of(&name, fault))?;
        }
        Ok(File { name, format, source, contents })
    }

    /// One tensor.
    #[track_caller]
    pub(crate) fn tensor(
        &self,
        name: &str,
        located: &Located,
        options: &ReadOptions<'_>,
        wide_integers: WideIntegers,
        device: &Device,
    ) -> Result<Tensor> {
        let wrong = |message: String| error::unsupported(&self.name, format!("{name}: {message}"));
        let Entry { shape, stored } = &located.entry;
        if shape.len() > RANK_MAX {
            let rank = shape.len();
            return Err(wrong(format!("{rank} axes, but at most {RANK_MAX} are supported")));
        }
        if !Shape::new(shape).is_addressable() {
            return Err(wrong(format!("a shape of {shape:?} is absurd")));
        }
        if let Some(rows) = options.rows {
            assert!(
                !shape.is_empty() && rows.iter().all(|&row| row < shape[0]),
                "tensor_with: row {:?} of {name}, whose shape is {shape:?}",
                rows.iter().max()
            );
            if shape.len() != 2 && matches!(stored, Stored::Blocks(_)) {
                let message = "rows of blocks that are no matrix are not supported";
                return Err(wrong(message.to_owned()));
            }
        }
        let File { name: file, source, contents, .. } = self;
        Reading { file, source, contents, name, located, options, wide_integers, device }.tensor()
    }
}

/// The format, by the first bytes.
fn recognise(bytes: &[u8]) -> Result<Format, Fault> {
    if bytes.starts_with(b"GGUF") {
        return Ok(Format::Gguf);
    }
    // A header of 640 bytes begins as a pickle does.
    if safetensors::recognise_whole(bytes) {
        return Ok(Format::Safetensors);
    }
    if numpy::recognise(bytes) || numpy::recognise_archive(bytes) {
        return Ok(Format::Numpy);
    }
    if torch::recognise(bytes) {
        return Ok(Format::Torch);
    }
    if let Some(found) = formats::named(bytes) {
        return Err(Fault::Unsupported(found.to_owned()));
    }
    if safetensors::recognise(bytes) {
        return Ok(Format::Safetensors);
    }
    Err(match bytes {
        [b'G' | b'g', b'G' | b'g', ..] => {
            Fault::Unsupported("a file of ggml before GGUF; get one in GGUF".to_owned())
        }
        [] => "an empty file; get it again".into(),
        _ => "neither safetensors, nor GGUF, nor a PyTorch checkpoint, nor NumPy's arrays, nor the index of a set of files, nor a manifest of TensorFlow.js; get it again".into(),
    })
}
