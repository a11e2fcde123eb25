//! [`Sample`]: the operands of one call, on a device.

use gradloom::{DType, Device, Operand, Shape, Tensor};
use serde_json::Value as Json;

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
    input: Value,
    args: Vec<Value>,
    kwargs: Vec<(String, Value)>,
    /// What it should give.
    pub outputs: Vec<Expected>,
    /// Tensors that have gradients, and those.
    pub leaves: Vec<Leaf>,
    /// Whether elements of the outputs are random numbers or memory without values.
    pub undetermined: bool,
    /// Where it is.
    pub device: Device,
}

/// Why a sample cannot be run, or has other options than the row knows.
pub type Skip = String;

impl Sample {
    /// Reads a sample; i64 becomes i32 on devices without it.
    ///
    /// # Errors
    /// What is in it that no row knows.
    pub fn new(json: &Json, device: &Device, dtype: DType) -> Result<Sample, Skip> {
        let mut reader = Reader { device, dtype, leaves: Vec::new() };
        let input = reader.value(&json["input"])?;
        let args = reader.list(&json["args"])?;
        let mut kwargs = Vec::new();
        for (name, value) in json["kwargs"].as_object().into_iter().flatten() {
            kwargs.push((name.clone(), reader.value(value)?));
        }
        let outputs = json["outputs"].as_array().ok_or("no outputs")?;
        let outputs = outputs.iter().map(expected).collect::<Result<Vec<_>, _>>()?;
        let leaves = reader.leaves;
        let undetermined = json["undetermined"].as_bool().unwrap_or(false);
        Ok(Sample { input, args, kwargs, outputs, leaves, undetermined, device: device.clone() })
    }

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

struct Reader<'a> {
    device: &'a Device,
    /// In place of f32.
    dtype: DType,
    leaves: Vec<Leaf>,
}

impl Reader<'_> {
    fn list(&mut self, json: &Json) -> Result<Vec<Value>, Skip> {
        json.as_array().into_iter().flatten().map(|item| self.value(item)).collect()
    }

    fn value(&mut self, json: &Json) -> Result<Value, Skip> {
        Ok(match json {
            Json::Null => Value::None,
            Json::Bool(value) => Value::Bool(*value),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(_) => Value::List(self.list(json)?),
            Json::Number(number) => return Err(format!("a bare number {number}")),
            Json::Object(object) => {
                if let Some(value) = object.get("int") {
                    Value::Int(value.as_i64().ok_or("an integer beyond 64 bits")?)
                } else if let Some(text) = object.get("float") {
                    Value::Float(parse_float(text.as_str().unwrap_or_default())?)
                } else if let Some(name) = object.get("dtype") {
                    Value::Dtype(self.dtype(name.as_str().unwrap_or_default())?)
                } else if let Some(bounds) = object.get("slice") {
                    let bounds = self.list(bounds)?;
                    let bound = |at: usize| match bounds.get(at) {
                        None | Some(Value::None) => Ok(None),
                        Some(value) => value.int().map(Some),
                    };
                    Value::Slice(bound(0)?, bound(1)?, bound(2)?)
                } else if let Some(text) = object.get("object") {
                    Value::Text(text.as_str().unwrap_or_default().to_owned())
                } else if object.contains_key("ellipsis") {
                    Value::Ellipsis
                } else if object.contains_key("tensor") {
                    Value::Tensor(self.tensor(json)?)
                } else {
                    return Err(format!("operands {:?}", object.keys().collect::<Vec<_>>()));
                }
            }
        })
    }

    fn tensor(&mut self, json: &Json) -> Result<Tensor, Skip> {
        let (found, name) = (expected(json)?, json["tensor"].as_str().unwrap_or_default());
        let wanted = self.dtype(name)?;
        let held = match wanted {
            DType::I64 if !self.device.capabilities().i64 => DType::I32,
            other => other,
        };
        let failed = |error: gradloom::Error| error.to_string();
        let (values, shape, device) = (found.values, found.shape, self.device);
        let tensor = match held {
            DType::I64 => {
                let values = values.iter().map(|&value| value as i64).collect();
                Tensor::from_vec(values, shape, device).map_err(failed)?
            }
            // The text is the shortest that is exact in f32.
            DType::F64 => {
                let values = values.iter().map(|&value| f64::from(value as f32)).collect();
                Tensor::from_vec(values, shape, device).map_err(failed)?
            }
            DType::F32 | DType::F16 | DType::BF16 => {
                let values = values.iter().map(|&value| value as f32).collect();
                Tensor::from_vec(values, shape, device).map_err(failed)?.cast(held)
            }
            _ => {
                let values = values.iter().map(|&value| value as i32).collect();
                Tensor::from_vec(values, shape, device).map_err(failed)?.cast(held)
            }
        };
        let gradient = |name: &str| -> Result<Option<Expected>, Skip> {
            let values = json.get(name).map(numbers).transpose()?;
            Ok(values.map(|values| Expected { shape, values, float: true }))
        };
        if let Some(first) = gradient("gradient")? {
            let second = gradient("second")?;
            self.leaves.push(Leaf { tensor: tensor.clone(), gradient: first, second });
        }
        Ok(tensor)
    }

    /// Floats are of the dtype of the run.
    fn dtype(&self, name: &str) -> Result<DType, Skip> {
        Ok(match dtype(name)? {
            DType::F32 | DType::F64 => self.dtype,
            other => other,
        })
    }
}

