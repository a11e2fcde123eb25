//! Tensors that are made: numbers at distances, random and unwritten ones, other dtypes, complex numbers.

use gradloom::fft::Complex;
use gradloom::{DType, Key, Shape, Tensor};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

const KEY: Key = Key::from_words([7, 7]);

/// The dtype that is asked for, f64 being computed in f32.
fn wanted(s: &Sample, otherwise: DType) -> Result<DType, Skip> {
    match s.named("dtype") {
        Value::None => Ok(otherwise),
        Value::Dtype(dtype) => Ok(held(dtype)),
        other => Err(format!("dtype {other:?}")),
    }
}

fn held(dtype: DType) -> DType {
    if dtype == DType::F64 { DType::F32 } else { dtype }
}

/// Integers here are 32 bits wide.
fn arange(s: &Sample) -> Result<Tensor, Skip> {
    let (start, end, step) = match (s.input(), s.args()) {
        (start, []) => match s.named("end") {
            Value::None => (Value::Int(0), start.clone(), s.named("step")),
            end => (start.clone(), end, s.named("step")),
        },
        (start, [end]) => (start.clone(), end.clone(), s.named("step")),
        (start, [end, step, ..]) => (start.clone(), end.clone(), step.clone()),
    };
    let step = if matches!(step, Value::None) { Value::Int(1) } else { step };
    let whole = [&start, &end, &step].iter().all(|value| matches!(value, Value::Int(_)));
    let dtype = wanted(s, if whole { DType::I32 } else { DType::F32 })?;
    Ok(Tensor::arange_range(start.float()?, end.float()?, step.float()?, dtype, &s.device))
}

/// A number, or a tensor of one, as a tensor.
fn end(s: &Sample, value: &Value) -> Result<Tensor, Skip> {
    match value {
        Value::Tensor(tensor) => Ok(tensor.clone()),
        // What PyTorch computes in f64 begins with the number itself.
        number => Ok(Tensor::scalar(number.float()?, s.dtype.compute(), &s.device)),
    }
}

fn between(s: &Sample, base: Option<f64>) -> Result<Tensor, Skip> {
    let (start, last) = (s.input().clone(), s.arg(0, "end"));
    let count = s.arg(1, "steps").int()? as usize;
    let tensors = [&start, &last].iter().any(|value| matches!(value, Value::Tensor(_)));
    Ok(match (tensors, base) {
        (true, None) => Tensor::linspace_between(&end(s, &start)?, &end(s, &last)?, count),
        (true, Some(base)) => {
            Tensor::logspace_between(&end(s, &start)?, &end(s, &last)?, count, base)
        }
        (false, None) => {
            Tensor::linspace(start.float()?, last.float()?, count, DType::F32, &s.device)
        }
        (false, Some(base)) => {
            Tensor::logspace(start.float()?, last.float()?, count, base, DType::F32, &s.device)
        }
    })
}

fn base(s: &Sample) -> Result<Option<f64>, Skip> {
    s.arg(2, "base").float_or(10.0).map(Some)
}

/// Sizes, given as the input or, where that is a tensor, after it.
fn unwritten(s: &Sample) -> Result<Tensor, Skip> {
    let (sizes, dtype) = match s.input() {
        Value::Tensor(x) => (s.arg(0, "size").sizes()?, x.dtype()),
        sizes => (sizes.sizes()?, DType::F32),
    };
    Ok(Tensor::empty(Shape::new(&sizes), wanted(s, dtype)?, &s.device))
}

/// The input in the dtype that is asked for.
fn template(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let dtype = wanted(s, x.dtype())?;
    Ok(Tensor::zeros(*x.shape(), dtype, &s.device))
}

/// The bounds of random integers: one, or two.
fn bounds(low: &Value, high: &Value) -> Result<(i32, i32), Skip> {
    Ok(match high {
        Value::Int(high) => (low.int()? as i32, *high as i32),
        _ => (0, low.int()? as i32),
    })
}

fn random_integers(s: &Sample) -> Result<Tensor, Skip> {
    let ((low, high), sizes) = match s.args() {
        [Value::List(_)] => (bounds(s.input(), &Value::None)?, s.args()[0].sizes()?),
        [high, sizes, ..] => (bounds(s.input(), high)?, sizes.sizes()?),
        _ => return Err("no sizes".into()),
    };
    let drawn = Tensor::randint(KEY, Shape::new(&sizes), low, high, &s.device);
    Ok(drawn.cast(wanted(s, DType::I32)?))
}

/// Numbers of a distribution with two parameters in the shape of the input.
fn filled(
    s: &Sample,
    defaults: [f64; 2],
    of: impl Fn(Shape, f64, f64) -> Tensor,
) -> Result<Tensor, Skip> {
    let parameter = |place: usize| match s.args().get(place) {
        Some(value) => value.float(),
        None => Ok(defaults[place]),
    };
    Ok(of(*s.x()?.shape(), parameter(0)?, parameter(1)?))
}

