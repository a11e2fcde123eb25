//! Write: an update put into a tensor at places that another operand gives, in the tensor's own memory
//! where the output has it.

use gradloom_plan::View;
use gradloom_shaders::Options;
use gradloom_tensor::{Result, Shape};

use super::coordinates::Frame;
use super::emit::Emitter;
use super::epilogue::{self, dispatch_elements, operand_bindings};
use super::literal;
use super::unit::Unit;

/// Compiles a write kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, data: &Shape, axis: usize, start: &View) -> Result<()> {
    unit.check_len(0, data.count())?;
    let (output, resource) = unit.output(0);
    let in_place = unit.input(0).1 == resource;
    let update = unit.kernel.space.shape;
    let empty = update.count() == 0;
    if in_place && empty {
        return Ok(());
    }
    let operands: &[usize] = if in_place { &[1] } else { &[0, 1] };
    let bindings = operand_bindings(unit, operands, &[])?;
    let (mut bindings, program) = if empty {
        let kind = literal::compute_type(output.dtype);
        let mut bindings = bindings;
        bindings.register(resource, output.dtype, false, true)?;
        (bindings, format!("fn update(index: u32) -> {kind} {{\n    return read0(index);\n}}\n"))
    } else {
        let mut emitter = Emitter::new(unit, Frame::Elements, 1, bindings)?;
        emitter.register_outputs(|_| true)?;
        emitter.function("update", output.value)?
    };
    let mut reads = epilogue::read_view(unit, &mut bindings, "read_start", 1, start)?;
    if !in_place {
        reads += &epilogue::read(unit, &bindings, 0);
    }
    let target = epilogue::Extra { resource, dtype: output.dtype, writable: true };
    let store = epilogue::write_extra(&bindings, "store", target);
    let outer: usize = data[..axis].iter().product();
    let inner: usize = data[axis + 1..].iter().product();
    let picks = update.count() / (outer * inner);
    let sizes =
        [("SIZE", data[axis]), ("PICKS", picks), ("INNER", inner), ("HEADS", outer / data[0])];
    let options = bindings
        .named(Options::new(), &sizes)
        .define_if(!in_place, "COPY")
        .alias("Value", literal::compute_type(output.dtype))
        .splice("reads", reads)
        .splice("update", program + &store);
    let count = if in_place { update.count() } else { data.count() };
    let label = format!("write{update:?} to {data:?}{}", if in_place { "" } else { " copied" });
    dispatch_elements(unit, "write.wgsl", label, count, options, bindings)
}
