//! Pooling and its transposes.

use gradloom_plan::Pool;
use gradloom_shaders::Options;
use gradloom_tensor::Result;
use gradloom_tensor::op::{Reduction, Window2d};

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
    let inputs = pool.planes * pool.input_size[0] * pool.input_size[1];
    let outputs = pool.planes * pool.output_size[0] * pool.output_size[1];
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
    let options = window_constants(options, &pool.window);
    let options = bindings
        .named(options, &window_sizes(pool.input_size, pool.output_size))
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let count = unit.kernel.space.shape.count();
    let label = format!("{name}{:?}", unit.kernel.space.shape);
    dispatch_elements(unit, "pool.wgsl", label, count, options, bindings)
}

/// The sizes that windows move over, for pooling and convolution.
pub(crate) fn window_sizes(input: [usize; 2], output: [usize; 2]) -> Vec<(&'static str, usize)> {
    let [in_h, in_w] = input;
    let [out_h, out_w] = output;
    vec![("IN_H", in_h), ("IN_W", in_w), ("OUT_H", out_h), ("OUT_W", out_w)]
}

/// The constants of windows, for pooling and convolution.
pub(crate) fn window_constants(options: Options, window: &Window2d) -> Options {
    let mut options = options;
    for (axis, suffix) in ["H", "W"].into_iter().enumerate() {
        for (name, value) in [
            ("KERNEL", window.kernel[axis]),
            ("STRIDE", window.stride[axis]),
            ("PAD", window.padding[axis][0]),
            ("DILATION", window.dilation[axis]),
        ] {
            options = options.constant(&format!("{name}_{suffix}"), value as u32);
        }
    }
    options
}
