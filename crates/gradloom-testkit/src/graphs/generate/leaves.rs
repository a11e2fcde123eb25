//! Drawing steps without operands.

use gradloom_tensor::DType;

use super::Maker;
use super::builder::Builder;
use crate::graphs::Parameters;

pub(super) const MAKERS: &[(usize, Maker)] = &[(3, constant), (2, iota), (2, random)];

/// A constant or an argument, in the shape of a step or a new one.
fn constant(builder: &mut Builder) -> Option<()> {
    let sizes = shape(builder);
    let number = *builder.rng.choose(&[0.0, 1.0, -2.0, 0.5, 3.0]);
    let float = builder.float;
    let dtype = *builder.rng.choose(&[float, float, DType::I32, DType::Bool]);
    let name = *builder.rng.choose(&["constant", "full"]);
    // A truth value that changes from round to round would be one all the same.
    let name = if dtype == DType::Bool { "constant" } else { name };
    builder.named(name, &[], Parameters { sizes, number, dtype, ..Parameters::default() });
    Some(())
}

fn shape(builder: &mut Builder) -> Vec<usize> {
    if builder.rng.chance(60)
        && let Some(at) = builder.pick(|_, _| true)
    {
        return builder.shape(at).to_vec();
    }
    builder.new_shape()
}

fn iota(builder: &mut Builder) -> Option<()> {
    let sizes = shape(builder);
    if sizes.is_empty() {
        return None;
    }
    let axes = vec![builder.rng.below(sizes.len()) as isize];
    let largest = sizes.iter().copied().max().unwrap_or(1) as f64;
    builder.named("iota", &[], Parameters { sizes, axes, ..Parameters::default() });
    builder.magnitude_is(largest);
    Some(())
}

fn random(builder: &mut Builder) -> Option<()> {
    let sizes = shape(builder);
    let seed = builder.rng.bits() >> 40;
    let name = *builder.rng.choose(&["random_bits", "uniform", "normal"]);
    builder.named(name, &[], Parameters { sizes, seed, ..Parameters::default() });
    builder.magnitude_is(if name == "random_bits" { 1e9 } else { 6.0 });
    Some(())
}
