//! What kernels with a kind of their own share: their operands as `read0`, `read1`, .. and their
//! program as `epilogue`.

use gradloom_plan::{Instruction, Kernel, KernelKind, Level, Operation, Program, Space, View};
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Result};

use super::bindings::{Bindings, Resource};
use super::coordinates::Frame;
use super::emit::Emitter;
use super::literal;
use super::packed;
use super::unit::Unit;

/// A buffer beside the kernel's own: scratch memory, and whether the dispatch writes it.
#[derive(Clone, Copy)]
pub(crate) struct Extra {
    pub(crate) resource: Resource,
    pub(crate) dtype: DType,
    pub(crate) writable: bool,
}

/// Bindings of operands, extras, the program and its outputs, and the text of `fn epilogue`.
pub(crate) fn with_epilogue(
    unit: &Unit<'_>,
    operands: &[usize],
    extras: &[Extra],
    accumulator: DType,
) -> Result<(Bindings, String)> {
    on_bindings(unit, operand_bindings(unit, operands, extras)?, accumulator)
}

/// As [`with_epilogue`], on bindings that hold the operands already.
pub(crate) fn on_bindings(
    unit: &Unit<'_>,
    bindings: Bindings,
    accumulator: DType,
) -> Result<(Bindings, String)> {
    let mut emitter = Emitter::new(unit, Frame::Elements, 1, bindings)?;
    emitter.register_outputs(|_| true)?;
    emitter.epilogue(accumulator)
}

/// As [`on_bindings`], for four neighbours along the last axis, whose size is a multiple of four: the text
/// of `fn epilogue_quad`.
pub(crate) fn quad_on_bindings(
    unit: &Unit<'_>,
    bindings: Bindings,
    accumulator: DType,
) -> Result<(Bindings, String)> {
    let mut emitter = Emitter::new(unit, Frame::Elements, 4, bindings)?;
    emitter.register_outputs(|_| true)?;
    emitter.epilogue(accumulator)
}

/// As [`with_epilogue`], of a kernel that makes element after element: the text of `fn epilogue_quad` and
/// 4, where results share words and a thread makes four, or else of `fn epilogue` and 1.
pub(crate) fn in_words(
    unit: &Unit<'_>,
    operands: &[usize],
    extras: &[Extra],
    accumulator: DType,
) -> Result<(Bindings, String, usize)> {
    let bindings = operand_bindings(unit, operands, extras)?;
    if !unit.kernel.outputs.iter().any(|output| packed::is_narrow(output.dtype)) {
        let (bindings, text) = on_bindings(unit, bindings, accumulator)?;
        return Ok((bindings, text, 1));
    }
    let in_fours = unit.kernel.space.shape.last().is_some_and(|last| last.is_multiple_of(4));
    let frame = if in_fours { Frame::Elements } else { Frame::Apart };
    let mut emitter = Emitter::new(unit, frame, 4, bindings)?;
    emitter.register_outputs(|_| true)?;
    let (bindings, text) = emitter.epilogue(accumulator)?;
    Ok((bindings, text, 4))
}

/// Bindings of operands and extras alone, for stages that do not run the program.
pub(crate) fn operand_bindings(
    unit: &Unit<'_>,
    operands: &[usize],
    extras: &[Extra],
) -> Result<Bindings> {
    let mut bindings = Bindings::default();
    for &operand in operands {
        let (input, resource) = unit.input(operand);
        bindings.register(resource, input.dtype, false, false)?;
    }
    for extra in extras {
        bindings.register(extra.resource, extra.dtype, false, extra.writable)?;
    }
    Ok(bindings)
}

/// The dtype of what the kernel's kind computes.
pub(crate) fn accumulator_dtype(kernel: &Kernel) -> DType {
    kernel
        .program
        .instructions
        .iter()
        .find(|instruction| matches!(instruction.operation, Operation::Accumulator))
        .map_or(kernel.outputs[0].dtype, |instruction| instruction.dtype)
}

