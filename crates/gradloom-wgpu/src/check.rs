//! `GRADLOOM_CHECK=nan`: after every kernel its results are downloaded and looked at, and the first NaN
//! or infinity that none of its operands had ends the evaluation. Slow, and right: nothing is written
//! in place meanwhile, so every tensor is as it was.

use std::sync::Once;

use gradloom_plan::{BufferRef, Kernel, Level, Operation, Plan};
use gradloom_tensor::{DType, Error, Result, Scalar, Shape, bf16, f16};
use rustc_hash::FxHashMap;

use crate::compiled::resolve_alias;
use crate::pool::Memory;
use crate::status::CheckSite;
use crate::step::Memories;
use crate::transfer::Staging;

/// What `GRADLOOM_CHECK` may ask for.
const WORDS: [&str; 2] = ["nan", "plan"];

/// True if the environment asks for this check. Words that mean nothing are told once.
pub(crate) fn from_environment() -> bool {
    let value = std::env::var("GRADLOOM_CHECK").unwrap_or_default();
    let (known, unknown) = parse(&value);
    static TOLD: Once = Once::new();
    if !unknown.is_empty() {
        TOLD.call_once(|| {
            eprintln!(
                "GRADLOOM_CHECK: `{}` means nothing; it takes {} (several with commas between)",
                unknown.join(","),
                WORDS.join(" and ")
            );
        });
    }
    known.contains(&"nan")
}

/// The words of the variable's value that are known, and those that are not.
fn parse(value: &str) -> (Vec<&str>, Vec<&str>) {
    let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.partition(|word| WORDS.contains(word))
}

/// The plan with memory of its own for every output, under a number of its own.
pub(crate) fn without_reuse(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for output in &mut plan.outputs {
        output.reuses = None;
    }
    plan
}

/// What is in a buffer besides numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    nan: bool,
    infinity: bool,
}

impl Found {
    fn in_values(values: impl Iterator<Item = f32>) -> Found {
        values.fold(Found::default(), |found, value| found.or(Found::of(value)))
    }

    fn of(value: f32) -> Found {
        Found { nan: value.is_nan(), infinity: value.is_infinite() }
    }

    fn or(self, other: Found) -> Found {
        Found { nan: self.nan || other.nan, infinity: self.infinity || other.infinity }
    }
}

/// What has been found in the buffers of one evaluation.
#[derive(Debug, Default)]
pub(crate) struct FiniteCheck {
    found: FxHashMap<BufferRef, Found>,
}

impl FiniteCheck {
    /// Fails if `kernel`, which has run, made a NaN or an infinity.
    pub(crate) fn look(
        &mut self,
        plan: &Plan,
        kernel: &Kernel,
        memory: &Memories<'_>,
        arguments: &[Scalar],
        staging: &Staging,
        sites: &dyn Fn(usize) -> CheckSite,
    ) -> Result<()> {
        let mut given = constants(kernel, arguments);
        for input in &kernel.inputs {
            let owner = resolve_alias(plan, input.buffer);
            let known = match self.found.get(&owner) {
                Some(&known) => known,
                None => read(memory.of_plan(owner), input.dtype, input.len, staging)?,
            };
            self.found.insert(owner, known);
            given = given.or(known);
        }
        for output in &kernel.outputs {
            let owner = resolve_alias(plan, output.buffer);
            let made = read(memory.of_plan(owner), output.dtype, output.len, staging)?;
            self.found.insert(owner, made);
            let what = match (made.nan && !given.nan, made.infinity && !given.infinity) {
                (true, _) => "NaN",
                (false, true) => "infinity",
                (false, false) => continue,
            };
            let CheckSite { op, location } = sites(output.node);
            let shape = shape_of(kernel, kernel.program.instructions[output.value].level);
            return Err(Error::not_finite(op, what, shape, location));
        }
        Ok(())
    }
}

/// What the program itself holds: a mask of minus infinity makes none.
fn constants(kernel: &Kernel, arguments: &[Scalar]) -> Found {
    let values = kernel.program.instructions.iter().filter_map(|next| match next.operation {
        Operation::Constant(value) => Some(value.as_f64()),
        Operation::Argument(argument) => arguments.get(argument).map(|value| value.as_f64()),
        Operation::Load { .. }
        | Operation::Accumulator
        | Operation::Index(_)
        | Operation::Random { .. }
        | Operation::Unary(..)
        | Operation::Binary(..)
        | Operation::Select(..)
        | Operation::Cast(_)
        | Operation::CheckIndex { .. }
        | Operation::Reduce(..) => None,
    });
    Found::in_values(values.map(|value| value as f32))
}

fn shape_of(kernel: &Kernel, level: Level) -> Shape {
    let space = &kernel.space;
    match level {
        Level::Element => space.shape,
        Level::Row => space.shape.iter().copied().take(space.kept).collect(),
    }
}

fn read(memory: Option<&Memory>, dtype: DType, len: usize, staging: &Staging) -> Result<Found> {
    if !dtype.is_float() || len == 0 {
        return Ok(Found::default());
    }
    let memory = memory.ok_or_else(|| Error::backend("plan: a kernel's buffer is missing"))?;
    let (bytes, _) = staging.read(&memory.raw, dtype, len)?;
    let halves = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    Ok(match dtype {
        DType::F16 => Found::in_values(halves().map(|pair| f16::from_ne_bytes(pair).to_f32())),
        DType::BF16 => Found::in_values(halves().map(|pair| bf16::from_ne_bytes(pair).to_f32())),
        DType::F32 => {
            Found::in_values(bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned::<f32>))
        }
        DType::F64 | DType::I32 | DType::U32 | DType::U8 | DType::Bool => Found::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_variable_is_a_list_of_known_words() {
        assert_eq!(parse("nan"), (vec!["nan"], vec![]));
        assert_eq!(parse("plan, nan"), (vec!["plan", "nan"], vec![]));
        assert_eq!(parse("1,nan,"), (vec!["nan"], vec!["1"]));
        assert_eq!(parse(""), (vec![], vec![]));
    }
}
