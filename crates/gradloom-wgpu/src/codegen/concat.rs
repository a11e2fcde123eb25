//! Concat: tensors one after another along one axis.

use std::fmt::Write as _;

use gradloom_shaders::Options;
use gradloom_tensor::{Result, Scalar, Shape};

use super::epilogue::{self, dispatch_elements, with_epilogue};
use super::literal;
use super::unit::Unit;

/// Compiles a concat kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, axis: usize, parts: &[Shape]) -> Result<()> {
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    // Empty parts hold nothing to read.
    let filled: Vec<usize> = (0..parts.len()).filter(|&part| parts[part].count() > 0).collect();
    let (bindings, program) = with_epilogue(unit, &filled, &[], dtype)?;
    let shape = unit.kernel.space.shape;
    let (mut reads, mut chain, mut start) = (String::new(), String::new(), 0);
    for &part in &filled {
        unit.check_len(part, parts[part].count())?;
        reads.push_str(&epilogue::read(unit, &bindings, part));
        let size = parts[part][axis];
        let end = start + size;
        let _ = writeln!(
            chain,
            "    if (place < {end}u) {{ return read{part}((outer * {size}u + place - {start}u) * INNER + inner); }}"
        );
        start = end;
    }
    let _ = writeln!(chain, "    return {};", literal::scalar(Scalar::Int(0), dtype));
    let options = Options::new()
        .constant("SIZE", shape[axis] as u32)
        .constant("INNER", shape[axis + 1..].iter().product::<usize>() as u32)
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("parts", chain)
        .splice("epilogue", program);
    let label = format!("concat{shape:?}");
    dispatch_elements(unit, "concat.wgsl", label, shape.count(), options, bindings)
}
