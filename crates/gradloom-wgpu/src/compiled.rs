//! [`Compiled`]: a plan as dispatches, and in which pieces it is submitted.

use std::ops::Range;

use gradloom_plan::Plan;
use gradloom_tensor::Result;

use crate::arena::Layout;
use crate::codegen::Target;
use crate::compiler::{Compiler, Scope, Table, unsound};
use crate::gpu::Gpu;
use crate::numbers::NumberTable;
use crate::pipeline::Pipelines;
use crate::progress::Progress;
use crate::status::CheckSite;
use crate::step::Step;
use crate::work::{Call, Work};

/// Bytes that a dispatch takes with a bind group or two: about as measured.
const STEP_BYTES: usize = 2048;

/// A plan's dispatches.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) steps: Vec<Step>,
    /// What each kernel does.
    works: Vec<Work>,
    /// Bytes of the scratch memory that the kernels share: they run one after another.
    pub(crate) scratch: Vec<u64>,
    /// Where the words of its kernels are.
    pub(crate) words: Layout,
    /// The numbers of its dispatches.
    pub(crate) numbers: Option<wgpu::Buffer>,
    /// The most steps of one of its loops.
    pub(crate) longest: usize,
    /// Kernels up to the last one with an index check.
    checked: usize,
}

/// Kernels that are submitted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kernels: Range<usize>,
    /// Their index checks are looked at before the evaluation goes on.
    pub(crate) checks: bool,
}

impl Compiled {
    pub(crate) fn new(
        plan: &Plan,
        gpu: &Gpu,
        target: &Target,
        pipelines: &mut Pipelines,
        sites: &dyn Fn(usize) -> CheckSite,
    ) -> Result<Compiled> {
        let checked = plan.checked_kernels().map_err(unsound)?;
        let mut compiler = Compiler {
            gpu,
            target,
            pipelines,
            sites,
            steps: Vec::new(),
            scratch: Vec::new(),
            words: Layout::default(),
            numbers: NumberTable::default(),
        };
        let mut scope = Scope::of_plan(plan);
        let tables = [Table::of_plan(plan)];
        let mut works = Vec::with_capacity(plan.kernels.len());
        let mut progress = Progress::new(plan.kernels.len());
        for position in 0..plan.kernels.len() {
            works.extend(compiler.add(&mut scope, position, &tables)?);
            progress.advance();
        }
        let Compiler { steps, scratch, words, numbers, .. } = compiler;
        let numbers = numbers.upload(gpu)?;
        let longest = Work::longest(&works);
        Ok(Compiled { steps, works, scratch, words, numbers, longest, checked })
    }

    /// The dispatches of some kernels, in order.
    pub(crate) fn calls(&self, kernels: Range<usize>) -> Vec<Call> {
        let mut calls = Vec::with_capacity(self.steps.len());
        Work::unroll(&self.works[kernels], 0, &mut calls);
        calls
    }

    /// The kernel that each of [`calls`](Compiled::calls) is of.
    pub(crate) fn kernels_of_calls(&self, kernels: Range<usize>) -> Vec<usize> {
        let mut owners = Vec::with_capacity(self.steps.len());
        for kernel in kernels {
            let calls = self.calls(kernel..kernel + 1).len();
            owners.extend(std::iter::repeat_n(kernel, calls));
        }
        owners
    }

    /// About how many bytes of the host it takes, with the driver's share.
    pub(crate) fn footprint(&self) -> usize {
        let steps = self.steps.iter().map(|step| STEP_BYTES + step.label.len());
        let numbers = self.numbers.as_ref().map_or(0, |buffer| buffer.size() as usize);
        steps.sum::<usize>() + numbers + self.words.footprint()
    }

    /// Drops bind groups, which hold on to buffers.
    pub(crate) fn forget_bind_groups(&mut self) {
        for step in &mut self.steps {
            step.bind_groups.clear();
        }
    }

    /// The pieces in order: the kernels up to the last check, if there is one, and the others; or, if
    /// `singly`, every kernel for itself.
    pub(crate) fn pieces(&self, singly: bool) -> Vec<Piece> {
        let count = self.works.len();
        let mut ends: Vec<usize> = if singly { (1..=count).collect() } else { Vec::new() };
        if !singly {
            ends.extend([self.checked, count]);
        }
        let (mut pieces, mut start) = (Vec::new(), 0);
        for end in ends {
            let kernels = start..end;
            start = end;
            if !kernels.is_empty() {
                let checks = kernels.start < self.checked;
                pieces.push(Piece { kernels, checks });
            }
        }
        pieces
    }
}
