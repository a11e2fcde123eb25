//! Convolution and its two transposes.

use gradloom_plan::Convolution;
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::bindings::Bindings;
use super::epilogue::{self, Extra, dispatch_elements, with_epilogue};
use super::literal;
use super::pool::windows;
use super::tiled::{self, Parts, Product, SAME_PLACE, sum_parts};
use super::unit::Unit;

/// Channels of a group from which tiles pay.
const GROUP_WIDE: usize = 16;

/// Positions of a part of the direct weight gradient, at least and at most.
const POSITIONS_MIN: usize = 256;
const POSITIONS_MAX: usize = 1 << 14;

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
    let input = convolution.input().count();
    let weight = convolution.weight().count();
    let gradient = convolution.output().count();
    let (first, second) = match side {
        Side::Output => (input, weight),
        Side::Input => (weight, gradient),
        Side::Weight => (input, gradient),
    };
    unit.check_len(0, first)?;
    unit.check_len(1, second)
}

/// What the templates need of a convolution: constants, and sizes as numbers.
fn sizes(options: Options, convolution: &Convolution) -> (Options, Vec<(&'static str, usize)>) {
    let Convolution { window, groups, batch, channels, outputs, input_size, output_size, .. } =
        *convolution;
    let (options, mut numbers) = windows(options, &window, input_size, output_size);
    numbers.extend([
        ("BATCH", batch),
        ("CHANNELS", channels),
        ("OUTPUTS", outputs),
        ("GROUP_IN", channels / groups),
        ("GROUP_OUT", outputs / groups),
    ]);
    (options, numbers)
}

/// As [`sizes`], for products of matrices.
fn product_sizes(convolution: &Convolution) -> (Options, Vec<(&'static str, usize)>) {
    let (options, mut numbers) = sizes(Options::new(), convolution);
    let [in_d, in_h, in_w] = convolution.input_size;
    let [out_d, out_h, out_w] = convolution.output_size;
    numbers.extend([
        ("PLANE_IN", in_h * in_w),
        ("PLANE_OUT", out_h * out_w),
        ("PIXELS_IN", in_d * in_h * in_w),
        ("PIXELS_OUT", out_d * out_h * out_w),
    ]);
    (options, numbers)
}

/// One thread per output element.
fn direct(unit: &mut Unit<'_>, side: Side, convolution: &Convolution) -> Result<()> {
    unit.widen_outputs(|_| true);
    let (name, define) = side.names();
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let count = unit.kernel.space.shape.count();
    let label = format!("{name} direct {:?}", unit.kernel.space.shape);
    let Convolution { window, groups, batch, channels, outputs, output_size, .. } = *convolution;
    let [depth, height, width] = window.kernel;
    let turns = |channels: usize| channels / groups * (1 + depth * (1 + height * (1 + width)));
    let positions = batch * output_size.iter().product::<usize>();
    match side {
        Side::Output => unit.check_turns("convolution", turns(channels))?,
        Side::Input => unit.check_turns("convolution_input", turns(outputs))?,
        Side::Weight => {
            let chunk = weight_chunk(unit, count, positions);
            if chunk < positions {
                return split_weight(unit, label, convolution, chunk);
            }
        }
    }
    let (mut bindings, program) = with_epilogue(unit, &[0, 1], &[], dtype)?;
    let reads = epilogue::read(unit, &bindings, 0) + &epilogue::read(unit, &bindings, 1);
    let (options, mut numbers) = sizes(Options::new().define(define), convolution);
    if side == Side::Weight {
        numbers.push(("POSITIONS", positions));
    }
    let options = bindings
        .named(options, &numbers)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", program);
    dispatch_elements(unit, "convolution.wgsl", label, count, options, bindings)
}

/// Positions that a thread of the direct weight gradient walks: few enough that the device is busy, and
/// never too many for one thread.
fn weight_chunk(unit: &Unit<'_>, count: usize, positions: usize) -> usize {
    let threads = (unit.target.busy_workgroups * unit.target.workgroup) as usize / 4;
    let wanted = threads.div_ceil(count.max(1)).min(positions / POSITIONS_MIN);
    positions.div_ceil(wanted.max(1)).min(POSITIONS_MAX)
}

/// The direct weight gradient in parts of `chunk` positions, which are then added.
fn split_weight(
    unit: &mut Unit<'_>,
    label: String,
    convolution: &Convolution,
    chunk: usize,
) -> Result<()> {
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    let count = unit.kernel.space.shape.count();
    let Convolution { batch, output_size, .. } = *convolution;
    let positions = batch * output_size.iter().product::<usize>();
    let splits = positions.div_ceil(chunk);
    let resource = unit.add_scratch(splits * count);
    let partial = Extra { resource, dtype: dtype.compute(), writable: true };
    let mut bindings = epilogue::operand_bindings(unit, &[0, 1], &[partial])?;
    let reads = epilogue::read(unit, &bindings, 0) + &epilogue::read(unit, &bindings, 1);
    let write = epilogue::write_extra(&bindings, "write_partial", partial);
    let (options, mut numbers) =
        sizes(Options::new().define("WEIGHT").define("SPLIT"), convolution);
    numbers.extend([("POSITIONS", positions), ("WEIGHTS", count), ("CHUNK", chunk)]);
    let options = bindings
        .named(options, &numbers)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("epilogue", write);
    let first = format!("{label} by {chunk}");
    dispatch_elements(unit, "convolution.wgsl", first, splits * count, options, bindings)?;
    let parts = Parts { count, splits, partial };
    sum_parts(unit, format!("{label} sum"), parts, dtype, Options::new(), &[], SAME_PLACE)
}

/// The product of matrices that index arithmetic makes of the operands. A batch is a group.
fn tiles(unit: &mut Unit<'_>, side: Side, convolution: &Convolution) -> Result<()> {
    let Convolution { window, groups, batch, channels, outputs, input_size, output_size, .. } =
        *convolution;
    let (group_in, group_out) = (channels / groups, outputs / groups);
    let taps = window.taps();
    let pixels_in = batch * input_size.iter().product::<usize>();
    let pixels_out = batch * output_size.iter().product::<usize>();
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
    let (options, numbers) = product_sizes(convolution);
    let options = options.define(define);
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
        numbers,
        options,
    };
    tiled::compile(unit, &product)
}
