//! Gather: elements picked along one axis.

use gradloom_plan::View;
use gradloom_shaders::Options;
use gradloom_tensor::{Error, Result, Shape};

use super::epilogue::{self, dispatch_lanes, in_words};
use super::literal;
use super::unit::Unit;

/// Compiles a gather kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, data: &Shape, axis: usize, index: &View) -> Result<()> {
    unit.check_len(0, data.count())?;
    if data[axis] == 0 {
        // There is nothing that an index could be clamped to.
        return Err(Error::backend(format!("gather: axis {axis} of {data:?} is empty")));
    }
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let (mut bindings, program, lanes) = in_words(unit, &[0, 1], &[], dtype)?;
    let reads = epilogue::read(unit, &bindings, 0)
        + &epilogue::read_view(unit, &mut bindings, "read_index", 1, index)?;
    let shape = unit.kernel.space.shape;
    let inner = shape[axis + 1..].iter().product();
    let sizes = [("PICKS", shape[axis]), ("SIZE", data[axis]), ("INNER", inner)];
    let options = bindings
        .named(Options::new(), &sizes)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let label = format!("gather{shape:?} of {data:?}");
    dispatch_lanes(unit, "gather.wgsl", label, shape.count(), lanes, options, bindings)
}
