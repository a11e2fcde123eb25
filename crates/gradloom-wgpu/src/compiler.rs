//! [`Compiler`]: makes the dispatches of a plan, and of the bodies of its loops.

use gradloom_plan::{BufferRef, Kernel, Plan, PlanFault};
use gradloom_tensor::{Error, Result};
use rustc_hash::FxHashMap;

use crate::arena::{Extent, Layout};
use crate::codegen::bindings::Resource;
use crate::codegen::words::Word;
use crate::codegen::{self, Dispatch, Target};
use crate::gpu::Gpu;
use crate::numbers::NumberTable;
use crate::pipeline::Pipelines;
use crate::status::CheckSite;
use crate::step::Step;
use crate::work::Work;

/// What is made of a plan.
pub(crate) struct Compiler<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) target: &'a Target,
    pub(crate) pipelines: &'a mut Pipelines,
    pub(crate) sites: &'a dyn Fn(usize) -> CheckSite,
    pub(crate) steps: Vec<Step>,
    /// Bytes of the scratch memory that the kernels share: they run one after another.
    pub(crate) scratch: Vec<u64>,
    pub(crate) words: Layout,
    pub(crate) numbers: NumberTable,
}

/// The memory of a plan or of a body, by its own references.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) inputs: Vec<Resource>,
    pub(crate) outputs: Vec<Resource>,
    pub(crate) slots: Vec<Resource>,
}

/// Where in the nest of loops kernels are compiled.
pub(crate) struct Scope<'a> {
    pub(crate) plan: &'a Plan,
    /// What is added to the numbers of arguments and nodes to get those of the plan around all loops.
    pub(crate) arguments: usize,
    pub(crate) nodes: usize,
    /// The first scratch buffer that its kernels may use.
    pub(crate) scratch: usize,
    /// Where the words of keys are that a step has folded its number into, by argument.
    pub(crate) keys: FxHashMap<usize, usize>,
    /// Words of kernels that hold such keys: the argument, and the place.
    pub(crate) keyed: Vec<(usize, usize)>,
}

impl Scope<'_> {
    /// The plan around all loops.
    pub(crate) fn of_plan(plan: &Plan) -> Scope<'_> {
        Scope {
            plan,
            arguments: 0,
            nodes: 0,
            scratch: 0,
            keys: FxHashMap::default(),
            keyed: Vec::new(),
        }
    }
}

impl Table {
    /// The memory of the plan itself.
    pub(crate) fn of_plan(plan: &Plan) -> Table {
        let all = |count: usize, reference: fn(usize) -> BufferRef| {
            (0..count).map(|position| Resource::Plan(reference(position))).collect()
        };
        Table {
            inputs: all(plan.inputs.len(), BufferRef::Input),
            outputs: all(plan.outputs.len(), BufferRef::Output),
            slots: all(plan.slots.len(), BufferRef::Slot),
        }
    }

    /// The memory of a block.
    pub(crate) fn of(&self, block: BufferRef) -> Resource {
        match block {
            BufferRef::Input(input) => self.inputs[input],
            BufferRef::Output(output) => self.outputs[output],
            BufferRef::Slot(slot) => self.slots[slot],
        }
    }
}

pub(crate) fn unsound(fault: PlanFault) -> Error {
    Error::backend(format!("plan: {fault}"))
}

