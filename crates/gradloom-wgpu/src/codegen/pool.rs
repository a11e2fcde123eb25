//! Pooling and its transposes.

use gradloom_plan::{KernelKind, Pool};
use gradloom_shaders::Options;
use gradloom_tensor::Result;
use gradloom_tensor::op::{Reduction, Window2d};

use super::epilogue::{self, dispatch_elements, with_epilogue};
use super::literal;
use super::unit::Unit;

/// Compiles a pooling kernel of any kind.
pub(crate) fn compile(unit: &mut Unit<'_>, pool: &Pool) -> Result<()> {
    let (name, defines): (&str, &[&str]) = match unit.kernel.kind {
        KernelKind::PoolMax(_) => ("pool_max", &["WINNER"]),
        KernelKind::PoolMaxScatter(_) => ("pool_max_scatter", &["WINNER", "SCATTER"]),
        KernelKind::PoolMaxGather(_) => ("pool_max_gather", &["WINNER", "GATHER"]),
        KernelKind::PoolSumScatter(_) => ("pool_sum_scatter", &["SCATTER"]),
        _ => ("pool_sum", &[]),
    };
    let inputs = pool.planes * pool.input_size[0] * pool.input_size[1];
    let outputs = pool.planes * pool.output_size[0] * pool.output_size[1];
    let operands: &[usize] = match unit.kernel.kind {
        KernelKind::PoolMaxScatter(_) => {
            unit.check_len(0, inputs)?;
            unit.check_len(1, outputs)?;
            &[0, 1]
        }
        KernelKind::PoolMaxGather(_) => {
            unit.check_len(0, inputs)?;
            unit.check_len(1, inputs)?;
            &[0, 1]
        }
        KernelKind::PoolSumScatter(_) => {
            unit.check_len(0, outputs)?;
            &[0]
        }
        _ => {
            unit.check_len(0, inputs)?;
            &[0]
        }
    };
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let (bindings, program) = with_epilogue(unit, operands, &[], dtype)?;
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
    let options = window_constants(options, &pool.window, pool.input_size, pool.output_size)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let count = unit.kernel.space.shape.count();
    let label = format!("{name}{:?}", unit.kernel.space.shape);
    dispatch_elements(unit, "pool.wgsl", label, count, options, bindings)
}

/// The constants of windows, for pooling and convolution.
pub(crate) fn window_constants(
    options: Options,
    window: &Window2d,
    input: [usize; 2],
    output: [usize; 2],
) -> Options {
    let mut options = options;
    for (axis, suffix) in ["H", "W"].into_iter().enumerate() {
        for (name, value) in [
            ("IN", input[axis]),
            ("OUT", output[axis]),
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
