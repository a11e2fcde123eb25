//! Quantized rows: rows of a matrix in interleaved blocks, picked by indices.

use gradloom_plan::View;
use gradloom_shaders::Options;
use gradloom_tensor::{BlockFormat, DType, Error, Result};

use super::blocks::{self, Matrix};
use super::epilogue::{self, dispatch_elements, with_epilogue};
use super::unit::Unit;

/// Compiles a kernel of quantized rows.
pub(crate) fn compile(
    unit: &mut Unit<'_>,
    format: BlockFormat,
    rows: usize,
    index: &View,
) -> Result<()> {
    let picks = index.shape.count();
    let columns = unit.kernel.space.shape.count() / picks;
    if rows == 0 {
        // There is nothing that an index could be clamped to.
        return Err(Error::backend(format!("embedding: a matrix of {format} without rows")));
    }
    let matrix = Matrix { operand: 0, format, rows, columns };
    matrix.check(unit)?;
    let (mut bindings, program) = with_epilogue(unit, &[0, 1], &[], DType::F32)?;
    let reads = blocks::functions(unit, &mut bindings, &[matrix])
        + &epilogue::read_view(unit, &mut bindings, "read_index", 1, index)?;
    let sixteens = columns / 16;
    let sizes = [("ROWS", rows), ("COLUMNS", columns), ("SIXTEENS", sixteens)];
    let options =
        bindings.named(Options::new(), &sizes).splice("reads", reads).splice("epilogue", program);
    let label = format!("quantized_rows {picks} of [{rows}, {columns}] {format}");
    let threads = picks * sixteens;
    dispatch_elements(unit, "quantized_rows.wgsl", label, threads, options, bindings)
}
