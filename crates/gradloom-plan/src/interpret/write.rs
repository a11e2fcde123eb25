//! Data with an update in place of some of its elements.

use gradloom_tensor::Shape;

use super::fault::Fault;
use super::operand::{Operands, for_each, linear};
use crate::view::View;

/// The data with `update`, of shape `space`, from `start[b]` along the axis.
pub(super) fn write(
    (data, axis, start): (&Shape, usize, &View),
    space: &Shape,
    update: &[f64],
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let fit = axis > 0
        && axis < data.rank()
        && space.rank() == data.rank()
        && space.with(axis, 1) == data.with(axis, 1)
        && space[axis] <= data[axis]
        && start.shape[..] == data[..1];
    Fault::unless(fit, || format!("write: {space} into {data} along axis {axis}"))?;
    let mut result = operands.get(0)?.whole(*data)?;
    let starts = operands.get(1)?.load(start)?;
    let last = data[axis] - space[axis];
    if let Some(&index) = starts.iter().find(|&&start| start < 0.0 || start > last as f64) {
        return Err(Fault::Unchecked { operand: 1, index: index as i64, size: last + 1 });
    }
    for_each(space, |coordinate| {
        let mut at = coordinate.to_vec();
        at[axis] += starts[at[0]] as usize;
        result[linear(data, &at)] = update[linear(space, coordinate)];
        Ok(())
    })?;
    Ok(result)
}
