//! Running a case: values and gradients against the reference backend, and derivatives against finite
//! differences.

use gradloom_autodiff::{grad, vjp};
use gradloom_tensor::{DType, Device, Tensor};

use crate::case::{Case, Layout};
use crate::reference;

/// What a check found wrong, for an assertion's message.
pub type Outcome = Result<(), String>;

/// All elements as f64; those of i64 beyond 2^53 are rounded.
///
/// # Errors
/// What the backend reports.
pub fn elements(tensor: &Tensor) -> Result<Vec<f64>, String> {
    let text = |error: gradloom_tensor::Error| error.to_string();
    Ok(match tensor.dtype() {
        DType::F64 => tensor.to_vec::<f64>().map_err(text)?,
        DType::F32 => tensor.to_vec::<f32>().map_err(text)?.into_iter().map(f64::from).collect(),
        DType::F16 => {
            tensor.to_vec::<half::f16>().map_err(text)?.into_iter().map(f64::from).collect()
        }
        DType::BF16 => {
            tensor.to_vec::<half::bf16>().map_err(text)?.into_iter().map(f64::from).collect()
        }
        DType::I32 => tensor.to_vec::<i32>().map_err(text)?.into_iter().map(f64::from).collect(),
        DType::I64 => {
            tensor.to_vec::<i64>().map_err(text)?.into_iter().map(|value| value as f64).collect()
        }
        DType::I8 => tensor.to_vec::<i8>().map_err(text)?.into_iter().map(f64::from).collect(),
        DType::U32 => tensor.to_vec::<u32>().map_err(text)?.into_iter().map(f64::from).collect(),
        DType::U8 => tensor.to_vec::<u8>().map_err(text)?.into_iter().map(f64::from).collect(),
        DType::Bool => {
            let values = tensor.to_vec::<bool>().map_err(text)?;
            values.into_iter().map(|value| f64::from(u8::from(value))).collect()
        }
    })
}

/// Compares elements: each within `tolerance` of the expected one, relative to its size and to the
/// root mean square of all.
///
/// # Errors
/// The worst element.
pub fn close(what: &str, actual: &[f64], expected: &[f64], tolerance: f64) -> Outcome {
    if actual.len() != expected.len() {
        return Err(format!("{what}: {} elements, expected {}", actual.len(), expected.len()));
    }
    let finite: Vec<f64> = expected.iter().copied().filter(|value| value.is_finite()).collect();
    let square: f64 = finite.iter().map(|value| value * value).sum();
    let scale = (square / finite.len().max(1) as f64).sqrt().min(1e30);
    for (index, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let same = if e.is_finite() {
            (a - e).abs() <= tolerance * (e.abs() + scale + 1e-3)
        } else {
            a == e || (a.is_nan() && e.is_nan())
        };
        if !same {
            return Err(format!(
                "{what}: element {index} is {a}, expected {e} (scale {scale:.3e})"
            ));
        }
    }
    Ok(())
}

/// The case's value on a device, in every layout, against the reference.
///
/// # Errors
/// What differs.
pub fn value(case: &Case, device: &Device, float: DType) -> Outcome {
    if case.wide && !device.capabilities().i64 {
        return Ok(());
    }
    for layout in Layout::ALL {
        let (expected, _) = run(case, &reference::device(), float, layout)?;
        let (actual, dtype) = run(case, device, float, layout)?;
        let what = format!("{} ({layout:?}, {float})", case.name);
        let float = if dtype.is_float() { dtype } else { float };
        let mut tolerance = tolerance(case, float);
        if device.capabilities().host {
            tolerance = tolerance.max(case.cpu_tolerance.unwrap_or(0.0));
        }
        close(&what, &actual, &expected, tolerance)?;
    }
    Ok(())
}

pub(crate) fn tolerance(case: &Case, float: DType) -> f64 {
    match float {
        DType::F16 => 4e-3_f64.max(case.tolerance),
        DType::BF16 => 3e-2_f64.max(case.tolerance),
        DType::F64 => 1e-10,
        _ => case.tolerance,
    }
}

/// The case's value and its dtype.
fn run(
    case: &Case,
    device: &Device,
    float: DType,
    layout: Layout,
) -> Result<(Vec<f64>, DType), String> {
    let operands =
        case.tensors(device, float, layout).map_err(|error| format!("{}: {error}", case.name))?;
    let value = (case.function)(&operands);
    let elements = elements(&value).map_err(|error| format!("{}: {error}", case.name))?;
    Ok((elements, value.dtype()))
}

/// A fixed random weighting of the value, so that every element matters to the scalar.
fn weighted(case: &Case, operands: &[Tensor], float: DType) -> Result<Tensor, String> {
    let value = (case.function)(operands);
    let weights = direction(&value, 1001, float)?;
    Ok((value * weights).sum(..))
}

/// A fixed random tensor of another's shape, between -1 and 1.
pub(crate) fn direction(like: &Tensor, number: u32, float: DType) -> Result<Tensor, String> {
    let operand = crate::case::Operand { shape: *like.shape(), kind: crate::case::Draw::Unit };
    crate::case::tensor(&operand.values(number), *like.shape(), float, like.device())
        .map_err(|error| error.to_string())
}

