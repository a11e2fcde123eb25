//! Scatter-add: updates summed where their indices point, without atomics.

use gradloom_plan::View;
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::arg_sort::{self, Rows};
use super::bindings::Bindings;
use super::epilogue::{self, Extra, dispatch_elements, with_epilogue};
use super::literal;
use super::unit::Unit;

/// Updates from which sorting the indices is cheaper than looking at all of them for each output.
const UPDATES_MANY: usize = 64;

/// Compiles a scatter-add kernel.
pub(crate) fn compile(
    unit: &mut Unit<'_>,
    axis: usize,
    index: &View,
    updates: &View,
) -> Result<()> {
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let shape = unit.kernel.space.shape;
    let inner: usize = shape[axis + 1..].iter().product();
    let count = index.shape[axis];
    // Rows of updates share their indices if the index view repeats along the inner axes.
    let shared = index.mask.is_none()
        && (axis + 1..shape.rank()).all(|axis| index.strides[axis] == 0 || index.shape[axis] == 1);
    let sorted = (count >= UPDATES_MANY && shared).then(|| sort_indices(unit, axis, index));
    let scratch = sorted.transpose()?.map(|(_, scratch)| scratch);
    let extras: &[Extra] = scratch.as_ref().map_or(&[], |scratch| scratch);
    let operands: &[usize] = if scratch.is_some() { &[1] } else { &[0, 1] };
    let (mut bindings, program) = with_epilogue(unit, operands, extras, dtype)?;
    let mut reads = epilogue::read_view(unit, &mut bindings, "read_update", 1, updates)?;
    match scratch {
        Some([keys, places]) => {
            reads += &epilogue::read_extra(&bindings, "read_key", keys);
            reads += &epilogue::read_extra(&bindings, "read_order", places);
        }
        None => reads += &epilogue::read_view(unit, &mut bindings, "read_index", 0, index)?,
    }
    let sizes = [("SIZE", shape[axis]), ("INNER", inner), ("UPDATES", count)];
    let options = bindings.named(Options::new(), &sizes).define_if(scratch.is_some(), "SORTED");
    let options = bindings
        .named(options, &[("PADDED", arg_sort::padded(count))])
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let label = format!("scatter_add{shape:?} of {count}");
    dispatch_elements(unit, "scatter_add.wgsl", label, shape.count(), options, bindings)
}

/// Dispatches that sort the indices of each outer row: their rows and scratch memory.
fn sort_indices(unit: &mut Unit<'_>, axis: usize, index: &View) -> Result<(Rows, [Extra; 2])> {
    // The view of one index per row of updates.
    let shape = index.shape;
    let narrow: gradloom_tensor::Shape = shape
        .iter()
        .enumerate()
        .map(|(position, &size)| if position > axis { 1 } else { size })
        .collect();
    let view = View { shape: narrow, ..*index };
    let rows = Rows { rows: shape[..axis].iter().product(), length: shape[axis], inner: 1 };
    let scratch = rows.scratch(unit);
    let key = |unit: &Unit<'_>, bindings: &mut Bindings| {
        let read = epilogue::read_view(unit, bindings, "read_index", 0, &view)?;
        Ok(read
            + "fn sort_key(element: u32) -> u32 {
    return bitcast<u32>(read_index(element)) ^ 0x80000000u;
}
")
    };
    rows.sort(unit, 0, Some(scratch), &key)?;
    let read_only = scratch.map(|extra| Extra { writable: false, dtype: DType::U32, ..extra });
    Ok((rows, read_only))
}
