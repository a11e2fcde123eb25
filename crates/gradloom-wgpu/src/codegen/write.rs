//! Write: an update put into a tensor at places that another operand gives, in the tensor's own memory
//! where the output has it.
//!
//! Where elements share words a thread writes a whole word: of the words that an update touches, if no
//! two updates touch the same one, else of all of them.

use gradloom_plan::View;
use gradloom_shaders::Options;
use gradloom_tensor::{Result, Shape};

use super::coordinates::Frame;
use super::emit::Emitter;
use super::epilogue::{self, dispatch_elements, operand_bindings};
use super::literal;
use super::packed;
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
    let outer: usize = data[..axis].iter().product();
    let inner: usize = data[axis + 1..].iter().product();
    let each = packed::per_word(output.dtype);
    let narrow = each > 1;
    // Every element of the result is made anew, or only those of the update.
    let apart = outer == 1 || (data[axis] * inner).is_multiple_of(each);
    let copies = !in_place || !apart;
    let reads_data = copies || narrow;
    let operands: &[usize] = if reads_data { &[0, 1] } else { &[1] };
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
    if reads_data {
        reads += &epilogue::read(unit, &bindings, 0);
    }
    let store = if narrow {
        let values: Vec<String> = (0..each).map(|lane| format!("value{lane}")).collect();
        format!("    {}", bindings.store_word(resource, output.dtype, "word", &values))
    } else {
        format!("    {}", bindings.store(resource, output.dtype, "place", "value"))
    };
    let picks = update.count() / (outer * inner);
    // An update may begin and end within a word.
    let words = (picks * inner).div_ceil(each) + 1;
    let sizes = [
        ("SIZE", data[axis]),
        ("PICKS", picks),
        ("INNER", inner),
        ("HEADS", outer / data[0]),
        ("LENGTH", data.count()),
        ("WORDS", words),
    ];
    let options = bindings
        .named(Options::new(), &sizes)
        .define_if(copies, "COPY")
        .define_if(narrow, "PACKED")
        .constant("EACH", each as u32)
        .alias("Value", literal::compute_type(output.dtype))
        .splice("reads", reads)
        .splice("update", program)
        .splice("store", store);
    let count = match (copies, narrow) {
        (true, _) => data.count().div_ceil(each),
        (false, true) => outer * words,
        (false, false) => update.count(),
    };
    let label = format!("write{update:?} to {data:?}{}", if in_place { "" } else { " copied" });
    dispatch_elements(unit, "write.wgsl", label, count, options, bindings)
}
