//! Maps: a program at every element; the end of every kind that computes element by element.

use gradloom_plan::{Operation, View};
use gradloom_shaders::Options;
use gradloom_tensor::Result;

use super::axes::Axes;
use super::bindings::Bindings;
use super::coordinates::Frame;
use super::emit::Emitter;
use super::packed;
use super::unit::Unit;

/// Compiles a map kernel.
pub(crate) fn compile(unit: &mut Unit<'_>) -> Result<()> {
    let count = unit.kernel.space.shape.count();
    let (frame, lanes) = lanes(unit);
    let mut emitter = Emitter::new(unit, frame, lanes, Bindings::default())?;
    emitter.register_outputs(|_| true)?;
    emitter.emit_all()?;
    let Emitter { mut bindings, text, .. } = emitter;
    let workgroup = unit.target.workgroup;
    let options = Options::new()
        .constant("WORKGROUP", workgroup)
        .define_if(lanes == 4, "LANES")
        .constant("LANES", lanes as u32)
        .splice("program", text);
    let options = bindings.named(options, &[("COUNT", count)]);
    let groups = count.div_ceil(lanes * workgroup as usize);
    let label = format!("map{:?}", unit.kernel.space.shape);
    unit.dispatch("map.wgsl", label, options, bindings, groups)
}

/// Four neighbours per thread if no group of four crosses the end of the innermost axis, or four elements
/// wherever they are if they share words.
fn lanes(unit: &Unit<'_>) -> (Frame, usize) {
    let views: Vec<View> = unit
        .kernel
        .program
        .instructions
        .iter()
        .filter_map(|instruction| match instruction.operation {
            Operation::Load { view, .. } | Operation::Index(view) => Some(view),
            _ => None,
        })
        .collect();
    let axes = Axes::merge(&unit.kernel.space, &views);
    let narrow = unit.kernel.outputs.iter().any(|output| packed::is_narrow(output.dtype));
    let many = unit.kernel.space.shape.count() >= 1024 && unit.target.may("map", "LANES");
    match axes.sizes.last() {
        Some(last) if last % 4 == 0 && (many || narrow) => (Frame::Elements, 4),
        _ if narrow => (Frame::Apart, 4),
        _ => (Frame::Elements, 1),
    }
}
