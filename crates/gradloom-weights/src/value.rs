//! [`Value`]: what files say beside their tensors, with the types that GGUF distinguishes.

macro_rules! values {
    ($($(#[$doc:meta])* $variant:ident($rust:ty)),* $(,)?) => {
        /// One entry of a file's metadata.
        ///
        /// safetensors has texts only, PyTorch checkpoints texts, integers, floats and truth values.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Value {
            $($(#[$doc])* $variant($rust),)*
            /// Values of one type.
            Array(Array),
        }

        /// Values of one type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Array {
            $($(#[$doc])* $variant(Vec<$rust>),)*
            /// Arrays, which may differ in their types.
            Array(Vec<Array>),
        }

        impl Array {
            /// Number of values.
            pub fn len(&self) -> usize {
                match self {
                    $(Array::$variant(values) => values.len(),)*
                    Array::Array(arrays) => arrays.len(),
                }
            }

            /// One of the values.
            pub fn get(&self, index: usize) -> Option<Value> {
                match self {
                    $(Array::$variant(values) => values.get(index).cloned().map(Value::$variant),)*
                    Array::Array(arrays) => arrays.get(index).cloned().map(Value::Array),
                }
            }
        }

        impl Value {
            /// An array of only this value.
            pub(crate) fn alone(&self) -> Array {
                match self {
                    $(Value::$variant(value) => Array::$variant(vec![value.clone()]),)*
                    Value::Array(array) => Array::Array(vec![array.clone()]),
                }
            }
        }

        $(impl From<$rust> for Value {
            fn from(value: $rust) -> Self {
                Value::$variant(value)
            }
        }

        impl From<Vec<$rust>> for Value {
            fn from(values: Vec<$rust>) -> Self {
                Value::Array(Array::$variant(values))
            }
        })*
    };
}

values! {
    /// Byte.
    U8(u8),
    /// Signed byte.
    I8(i8),
    /// 16 bits, unsigned.
    U16(u16),
    /// 16 bits, signed.
    I16(i16),
    /// 32 bits, unsigned.
    U32(u32),
    /// 32 bits, signed.
    I32(i32),
    /// 64 bits, unsigned.
    U64(u64),
    /// 64 bits, signed.
    I64(i64),
    /// 32-bit float.
    F32(f32),
    /// 64-bit float.
    F64(f64),
    /// Truth value.
    Bool(bool),
    /// Text.
    String(String),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl Value {
    /// An integer of any width that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Value::U8(value) => Some(value.into()),
            Value::I8(value) => Some(value.into()),
            Value::U16(value) => Some(value.into()),
            Value::I16(value) => Some(value.into()),
            Value::U32(value) => Some(value.into()),
            Value::I32(value) => Some(value.into()),
            Value::U64(value) => value.try_into().ok(),
            Value::I64(value) => Some(value),
            Value::F32(_) | Value::F64(_) | Value::Bool(_) => None,
            Value::String(_) | Value::Array(_) => None,
        }
    }

    /// An integer of any width that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U64(value) => Some(value),
            _ => self.as_i64()?.try_into().ok(),
        }
    }

    /// A float, or an integer as one.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::F32(value) => Some(value.into()),
            Value::F64(value) => Some(value),
            Value::U64(value) => Some(value as f64),
            _ => self.as_i64().map(|value| value as f64),
        }
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// An array.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// An array of texts.
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Value::Array(Array::String(texts)) => Some(texts),
            _ => None,
        }
    }
}

impl Array {
    /// True without values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, if they are integers that fit.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        (0..self.len()).map(|index| self.get(index)?.as_i64()).collect()
    }

    /// The values, if they are numbers.
    pub fn to_f64s(&self) -> Option<Vec<f64>> {
        (0..self.len()).map(|index| self.get(index)?.as_f64()).collect()
    }
}