/// First-order gradients on a device against the reference's, in every layout.
///
/// # Errors
/// What differs.
pub fn gradient(case: &Case, device: &Device, float: DType) -> Outcome {
    if case.smoothness == 0 {
        return Ok(());
    }
    for layout in Layout::ALL {
        let expected = gradients(case, &reference::device(), float, layout)?;
        let actual = gradients(case, device, float, layout)?;
        for (number, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
            let what = format!("{} ({layout:?}, {float}): gradient {number}", case.name);
            close(&what, actual, expected, 4.0 * tolerance(case, float))?;
        }
    }
    Ok(())
}

/// First-order gradients of the ops that f32 is computed with against those of f64's, both on the
/// reference, which keeps the precision of f64: they differ where f32 has an op of its own.
///
/// # Errors
/// What differs.
pub fn gradient_of_f32(case: &Case) -> Outcome {
    if case.smoothness == 0 {
        return Ok(());
    }
    let device = reference::device();
    let single = gradients(case, &device, DType::F32, Layout::Plain)?;
    let double = gradients(case, &device, DType::F64, Layout::Plain)?;
    for (number, (single, double)) in single.iter().zip(&double).enumerate() {
        close(&format!("{}: gradient {number} in f32", case.name), single, double, 1e-6)?;
    }
    Ok(())
}

fn gradients(
    case: &Case,
    device: &Device,
    float: DType,
    layout: Layout,
) -> Result<Vec<Vec<f64>>, String> {
    let operands = case.tensors(device, float, layout).map_err(|error| error.to_string())?;
    let scalar = weighted(case, &operands, float)?;
    let inputs = differentiable(case, &operands);
    let gradients = grad(&scalar, &inputs);
    gradloom_tensor::eval(&gradients).map_err(|error| format!("{}: {error}", case.name))?;
    gradients.iter().map(elements).collect()
}

fn differentiable<'a>(case: &Case, operands: &'a [Tensor]) -> Vec<&'a Tensor> {
    operands
        .iter()
        .zip(case.differentiable())
        .filter_map(|(operand, differentiable)| differentiable.then_some(operand))
        .collect()
}

/// Derivatives in f64 against central differences along a fixed direction: first order, and second
/// order if the case allows it. The device must have f64.
///
/// # Errors
/// What differs.
pub fn finite_differences(case: &Case, device: &Device) -> Outcome {
    if case.smoothness == 0 {
        return Ok(());
    }
    let slope = |operands: &[Tensor]| -> Result<f64, String> {
        weighted(case, operands, DType::F64)?.item().map_err(|error| error.to_string())
    };
    let operands =
        case.tensors(device, DType::F64, Layout::Plain).map_err(|error| error.to_string())?;
    let inputs = differentiable(case, &operands);
    let scalar = weighted(case, &operands, DType::F64)?;
    let first = along(&grad(&scalar, &inputs), 2001)?;
    compare(case, "first order", difference(case, &operands, slope)?, item(&first)?)?;
    if case.smoothness < 2 {
        return Ok(());
    }
    let gradient_slope = |moved: &[Tensor]| -> Result<f64, String> {
        let scalar = weighted(case, moved, DType::F64)?;
        item(&along(&grad(&scalar, &differentiable(case, moved)), 2001)?)
    };
    let cotangent = first.ones_like();
    let second = along(&vjp(&first, &cotangent, &inputs), 2001)?;
    compare(case, "second order", difference(case, &operands, gradient_slope)?, item(&second)?)
}

fn item(tensor: &Tensor) -> Result<f64, String> {
    tensor.item().map_err(|error| error.to_string())
}

/// The inner product of gradients with fixed directions.
fn along(gradients: &[Tensor], number: u32) -> Result<Tensor, String> {
    let mut total: Option<Tensor> = None;
    for (position, gradient) in gradients.iter().enumerate() {
        let direction = direction(gradient, number + position as u32, DType::F64)?;
        let part = (gradient * direction).sum(..);
        total = Some(match total {
            Some(total) => &total + &part,
            None => part,
        });
    }
    total.ok_or_else(|| "no differentiable operand".to_string())
}

/// Central difference of a function along the direction that [`along`] uses, by Richardson's rule.
fn difference(
    case: &Case,
    operands: &[Tensor],
    function: impl Fn(&[Tensor]) -> Result<f64, String>,
) -> Result<f64, String> {
    let moved = |step: f64| -> Result<f64, String> {
        let mut position = 0;
        let mut list = Vec::new();
        for (operand, differentiable) in operands.iter().zip(case.differentiable()) {
            if differentiable {
                let direction = direction(operand, 2001 + position, DType::F64)?;
                list.push((operand + &(direction * step)).detach());
                position += 1;
            } else {
                list.push(operand.clone());
            }
        }
        function(&list)
    };
    let central =
        |step: f64| -> Result<f64, String> { Ok((moved(step)? - moved(-step)?) / (2.0 * step)) };
    let (wide, narrow) = (central(2e-4)?, central(1e-4)?);
    Ok((4.0 * narrow - wide) / 3.0)
}

fn compare(case: &Case, order: &str, expected: f64, actual: f64) -> Outcome {
    if (actual - expected).abs() <= 2e-6 * (1.0 + expected.abs()) {
        return Ok(());
    }
    Err(format!("{}: {order}: {actual}, finite differences give {expected}", case.name))
}
