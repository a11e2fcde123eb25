//! Convolution and its two transposes.

use gradloom_plan::Convolution;
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::bindings::Bindings;
use super::epilogue::{self, dispatch_elements, with_epilogue};
use super::literal;
use super::pool::{window_constants, window_sizes};
use super::tiled::{self, Product};
use super::unit::Unit;

/// Channels of a group from which tiles pay.
const GROUP_WIDE: usize = 16;

/// What a kernel computes: the convolution, or the gradient of one of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Output,
    Input,
    Weight,
}

impl Side {
    /// Label and define.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Side::Output => ("convolution", "FORWARD"),
            Side::Input => ("convolution_input", "INPUT"),
            Side::Weight => ("convolution_weight", "WEIGHT"),
        }
    }
}

/// Compiles a convolution kernel of any kind.
pub(crate) fn compile(unit: &mut Unit<'_>, side: Side, convolution: &Convolution) -> Result<()> {
    check_operands(unit, side, convolution)?;
    let float = unit.kernel.inputs[0].dtype.compute() == DType::F32;
    let channels =
        (convolution.channels / convolution.groups).min(convolution.outputs / convolution.groups);
    // Grouped tiles of few channels would be nearly empty.
    if float && tiled::fits(unit.target) && (convolution.groups == 1 || channels >= GROUP_WIDE) {
        tiles(unit, side, convolution)
    } else {
        direct(unit, side, convolution)
    }
}

fn check_operands(unit: &Unit<'_>, side: Side, convolution: &Convolution) -> Result<()> {
    let Convolution { window, groups, batch, channels, outputs, input_size, output_size } =
        *convolution;
    let input = batch * channels * input_size[0] * input_size[1];
    let weight = outputs * (channels / groups) * window.kernel[0] * window.kernel[1];
    let gradient = batch * outputs * output_size[0] * output_size[1];
    let (first, second) = match side {
        Side::Output => (input, weight),
        Side::Input => (weight, gradient),
        Side::Weight => (input, gradient),
    };
    unit.check_len(0, first)?;
    unit.check_len(1, second)
}

/// All sizes of a convolution.
fn sizes(convolution: &Convolution) -> Vec<(&'static str, usize)> {
    let Convolution { groups, batch, channels, outputs, input_size, output_size, .. } =
        *convolution;
    let mut sizes = window_sizes(input_size, output_size);
    sizes.extend([
        ("BATCH", batch),
        ("CHANNELS", channels),
        ("OUTPUTS", outputs),
        ("GROUP_IN", channels / groups),
        ("GROUP_OUT", outputs / groups),
    ]);
    sizes
}

/// One thread per output element.
fn direct(unit: &mut Unit<'_>, side: Side, convolution: &Convolution) -> Result<()> {
    unit.widen_outputs(|_| true);
    let (name, define) = side.names();
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let (mut bindings, program) = with_epilogue(unit, &[0, 1], &[], dtype)?;
    let reads = epilogue::read(unit, &bindings, 0) + &epilogue::read(unit, &bindings, 1);
    let options = window_constants(Options::new().define(define), &convolution.window);
    let options = bindings
        .named(options, &sizes(convolution))
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    let count = unit.kernel.space.shape.count();
    let label = format!("{name} direct {:?}", unit.kernel.space.shape);
    dispatch_elements(unit, "convolution.wgsl", label, count, options, bindings)
}

/// The product of matrices that index arithmetic makes of the operands. A batch is a group.
fn tiles(unit: &mut Unit<'_>, side: Side, convolution: &Convolution) -> Result<()> {
    let Convolution { window, groups, batch, channels, outputs, input_size, output_size } =
        *convolution;
    let (group_in, group_out) = (channels / groups, outputs / groups);
    let taps = window.kernel[0] * window.kernel[1];
    let pixels_in = batch * input_size[0] * input_size[1];
    let pixels_out = batch * output_size[0] * output_size[1];
    let (name, define) = side.names();
    let ([m, n, k], k_fastest) = match side {
        Side::Output => ([group_out, pixels_out, group_in * taps], [true, false]),
        Side::Input => ([group_in, pixels_in, group_out * taps], [true, false]),
        Side::Weight => ([group_out, group_in * taps, pixels_out], [true, true]),
    };
    let prefix = define.to_lowercase();
    let operands = |unit: &Unit<'_>, bindings: &mut Bindings, _: [bool; 2]| {
        let reads = epilogue::read(unit, bindings, 0) + &epilogue::read(unit, bindings, 1);
        format!(
            "{reads}fn lhs_at(batch: u32, m: u32, k: u32) -> f32 {{
    return {prefix}_lhs(batch, m, k);
}}
fn rhs_at(batch: u32, k: u32, n: u32) -> f32 {{
    return {prefix}_rhs(batch, k, n);
}}
"
        )
    };
    let place = format!("fn place(index: u32) -> u32 {{\n    return {prefix}_place(index);\n}}\n");
    let product = Product {
        label: format!("{name}{:?}", unit.kernel.space.shape),
        batch: groups,
        m,
        n,
        k,
        k_fastest,
        vectors: [false; 2],
        operands: &operands,
        place: Some(place),
        numbers: sizes(convolution),
        options: window_constants(Options::new(), &window),
    };
    tiled::compile(unit, &product)
}
