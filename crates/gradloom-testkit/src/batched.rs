//! Cases under `vmap` against a loop over their examples on the reference backend.

use gradloom_autodiff::{grad, vmap};
use gradloom_tensor::{DType, Device, Tensor};

use crate::case::{Case, Draw, tensor};
use crate::check::{Outcome, close, direction, elements, tolerance};
use crate::reference;

/// Number of examples; no size of an axis of the table's small cases says which axis it is.
const EXAMPLES: usize = 3;
/// Elements of all operands together from which a case is run in one way only.
const LARGE: usize = 4_000;

/// Along which axis the examples of each operand lie; `None` where all share one.
type Axes = Vec<Option<isize>>;

/// The ways in which operands can be batched: each alone, all but each, and all, along the first axis, the
/// last, and different ones.
fn ways(case: &Case) -> Vec<Axes> {
    let count = case.operands.len();
    let last = |operand: usize| case.operands[operand].shape.rank() as isize;
    let all =
        |axis: &dyn Fn(usize) -> isize| -> Axes { (0..count).map(|k| Some(axis(k))).collect() };
    let mut ways = vec![all(&|operand| operand as isize % (last(operand) + 1))];
    if elements_of(case) > LARGE {
        return ways;
    }
    ways.extend([all(&|_| 0), all(&|_| -1)]);
    for operand in 0..count {
        let alone = |axis: isize| {
            let mut axes: Axes = vec![None; count];
            axes[operand] = Some(axis);
            axes
        };
        ways.extend([alone(0), alone(last(operand))]);
        if count > 1 {
            let mut but = all(&|other| (last(other) / 2).max(0));
            but[operand] = None;
            ways.push(but);
        }
    }
    ways.dedup();
    ways
}

fn elements_of(case: &Case) -> usize {
    case.operands.iter().map(|operand| operand.shape.count()).sum()
}

/// The elements of an operand in an example. Listed ones are turned, so that examples differ.
fn values(case: &Case, operand: usize, example: usize) -> Vec<f64> {
    let own = &case.operands[operand];
    let mut values = own.values((operand + 100 * example) as u32);
    if matches!(own.kind, Draw::Listed(_)) && !values.is_empty() {
        let count = values.len();
        values.rotate_left(example % count);
    }
    values
}

/// The operands, with the examples of each along its axis or its first one only. Each of `numbers` is an
/// example.
fn operands(
    case: &Case,
    axes: &Axes,
    numbers: &[usize],
    device: &Device,
    float: DType,
) -> Result<Vec<Tensor>, String> {
    let mut operands = Vec::new();
    for (number, (operand, axis)) in case.operands.iter().zip(axes).enumerate() {
        let leaf = |example: usize| {
            tensor(&values(case, number, example), operand.shape, operand.dtype(float), device)
                .map_err(|error| error.to_string())
        };
        operands.push(match axis {
            None => leaf(numbers[0])?,
            Some(axis) => {
                let examples: Vec<Tensor> =
                    numbers.iter().map(|&example| leaf(example)).collect::<Result<_, _>>()?;
                Tensor::stack(&examples, *axis).detach()
            }
        });
    }
    gradloom_tensor::eval(&operands).map_err(|error| error.to_string())?;
    Ok(operands)
}

/// The results of a function on each example, along a first axis: what `vmap` stands for.
pub fn looped(
    function: impl Fn(&[Tensor]) -> Vec<Tensor>,
    operands: &[Tensor],
    axes: &[Option<isize>],
    size: usize,
) -> Vec<Tensor> {
    let mut results: Vec<Vec<Tensor>> = Vec::new();
    for example in 0..size as isize {
        let pick = |(operand, axis): (&Tensor, &Option<isize>)| match axis {
            Some(axis) => operand.index(*axis, example),
            None => operand.clone(),
        };
        let own: Vec<Tensor> = operands.iter().zip(axes).map(pick).collect();
        for (position, result) in function(&own).into_iter().enumerate() {
            match results.get_mut(position) {
                Some(list) => list.push(result),
                None => results.push(vec![result]),
            }
        }
    }
    results.iter().map(|examples| Tensor::stack(examples, 0)).collect()
}

/// A scalar in which every element of every float matters.
fn weighted(tensors: &[Tensor]) -> Result<Option<Tensor>, String> {
    let mut total: Option<Tensor> = None;
    for (number, tensor) in tensors.iter().filter(|tensor| tensor.dtype().is_float()).enumerate() {
        let weights = direction(tensor, 3001 + number as u32, tensor.dtype())?;
        let part = (tensor * weights).sum(..);
        total = Some(match total {
            Some(total) => &total + &part.cast(total.dtype()),
            None => part,
        });
    }
    Ok(total)
}

/// The operands that may have gradients.
fn floats<'a>(case: &Case, operands: &'a [Tensor]) -> Vec<&'a Tensor> {
    let pairs = operands.iter().zip(case.differentiable());
    pairs.filter_map(|(operand, differentiable)| differentiable.then_some(operand)).collect()
}

