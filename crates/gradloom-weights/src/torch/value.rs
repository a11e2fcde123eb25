//! What pickles are about: [`Value`]s, and the [`Object`]s that values name.
//!
//! Objects lie in one list and name each other by their place in it. So they may be shared and form
//! circles as pickles allow, and freeing them never recurses.

use crate::Stored;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than eight bytes, in two's complement.
    Long(&'a [u8]),
    Float(f64),
    Text(&'a str),
    Bytes,
    Object(Id),
}

/// The place of an object in the machine's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) u32);

/// What a value names.
#[derive(Clone, Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    /// Also sets.
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Global(Global<'a>),
    Storage(Storage<'a>),
    Tensor(Box<TensorRef<'a>>),
    /// A tensor whose elements are not simply a storage, and what kind it is.
    Unreadable(&'static str, Vec<usize>),
    /// An instance of a class that tensors do not need. It is never more than this description.
    Opaque {
        state: Option<Value<'a>>,
        items: Vec<(Value<'a>, Value<'a>)>,
    },
}

/// A function or a class by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Global<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
}

/// The bytes of one or several tensors.
#[derive(Clone, Debug)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) kind: Kind,
    /// Elements of the storage before this view of it begins.
    pub(super) offset: u64,
}

/// How a storage's elements are stored, and their size.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) stored: Stored,
    pub(super) size: usize,
}

/// A tensor that is a view of a storage; nothing of it is checked yet.
#[derive(Clone, Debug)]
pub(super) struct TensorRef<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl Kind {
    /// By the name of PyTorch's class of storages, `FloatStorage`.
    pub(super) fn of_storage(name: &str) -> Option<Kind> {
        let other = |name: &str, size| Some(Kind { stored: Stored::Other(name.to_owned()), size });
        let stored = match name.strip_suffix("Storage")? {
            "Float" => Stored::F32,
            "Double" => Stored::F64,
            "Half" => Stored::F16,
            "BFloat16" => Stored::BF16,
            "Char" => Stored::I8,
            "Short" => Stored::I16,
            "Int" => Stored::I32,
            "Long" => Stored::I64,
            "Byte" | "Untyped" => Stored::U8,
            "Bool" => Stored::Bool,
            "ComplexFloat" => return other("complex64", 8),
            "ComplexDouble" => return other("complex128", 16),
            "QInt8" => return other("qint8", 1),
            "QUInt8" => return other("quint8", 1),
            "QInt32" => return other("qint32", 4),
            "QUInt4x2" => return other("quint4x2", 1),
            "QUInt2x4" => return other("quint2x4", 1),
            _ => return None,
        };
        let size = stored.size()?;
        Some(Kind { stored, size })
    }

    /// By the name of PyTorch's dtype, `uint16`.
    pub(super) fn of_dtype(name: &str) -> Option<Kind> {
        let stored = match name {
            "float32" => Stored::F32,
            "float64" => Stored::F64,
            "float16" => Stored::F16,
            "bfloat16" => Stored::BF16,
            "int8" => Stored::I8,
            "int16" => Stored::I16,
            "int32" => Stored::I32,
            "int64" => Stored::I64,
            "uint8" => Stored::U8,
            "uint16" => Stored::U16,
            "uint32" => Stored::U32,
            "uint64" => Stored::U64,
            "bool" => Stored::Bool,
            _ if name.starts_with("float8_") => {
                return Some(Kind { stored: Stored::Other(name.to_owned()), size: 1 });
            }
            _ => return None,
        };
        let size = stored.size()?;
        Some(Kind { stored, size })
    }
}
