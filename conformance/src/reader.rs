//! Samples from their JSON.

use gradloom::{DType, Device, Shape, Tensor};
use serde_json::Value as Json;

use crate::sample::{Expected, Leaf, Sample, Skip, Value};

impl Sample {
    /// Reads a sample; i64 becomes i32 on devices without it.
    ///
    /// # Errors
    /// What is in it that no row knows.
    pub fn new(json: &Json, device: &Device, dtype: DType) -> Result<Sample, Skip> {
        let mut reader = Reader::new(device, dtype);
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
        Ok(Sample {
            input,
            args,
            kwargs,
            outputs,
            leaves,
            undetermined,
            device: device.clone(),
            dtype,
        })
    }
}

/// Makes operands on a device.
struct Reader<'a> {
    device: &'a Device,
    /// In place of f32.
    dtype: DType,
    /// Those that have gradients, so far.
    leaves: Vec<Leaf>,
}

impl<'a> Reader<'a> {
    fn new(device: &'a Device, dtype: DType) -> Self {
        Reader { device, dtype, leaves: Vec::new() }
    }

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
            DType::F64 if name == "f64" => {
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
