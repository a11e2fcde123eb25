//! Arg-reduce: where the first extreme along an axis is.

use gradloom_shaders::Options;
use gradloom_tensor::op::ArgReduction;
use gradloom_tensor::{DType, Result, Shape};

use super::epilogue::{self, with_epilogue};
use super::literal;
use super::unit::Unit;

/// Elements that a thread walks one in a turn.
const LENGTH_WALKED_MAX: usize = 1 << 14;
/// Elements in a turn of threads that walk more.
const PLACES: usize = 16;

/// Compiles an arg-reduce kernel.
pub(crate) fn compile(
    unit: &mut Unit<'_>,
    reduction: ArgReduction,
    input: &Shape,
    axis: usize,
) -> Result<()> {
    unit.check_len(0, input.count())?;
    let dtype = unit.kernel.inputs[0].dtype;
    // Truth values compare as numbers.
    let (mut bindings, program) = with_epilogue(unit, &[0], &[], DType::I32)?;
    let less = matches!(reduction, ArgReduction::Min);
    let reads = epilogue::read(unit, &bindings, 0) + &epilogue::better("better", dtype, less);
    let count = unit.kernel.space.shape.count();
    let length = input[axis];
    let inner: usize = input[axis + 1..].iter().product();
    let workgroup = unit.target.workgroup as usize;
    // Neighbouring threads should read neighbours: columns if they are contiguous, else outputs.
    let threads = match (inner, length) {
        (1, _) => length.div_ceil(4).next_power_of_two().min(workgroup),
        (_, 0..64) => 1,
        _ => 8.min(workgroup),
    };
    // Long axes take more threads, and several places in a turn.
    let threads =
        threads.max(length.div_ceil(LENGTH_WALKED_MAX).next_power_of_two()).min(workgroup);
    let places = if length.div_ceil(threads) > LENGTH_WALKED_MAX { PLACES } else { 1 };
    unit.check_turns("argmax, argmin", length.div_ceil(threads * places))?;
    let rows_per_group = workgroup / threads;
    let groups = count.div_ceil(rows_per_group);
    let sizes = [
        ("GROUPS", groups),
        ("THREADS", threads),
        ("ROWS_PER_GROUP", rows_per_group),
        ("COUNT", count),
        ("LENGTH", length),
        ("INNER", inner),
    ];
    let options = bindings
        .named(Options::new(), &sizes)
        .constant("WORKGROUP", workgroup as u32)
        .constant("PLACES", places as u32)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let label = format!("arg_reduce {count}x{length}");
    unit.dispatch("arg_reduce.wgsl", label, options, bindings, groups)
}