/// What a tensor, or a number in its place, should be.
fn expected(json: &Json) -> Result<Expected, Skip> {
    let scalar =
        |value: f64, float| Expected { shape: Shape::new(&[]), values: vec![value], float };
    if let Some(value) = json.as_bool() {
        return Ok(scalar(f64::from(u8::from(value)), false));
    }
    if let Some(value) = json["int"].as_i64() {
        return Ok(scalar(value as f64, false));
    }
    if let Some(text) = json["float"].as_str() {
        return Ok(scalar(parse_float(text)?, true));
    }
    if let Some(list) = json.as_array() {
        let values = list.iter().map(|item| item["int"].as_i64().map(|value| value as f64));
        let values: Vec<f64> = values.collect::<Option<_>>().ok_or("a list of no integers")?;
        return Ok(Expected { shape: Shape::new(&[values.len()]), values, float: false });
    }
    let sizes = json["shape"].as_array().ok_or("an output that is no tensor")?;
    let sizes: Vec<usize> =
        sizes.iter().map(|size| size.as_u64().unwrap_or_default() as usize).collect();
    if sizes.len() > gradloom::RANK_MAX {
        return Err(format!("{} axes", sizes.len()));
    }
    let name = json["tensor"].as_str().unwrap_or_default();
    let float = dtype(name)?.is_float();
    Ok(Expected { shape: Shape::new(&sizes), values: numbers(&json["data"])?, float })
}

fn numbers(json: &Json) -> Result<Vec<f64>, Skip> {
    let number = |item: &Json| match item {
        Json::String(text) => parse_float(text),
        other => other.as_f64().ok_or_else(|| format!("{other} in place of a number")),
    };
    json.as_array().into_iter().flatten().map(number).collect()
}

fn parse_float(text: &str) -> Result<f64, Skip> {
    text.parse().map_err(|_| format!("{text:?} in place of a number"))
}

fn dtype(name: &str) -> Result<DType, Skip> {
    Ok(match name {
        "f32" => DType::F32,
        "f64" => DType::F64,
        "f16" => DType::F16,
        "bf16" => DType::BF16,
        "i64" => DType::I64,
        "i32" => DType::I32,
        "i8" => DType::I8,
        "u8" => DType::U8,
        "bool" => DType::Bool,
        other => return Err(format!("dtype {other}")),
    })
}
