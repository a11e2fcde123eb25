//! Ops from outside: their own WGSL between the functions that read operands and write results.

use gradloom_shaders::Options;
use gradloom_tensor::custom_op::{Grid, Wgsl};
use gradloom_tensor::op::Call;
use gradloom_tensor::{DType, Error, Result};

use super::bindings::Bindings;
use super::epilogue::{Extra, dispatch_lanes, in_words, operand_bindings, read_extra};
use super::literal;
use super::packed;
use super::unit::Unit;

/// Most threads of a workgroup that every device has.
const THREADS_MAX: u32 = 256;

/// Compiles the call of an op from outside.
pub(crate) fn compile(unit: &mut Unit<'_>, call: &Call) -> Result<()> {
    let no_kernel =
        || Error::unsupported("the op has no kernel for this device; move its operands to the CPU");
    let shader = call.op().wgsl(call.operands(), call.results()).ok_or_else(no_kernel)?;
    let (output, resource) = unit.output(0);
    // What it writes are words. Narrow results are put into their memory afterwards.
    let narrow = packed::is_narrow(output.dtype);
    let target = match narrow {
        false => Extra { resource, dtype: output.dtype, writable: true },
        true => {
            let resource = unit.add_scratch(output.len);
            Extra { resource, dtype: output.dtype.compute(), writable: true }
        }
    };
    foreign(unit, call, shader, target)?;
    if narrow { finish(unit, target) } else { Ok(()) }
}

/// The op's own shader.
fn foreign(unit: &mut Unit<'_>, call: &Call, shader: Wgsl, target: Extra) -> Result<()> {
    let operands: Vec<usize> = (0..call.operands().len()).collect();
    let mut bindings = operand_bindings(unit, &operands, &[target])?;
    let mut access = String::new();
    for (operand, of) in call.operands().iter().enumerate() {
        access += &read(unit, &mut bindings, operand, of.shape.count());
    }
    let mut first = 0;
    for (result, of) in call.results().iter().enumerate() {
        access += &write(&mut bindings, result, target, [first, of.shape.count()]);
        first += of.shape.count();
    }
    let packed_dot = unit.target.packed_dot && unit.target.may("matmul_bytes", "PACKED_DOT");
    let options = Options::new().splice("access", access).splice("source", shader.source);
    let options = options.define_if(packed_dot, "PACKED_DOT");
    let workgroup = unit.target.workgroup;
    let (options, end, threads, groups) = match shader.grid {
        Grid::Elements(count) => {
            (options.define("ELEMENTS"), count, workgroup, count.div_ceil(workgroup as usize))
        }
        Grid::Workgroups { count, threads } if (1..=THREADS_MAX).contains(&threads) => {
            (options.define("WORKGROUPS"), count, threads, count)
        }
        Grid::Workgroups { threads, .. } => {
            return Err(Error::unsupported(format!(
                "its shader wants workgroups of {threads} threads; there are 1 to {THREADS_MAX}"
            )));
        }
    };
    let options = bindings.named(options, &[("COUNT", end)]).constant("WORKGROUP", threads);
    unit.dispatch("call.wgsl", call.op().name(), options, bindings, groups)?;
    if let Some(own) = unit.dispatches.last_mut() {
        own.foreign = true;
    }
    Ok(())
}

/// Puts what the shader wrote into the memory of the result.
fn finish(unit: &mut Unit<'_>, written: Extra) -> Result<()> {
    let written = Extra { writable: false, ..written };
    let (bindings, program, lanes) = in_words(unit, &[], &[written], written.dtype)?;
    let access = read_extra(&bindings, "read_written", written);
    let options = Options::new().define("FINISH").splice("access", access);
    let options = options.splice("source", "").splice("epilogue", program);
    let count = unit.kernel.space.shape.count();
    let label = "call, stored".to_owned();
    dispatch_lanes(unit, "call.wgsl", label, count, lanes, options, bindings)
}

/// `fn writeN(index: u32, value)` of a result that begins somewhere and has so many elements; nothing
/// outside of it.
fn write(
    bindings: &mut Bindings,
    result: usize,
    target: Extra,
    [first, count]: [usize; 2],
) -> String {
    let kind = literal::compute_type(target.dtype);
    let (start, len) = (bindings.number("first", first), bindings.number("len", count));
    let store = bindings.store(target.resource, target.dtype, &format!("{start} + index"), "value");
    format!(
        "fn write{result}(index: u32, value: {kind}) {{\n    if (index < {len}) {{ {store} }}\n}}\n"
    )
}

/// `fn readN(index: u32)` of an operand of so many elements; zero outside of it. Of bytes `fn wordN(index: u32)`, too.
fn read(unit: &Unit<'_>, bindings: &mut Bindings, operand: usize, count: usize) -> String {
    let (input, resource) = unit.input(operand);
    let kind = literal::compute_type(input.dtype);
    let len = bindings.number("len", count);
    let load = bindings.load(resource, input.dtype, "index");
    let mut text = format!(
        "fn read{operand}(index: u32) -> {kind} {{\n    if (index >= {len}) {{ return {kind}(); }}\n    \
         return {load};\n}}\n"
    );
    if matches!(input.dtype, DType::U8 | DType::I8) {
        let word = bindings.load_word(resource, "index");
        // The last word may hold bytes that are no elements.
        text += &format!(
            "fn word{operand}(index: u32) -> u32 {{\n    let first = index * 4u;\n    \
             if (index >= 1073741824u || first >= {len}) {{ return 0u; }}\n    \
             let kept = min({len} - first, 4u);\n    \
             return {word} & (4294967295u >> (8u * (4u - kept)));\n}}\n"
        );
    }
    text
}
