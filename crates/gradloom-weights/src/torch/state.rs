//! From the objects of a pickle to named tensors.

use std::ops::Range;

use super::machine::Machine;
use super::value::{Id, Object, TensorRef, Value};
use crate::contents::{Contents, Located, Part, Place, TENSORS_MAX};
use crate::{Entry, Stored, entry};

/// Keys under which training scripts put the model's state dict.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// Further ones, the more likely first: what was trained before its running mean. A part of a model may be
/// called so too, so they count only where nothing else has tensors.
const NESTED_ALONE: [&str; 19] = [
    "model_state",
    "module",
    "net",
    "network",
    "net_state_dict",
    "network_state_dict",
    "weights",
    "params",
    "params_ema",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema_state_dict",
    "model_ema",
    "ema_model",
    "ema",
    "netG_state_dict",
    "netG",
    "generator_state_dict",
    "generator",
];

/// What the names of other states have in them.
const OTHER_STATES: [&str; 6] = ["optim", "sched", "scaler", "loss", "rng", "ema"];

/// Where modules that were pickled whole keep their tensors.
const MODULE: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// How deep dicts may lie in each other.
const DEPTH_MAX: usize = 64;

/// The largest number of values that are looked at, however often they are shared.
const VISITS_MAX: usize = 1 << 21;

/// The longest name of a tensor, and the bytes of all names and texts together.
const NAME_BYTES_MAX: usize = 1 << 12;
const TEXT_BYTES_MAX: usize = 1 << 26;

/// Bytes of all tensors, as multiples of the file's length, and what small files may have anyway:
/// tensors may share storages and repeat elements.
const REPEATED_MAX: usize = 8;
const REPEATED_BYTES_MIN: usize = 1 << 24;

/// Where the bytes of a storage lie.
pub(super) type Locate<'f> = &'f dyn Fn(&str) -> Result<(Part, Range<usize>), String>;

/// Collects the tensors below `root`, or below its part of this name.
pub(super) fn collect(
    machine: &Machine<'_>,
    root: Value<'_>,
    part: Option<&str>,
    locate: Locate<'_>,
    file_len: usize,
) -> Result<Contents, String> {
    let mut walk = Walk {
        machine,
        locate,
        contents: Contents::default(),
        visits_left: VISITS_MAX,
        text_bytes_left: TEXT_BYTES_MAX,
        bytes_left: file_len.saturating_mul(REPEATED_MAX).max(REPEATED_BYTES_MIN),
    };
    let mut root = root;
    if let Some(part) = part {
        match walk.part(root, part) {
            Some(found) => root = found,
            None => return Ok(walk.contents),
        }
    }
    for _ in 0..DEPTH_MAX {
        let Some(inner) = walk.nested(root) else { break };
        walk.scalars(root)?;
        root = inner;
    }
    walk.visit("", root, 0)?;
    Ok(walk.contents)
}

struct Walk<'m, 'a> {
    machine: &'m Machine<'a>,
    locate: Locate<'m>,
    contents: Contents,
    visits_left: usize,
    text_bytes_left: usize,
    bytes_left: usize,
}

