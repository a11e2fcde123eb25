//! Maps: a program at every element; the end of every kind that computes element by element.

use gradloom_plan::{Operation, View};
use gradloom_shaders::Options;
use gradloom_tensor::Result;

use super::axes::Axes;
use super::bindings::Bindings;
use super::coordinates::Frame;
use super::emit::Emitter;
use super::unit::{Unit, template_error};

/// Compiles a map kernel.
pub(crate) fn compile(unit: &mut Unit<'_>) -> Result<()> {
    let count = unit.kernel.space.shape.count();
    let lanes = lanes(unit);
    let mut emitter = Emitter::new(unit, Frame::Elements, lanes, Bindings::default())?;
    emitter.register_outputs(|_| true)?;
    emitter.emit_all()?;
    let Emitter { bindings, text, .. } = emitter;
    let workgroup = unit.workgroup_for(count.div_ceil(lanes));
    let groups = count.div_ceil(lanes * workgroup as usize);
    let grid = unit.grid(groups)?;
    let options = Options::new()
        .constant("WORKGROUP", workgroup)
        .constant("COUNT", count as u32)
        .constant("LANES", lanes as u32)
        .constant("GRID_X", grid[0])
        .splice("bindings", bindings.declarations())
        .splice("program", text);
    let source = gradloom_shaders::expand("map.wgsl", &options).map_err(template_error)?;
    unit.dispatch(format!("map{:?}", unit.kernel.space.shape), source, bindings, grid)
}

/// Four neighbours per thread if no group of four crosses the end of the innermost axis.
fn lanes(unit: &Unit<'_>) -> usize {
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
    match axes.sizes.last() {
        Some(last) if last % 4 == 0 && unit.kernel.space.shape.count() >= 1024 => 4,
        _ => 1,
    }
}