/// Normal numbers whose mean or deviation is a tensor.
fn normal(s: &Sample) -> Result<Tensor, Skip> {
    let (mean, std) = (s.input().clone(), s.arg(0, "std"));
    let like = |value: &Value, other: &Value| -> Result<Tensor, Skip> {
        match (value, other) {
            (Value::Tensor(tensor), _) => Ok(tensor.clone()),
            (number, Value::Tensor(other)) => Ok(other.full_like(number.float()?)),
            (Value::None, _) => Ok(Tensor::scalar(1.0, DType::F32, &s.device)),
            (number, _) => Ok(Tensor::scalar(number.float()?, DType::F32, &s.device)),
        }
    };
    if let Value::List(_) = s.arg(1, "size") {
        let sizes = s.arg(1, "size").sizes()?;
        return Ok(Tensor::normal(KEY, Shape::new(&sizes), mean.float()?, std.float()?, &s.device));
    }
    let (mean, std) = (like(&mean, &std)?, like(&std, &mean)?);
    Ok(Tensor::normal_of(KEY, &mean, &std))
}

/// The dtype among operands of any kind.
fn converted(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let others = [s.named("dtype"), s.named("other")];
    for value in s.args().iter().chain(&others) {
        match value {
            Value::Dtype(dtype) => return Ok(x.cast(held(*dtype))),
            Value::Tensor(like) => return Ok(x.cast(like.dtype())),
            _ => {}
        }
    }
    Ok(x)
}

fn pairs(z: Complex) -> Tensor {
    z.pairs().clone()
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "arange" => |s| arange(s)?;
        "linspace" => |s| between(s, None)?;
        "linspace.tensor_overload" => |s| between(s, None)?;
        "logspace" => |s| between(s, base(s)?)?;
        "logspace.tensor_overload" => |s| between(s, base(s)?)?;
        "scalar_tensor" => |s| Tensor::scalar(s.input().float()?, wanted(s, DType::F32)?, &s.device);
        "empty" => |s| unwritten(s)?;
        "empty_strided" => |s| unwritten(s)?;
        "empty_permuted" => |s| unwritten(s)?;
        "new_empty" => |s| unwritten(s)?;
        "new_empty_strided" => |s| unwritten(s)?;
        "empty_like" => |s| template(s)?.empty_like();

        "rand_like" => |s| template(s)?.rand_like(KEY);
        "randn_like" => |s| template(s)?.randn_like(KEY);
        "randint_like" => |s| {
            let (low, high) = match s.args() {
                [high] => bounds(high, &Value::None)?,
                [low, high, ..] => bounds(low, high)?,
                [] => bounds(&s.named("high"), &Value::None)?,
            };
            template(s)?.randint_like(KEY, low, high)
        };
        "randint" => |s| random_integers(s)?;
        "randn" => |s| Tensor::normal(KEY, Shape::new(&s.input().sizes()?), 0.0, 1.0, &s.device);
        "normal" => |s| normal(s)?;
        "normal.number_mean" => |s| normal(s)?;
        "normal.in_place" => |s| {
            filled(s, [0.0, 1.0], |shape, mean, std| Tensor::normal(KEY, shape, mean, std, &s.device))?
        };
        "log_normal" => |s| {
            filled(s, [1.0, 2.0], |shape, mean, std| {
                Tensor::log_normal(KEY, shape, mean, std, &s.device)
            })?
        };
        "uniform" => |s| {
            filled(s, [0.0, 1.0], |shape, low, high| Tensor::uniform(KEY, shape, low, high, &s.device))?
        };
        "cauchy" => |s| {
            filled(s, [0.0, 1.0], |shape, median, scale| {
                Tensor::cauchy(KEY, shape, median, scale, &s.device)
            })?
        };
        "exponential" => |s| {
            filled(s, [1.0, 0.0], |shape, rate, _| Tensor::exponential(KEY, shape, rate, &s.device))?
        };
        "geometric" => |s| {
            filled(s, [0.5, 0.0], |shape, p, _| Tensor::geometric(KEY, shape, p, &s.device))?
        };
        "bernoulli" => |s| { let x = s.x()?; x.bernoulli_of(KEY).cast(x.dtype()) };
        "multinomial" => |s| {
            s.only(2, &["num_samples", "replacement", "generator"])?;
            let count = s.arg(0, "num_samples").int()? as usize;
            s.x()?.multinomial(KEY, count, s.arg(1, "replacement").bool_or(false)?)
        };

        "double" => |s| s.x()?.cast(DType::F32);
        "to" => |s| converted(s)?;
        "complex" => |s| pairs(Complex::new(&s.x()?, &s.t(0, "imag")?));
        "polar" => |s| pairs(Complex::polar(&s.x()?, &s.t(0, "angle")?));
        "view_as_complex" => |s| pairs(Complex::from_pairs(s.x()?));
        "cfloat" => |s| pairs(Complex::from(&s.x()?));
        "cdouble" => |s| pairs(Complex::from(&s.x()?));
        "chalf" => |s| pairs(Complex::from(&s.x()?.cast(DType::F16)));
    }
    .to_vec()
}
