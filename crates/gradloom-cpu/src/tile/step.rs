//! [`Step`]: one vector operation of a compiled program, and [`TileProgram`], a list of them.

use gradloom_plan::program::ValueId;
use gradloom_tensor::op::{Binary, Unary};
use gradloom_tensor::{DType, Scalar};

use super::access::Access;
use super::ahead::Ahead;
use crate::convert::Lane;

/// Where a step finds an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A register.
    Register(usize),
    /// A value that is the same for all elements.
    Uniform(usize),
    /// A value that is the same for all elements of a block.
    Block(usize),
    /// The elements of an input from `offset + start` on.
    Input { input: usize, offset: isize },
    /// Lanes that the caller provides with each tile.
    External(usize),
    /// Lanes that were written to an output already.
    Output(usize),
}

/// Where a step puts its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Register(usize),
    Uniform(usize),
    Block(usize),
    Output(usize),
    Nothing,
}

/// One step of a tile.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) target: Target,
    /// Lane of the result.
    pub(super) lane: Lane,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Load {
        input: usize,
        dtype: DType,
        access: Access,
    },
    LoadOutput {
        output: usize,
        dtype: DType,
    },
    LoadExternal {
        external: usize,
        dtype: DType,
    },
    Index {
        access: Access,
    },
    Constant(Scalar, DType),
    Argument(usize, DType),
    Unary(Unary, Lane, Source),
    Binary(Binary, Lane, Source, Source),
    Select(Lane, Source, Source, Source),
    /// A value of f32 lanes between two others, see [`Clamp`](super::clamp::Clamp).
    Clamp(Source, Source, Source),
    /// Links on a value of f32 lanes, see [`fuse_chains`](super::chain::fuse_chains).
    Chain(Source, Vec<Link>),
    Cast(Lane, DType, Source),
    Random(Source, [Source; 2]),
    Check {
        lane: Lane,
        value: Source,
        size: usize,
        site: usize,
    },
}

/// A value that is stored to an output at every element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    /// The program's value.
    pub(crate) value: ValueId,
    /// Position among the outputs that the caller passes.
    pub(crate) output: usize,
    /// Its dtype.
    pub(crate) dtype: DType,
}

/// Where the kernel's own result comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accumulator {
    /// The program has none.
    None,
    /// Elements of a dtype, as the last external of each tile.
    External(DType),
    /// The kernel left it in this output.
    InPlace(usize, DType),
}

/// A program with registers.
#[derive(Clone, Debug)]
pub(crate) struct TileProgram {
    /// Run once per evaluation.
    pub(super) uniform_steps: Vec<Step>,
    /// What is the same for so many neighbours, counted from the first element of the space on, and the steps
    /// that compute it, run for the blocks of each tile.
    pub(super) block: usize,
    pub(super) block_steps: Vec<Step>,
    /// Lanes of values of blocks, and whether steps for elements read them.
    pub(super) blocks: Vec<(Lane, bool)>,
    /// Run for each tile.
    pub(super) steps: Vec<Step>,
    /// Values to store after the steps.
    pub(super) stores: Vec<(Source, Lane, Store)>,
    /// Values for the caller.
    pub(super) exports: Vec<Source>,
    pub(super) uniforms: usize,
    pub(super) registers: usize,
    /// What tiles read of large operands, and write, in order.
    pub(super) ahead: Ahead,
    /// True if some lane has 64 bits.
    pub(super) wide: bool,
}

/// The operands of a step.
pub(super) fn operands(work: &Work) -> impl Iterator<Item = Source> + use<> {
    let (count, sources) = match *work {
        Work::Load { .. }
        | Work::LoadOutput { .. }
        | Work::LoadExternal { .. }
        | Work::Index { .. }
        | Work::Constant(..)
        | Work::Argument(..) => (0, [Source::Uniform(0); 3]),
        Work::Unary(_, _, a)
        | Work::Cast(_, _, a)
        | Work::Check { value: a, .. }
        | Work::Chain(a, _) => (1, [a; 3]),
        Work::Binary(_, _, a, b) => (2, [a, b, b]),
        Work::Select(_, a, b, c) | Work::Clamp(a, b, c) => (3, [a, b, c]),
        Work::Random(index, [low, high]) => (3, [index, low, high]),
    };
    let links = match work {
        Work::Chain(_, links) => links.iter().flat_map(Link::sources).collect(),
        _ => Vec::new(),
    };
    sources.into_iter().take(count).chain(links)
}

/// The operands of a step, to change.
pub(super) fn operands_mut(work: &mut Work) -> Vec<&mut Source> {
    match work {
        Work::Load { .. }
        | Work::LoadOutput { .. }
        | Work::LoadExternal { .. }
        | Work::Index { .. }
        | Work::Constant(..)
        | Work::Argument(..) => Vec::new(),
        Work::Unary(_, _, a) | Work::Cast(_, _, a) | Work::Check { value: a, .. } => vec![a],
        Work::Binary(_, _, a, b) => vec![a, b],
        Work::Select(_, a, b, c) | Work::Clamp(a, b, c) => vec![a, b, c],
        Work::Random(index, _) => vec![index],
        Work::Chain(first, links) => {
            let of_links = links.iter_mut().flat_map(Link::sources_mut);
            std::iter::once(first).chain(of_links).collect()
        }
    }
}

/// What a link does with the value so far and its own operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkOp {
    Add,
    Subtract,
    /// The value from the operand.
    SubtractFrom,
    Multiply,
    Relu,
    /// As [`Work::Clamp`].
    Clamp,
}

/// One step of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) op: LinkOp,
    /// As many as the op has besides the value.
    pub(super) operands: [Source; 2],
}

impl LinkOp {
    /// Operands besides the value.
    pub(super) fn operands(self) -> usize {
        match self {
            LinkOp::Relu => 0,
            LinkOp::Clamp => 2,
            _ => 1,
        }
    }
}

impl Link {
    /// What it reads besides the value.
    pub(super) fn sources(&self) -> impl Iterator<Item = Source> + use<> {
        self.operands.into_iter().take(self.op.operands())
    }

    /// The same, to change.
    pub(super) fn sources_mut(&mut self) -> impl Iterator<Item = &mut Source> {
        let count = self.op.operands();
        self.operands.iter_mut().take(count)
    }
}
