//! TensorFlow.js: a manifest of JSON that says in which order the elements of all tensors stand in files beside it.
//!
//! A group of tensors is one run of bytes, cut into files where the writer pleased, also within a tensor.
//! The graph of the model that may stand beside the manifest is not read.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::contents::{self, Contents, Located, TENSORS_MAX};
use crate::error::Fault;
use crate::reader::Reader;
use crate::scale::{Meaning, Scale};
use crate::{Entry, Stored, Value};

/// The largest number of axes of a tensor.
const AXES_MAX: usize = 64;

/// What a manifest says.
pub(crate) struct Manifest {
    pub(crate) groups: Vec<Group>,
    pub(crate) metadata: BTreeMap<String, Value>,
}

/// Tensors one after another, and the files beside the manifest that hold them one after another.
pub(crate) struct Group {
    pub(crate) files: Vec<String>,
    tensors: Vec<Listed>,
}

/// A tensor as the manifest lists it.
struct Listed {
    name: String,
    entry: Entry,
    meaning: Meaning,
}

/// True for JSON that is a manifest: groups of weights, or the description of a model with them.
pub(crate) fn recognise(json: &Json) -> bool {
    json.is_array() || json["weightsManifest"].is_array()
}

/// Reads a manifest. `is_plain` tells names of files beside it from paths to elsewhere.
pub(crate) fn parse(json: &Json, is_plain: impl Fn(&str) -> bool) -> Result<Manifest, Fault> {
    let groups = json.as_array().or_else(|| json["weightsManifest"].as_array());
    let mut manifest = Manifest { groups: Vec::new(), metadata: BTreeMap::new() };
    let (mut tensors, mut files) = (0, std::collections::BTreeSet::new());
    for group in groups.into_iter().flatten() {
        let [paths, weights] = ["paths", "weights"].map(|field| group[field].as_array());
        let (Some(paths), Some(weights)) = (paths, weights) else {
            return Err("a group of the manifest has no paths or no weights".into());
        };
        let mut names = Vec::with_capacity(paths.len());
        for path in paths {
            let name = path
                .as_str()
                .filter(|path| is_plain(path))
                .ok_or_else(|| format!("{path} is not the name of a file beside the manifest"))?;
            if !files.insert(name) {
                return Err(format!("the manifest has {name} twice").into());
            }
            names.push(name.to_owned());
        }
        tensors += weights.len();
        if tensors > TENSORS_MAX {
            return Err(format!("a manifest of {tensors} tensors is absurd").into());
        }
        let tensors = weights.iter().map(listed).collect::<Result<_, Fault>>()?;
        manifest.groups.push(Group { files: names, tensors });
    }
    if manifest.groups.is_empty() {
        return Err("the manifest has no groups".into());
    }
    for field in ["format", "generatedBy", "convertedBy"] {
        if let Some(text) = json[field].as_str() {
            manifest.metadata.insert(field.to_owned(), text.into());
        }
    }
    Ok(manifest)
}

fn listed(json: &Json) -> Result<Listed, Fault> {
    let name = json["name"].as_str().ok_or("a tensor of the manifest has no name")?;
    let wrong = |message: &str| format!("{name}: {message}");
    let axes = json["shape"].as_array().ok_or_else(|| wrong("there is no shape"))?;
    if axes.len() > AXES_MAX {
        return Err(wrong(&format!("{} axes", axes.len())).into());
    }
    let size = |size: &Json| size.as_u64().and_then(|size| usize::try_from(size).ok());
    let shape = axes.iter().map(size).collect::<Option<Vec<usize>>>();
    let shape = shape.ok_or_else(|| wrong("the shape has what are no sizes"))?;
    let dtype = json["dtype"].as_str().ok_or_else(|| wrong("there is no dtype"))?;
    let (stored, meaning) = match &json["quantization"] {
        Json::Null => (plain(dtype), Meaning::Itself),
        // The dtype before the quantisation; old files say it as the tensor's own.
        how => quantised(how["original_dtype"].as_str().unwrap_or(dtype), how)
            .map_err(|message| wrong(&message))?,
    };
    Ok(Listed { name: name.to_owned(), entry: Entry { shape, stored }, meaning })
}

fn plain(dtype: &str) -> Stored {
    match dtype {
        "float32" => Stored::F32,
        "float16" => Stored::F16,
        "int32" => Stored::I32,
        "uint8" => Stored::U8,
        "uint16" => Stored::U16,
        "bool" => Stored::Bool,
        other => Stored::Other(other.to_owned()),
    }
}

fn quantised(dtype: &str, how: &Json) -> Result<(Stored, Meaning), String> {
    let stored = match how["dtype"].as_str() {
        Some("float16") if dtype == "float32" => return Ok((Stored::F16, Meaning::F32)),
        Some("uint8") => Stored::ScaledU8,
        Some("uint16") => Stored::ScaledU16,
        _ => return Err(format!("{dtype} quantised as {} is not known", how["dtype"])),
    };
    let rounded = match dtype {
        "float32" => false,
        "int32" => true,
        _ => return Err(format!("{dtype} cannot be quantised by a scale")),
    };
    match (how["scale"].as_f64(), how["min"].as_f64()) {
        (Some(factor), Some(least)) => {
            Ok((stored, Meaning::Scaled(Scale { factor, least, rounded })))
        }
        _ => Err("it is quantised, but scale and min are no numbers".to_owned()),
    }
}

impl Group {
    /// The tensors in the group's bytes.
    pub(crate) fn locate(&self, bytes: &[u8]) -> Result<Contents, Fault> {
        let (mut contents, mut at) = (Contents::default(), 0);
        for Listed { name, entry, meaning } in &self.tensors {
            let wrong = |message: String| format!("{name}: {message}");
            let Entry { shape, stored } = entry;
            let place = contents::place(shape, stored, at, bytes.len()).map_err(wrong)?;
            at = match &place {
                Some(place) => place.range.end,
                None => skipped(entry, bytes, at).map_err(|fault| fault.within(name))?,
            };
            let located = Located { entry: entry.clone(), place, meaning: *meaning };
            if contents.tensors.insert(name.clone(), located).is_some() {
                return Err(format!("two tensors are named {name}").into());
            }
        }
        if at != bytes.len() {
            let len = bytes.len();
            return Err(format!(
                "the manifest has {at} bytes of tensors, the files {len}: they do not belong together; get all again"
            )
            .into());
        }
        Ok(contents)
    }
}

/// The end of elements that cannot be read.
fn skipped(entry: &Entry, bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let count = crate::entry::count(&entry.shape).ok_or("its shape is absurd")?;
    let mut reader = Reader::new(bytes, at);
    match entry.stored.name() {
        "complex64" => drop(reader.take(8 * count as u64)?),
        "string" => {
            for _ in 0..count {
                let len = reader.u32()?;
                reader.take(len.into())?;
            }
        }
        // What comes after it cannot be found.
        name => return Err(Fault::Unsupported(format!("elements of type {name}"))),
    }
    Ok(reader.at())
}
