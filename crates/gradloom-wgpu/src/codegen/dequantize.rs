//! Dequantize: the numbers of a matrix in interleaved blocks.

use gradloom_shaders::Options;
use gradloom_tensor::blocks::interleave::GROUP_ROWS;
use gradloom_tensor::{BlockFormat, DType, Result};

use super::blocks::{self, Matrix};
use super::epilogue::{dispatch_elements, with_epilogue};
use super::unit::Unit;

/// Compiles a dequantize kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, format: BlockFormat) -> Result<()> {
    let shape = unit.kernel.space.shape;
    let matrix = Matrix { operand: 0, format, rows: shape[0], columns: shape[1] };
    matrix.check(unit)?;
    let (mut bindings, program) = with_epilogue(unit, &[0], &[], DType::F32)?;
    let sixteens = matrix.columns / 16;
    let sizes = [("ROWS", matrix.rows), ("COLUMNS", matrix.columns), ("SIXTEENS", sixteens)];
    let reads = blocks::functions(unit, &mut bindings, &[matrix]);
    let options =
        bindings.named(Options::new(), &sizes).splice("reads", reads).splice("epilogue", program);
    let label = format!("dequantize{shape:?} {format}");
    let threads = matrix.groups() * GROUP_ROWS * sixteens;
    dispatch_elements(unit, "dequantize.wgsl", label, threads, options, bindings)
}
