//! Data with an update in place of some of its elements.

use gradloom_tensor::Shape;

use super::fault::Fault;
use super::operand::{Operands, for_each, linear};
use crate::view::View;

/// The data with `update`, whose elements in order are those of `space`, from `start[b]` along the axis.
pub(super) fn write(
    (data, axis, start): (&Shape, usize, &View),
    space: &Shape,
    update: &[f64],
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let inside = axis > 0 && axis < data.rank() && start.shape[..] == data[..1];
    let place = if inside { data.with(axis, 1).count() } else { 0 };
    let size = space.count().checked_div(place).unwrap_or(0);
    let fit = inside && size * place == space.count() && size <= data[axis];
    Fault::unless(fit, || format!("write: {space} into {data} along axis {axis}"))?;
    let shape = data.with(axis, size);
    let mut result = operands.get(0)?.whole(*data)?;
    let starts = operands.get(1)?.load(start)?;
    let last = data[axis] - size;
    if let Some(&index) = starts.iter().find(|&&start| start < 0.0 || start > last as f64) {
        return Err(Fault::Unchecked { operand: 1, index: index as i64, size: last + 1 });
    }
    for_each(&shape, |coordinate| {
        let mut at = coordinate.to_vec();
        at[axis] += starts[at[0]] as usize;
        result[linear(data, &at)] = update[linear(&shape, coordinate)];
        Ok(())
    })?;
    Ok(result)
}
