//! Scatter-add: updates summed where their indices point, without atomics.

use gradloom_plan::View;
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::arg_sort::{self, Rows};
use super::bindings::Bindings;
use super::epilogue::{self, Extra, dispatch_elements, with_epilogue};
use super::literal;
use super::tiled::{Parts, SAME_PLACE, sum_parts};
use super::unit::Unit;

/// Updates from which sorting the indices is cheaper than looking at all of them for each output.
const UPDATES_MANY: usize = 64;

/// Updates that one thread looks at: more are taken in parts.
const UPDATES_MAX: usize = 1 << 15;

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
    let sorted = (count >= UPDATES_MANY && shared && unit.target.may("scatter_add", "SORTED"))
        .then(|| sort_indices(unit, axis, index));
    let scratch = sorted.transpose()?.map(|(_, scratch)| scratch);
    let operands: &[usize] = if scratch.is_some() { &[1] } else { &[0, 1] };
    let outputs = shape.count();
    let chunk = count.min(UPDATES_MAX);
    let splits = count.div_ceil(UPDATES_MAX);
    let partial = (splits > 1).then(|| {
        let resource = unit.add_scratch(splits * outputs);
        Extra { resource, dtype: dtype.compute(), writable: true }
    });
    let extras: Vec<Extra> = scratch.iter().flatten().copied().chain(partial).collect();
    let (mut bindings, finish) = match partial {
        None => with_epilogue(unit, operands, &extras, dtype)?,
        Some(partial) => {
            let bindings = epilogue::operand_bindings(unit, operands, &extras)?;
            let write = epilogue::write_extra(&bindings, "write_partial", partial);
            (bindings, write)
        }
    };
    let mut reads = epilogue::read_view(unit, &mut bindings, "read_update", 1, updates)?;
    match scratch {
        Some([keys, places]) => {
            reads += &epilogue::read_extra(&bindings, "read_key", keys);
            reads += &epilogue::read_extra(&bindings, "read_order", places);
        }
        None => reads += &epilogue::read_view(unit, &mut bindings, "read_index", 0, index)?,
    }
    let mut sizes = vec![("SIZE", shape[axis]), ("INNER", inner), ("UPDATES", count)];
    if scratch.is_some() {
        sizes.push(("PADDED", arg_sort::padded(count)));
    }
    if partial.is_some() {
        sizes.extend([("OUTPUTS", outputs), ("CHUNK", chunk)]);
    }
    let options = bindings
        .named(Options::new(), &sizes)
        .define_if(scratch.is_some(), "SORTED")
        .define_if(partial.is_some(), "SPLIT")
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", finish);
    let label = format!("scatter_add{shape:?} of {count}");
    let Some(partial) = partial else {
        return dispatch_elements(unit, "scatter_add.wgsl", label, outputs, options, bindings);
    };
    let threads = splits * outputs;
    dispatch_elements(unit, "scatter_add.wgsl", label.clone(), threads, options, bindings)?;
    let parts = Parts { count: outputs, splits, partial };
    sum_parts(unit, format!("{label} sum"), parts, dtype, Options::new(), &[], SAME_PLACE)
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