/// `fn readN(index: u32)` for operand `N`: the element at a linear index.
pub(crate) fn read(unit: &Unit<'_>, bindings: &Bindings, operand: usize) -> String {
    let (input, resource) = unit.input(operand);
    let kind = literal::compute_type(input.dtype);
    let load = bindings.load(resource, input.dtype, "index");
    format!("fn read{operand}(index: u32) -> {kind} {{\n    return {load};\n}}\n")
}

/// `fn name(index: u32)`: operand `operand` at element `index` of a view's shape.
pub(crate) fn read_view(
    unit: &Unit<'_>,
    bindings: &mut Bindings,
    name: &str,
    operand: usize,
    view: &View,
) -> Result<String> {
    unit.check_view(operand, view)?;
    let dtype = unit.kernel.inputs[operand].dtype;
    let load = Instruction {
        operation: Operation::Load { input: operand, view: *view },
        dtype,
        level: Level::Element,
    };
    let kernel = Kernel {
        kind: KernelKind::Map,
        program: Program { instructions: vec![load] },
        space: Space::elements(view.shape),
        inputs: unit.kernel.inputs.clone(),
        outputs: Vec::new(),
        node: unit.kernel.node,
        origins: Vec::new(),
    };
    let reader = unit.reader(&kernel)?;
    let emitter = Emitter::new(&reader, Frame::Elements, 1, std::mem::take(bindings))?;
    let (with_numbers, text) = emitter.function(name, 0)?;
    *bindings = with_numbers;
    Ok(text)
}

/// `fn name(index: u32)`: a word of scratch memory.
pub(crate) fn read_extra(bindings: &Bindings, name: &str, extra: Extra) -> String {
    let kind = literal::compute_type(extra.dtype);
    let load = bindings.load(extra.resource, extra.dtype, "index");
    format!("fn {name}(index: u32) -> {kind} {{\n    return {load};\n}}\n")
}

/// `fn name(index: u32, value)`: stores a word of scratch memory.
pub(crate) fn write_extra(bindings: &Bindings, name: &str, extra: Extra) -> String {
    let kind = literal::compute_type(extra.dtype);
    let store = bindings.store(extra.resource, extra.dtype, "index", "value");
    format!("fn {name}(index: u32, value: {kind}) {{\n    {store}\n}}\n")
}

/// `fn greater(a, b)`: a is more than b, or NaN and b is not; with `less` the other way round.
pub(crate) fn better(name: &str, dtype: DType, less: bool) -> String {
    let sign = if less { '<' } else { '>' };
    let kind = literal::compute_type(dtype);
    let body = match dtype {
        DType::F32 | DType::F64 | DType::F16 | DType::BF16 => {
            format!("a {sign} b || (gl_is_nan(a) && !gl_is_nan(b))")
        }
        DType::Bool => (if less { "!a && b" } else { "a && !b" }).to_owned(),
        DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 => format!("a {sign} b"),
    };
    format!("fn {name}(a: {kind}, b: {kind}) -> bool {{\n    return {body};\n}}\n")
}

/// Finishes a dispatch with one thread per element of `count`.
pub(crate) fn dispatch_elements(
    unit: &mut Unit<'_>,
    template: &'static str,
    label: String,
    count: usize,
    options: Options,
    bindings: Bindings,
) -> Result<()> {
    dispatch_lanes(unit, template, label, count, 1, options, bindings)
}

/// Finishes a dispatch with one thread per `lanes` elements of `count`; for more than one with QUADS.
pub(crate) fn dispatch_lanes(
    unit: &mut Unit<'_>,
    template: &'static str,
    label: String,
    count: usize,
    lanes: usize,
    options: Options,
    mut bindings: Bindings,
) -> Result<()> {
    let workgroup = unit.target.workgroup;
    let options = bindings
        .named(options, &[("COUNT", count)])
        .define_if(lanes > 1, "QUADS")
        .constant("WORKGROUP", workgroup);
    let groups = count.div_ceil(lanes * workgroup as usize);
    unit.dispatch(template, label, options, bindings, groups)
}
