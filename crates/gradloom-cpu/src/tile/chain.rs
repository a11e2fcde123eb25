//! Chains: steps of f32 lanes that follow one another, each on the result of the one before, as one pass whose
//! values stay in registers.
#![expect(unsafe_code, reason = "loads and stores by pointer; bounds are checked once before them")]

use gradloom_tensor::op::{Binary, Unary};

use super::operand::Operand;
use super::sources::Sources;
use super::step::{Link, LinkOp, Source, Step, Target, TileProgram, Work, operands};
use crate::convert::Lane;
use crate::simd::Level;
use crate::vector::{Array, Real, Vector, VectorTask};

/// Links of a chain, at most.
const LINKS_MAX: usize = 8;

/// A step as a link on one of its operands, for which `value` says whether it is that one.
fn link(step: &Step, value: impl Fn(Source) -> bool) -> Option<(Source, Link)> {
    let of =
        |value: Source, op: LinkOp, operands: [Source; 2]| Some((value, Link { op, operands }));
    match step.work {
        Work::Binary(op, Lane::F32, a, b) => match op {
            Binary::Add if value(a) => of(a, LinkOp::Add, [b; 2]),
            Binary::Add if value(b) => of(b, LinkOp::Add, [a; 2]),
            Binary::Mul if value(a) => of(a, LinkOp::Multiply, [b; 2]),
            Binary::Mul if value(b) => of(b, LinkOp::Multiply, [a; 2]),
            Binary::Sub if value(a) => of(a, LinkOp::Subtract, [b; 2]),
            Binary::Sub if value(b) => of(b, LinkOp::SubtractFrom, [a; 2]),
            _ => None,
        },
        Work::Unary(Unary::Relu, Lane::F32, a) if value(a) => of(a, LinkOp::Relu, [a; 2]),
        Work::Clamp(a, low, high) if value(a) => of(a, LinkOp::Clamp, [low, high]),
        _ => None,
    }
}

/// A step as links on a value, if it is nothing else.
pub(super) fn links_on(step: &Step, value: Source) -> Option<Vec<Link>> {
    match &step.work {
        Work::Chain(first, links) => (*first == value).then(|| links.clone()),
        _ => link(step, |source| source == value).map(|(_, link)| vec![link]),
    }
}

/// Makes chains of neighbouring steps whose results nobody else reads.
pub(super) fn fuse_chains(program: &mut TileProgram) {
    let readers = |program: &TileProgram, source: Source| {
        let of_steps = program.steps.iter().flat_map(|step| operands(&step.work));
        let kept = program.stores.iter().map(|(source, ..)| *source);
        of_steps
            .chain(kept)
            .chain(program.exports.iter().copied())
            .filter(|own| *own == source)
            .count()
    };
    let mut index = 0;
    while index + 1 < program.steps.len() {
        let is_vector = |source: Source| !matches!(source, Source::Uniform(_) | Source::Block(_));
        let Some((first, begin)) = link(&program.steps[index], is_vector) else {
            index += 1;
            continue;
        };
        let (mut links, mut end) = (vec![begin], index);
        while links.len() < LINKS_MAX && end + 1 < program.steps.len() {
            let Target::Register(register) = program.steps[end].target else { break };
            let value = Source::Register(register);
            if readers(program, value) != 1 {
                break;
            }
            let next = &program.steps[end + 1];
            let Some((_, link)) = link(next, |source| source == value) else { break };
            // What is written must not be read beside, but by the first link.
            let written = match next.target {
                Target::Output(output) => Some(Source::Output(output)),
                _ => None,
            };
            let reads = |link: &Link| link.sources().any(|source| Some(source) == written);
            if links.iter().chain([&link]).any(reads) {
                break;
            }
            links.push(link);
            end += 1;
        }
        if end > index {
            let Step { target, lane, .. } = program.steps[end];
            let work = Work::Chain(first, links);
            program.steps.splice(index..=end, [Step { work, target, lane }]);
        }
        index += 1;
    }
}

/// A link with what it reads.
#[derive(Clone, Copy)]
struct Bound<'a> {
    op: LinkOp,
    operands: [Operand<'a, f32>; 2],
}

/// Runs a chain over a tile.
pub(super) fn run_chain(
    level: Level,
    first: Source,
    links: &[Link],
    target: Target,
    sources: &Sources<'_>,
    out: &mut [u8],
) {
    let mut bound = [Bound { op: LinkOp::Relu, operands: [Operand::Scalar(0.0); 2] }; LINKS_MAX];
    for (bound, link) in bound.iter_mut().zip(links) {
        bound.op = link.op;
        for (operand, source) in bound.operands.iter_mut().zip(link.sources()) {
            *operand = sources.operand(source);
        }
    }
    // The output that is written has the values where it is also what they begin with.
    let in_place = matches!((first, target), (Source::Output(a), Target::Output(b)) if a == b);
    let first = (!in_place).then(|| sources.operand(first));
    chain(level, first, &bound[..links.len()], bytemuck::cast_slice_mut(out));
}