impl Compiler<'_> {
    /// What a kernel does, once for each of some tables.
    pub(crate) fn add(
        &mut self,
        scope: &mut Scope<'_>,
        position: usize,
        tables: &[Table],
    ) -> Result<Vec<Work>> {
        // Shaders do not look at each access: this is the proof that none leaves its buffer.
        scope.plan.verify_kernel(position).map_err(unsound)?;
        scope.plan.in_place(position).map_err(unsound)?;
        let kernel = &scope.plan.kernels[position];
        if let gradloom_plan::KernelKind::Loop(own) = &kernel.kind {
            return tables.iter().map(|table| self.add_loop(scope, kernel, own, table)).collect();
        }
        let added = self.add_dispatches(scope, kernel, tables);
        added.map_err(|error| {
            (self.sites)(scope.nodes + kernel.node).error(of_device(error, self.gpu))
        })
    }

    fn add_dispatches(
        &mut self,
        scope: &mut Scope<'_>,
        kernel: &Kernel,
        tables: &[Table],
    ) -> Result<Vec<Work>> {
        let resolve = |buffer: BufferRef| scope.plan.block(buffer);
        let (dispatches, scratch) = codegen::compile(kernel, self.target, &resolve)?;
        for (position, bytes) in (scope.scratch..).zip(scratch) {
            self.reserve(position, bytes);
        }
        let mut words: Option<Extent> = None;
        let mut works = Vec::with_capacity(tables.len());
        for table in tables {
            let start = self.steps.len();
            for dispatch in &dispatches {
                let binds = |binding: &codegen::bindings::Binding| match binding.resource {
                    Resource::Plan(block) => table.of(block),
                    Resource::Scratch(own) => Resource::Scratch(scope.scratch + own),
                    other => other,
                };
                let resources: Vec<Resource> = dispatch.bindings.iter().map(binds).collect();
                // The dispatches of a kernel read the same words.
                if words.is_none() && resources.contains(&Resource::Words) {
                    words = Some(self.add_words(scope, dispatch));
                }
                self.add_step(dispatch, resources, words.unwrap_or_default())?;
            }
            works.push(Work::Steps(start..self.steps.len()));
        }
        Ok(works)
    }

    fn add_words(&mut self, scope: &mut Scope<'_>, dispatch: &Dispatch) -> Extent {
        let of_plan = |word: &Word| match *word {
            Word::Argument(argument) => Word::Argument(scope.arguments + argument),
            Word::Site(node) => Word::Site(scope.nodes + node),
        };
        let words: Vec<Word> = dispatch.words.list().iter().map(of_plan).collect();
        let extent = self.words.add(&words, self.gpu);
        for (word, place) in dispatch.words.list().iter().zip(extent.first()..) {
            if let Word::Argument(argument) = *word
                && scope.keys.contains_key(&argument)
            {
                scope.keyed.push((argument, place));
            }
        }
        extent
    }

    /// Appends dispatches of a loop's own, all at once.
    pub(crate) fn add_own(&mut self, dispatches: &[Dispatch]) -> Result<Work> {
        let start = self.steps.len();
        for dispatch in dispatches {
            let resources = dispatch.bindings.iter().map(|binding| binding.resource).collect();
            self.add_step(dispatch, resources, Extent::default())?;
        }
        Ok(Work::Steps(start..self.steps.len()))
    }

    fn add_step(
        &mut self,
        dispatch: &Dispatch,
        resources: Vec<Resource>,
        words: Extent,
    ) -> Result<()> {
        self.steps.push(Step {
            label: dispatch.label.clone(),
            pipeline: self.pipelines.get(self.gpu, dispatch)?,
            takes_turns: resources.contains(&Resource::Turn),
            resources,
            words,
            numbers: self.numbers.add(&dispatch.numbers, self.gpu),
            grid: dispatch.grid,
            bind_groups: FxHashMap::default(),
        });
        Ok(())
    }

    /// Lets a scratch buffer have so many bytes.
    pub(crate) fn reserve(&mut self, position: usize, bytes: u64) {
        if position >= self.scratch.len() {
            self.scratch.resize(position + 1, 0);
        }
        self.scratch[position] = self.scratch[position].max(bytes);
    }
}

/// An error that says which device cannot do something.
fn of_device(error: Error, gpu: &Gpu) -> Error {
    match error.is_unsupported() {
        true => error.on_device(&format!("{}: {}", gpu.info.backend, gpu.info.name)),
        false => error,
    }
}