/// The case's value in one example and, if it has derivatives, the gradient of that example alone.
fn of_one(case: &Case, operands: &[Tensor]) -> Vec<Tensor> {
    let value = (case.function)(operands);
    let mut results = vec![value.clone()];
    if case.smoothness > 0 {
        let scalar = weighted(&[value]).unwrap_or_else(|message| panic!("{message}"));
        let inputs = floats(case, operands);
        results.extend(scalar.map(|scalar| grad(&scalar, &inputs)).unwrap_or_default());
    }
    results
}

/// The results of all examples, and gradients of them: of first order, and where `order` is 2 also of the
/// gradients of each example.
fn all(
    case: &Case,
    order: usize,
    operands: &[Tensor],
    results: Vec<Tensor>,
) -> Result<Vec<Vec<f64>>, String> {
    let mut wanted = results.clone();
    if case.smoothness >= order && order > 0 {
        let differentiated = if order > 1 { &results[..] } else { &results[..1] };
        let inputs = floats(case, operands);
        wanted.extend(
            weighted(differentiated)?.map(|total| grad(&total, &inputs)).unwrap_or_default(),
        );
    }
    gradloom_tensor::eval(&wanted).map_err(|error| error.to_string())?;
    wanted.iter().map(elements).collect()
}

/// A case under `vmap` on a device, in every way in which its operands can be batched, against a loop on
/// the reference backend: values, the gradient of each example, and gradients through `vmap`.
///
/// # Errors
/// What differs.
pub fn check(case: &Case, device: &Device, float: DType, order: usize) -> Outcome {
    in_ways(case, &ways(case), device, float, order)
}

/// As [`check`] in one way only, in which all operands are batched along different axes or, by the case's
/// name, some: for devices to which each way is more shaders to compile.
///
/// # Errors
/// What differs.
pub fn check_one_way(case: &Case, device: &Device, float: DType, order: usize) -> Outcome {
    let mut ways = ways(case);
    let chosen = case.name.bytes().map(usize::from).sum::<usize>() % ways.len();
    in_ways(case, &[ways.swap_remove(chosen)], device, float, order)
}

fn in_ways(case: &Case, ways: &[Axes], device: &Device, float: DType, order: usize) -> Outcome {
    if case.wide && !device.capabilities().i64 {
        return Ok(());
    }
    let numbers: Vec<usize> = (0..EXAMPLES).collect();
    for axes in ways {
        let reference = reference::device();
        let own = operands(case, axes, &numbers, &reference, float)?;
        let results = looped(|x| of_one(case, x), &own, axes, EXAMPLES);
        let expected = all(case, order, &own, results)?;
        let own = operands(case, axes, &numbers, device, float)?;
        let results = vmap(|x: &[Tensor]| of_one(case, x), &axes[..], 0).call(&own);
        let actual = all(case, order, &own, results)?;
        compare(case, &format!("{axes:?}"), device, float, &actual, &expected)?;
    }
    Ok(())
}

/// A case under two `vmap`s, of which the inner one batches every other operand only.
///
/// # Errors
/// What differs.
pub fn nested(case: &Case, device: &Device, float: DType) -> Outcome {
    const OUTER: usize = 2;
    let count = case.operands.len();
    let inner: Axes = (0..count).map(|k| (k % 2 == 0).then_some(0)).collect();
    let outer: Axes = vec![Some(-1); count];
    let make = |device: &Device| -> Result<Vec<Tensor>, String> {
        let part = |number: usize| {
            let numbers = [number, number + 1, number + 2];
            operands(case, &inner, &numbers[..EXAMPLES], device, float)
        };
        let (first, second) = (part(0)?, part(5)?);
        let stack = |(a, b): (&Tensor, &Tensor)| Tensor::stack(&[a, b], -1);
        Ok(first.iter().zip(&second).map(stack).collect())
    };
    let own = make(&reference::device())?;
    let results = looped(|x| looped(|x| of_one(case, x), x, &inner, EXAMPLES), &own, &outer, OUTER);
    let expected = all(case, 0, &own, results)?;
    let own = make(device)?;
    let one = |x: &[Tensor]| of_one(case, x);
    let many = |x: &[Tensor]| -> Vec<Tensor> { vmap(one, &inner[..], 0).call(x) };
    let results = vmap(many, &outer[..], 0).call(&own);
    let actual = all(case, 0, &own, results)?;
    compare(case, "nested", device, float, &actual, &expected)
}

fn compare(
    case: &Case,
    way: &str,
    device: &Device,
    float: DType,
    actual: &[Vec<f64>],
    expected: &[Vec<f64>],
) -> Outcome {
    if actual.len() != expected.len() {
        return Err(format!("{} {way}: {} results of {}", case.name, actual.len(), expected.len()));
    }
    for (number, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let what = format!("{} {way} ({float}): result {number}", case.name);
        let mut tolerance = tolerance(case, float);
        if device.capabilities().host {
            tolerance = tolerance.max(case.cpu_tolerance.unwrap_or(0.0));
        }
        close(&what, actual, expected, if number == 0 { tolerance } else { 4.0 * tolerance })?;
    }
    Ok(())
}