/// Computes a tile. Without a `first` the values are those that `out` has.
fn chain(level: Level, first: Option<Operand<'_, f32>>, links: &[Bound<'_>], out: &mut [f32]) {
    f32::dispatch(level, Chain { first, links, out });
}

struct Chain<'a> {
    first: Option<Operand<'a, f32>>,
    links: &'a [Bound<'a>],
    out: &'a mut [f32],
}

/// Vectors that are computed together.
const VECTORS: usize = 4;

impl VectorTask<f32> for Chain<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = f32>, const ROWS: usize, const COLUMNS: usize>(self) {
        let Chain { first, links, out } = self;
        let fits = |operand: &Operand<'_, f32>| match operand {
            Operand::Slice(values) => values.len() >= out.len(),
            Operand::Scalar(_) => true,
        };
        assert!(first.iter().all(fits), "chain: the first operand is too short");
        for link in links {
            let operands = &link.operands[..link.op.operands()];
            assert!(operands.iter().all(fits), "chain: an operand is too short");
        }
        let mut index = 0;
        // SAFETY: the assertions above, and no vector leaves `out`.
        unsafe {
            while index + VECTORS * V::LANES <= out.len() {
                vectors::<V, VECTORS>(first, links, out, index);
                index += VECTORS * V::LANES;
            }
            while index + V::LANES <= out.len() {
                vectors::<V, 1>(first, links, out, index);
                index += V::LANES;
            }
            while index < out.len() {
                vectors::<Array<f32, 1, false>, 1>(first, links, out, index);
                index += 1;
            }
        }
    }
}

/// # Safety
/// `COUNT` vectors from `index` on are in `out`, and in all operands.
#[inline(always)]
unsafe fn vectors<V: Vector<Scalar = f32>, const COUNT: usize>(
    first: Option<Operand<'_, f32>>,
    links: &[Bound<'_>],
    out: &mut [f32],
    index: usize,
) {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let mut values: [V; COUNT] = match first {
            Some(first) => load(first, index),
            None => load(Operand::Slice(out), index),
        };
        // No closures: they would be compiled without the level's features.
        macro_rules! each {
            ($value:ident, $operand:ident in $operands:expr => $result:expr) => {
                let operands: [V; COUNT] = $operands;
                for place in 0..COUNT {
                    let ($value, $operand) = (values[place], operands[place]);
                    values[place] = $result;
                }
            };
        }
        for link in links {
            let [a, b] = link.operands;
            match link.op {
                LinkOp::Add => {
                    each!(value, other in load(a, index) => value.plus(other));
                }
                LinkOp::Subtract => {
                    each!(value, other in load(a, index) => value.minus(other));
                }
                LinkOp::SubtractFrom => {
                    each!(value, other in load(a, index) => other.minus(value));
                }
                LinkOp::Multiply => {
                    each!(value, other in load(a, index) => value.times(other));
                }
                LinkOp::Relu => {
                    each!(value, zero in [V::splat(0.0); COUNT] => {
                        value.at_most(zero, zero, value)
                    });
                }
                LinkOp::Clamp => {
                    let own = values;
                    each!(value, high in load(b, index) => high.at_most(value, high, value));
                    let low: [V; COUNT] = load(a, index);
                    for place in 0..COUNT {
                        values[place] = own[place].at_most(low[place], low[place], values[place]);
                    }
                }
            }
        }
        for (place, value) in values.into_iter().enumerate() {
            value.store(out.as_mut_ptr().add(index + place * V::LANES));
        }
    }
}

/// # Safety
/// `COUNT` vectors from `index` on are in the operand.
#[inline(always)]
unsafe fn load<V: Vector<Scalar = f32>, const COUNT: usize>(
    operand: Operand<'_, f32>,
    index: usize,
) -> [V; COUNT] {
    match operand {
        Operand::Scalar(value) => [V::splat(value); COUNT],
        Operand::Slice(values) => {
            let mut loaded = [V::splat(0.0); COUNT];
            for (place, vector) in loaded.iter_mut().enumerate() {
                // SAFETY: the caller vouches for the vectors.
                *vector = unsafe { V::load(values.as_ptr().add(index + place * V::LANES)) };
            }
            loaded
        }
    }
}
