//! [`Compiled`]: a plan as dispatches, and in which pieces it is submitted.

use std::ops::Range;

use gradloom_plan::{BufferRef, Kernel, Plan, PlanFault};
use gradloom_tensor::{Error, Result};
use rustc_hash::FxHashMap;

use crate::arena::{Extent, Layout};
use crate::codegen::bindings::Resource;
use crate::codegen::{self, Target};
use crate::gpu::Gpu;
use crate::numbers::NumberTable;
use crate::pipeline::Pipelines;
use crate::progress::Progress;
use crate::status::CheckSite;
use crate::step::Step;

/// Bytes that a dispatch takes with a bind group or two: about as measured.
const STEP_BYTES: usize = 2048;

/// A plan's dispatches.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) steps: Vec<Step>,
    /// Bytes of the scratch memory that the kernels share: they run one after another.
    pub(crate) scratch: Vec<u64>,
    /// Where the words of its kernels are.
    pub(crate) words: Layout,
    /// The numbers of its dispatches.
    pub(crate) numbers: Option<wgpu::Buffer>,
    /// Dispatches of each kernel.
    kernels: Vec<Range<usize>>,
    /// Kernels up to the last one with an index check.
    checked: usize,
}

/// Kernels that are submitted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kernels: Range<usize>,
    pub(crate) steps: Range<usize>,
    /// Their index checks are looked at before the evaluation goes on.
    pub(crate) checks: bool,
}

/// An error that says which device cannot do something.
fn of_device(error: Error, gpu: &Gpu) -> Error {
    match error.is_unsupported() {
        true => error.on_device(&format!("{}: {}", gpu.info.backend, gpu.info.name)),
        false => error,
    }
}

impl Compiled {
    pub(crate) fn new(
        plan: &Plan,
        gpu: &Gpu,
        target: &Target,
        pipelines: &mut Pipelines,
        sites: &dyn Fn(usize) -> CheckSite,
    ) -> Result<Compiled> {
        let unsound = |fault: PlanFault| Error::backend(format!("plan: {fault}"));
        let checked = plan.checked_kernels().map_err(unsound)?;
        let (steps, kernels) = (Vec::new(), Vec::new());
        let (scratch, words) = (Vec::new(), Layout::default());
        let mut compiled = Compiled { steps, scratch, words, numbers: None, kernels, checked };
        let mut numbers = NumberTable::default();
        let mut progress = Progress::new(plan.kernels.len());
        for (position, kernel) in plan.kernels.iter().enumerate() {
            // Shaders do not look at each access: this is the proof that none leaves its buffer.
            plan.verify_kernel(position).map_err(unsound)?;
            plan.in_place(position).map_err(unsound)?;
            let added = compiled.add(kernel, plan, gpu, target, pipelines, &mut numbers);
            added.map_err(|error| sites(kernel.node).error(of_device(error, gpu)))?;
            progress.advance();
        }
        compiled.numbers = numbers.upload(gpu)?;
        Ok(compiled)
    }

    fn add(
        &mut self,
        kernel: &Kernel,
        plan: &Plan,
        gpu: &Gpu,
        target: &Target,
        pipelines: &mut Pipelines,
        numbers: &mut NumberTable,
    ) -> Result<()> {
        let resolve = |buffer: BufferRef| plan.block(buffer);
        let (dispatches, scratch) = codegen::compile(kernel, target, &resolve)?;
        self.scratch.resize(self.scratch.len().max(scratch.len()), 0);
        for (shared, own) in self.scratch.iter_mut().zip(scratch) {
            *shared = own.max(*shared);
        }
        let start = self.steps.len();
        // The dispatches of a kernel read the same words.
        let mut words: Option<Extent> = None;
        for dispatch in dispatches {
            let pipeline = pipelines.get(gpu, &dispatch)?;
            let resources: Vec<Resource> =
                dispatch.bindings.iter().map(|binding| binding.resource).collect();
            if words.is_none() && resources.contains(&Resource::Words) {
                words = Some(self.words.add(&dispatch.words, gpu));
            }
            self.steps.push(Step {
                label: dispatch.label,
                pipeline,
                resources,
                words: words.unwrap_or_default(),
                numbers: numbers.add(dispatch.numbers, gpu),
                grid: dispatch.grid,
                bind_groups: FxHashMap::default(),
            });
        }
        self.kernels.push(start..self.steps.len());
        Ok(())
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
        let count = self.kernels.len();
        let mut ends: Vec<usize> = if singly { (1..=count).collect() } else { Vec::new() };
        if !singly {
            ends.extend([self.checked, count]);
        }
        let (mut pieces, mut start) = (Vec::new(), 0);
        for end in ends {
            let kernels = start..end;
            start = end;
            if !kernels.is_empty() {
                let steps = self.kernels[kernels.start].start..self.kernels[end - 1].end;
                let checks = kernels.start < self.checked;
                pieces.push(Piece { kernels, steps, checks });
            }
        }
        pieces
    }
}