impl<'m, 'a> Walk<'m, 'a> {
    /// The entry of a dict, or within the entries of dicts, whose keys have dots between them.
    fn part(&self, value: Value<'a>, path: &str) -> Option<Value<'a>> {
        let mut value = value;
        let mut path = path;
        for _ in 0..DEPTH_MAX {
            if path.is_empty() {
                return Some(value);
            }
            let items = match self.machine.object(value)? {
                Object::Dict(items) | Object::Opaque { items, .. } => items,
                _ => return None,
            };
            // Keys may have dots themselves: the longest that fits.
            let fitting = items.iter().rev().filter_map(|(key, value)| match key {
                Value::Text(text) => {
                    let rest = path.strip_prefix(text)?;
                    let whole = rest.is_empty() || rest.starts_with('.');
                    whole.then(|| (text.len(), rest.trim_start_matches('.'), *value))
                }
                _ => None,
            });
            let (_, rest, inner) = fitting.max_by_key(|(len, ..)| *len)?;
            (path, value) = (rest, inner);
        }
        None
    }

    /// The state dict within a dict that has no tensors itself: under a usual name, or the only one that is
    /// called a state.
    fn nested(&self, value: Value<'a>) -> Option<Value<'a>> {
        let Some(Object::Dict(items)) = self.machine.object(value) else { return None };
        let is_tensor = |value: Value<'a>| {
            matches!(self.machine.object(value), Some(Object::Tensor(_) | Object::Unreadable(..)))
        };
        if items.iter().any(|(_, value)| is_tensor(*value)) {
            return None;
        }
        let holds = |value: &Value<'a>| match self.machine.object(*value) {
            Some(Object::Dict(items)) => !items.is_empty(),
            Some(Object::Opaque { state, .. }) => state.is_some(),
            _ => false,
        };
        let named = |names: &[&str]| {
            names.iter().find_map(|name| {
                let of_name = |(key, _): &&(Value<'a>, Value<'a>)| {
                    matches!(key, Value::Text(text) if text == name)
                };
                items.iter().rev().find(of_name).map(|(_, value)| *value).filter(holds)
            })
        };
        let has_tensors = |value: Value<'a>| match self.machine.object(value) {
            Some(Object::Dict(items)) => items.iter().any(|(_, value)| is_tensor(*value)),
            _ => false,
        };
        let others = items.iter().any(|(key, value)| !is_of_training(key) && has_tensors(*value));
        named(&NESTED).or_else(|| {
            let named = named(&NESTED_ALONE).filter(|_| !others);
            let mut states = items.iter().filter(|(key, value)| is_state(key) && holds(value));
            named.or_else(|| match (states.next(), states.next()) {
                (Some((_, only)), None) if !others => Some(*only),
                _ => None,
            })
        })
    }

    /// Notes the numbers and texts of a dict.
    fn scalars(&mut self, value: Value<'a>) -> Result<(), String> {
        if let Some(Object::Dict(items)) = self.machine.object(value) {
            for &(key, value) in items {
                if !matches!(value, Value::Object(_)) {
                    self.child("", key, value, 0)?;
                }
            }
        }
        Ok(())
    }

    fn visit(&mut self, path: &str, value: Value<'a>, depth: usize) -> Result<(), String> {
        self.visits_left = self
            .visits_left
            .checked_sub(1)
            .ok_or_else(|| format!("more than {VISITS_MAX} values; save only the state dict"))?;
        if depth > DEPTH_MAX {
            return Err(format!("{path}: values lie more than {DEPTH_MAX} deep in each other"));
        }
        let machine: &'m Machine<'a> = self.machine;
        match value {
            Value::Object(Id(index)) => match &machine.objects[index as usize] {
                Object::Tensor(tensor) => self.tensor(path, tensor),
                Object::Unreadable(kind, shape) => self.unreadable(path, kind, shape),
                Object::Dict(items) => self.children(path, items, depth),
                Object::Opaque { state, items } => {
                    self.children(path, items, depth)?;
                    state.map_or(Ok(()), |state| self.state(path, state, depth))
                }
                Object::List(items) | Object::Tuple(items) => {
                    for (index, &item) in items.iter().enumerate() {
                        if matches!(item, Value::Object(_)) {
                            self.child(path, Value::Int(index as i64), item, depth)?;
                        }
                    }
                    Ok(())
                }
                Object::Global(_) | Object::Storage(_) => Ok(()),
            },
            Value::Bool(value) => self.note(path, value.into()),
            Value::Int(value) => self.note(path, value.into()),
            Value::Float(value) => self.note(path, value.into()),
            Value::Text(text) => {
                self.spend_text(text.len())?;
                self.note(path, text.into())
            }
            Value::None | Value::Long(_) | Value::Bytes => Ok(()),
        }
    }

    /// The attributes of an object: of a module only what its state dict would have.
    fn state(&mut self, path: &str, state: Value<'a>, depth: usize) -> Result<(), String> {
        let machine: &'m Machine<'a> = self.machine;
        let items = match machine.object(state) {
            Some(Object::Dict(items)) => items,
            _ => return self.visit(path, state, depth + 1),
        };
        let is_part = |key: &Value<'a>| matches!(key, Value::Text(text) if MODULE.contains(text));
        if !items.iter().any(|(key, _)| is_part(key)) {
            return self.children(path, items, depth);
        }
        for (_, value) in items.iter().filter(|(key, _)| is_part(key)) {
            self.visit(path, *value, depth + 1)?;
        }
        Ok(())
    }

    fn children(
        &mut self,
        path: &str,
        items: &[(Value<'a>, Value<'a>)],
        depth: usize,
    ) -> Result<(), String> {
        for &(key, value) in items {
            self.child(path, key, value, depth)?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        path: &str,
        key: Value<'a>,
        value: Value<'a>,
        depth: usize,
    ) -> Result<(), String> {
        let dot = if path.is_empty() { "" } else { "." };
        let name = match key {
            Value::Text(text) if path.len() + text.len() < NAME_BYTES_MAX => {
                format!("{path}{dot}{text}")
            }
            Value::Text(_) => return Err(format!("{path}: a name within is absurdly long")),
            Value::Int(index) => format!("{path}{dot}{index}"),
            // Nothing else makes a name.
            _ => return Ok(()),
        };
        self.visit(&name, value, depth + 1)
    }

    fn spend_text(&mut self, bytes: usize) -> Result<(), String> {
        self.text_bytes_left = self
            .text_bytes_left
            .checked_sub(bytes)
            .ok_or_else(|| format!("names and texts of more than {TEXT_BYTES_MAX} bytes"))?;
        Ok(())
    }

    fn note(&mut self, path: &str, value: crate::Value) -> Result<(), String> {
        if path.is_empty() {
            return Ok(());
        }
        self.spend_text(path.len())?;
        self.contents.metadata.insert(path.to_owned(), value);
        Ok(())
    }

    fn unreadable(&mut self, path: &str, kind: &str, shape: &[usize]) -> Result<(), String> {
        self.spend_text(path.len())?;
        let entry = Entry { shape: shape.to_vec(), stored: Stored::Other(kind.to_owned()) };
        self.add(path, Located::new(entry, None))
    }

    fn add(&mut self, path: &str, located: Located) -> Result<(), String> {
        let name = if path.is_empty() { "tensor" } else { path };
        self.contents.tensors.insert(name.to_owned(), located);
        if self.contents.tensors.len() > TENSORS_MAX {
            return Err(format!("more than {TENSORS_MAX} tensors"));
        }
        Ok(())
    }

    fn tensor(&mut self, path: &str, tensor: &TensorRef<'a>) -> Result<(), String> {
        self.spend_text(path.len())?;
        let name = if path.is_empty() { "tensor" } else { path };
        let wrong = |message: String| format!("{name}: {message}");
        let entry =
            Entry { shape: tensor.shape.clone(), stored: tensor.storage.kind.stored.clone() };
        let count = entry::count(&entry.shape)
            .ok_or_else(|| wrong(format!("a shape of {:?} is absurd", entry.shape)))?;
        let left = self.bytes_left.checked_sub(count * tensor.storage.kind.size);
        self.bytes_left = left.ok_or_else(|| {
            wrong("the tensors repeat the file's elements too often; save them contiguous".into())
        })?;
        let place = if entry.stored.size().is_some() {
            Some(place(tensor, count, self.locate).map_err(wrong)?)
        } else {
            None
        };
        self.add(path, Located::new(entry, place))
    }
}

