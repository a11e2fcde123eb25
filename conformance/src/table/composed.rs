//! Operators without a method of their own, as a few calls.

use gradloom::{DType, Shape, Tensor};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

fn differences(s: &Sample) -> Result<Tensor, Skip> {
    let (mut x, axis) = (s.x()?, s.arg(1, "dim").int_or(-1)?);
    let times = s.arg(0, "n").int_or(1)?;
    if times == 0 {
        return Ok(x);
    }
    let ends = [s.arg(2, "prepend").maybe_tensor()?, s.arg(3, "append").maybe_tensor()?];
    let [first, last] = ends;
    let parts: Vec<Tensor> = first.into_iter().chain([x]).chain(last).collect();
    x = Tensor::concat(&parts, axis);
    for _ in 0..times {
        let length = x.size(axis).saturating_sub(1);
        x = x.narrow(axis, 1.min(x.size(axis)), length).sub(x.narrow(axis, 0, length));
    }
    Ok(x)
}

/// The areas between neighbours.
fn trapezoids(s: &Sample) -> Result<Tensor, Skip> {
    let (y, axis) = (s.x()?, s.named("dim").int_or(-1)?);
    let length = y.size(axis) - 1;
    let sums = y.narrow(axis, 1, length).add(y.narrow(axis, 0, length)).mul(0.5);
    let points = s.arg(0, "x");
    Ok(match points {
        Value::Tensor(x) if x.rank() == 1 && y.rank() > 1 => {
            let steps = x.narrow(0, 1, x.count() - 1).sub(x.narrow(0, 0, x.count() - 1));
            let mut shape = vec![1; y.rank()];
            shape[axis.rem_euclid(y.rank() as isize) as usize] = steps.count();
            sums.mul(steps.reshape(shape))
        }
        Value::Tensor(x) => {
            let length = x.size(axis) - 1;
            sums.mul(x.narrow(axis, 1, length).sub(x.narrow(axis, 0, length)))
        }
        Value::None => sums.mul(s.named("dx").float_or(1.0)?),
        dx => sums.mul(dx.float()?),
    })
}

/// Parts of nearly equal size, or cut at places.
fn tensor_parts(s: &Sample, axis: isize) -> Result<Vec<Tensor>, Skip> {
    let x = s.x()?;
    Ok(match s.arg(0, "indices_or_sections") {
        Value::List(list) => {
            let places = list.iter().map(Value::int).collect::<Result<Vec<_>, _>>()?;
            x.tensor_split_at(&places, axis)
        }
        Value::Tensor(places) => {
            let numbers =
                places.cast(DType::I32).to_vec::<i32>().map_err(|error| error.to_string())?;
            match places.rank() {
                0 => x.tensor_split(numbers[0] as usize, axis),
                _ => {
                    let numbers: Vec<isize> = numbers.iter().map(|&at| at as isize).collect();
                    x.tensor_split_at(&numbers, axis)
                }
            }
        }
        count => x.tensor_split(count.int()? as usize, axis),
    })
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "block_diag" => |s| {
            let matrices: Vec<Tensor> = s.tensors()?
                .iter()
                .map(|x| match x.rank() {
                    0 => x.reshape([1, 1]),
                    1 => x.unsqueeze(0),
                    _ => x.clone(),
                })
                .collect();
            let total: usize = matrices.iter().map(|x| x.shape()[1]).sum();
            let mut before = 0;
            let mut rows = Vec::new();
            for x in &matrices {
                let size = x.shape()[1];
                rows.push(x.pad(&[(0, 0), (before, total - before - size)]));
                before += size;
            }
            Tensor::concat(&rows, 0)
        };
        "cartesian_prod" => |s| {
            let tensors = s.tensors()?;
            let grids = Tensor::meshgrid(&tensors);
            match grids.as_slice() {
                [one] => one.clone(),
                several => {
                    let lines: Vec<Tensor> =
                        several.iter().map(|x| x.reshape([x.count()])).collect();
                    Tensor::stack(&lines, 1)
                }
            }
        };
        "dstack" => |s| {
            Tensor::concat(&s.tensors()?.iter().map(Tensor::atleast_3d).collect::<Vec<_>>(), 2)
        };
        "cross" => |s| gradloom::linalg::cross(&s.x()?, &s.t(0, "other")?, s.named("dim").int_or(-1)?);
        "diff" => |s| differences(s)?;
        "dist" => |s| {
            let difference = s.x()?.sub(&s.t(0, "other")?);
            let count = difference.count();
            gradloom::linalg::vector_norm(&difference.reshape([count]), s.arg(1, "p").float_or(2.0)?, 0)
        };
        "sum_to_size" => |s| {
            let x = s.x()?;
            let sizes = match s.args() {
                [Value::List(_)] => s.args()[0].sizes()?,
                several => Value::List(several.to_vec()).sizes()?,
            };
            let missing = x.rank() - sizes.len();
            let longer = |&axis: &usize| axis < missing || sizes[axis - missing] != x.shape()[axis];
            let axes: Vec<isize> = (0..x.rank()).filter(longer).map(|axis| axis as isize).collect();
            x.sum(&axes[..]).reshape(Shape::new(&sizes))
        };
        "tile" => |s| {
            let (x, counts) = (s.x()?, s.arg(0, "dims").sizes()?);
            let missing = x.rank().saturating_sub(counts.len());
            let counts: Vec<usize> = std::iter::repeat_n(1, missing).chain(counts).collect();
            x.repeat(&counts)
        };
        "trapezoid" => |s| trapezoids(s)?.sum(s.named("dim").int_or(-1)?);
        "trapz" => |s| trapezoids(s)?.sum(s.named("dim").int_or(-1)?);
        "cumulative_trapezoid" => |s| trapezoids(s)?.cumsum(s.named("dim").int_or(-1)?);
        "renorm" => |s| {
            let (x, power, axis) = (s.x()?, s.arg(0, "p").float()?, s.arg(1, "dim").int()?);
            let most = s.arg(2, "maxnorm").float()?;
            let axis = axis.rem_euclid(x.rank() as isize);
            let others: Vec<isize> = (0..x.rank() as isize).filter(|&own| own != axis).collect();
            let norm = gradloom::linalg::vector_norm(&x, power, &others[..]);
            let scale = norm.gt(most).select(norm.add(1e-7).reciprocal().mul(most), norm.ones_like());
            let mut shape = vec![1; x.rank()];
            shape[axis as usize] = x.shape()[axis as usize];
            x.mul(scale.reshape(shape))
        };

    };
    let several = many! {
        "tensor_split" => |s| tensor_parts(s, s.arg(1, "dim").int_or(0)?)?;
        "hsplit" => |s| { let axis = isize::from(s.x()?.rank() > 1); tensor_parts(s, axis)? };
        "vsplit" => |s| tensor_parts(s, 0)?;
        "dsplit" => |s| tensor_parts(s, 2)?;
    };
    [&single[..], &several[..]].concat()
}
