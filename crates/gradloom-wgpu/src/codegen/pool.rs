//! Pooling and its transposes.

use gradloom_plan::Pool;
use gradloom_shaders::Options;
use gradloom_tensor::Result;
use gradloom_tensor::op::{Reduction, Window};

use super::epilogue::{self, dispatch_elements, with_epilogue};
use super::literal;
use super::unit::Unit;

/// What a kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    Max,
    MaxScatter,
    MaxGather,
    Sum,
    SumScatter,
}

/// Compiles a pooling kernel of any kind.
pub(crate) fn compile(unit: &mut Unit<'_>, pooling: Pooling, pool: &Pool) -> Result<()> {
    let (inputs, outputs) = (pool.inputs(), pool.outputs());
    // Label, defines, and how many elements each operand has.
    let (name, defines, lens): (&str, &[&str], &[usize]) = match pooling {
        Pooling::Max => ("pool_max", &["WINNER"], &[inputs]),
        Pooling::MaxScatter => ("pool_max_scatter", &["WINNER", "SCATTER"], &[inputs, outputs]),
        Pooling::MaxGather => ("pool_max_gather", &["WINNER", "GATHER"], &[inputs, inputs]),
        Pooling::Sum => ("pool_sum", &[], &[inputs]),
        Pooling::SumScatter => ("pool_sum_scatter", &["SCATTER"], &[outputs]),
    };
    for (operand, &len) in lens.iter().enumerate() {
        unit.check_len(operand, len)?;
    }
    unit.check_turns(name, turns(pooling, pool))?;
    let operands: Vec<usize> = (0..lens.len()).collect();
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let (mut bindings, program) = with_epilogue(unit, &operands, &[], dtype)?;
    let mut reads: String =
        operands.iter().map(|&operand| epilogue::read(unit, &bindings, operand)).collect();
    if defines.contains(&"WINNER") {
        let compared = unit.kernel.inputs[0].dtype;
        reads += &epilogue::better("greater", compared, false);
        reads += &format!(
            "fn lowest() -> {} {{\n    return {};\n}}\n",
            literal::compute_type(compared),
            literal::identity(Reduction::Max, compared)
        );
    }
    let mut options = Options::new();
    for define in defines {
        options = options.define(define);
    }
    let (options, numbers) = windows(options, &pool.window, pool.input_size, pool.output_size);
    let options = bindings
        .named(options, &numbers)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let count = unit.kernel.space.shape.count();
    let label = format!("{name}{:?}", unit.kernel.space.shape);
    dispatch_elements(unit, "pool.wgsl", label, count, options, bindings)
}

/// Turns of a thread's loops, at most.
fn turns(pooling: Pooling, pool: &Pool) -> usize {
    let [depth, height, width] = pool.window.kernel;
    let window = depth.saturating_mul(height.saturating_mul(1 + width).saturating_add(1));
    if pooling != Pooling::MaxScatter {
        return window;
    }
    // Each window that an element is in is looked through for its maximum.
    let covering = |axis: usize| {
        let elements = if pool.window.dilation[axis] == 1 { pool.window.stride[axis] } else { 1 };
        pool.window.kernel[axis].div_ceil(elements).min(pool.output_size[axis])
    };
    (0..3).fold(window, |turns, axis| turns.saturating_mul(covering(axis))).saturating_add(window)
}

/// What templates of windows need, for pooling and convolution: windows as constants, and the sizes that
/// they move over as numbers. The size of an axis that pictures or signals lack is a constant, so that all
/// that is about it goes.
pub(crate) fn windows(
    options: Options,
    window: &Window,
    input: [usize; 3],
    output: [usize; 3],
) -> (Options, Vec<(&'static str, usize)>) {
    let mut options = options;
    let mut numbers = Vec::new();
    let names = [("IN_D", "OUT_D"), ("IN_H", "OUT_H"), ("IN_W", "OUT_W")];
    for (axis, (in_name, out_name)) in names.into_iter().enumerate() {
        if (input[axis], output[axis]) == (1, 1) {
            options = options.constant(in_name, 1).constant(out_name, 1);
        } else {
            numbers.extend([(in_name, input[axis]), (out_name, output[axis])]);
        }
    }
    for (axis, suffix) in ["D", "H", "W"].into_iter().enumerate() {
        for (name, value) in [
            ("KERNEL", window.kernel[axis]),
            ("STRIDE", window.stride[axis]),
            ("PAD", window.padding[axis][0]),
            ("DILATION", window.dilation[axis]),
        ] {
            options = options.constant(&format!("{name}_{suffix}"), value as u32);
        }
    }
    (options, numbers)
}