/// True for what a model's state may be called.
fn is_state(key: &Value<'_>) -> bool {
    let Value::Text(text) = key else { return false };
    let text = text.to_ascii_lowercase();
    (text.contains("state_dict") || text.ends_with("_state"))
        && !OTHER_STATES.iter().any(|other| text.contains(other))
}

/// True for what a training script keeps beside or around a model, rather than a part of one.
fn is_of_training(key: &Value<'_>) -> bool {
    let Value::Text(text) = key else { return true };
    let lower = text.to_ascii_lowercase();
    is_state(key)
        || NESTED.iter().chain(&NESTED_ALONE).any(|name| name == text)
        || OTHER_STATES.iter().any(|other| lower.contains(other))
}

/// Where a tensor's elements lie, if all are within their storage.
fn place(tensor: &TensorRef<'_>, count: usize, locate: Locate<'_>) -> Result<Place, String> {
    let TensorRef { storage, offset, shape, strides } = tensor;
    let (part, range) = locate(storage.key)?;
    if count == 0 {
        return Ok(Place { part, range: range.start..range.start, strides: None });
    }
    // The last element's place: every axis at its end.
    let mut extent = Some(1usize);
    for (size, stride) in shape.iter().zip(strides) {
        let reach = (size - 1).checked_mul(*stride);
        extent = extent.and_then(|extent| extent.checked_add(reach?));
    }
    let bytes = |elements: usize| elements.checked_mul(storage.kind.size);
    let start = storage.offset.checked_add(*offset).and_then(|start| usize::try_from(start).ok());
    let start = start.and_then(bytes);
    let end = start.and_then(|start| start.checked_add(extent.and_then(bytes)?));
    let fits = end.filter(|&end| end <= range.len());
    let (Some(start), Some(end)) = (start, fits) else {
        let (key, len) = (storage.key, range.len());
        return Err(format!(
            "shape {shape:?} at offset {offset} with strides {strides:?} leaves storage {key} of {len} bytes"
        ));
    };
    let strides = (!is_row_major(shape, strides)).then(|| strides.clone());
    Ok(Place { part, range: range.start + start..range.start + end, strides })
}

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        if size != 1 && stride != expected {
            return false;
        }
        expected *= size;
    }
    true
}
