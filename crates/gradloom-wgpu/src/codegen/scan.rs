//! Scan: running sums.

use gradloom_shaders::Options;
use gradloom_tensor::Result;

use super::epilogue::{self, with_epilogue};
use super::literal;
use super::unit::{Unit, template_error};

/// Lines from which one thread for each keeps the device busy enough.
const LINES_MANY: usize = 1 << 14;
/// Elements of a line up to which one thread walks it.
const LENGTH_SHORT: usize = 32;

/// Compiles a scan kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, axis: usize, reverse: bool) -> Result<()> {
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let shape = unit.kernel.space.shape;
    unit.check_len(0, shape.count())?;
    let (bindings, program) = with_epilogue(unit, &[0], &[], dtype)?;
    let lines = shape.count() / shape[axis];
    let whole_group = lines < LINES_MANY && shape[axis] > LENGTH_SHORT;
    let workgroup = unit.target.workgroup;
    let groups = if whole_group { lines } else { lines.div_ceil(workgroup as usize) };
    let grid = unit.grid(groups)?;
    let options = Options::new()
        .define_if(reverse, "REVERSE")
        .define_if(whole_group, "LINE_PER_GROUP")
        .constant("WORKGROUP", workgroup)
        .constant("GRID_X", grid[0])
        .constant("LENGTH", shape[axis] as u32)
        .constant("INNER", shape[axis + 1..].iter().product::<usize>() as u32)
        .constant("LINES", lines as u32)
        .alias("Value", literal::compute_type(dtype))
        .splice("bindings", bindings.declarations())
        .splice("reads", epilogue::read(unit, &bindings, 0))
        .splice("epilogue", program);
    let source = gradloom_shaders::expand("scan.wgsl", &options).map_err(template_error)?;
    unit.dispatch(format!("scan{shape:?} axis {axis}"), source, bindings, grid)
}
