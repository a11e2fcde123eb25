//! Convolution and its two transposes.

use gradloom_plan::{Convolution, KernelKind};
use gradloom_shaders::Options;
use gradloom_tensor::Result;

use super::epilogue::{self, dispatch_elements, with_epilogue};
use super::literal;
use super::pool::window_constants;
use super::unit::Unit;

/// Compiles a convolution kernel of any kind.
pub(crate) fn compile(unit: &mut Unit<'_>, convolution: &Convolution) -> Result<()> {
    check_operands(unit, convolution)?;
    direct(unit, convolution)
}

/// Which of the three a kernel is: label and define.
pub(crate) fn variant(kind: &KernelKind) -> (&'static str, &'static str) {
    match kind {
        KernelKind::ConvolutionInput(_) => ("convolution_input", "INPUT"),
        KernelKind::ConvolutionWeight(_) => ("convolution_weight", "WEIGHT"),
        _ => ("convolution", "FORWARD"),
    }
}

fn check_operands(unit: &Unit<'_>, convolution: &Convolution) -> Result<()> {
    let Convolution { window, groups, batch, channels, outputs, input_size, output_size } =
        *convolution;
    let input = batch * channels * input_size[0] * input_size[1];
    let weight = outputs * (channels / groups) * window.kernel[0] * window.kernel[1];
    let gradient = batch * outputs * output_size[0] * output_size[1];
    let (first, second) = match unit.kernel.kind {
        KernelKind::ConvolutionInput(_) => (weight, gradient),
        KernelKind::ConvolutionWeight(_) => (input, gradient),
        _ => (input, weight),
    };
    unit.check_len(0, first)?;
    unit.check_len(1, second)
}

/// All constants of a convolution.
pub(crate) fn constants(options: Options, convolution: &Convolution) -> Options {
    let Convolution { window, groups, batch, channels, outputs, input_size, output_size } =
        convolution;
    window_constants(options, window, *input_size, *output_size)
        .constant("BATCH", *batch as u32)
        .constant("CHANNELS", *channels as u32)
        .constant("OUTPUTS", *outputs as u32)
        .constant("GROUP_IN", (channels / groups) as u32)
        .constant("GROUP_OUT", (outputs / groups) as u32)
}

/// One thread per output element.
fn direct(unit: &mut Unit<'_>, convolution: &Convolution) -> Result<()> {
    let (name, define) = variant(&unit.kernel.kind);
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let (bindings, program) = with_epilogue(unit, &[0, 1], &[], dtype)?;
    let reads = epilogue::read(unit, &bindings, 0) + &epilogue::read(unit, &bindings, 1);
    let options = constants(Options::new().define(define), convolution)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let count = unit.kernel.space.shape.count();
    let label = format!("{name} direct {:?}", unit.kernel.space.shape);
    dispatch_elements(unit, "convolution.wgsl", label, count, options, bindings)
}
