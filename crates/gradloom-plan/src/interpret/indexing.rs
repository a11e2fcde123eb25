//! Elements at indices, sums at indices, and operands one after another.

use gradloom_tensor::Shape;

use super::fault::Fault;
use super::operand::{Operands, for_each, linear};
use super::value::Sum;
use crate::view::View;

/// An index that an earlier check vouches for.
pub(super) fn checked(operand: usize, index: f64, size: usize) -> Result<usize, Fault> {
    if index >= 0.0 && index < size as f64 {
        Ok(index as usize)
    } else {
        Err(Fault::Unchecked { operand, index: index as i64, size })
    }
}

/// `shape` and `other` differ at most along an axis.
fn agree(op: &str, shape: &Shape, other: &Shape, axis: usize) -> Result<(), Fault> {
    let agree = axis < shape.rank()
        && shape.rank() == other.rank()
        && shape.with(axis, 1) == other.with(axis, 1);
    Fault::unless(agree, || format!("{op}: {shape} and {other} along axis {axis}"))
}

pub(super) fn gather(
    data: &Shape,
    axis: usize,
    index: &View,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    agree("gather", data, &index.shape, axis)?;
    let (values, indices) = (operands.get(0)?, operands.get(1)?);
    let mut result = Vec::new();
    for_each(&index.shape, |coordinate| {
        let mut at = coordinate.to_vec();
        at[axis] = checked(1, indices.at(index, coordinate)?, data[axis])?;
        result.push(values.get(linear(data, &at) as isize)?);
        Ok(())
    })?;
    Ok(result)
}

pub(super) fn scatter_add(
    space: &Shape,
    axis: usize,
    views: [&View; 2],
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let [index, updates] = views;
    agree("scatter_add", space, &updates.shape, axis)?;
    Fault::unless(index.shape == updates.shape, || {
        format!("scatter_add: indices {} of updates {}", index.shape, updates.shape)
    })?;
    let (indices, values) = (operands.get(0)?, operands.get(1)?);
    let mut sums = vec![Sum::of(values.dtype); space.count()];
    for_each(&updates.shape, |coordinate| {
        let target = indices.at(index, coordinate)?;
        let value = values.at(updates, coordinate)?;
        // What is out of range is skipped.
        if target >= 0.0 && target < space[axis] as f64 {
            let mut at = coordinate.to_vec();
            at[axis] = target as usize;
            sums[linear(space, &at)].add(value);
        }
        Ok(())
    })?;
    Ok(sums.into_iter().map(|sum| sum.value(values.dtype)).collect())
}

pub(super) fn concat(
    space: &Shape,
    axis: usize,
    parts: &[Shape],
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    parts.iter().try_for_each(|part| agree("concat", space, part, axis))?;
    let total: usize = parts.iter().map(|part| part[axis]).sum();
    Fault::unless(total == space[axis], || {
        format!("concat: {total} along axis {axis} of {space}")
    })?;
    let mut result = Vec::with_capacity(space.count());
    for_each(space, |coordinate| {
        let (mut at, mut part) = (coordinate.to_vec(), 0);
        while at[axis] >= parts[part][axis] {
            at[axis] -= parts[part][axis];
            part += 1;
        }
        result.push(operands.get(part)?.get(linear(&parts[part], &at) as isize)?);
        Ok(())
    })?;
    Ok(result)
}
