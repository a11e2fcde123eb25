//! The few functions and classes that tensors in pickles need, as notes on the machine.

use super::machine::Machine;
use super::value::{Global, Kind, Object, Storage, TensorRef, Value};

/// The largest number of axes that is noted; tensors can have fewer.
const AXES_MAX: usize = 64;

impl<'a> Machine<'a> {
    /// What a call gives.
    pub(super) fn call(
        &mut self,
        callable: Value<'a>,
        arguments: Value<'a>,
    ) -> Result<Value<'a>, String> {
        let arguments = match self.object(arguments) {
            Some(Object::Tuple(items)) => items.clone(),
            _ => return Err("arguments are no tuple".to_owned()),
        };
        // A tuple may be used many times, and each copies it.
        self.spend(arguments.len())?;
        let Some(&Object::Global(global)) = self.object(callable) else {
            return Ok(self.opaque());
        };
        self.rebuild(global, &arguments)
    }

    fn rebuild(
        &mut self,
        global: Global<'a>,
        arguments: &[Value<'a>],
    ) -> Result<Value<'a>, String> {
        let argument = |index: usize| arguments.get(index).copied().unwrap_or(Value::None);
        match (global.module, global.name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
                self.tensor(arguments, None)
            }
            ("torch._utils", "_rebuild_tensor_v3") => {
                let kind = match self.object(argument(6)) {
                    Some(Object::Global(Global { module: "torch", name })) => Kind::of_dtype(name),
                    _ => None,
                };
                let kind = kind.ok_or("the dtype of a tensor is unknown")?;
                self.tensor(arguments, Some(kind))
            }
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Ok(argument(0))
            }
            ("torch._tensor", "_rebuild_from_type" | "_rebuild_from_type_v2") => {
                // The function that makes the plain tensor, a subclass, and the arguments.
                let inner = match (self.object(argument(0)), self.object(argument(2))) {
                    (Some(&Object::Global(inner)), Some(Object::Tuple(arguments)))
                        if inner.module == "torch._utils" =>
                    {
                        (inner, arguments.clone())
                    }
                    _ => return self.unreadable("tensor of an unknown class", Value::None),
                };
                self.spend(inner.1.len())?;
                self.rebuild(inner.0, &inner.1)
            }
            ("torch._utils", "_rebuild_sparse_tensor") => self.sparse(arguments),
            ("torch._utils", "_rebuild_sparse_csr_tensor") => self.sparse(arguments),
            ("torch._utils", "_rebuild_qtensor") => self.unreadable("quantized", argument(2)),
            ("torch._utils", "_rebuild_meta_tensor_no_storage") => {
                self.unreadable("meta", argument(1))
            }
            // A tensor on a device without storages: its copy on the host comes first.
            ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor") => Ok(argument(0)),
            ("torch._utils", "_rebuild_nested_tensor") => self.unreadable("nested", Value::None),
            ("torch._utils" | "torch._tensor", name) if name.starts_with("_rebuild_") => {
                self.unreadable("tensor of an unknown class", Value::None)
            }
            ("torch", "Size") => Ok(argument(0)),
            ("collections", "OrderedDict" | "defaultdict" | "Counter")
            | ("builtins" | "__builtin__", "dict") => self.dict(arguments),
            _ => Ok(self.opaque()),
        }
    }

    /// `(layout, (.., size, ..))`: the size is the last tuple of numbers.
    fn sparse(&mut self, arguments: &[Value<'a>]) -> Result<Value<'a>, String> {
        let parts = match arguments.get(1).and_then(|&parts| self.object(parts)) {
            Some(Object::Tuple(parts)) => parts.clone(),
            _ => Vec::new(),
        };
        self.spend(parts.len())?;
        let mut sizes = parts
            .into_iter()
            .filter(|&part| matches!(self.object(part), Some(Object::Tuple(_) | Object::List(_))));
        let size = sizes.next_back().unwrap_or(Value::None);
        self.unreadable("sparse", size)
    }

    /// A tensor that is listed but cannot be read; its shape as far as it is known.
    fn unreadable(&mut self, kind: &'static str, size: Value<'a>) -> Result<Value<'a>, String> {
        let shape = self.sizes(size).unwrap_or_default();
        Ok(self.add(Object::Unreadable(kind, shape)))
    }

    fn opaque(&mut self) -> Value<'a> {
        self.add(Object::Opaque { state: None, items: Vec::new() })
    }

    /// A dict, empty or of a list of pairs.
    fn dict(&mut self, arguments: &[Value<'a>]) -> Result<Value<'a>, String> {
        let listed = arguments.iter().find_map(|&argument| match self.object(argument) {
            Some(Object::List(items)) => Some(items.clone()),
            _ => None,
        });
        let listed = listed.unwrap_or_default();
        self.spend(listed.len())?;
        let pair = |&item: &Value<'a>| match self.object(item) {
            Some(Object::List(pair) | Object::Tuple(pair)) => match pair[..] {
                [key, value] => Some((key, value)),
                _ => None,
            },
            _ => None,
        };
        let pairs: Option<Vec<_>> = listed.iter().map(pair).collect();
        let pairs = pairs.ok_or("a dict is made of what are no pairs")?;
        Ok(self.add(Object::Dict(pairs)))
    }

    /// `(storage, offset, shape, strides, ...)`, with the storage's elements seen as `kind`.
    fn tensor(&mut self, arguments: &[Value<'a>], kind: Option<Kind>) -> Result<Value<'a>, String> {
        let [storage, offset, shape, strides, ..] = *arguments else {
            return Err("a tensor lacks arguments".to_owned());
        };
        let Some(Object::Storage(storage)) = self.object(storage) else {
            return Err("a tensor lies in no storage".to_owned());
        };
        let mut storage = storage.clone();
        storage.kind = kind.unwrap_or(storage.kind);
        let Value::Int(offset @ 0..) = offset else {
            return Err("the offset of a tensor is no count".to_owned());
        };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        if shape.len() != strides.len() {
            return Err(format!("a tensor of shape {shape:?} has strides {strides:?}"));
        }
        let tensor = TensorRef { storage, offset: offset as u64, shape, strides };
        Ok(self.add(Object::Tensor(Box::new(tensor))))
    }

    fn sizes(&self, value: Value<'a>) -> Result<Vec<usize>, String> {
        let Some(Object::Tuple(items) | Object::List(items)) = self.object(value) else {
            return Err("the shape of a tensor is no tuple".to_owned());
        };
        if items.len() > AXES_MAX {
            return Err(format!("{} axes are absurd", items.len()));
        }
        let size = |item: &Value<'a>| match *item {
            Value::Int(size) => usize::try_from(size).ok(),
            _ => None,
        };
        let sizes: Option<Vec<usize>> = items.iter().map(size).collect();
        sizes.ok_or_else(|| "the sizes of a tensor are no counts".to_owned())
    }

    /// What an identifier from outside the pickle names: a storage, or in old files a class.
    pub(super) fn persistent(&mut self, id: Value<'a>) -> Result<Value<'a>, String> {
        let Some(Object::Tuple(items)) = self.object(id) else {
            return Err("a persistent identifier is no tuple".to_owned());
        };
        match items[..] {
            [Value::Text("storage"), class, Value::Text(key), _location, _count, ref view @ ..] => {
                let Some(Object::Global(class)) = self.object(class) else {
                    return Err("a storage has no class".to_owned());
                };
                let kind = Kind::of_storage(class.name)
                    .ok_or_else(|| format!("storages of class {} are unknown", class.name))?;
                let offset = self.view_offset(view)?;
                Ok(self.add(Object::Storage(Storage { key, kind, offset })))
            }
            [Value::Text("module"), class, ..] => Ok(class),
            _ => Err("a persistent identifier names no storage".to_owned()),
        }
    }

    /// Old files know storages that are views of others: `(key, offset, size)`.
    fn view_offset(&self, view: &[Value<'a>]) -> Result<u64, String> {
        match view {
            [] | [Value::None] => Ok(0),
            [view] => match self.object(*view) {
                Some(Object::Tuple(items)) => match items[..] {
                    [_, Value::Int(offset @ 0..), _] => Ok(offset as u64),
                    _ => Err("the view of a storage is damaged".to_owned()),
                },
                _ => Err("the view of a storage is damaged".to_owned()),
            },
            _ => Err("the view of a storage is damaged".to_owned()),
        }
    }
}
