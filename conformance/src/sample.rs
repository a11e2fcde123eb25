//! [`Sample`]: the operands of one call, on a device.

use gradloom::{DType, Device, Operand, Shape, Tensor};

/// An operand or option.
#[derive(Clone, Debug)]
pub enum Value {
    /// Python's `None`, or not given.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A word, or how Python shows an object.
    Text(String),
    /// A dtype.
    Dtype(DType),
    /// A tensor.
    Tensor(Tensor),
    /// Several.
    List(Vec<Value>),
    /// Python's `start:stop:step`.
    Slice(Option<isize>, Option<isize>, Option<isize>),
    /// Python's `...`.
    Ellipsis,
}

/// The elements that a tensor should have.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its shape.
    pub shape: Shape,
    /// Its elements.
    pub values: Vec<f64>,
    /// Whether they are floats.
    pub float: bool,
}

/// A tensor that has a gradient.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The operand.
    pub tensor: Tensor,
    /// Its gradient.
    pub gradient: Expected,
    /// Its gradient of the second order, where PyTorch has one.
    pub second: Option<Expected>,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(crate) input: Value,
    pub(crate) args: Vec<Value>,
    pub(crate) kwargs: Vec<(String, Value)>,
    /// What it should give.
    pub outputs: Vec<Expected>,
    /// Tensors that have gradients, and those.
    pub leaves: Vec<Leaf>,
    /// Whether elements of the outputs are random numbers or memory without values.
    pub undetermined: bool,
    /// Where it is.
    pub device: Device,
    /// What floats are.
    pub dtype: DType,
}

/// Why a sample cannot be run, or has other options than the row knows.
pub type Skip = String;

impl Sample {
    /// The operand after the input at a position, or of a name.
    pub fn arg(&self, position: usize, name: &str) -> Value {
        let named = || self.kwargs.iter().find(|(own, _)| own == name).map(|(_, value)| value);
        self.args.get(position).or_else(named).cloned().unwrap_or(Value::None)
    }

    /// An option of a name alone.
    pub fn named(&self, name: &str) -> Value {
        self.arg(usize::MAX, name)
    }

    /// Fails if an option is given that is not among these.
    pub fn only(&self, positional: usize, names: &[&str]) -> Result<(), Skip> {
        let unknown = self
            .kwargs
            .iter()
            .find(|(name, value)| !names.contains(&name.as_str()) && !matches!(value, Value::None));
        match unknown {
            Some((name, _)) => Err(format!("option {name}")),
            None if self.args.len() > positional => Err(format!("{} operands", self.args.len())),
            None => Ok(()),
        }
    }

    /// The input.
    pub fn x(&self) -> Result<Tensor, Skip> {
        self.input.tensor()
    }

    /// The input, whatever it is.
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// The input and all operands after it, as tensors.
    pub fn tensors(&self) -> Result<Vec<Tensor>, Skip> {
        let mut tensors = self.input.tensors()?;
        for argument in &self.args {
            tensors.extend(argument.tensors()?);
        }
        Ok(tensors)
    }

    /// All operands after the input.
    pub fn args(&self) -> &[Value] {
        &self.args
    }

    /// A tensor among the operands.
    pub fn t(&self, position: usize, name: &str) -> Result<Tensor, Skip> {
        self.arg(position, name).tensor()
    }
}

impl Value {
    /// What it is, in words that fit a line whatever is in it.
    pub fn kind(&self) -> String {
        match self {
            Value::None => "nothing".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(_) => "a float".into(),
            Value::Text(text) => format!("{text:?}"),
            Value::Dtype(dtype) => dtype.to_string(),
            Value::Tensor(_) => "a tensor".into(),
            Value::List(_) => "a list".into(),
            Value::Slice(..) => "a slice".into(),
            Value::Ellipsis => "an ellipsis".into(),
        }
    }

    fn where_known(&self, what: &str) -> Skip {
        format!("{} where {what} is known", self.kind())
    }

    /// The tensor.
    pub fn tensor(&self) -> Result<Tensor, Skip> {
        match self {
            Value::Tensor(tensor) => Ok(tensor.clone()),
            other => Err(other.where_known("a tensor")),
        }
    }

    /// The tensor, if there is one.
    pub fn maybe_tensor(&self) -> Result<Option<Tensor>, Skip> {
        match self {
            Value::None => Ok(None),
            other => other.tensor().map(Some),
        }
    }

    /// A tensor or number.
    pub fn operand(&self) -> Result<Operand, Skip> {
        match self {
            Value::Tensor(tensor) => Ok(Operand::from(tensor)),
            Value::Int(value) => Ok(Operand::from(*value)),
            Value::Float(value) => Ok(Operand::from(*value)),
            Value::Bool(value) => Ok(Operand::from(*value)),
            other => Err(other.where_known("an operand")),
        }
    }

    /// The number.
    pub fn float(&self) -> Result<f64, Skip> {
        match self {
            Value::Int(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            Value::Bool(value) => Ok(f64::from(u8::from(*value))),
            other => Err(other.where_known("a number")),
        }
    }

    /// The number, or another if there is none.
    pub fn float_or(&self, other: f64) -> Result<f64, Skip> {
        if matches!(self, Value::None) { Ok(other) } else { self.float() }
    }

    /// The integer.
    pub fn int(&self) -> Result<isize, Skip> {
        match self {
            Value::Int(value) => Ok(*value as isize),
            Value::Bool(value) => Ok(isize::from(*value)),
            other => Err(other.where_known("an integer")),
        }
    }

    /// The integer, or another if there is none.
    pub fn int_or(&self, other: isize) -> Result<isize, Skip> {
        if matches!(self, Value::None) { Ok(other) } else { self.int() }
    }

    /// The truth value, or another if there is none.
    pub fn bool_or(&self, other: bool) -> Result<bool, Skip> {
        match self {
            Value::None => Ok(other),
            Value::Bool(value) => Ok(*value),
            other => Err(other.where_known("a truth value")),
        }
    }

    /// The word, or another if there is none.
    pub fn text_or(&self, other: &str) -> Result<String, Skip> {
        match self {
            Value::None => Ok(other.to_owned()),
            Value::Text(text) => Ok(text.clone()),
            other => Err(other.where_known("a word")),
        }
    }

    /// One integer or several.
    pub fn ints(&self) -> Result<Vec<isize>, Skip> {
        match self {
            Value::List(list) => list.iter().map(Value::int).collect(),
            other => Ok(vec![other.int()?]),
        }
    }

    /// Sizes.
    pub fn sizes(&self) -> Result<Vec<usize>, Skip> {
        let sizes = self.ints()?;
        sizes.into_iter().map(|n| usize::try_from(n).map_err(|_| format!("size {n}"))).collect()
    }

    /// Several tensors.
    pub fn tensors(&self) -> Result<Vec<Tensor>, Skip> {
        match self {
            Value::List(list) => list.iter().map(Value::tensor).collect(),
            other => Ok(vec![other.tensor()?]),
        }
    }
}
