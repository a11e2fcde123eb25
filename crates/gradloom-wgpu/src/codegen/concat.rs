//! Concat: tensors one after another along one axis.

use std::fmt::Write as _;

use gradloom_shaders::Options;
use gradloom_tensor::{Result, Scalar, Shape};

use super::epilogue::{self, dispatch_lanes, in_words};
use super::literal;
use super::unit::Unit;

/// Compiles a concat kernel.
pub(crate) fn compile(unit: &mut Unit<'_>, axis: usize, parts: &[Shape]) -> Result<()> {
    let dtype = epilogue::accumulator_dtype(unit.kernel);
    // Empty parts hold nothing to read.
    let filled: Vec<usize> = (0..parts.len()).filter(|&part| parts[part].count() > 0).collect();
    let (mut bindings, program, lanes) = in_words(unit, &filled, &[], dtype)?;
    let shape = unit.kernel.space.shape;
    let (mut reads, mut chain, mut start) = (String::new(), String::new(), 0);
    for &part in &filled {
        unit.check_len(part, parts[part].count())?;
        reads.push_str(&epilogue::read(unit, &bindings, part));
        let end = start + parts[part][axis];
        let [from, to, size] = [("start", start), ("end", end), ("size", end - start)]
            .map(|(name, value)| bindings.number(name, value));
        let _ = writeln!(
            chain,
            "    if (place < {to}) {{ return read{part}((outer * {size} + place - {from}) * INNER + inner); }}"
        );
        start = end;
    }
    let _ = writeln!(chain, "    return {};", literal::scalar(Scalar::Int(0), dtype));
    let inner = shape[axis + 1..].iter().product();
    let options = bindings
        .named(Options::new(), &[("SIZE", shape[axis]), ("INNER", inner)])
        .alias("Value", literal::compute_type(dtype))
        .splice("reads", reads)
        .splice("parts", chain)
        .splice("epilogue", program);
    let label = format!("concat{shape:?}");
    dispatch_lanes(unit, "concat.wgsl", label, shape.count(), lanes, options, bindings)
}
