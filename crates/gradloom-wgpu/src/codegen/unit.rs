//! [`Unit`]: one kernel of a plan while it is compiled to dispatches.

use std::sync::Arc;

use gradloom_plan::{BufferRef, Kernel, KernelInput, KernelOutput, Operation, View};
use gradloom_shaders::Options;
use gradloom_tensor::{DType, Error, Result};

use super::bindings::{Binding, Bindings, Resource};
use super::packed;
use super::variant::{Variant, Verdict};
use super::words::Words;

/// Words of the parts of a split product at most, where there is a choice.
pub(crate) const PARTS_MAX: usize = 1 << 24;

/// What code is generated for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Threads of a workgroup, a power of two.
    pub(crate) workgroup: u32,
    /// Most workgroups in one dimension.
    pub(crate) grid_max: u32,
    /// Most storage buffers in one dispatch.
    pub(crate) storage_buffers_max: u32,
    /// Bytes of workgroup memory.
    pub(crate) workgroup_bytes: u32,
    /// Workgroups that keep the device busy; fewer make splitting worthwhile.
    pub(crate) busy_workgroups: u32,
    /// True if the language has products of four bytes in a word.
    pub(crate) packed_dot: bool,
    /// Turns of all its loops that a thread may take: some drivers end loops early after so many, and say
    /// nothing.
    pub(crate) turns_max: usize,
    /// As [`PARTS_MAX`], but for self-tests of long products.
    pub(crate) parts_max: usize,
    /// What the device computes wrongly.
    pub(crate) verdict: Arc<Verdict>,
    /// For tests of self-tests: changes the source of some dispatches.
    pub(crate) fault: Option<Fault>,
}

/// A change to the source of some variants, as a wrong driver makes it.
#[derive(Clone)]
pub(crate) struct Fault(pub(crate) Arc<dyn Fn(&Variant, String) -> String + Send + Sync>);

impl std::fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fault")
    }
}

impl Target {
    /// Whether kernels may take a form, see [`Verdict::may`].
    pub(crate) fn may(&self, template: &str, form: &str) -> bool {
        self.verdict.may(template, form)
    }
}

#[cfg(test)]
impl Target {
    /// What WebGPU promises of every device.
    pub(crate) fn baseline() -> Target {
        Target {
            workgroup: 256,
            grid_max: 65_535,
            storage_buffers_max: 8,
            workgroup_bytes: 16 << 10,
            busy_workgroups: 512,
            packed_dot: false,
            turns_max: 60_000,
            parts_max: PARTS_MAX,
            verdict: Arc::default(),
            fault: None,
        }
    }
}

/// One dispatch, before its pipeline exists.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    /// For people and profiles.
    pub(crate) label: String,
    /// The template, and which form of it.
    pub(crate) variant: Variant,
    /// The WGSL module.
    pub(crate) source: String,
    /// What it binds, in order.
    pub(crate) bindings: Vec<Binding>,
    /// The words that it reads, if it binds them.
    pub(crate) words: Words,
    /// The numbers that it reads, if it binds them.
    pub(crate) numbers: Vec<u32>,
    /// True if its text is not ours: every access is then checked.
    pub(crate) foreign: bool,
    /// Folded grid.
    pub(crate) grid: [u32; 2],
}

/// One kernel of a plan while it is compiled.
pub(crate) struct Unit<'a> {
    /// The kernel.
    pub(crate) kernel: &'a Kernel,
    /// What code is generated for.
    pub(crate) target: &'a Target,
    resolve: &'a dyn Fn(BufferRef) -> BufferRef,
    /// The words of the kernel's program.
    pub(crate) words: Words,
    /// Dispatches so far.
    pub(crate) dispatches: Vec<Dispatch>,
    /// Bytes of each scratch buffer of this kernel.
    pub(crate) scratch: Vec<u64>,
    /// Scratch memory of outputs that are packed at the end.
    widened: Vec<Option<Resource>>,
}

impl<'a> Unit<'a> {
    /// Checks the kernel: no types of 64 bits, and every view inside its buffer. `resolve` maps outputs that share
    /// memory to the buffer that owns it.
    pub(crate) fn new(
        kernel: &'a Kernel,
        target: &'a Target,
        resolve: &'a dyn Fn(BufferRef) -> BufferRef,
    ) -> Result<Self> {
        let words = Words::of(&kernel.program.instructions);
        let (dispatches, scratch) = (Vec::new(), Vec::new());
        let widened = Vec::new();
        let unit = Unit { kernel, target, resolve, words, dispatches, scratch, widened };
        unit.check_dtypes()?;
        for instruction in &kernel.program.instructions {
            if let Operation::Load { input, view } = instruction.operation {
                unit.check_view(input, &view)?;
            }
        }
        Ok(unit)
    }

    /// A unit of another kernel over the same buffers, to emit a part of this one's code.
    pub(crate) fn reader<'b>(&self, kernel: &'b Kernel) -> Result<Unit<'b>>
    where
        'a: 'b,
    {
        Unit::new(kernel, self.target, self.resolve)
    }

    fn check_dtypes(&self) -> Result<()> {
        let stored = self.kernel.inputs.iter().map(|input| input.dtype);
        let stored = stored.chain(self.kernel.outputs.iter().map(|output| output.dtype));
        let computed = self.kernel.program.instructions.iter().map(|instruction| instruction.dtype);
        for dtype in stored.chain(computed) {
            if dtype.size() == 8 {
                return Err(Error::backend(format!("plan: {dtype} was not refused")));
            }
        }
        Ok(())
    }

    /// Fails unless all that `view` reads lies in input `input`. This is the proof that lets shaders
    /// run without bounds checks.
    pub(crate) fn check_view(&self, input: usize, view: &View) -> Result<()> {
        let len = self.kernel.inputs.get(input).map_or(0, |operand| operand.len);
        match view.extent() {
            Some((low, high)) if low < 0 || high >= len as isize => Err(Error::backend(format!(
                "plan: a view reads elements {low}..={high} of input {input}, which has {len}"
            ))),
            _ => Ok(()),
        }
    }

    /// Fails unless input `input` has exactly `len` elements.
    pub(crate) fn check_len(&self, input: usize, len: usize) -> Result<()> {
        let found = self.kernel.inputs.get(input).map_or(0, |operand| operand.len);
        if found == len {
            Ok(())
        } else {
            Err(Error::backend(format!(
                "plan: input {input} has {found} elements where its kernel needs {len}"
            )))
        }
    }

    /// Fails if a thread would take more turns of its loops than the device's driver grants.
    pub(crate) fn check_turns(&self, op: &str, turns: usize) -> Result<()> {
        if turns <= self.target.turns_max {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "{op}: {turns} terms of one result are more than the loops of this device's driver take ({}); \
             split the sum, or use the CPU",
            self.target.turns_max
        )))
    }

    /// Input `position` of the kernel and what it is bound to.
    pub(crate) fn input(&self, position: usize) -> (KernelInput, Resource) {
        let input = self.kernel.inputs[position];
        (input, Resource::Plan((self.resolve)(input.buffer)))
    }

    /// Output `position` of the kernel and what it is bound to.
    pub(crate) fn output(&self, position: usize) -> (KernelOutput, Resource) {
        let (output, resource) = self.packed_output(position);
        (output, self.widened(position).unwrap_or(resource))
    }

    /// Output `position` of the kernel and the memory of the plan where it ends.
    pub(crate) fn packed_output(&self, position: usize) -> (KernelOutput, Resource) {
        let output = self.kernel.outputs[position];
        (output, Resource::Plan((self.resolve)(output.buffer)))
    }

    /// Lets the kernel's dispatches store those of these outputs that have narrow elements to scratch
    /// memory, a word for each.
    pub(crate) fn widen_outputs(&mut self, which: impl Fn(usize) -> bool) {
        self.widened = (0..self.kernel.outputs.len())
            .map(|position| {
                let output = self.kernel.outputs[position];
                // The last word may be filled up.
                let elements = output.len.next_multiple_of(4);
                let wanted = packed::is_narrow(output.dtype) && output.len > 0 && which(position);
                wanted.then(|| self.add_scratch(elements))
            })
            .collect();
    }

    /// The scratch memory of an output that is packed at the end.
    pub(crate) fn widened(&self, position: usize) -> Option<Resource> {
        self.widened.get(position).copied().flatten()
    }

    /// The dtypes of operands and results.
    fn dtypes(&self) -> Vec<DType> {
        let operands = self.kernel.inputs.iter().map(|input| input.dtype);
        operands.chain(self.kernel.outputs.iter().map(|output| output.dtype)).collect()
    }

    /// A new scratch buffer of so many 32-bit words.
    pub(crate) fn add_scratch(&mut self, words: usize) -> Resource {
        self.scratch.push(words as u64 * 4);
        Resource::Scratch(self.scratch.len() - 1)
    }

    /// Appends a dispatch of so many workgroups of a template.
    pub(crate) fn dispatch(
        &mut self,
        template: &'static str,
        label: impl Into<String>,
        options: Options,
        bindings: Bindings,
        groups: usize,
    ) -> Result<()> {
        let dtypes = self.dtypes();
        let label = label.into();
        let made = dispatch(self.target, template, &dtypes, label, options, bindings, groups)?;
        self.dispatches.push(Dispatch { words: self.words.clone(), ..made });
        Ok(())
    }
}

/// A dispatch of so many workgroups of a template, which reads no words.
pub(crate) fn dispatch(
    target: &Target,
    template: &'static str,
    dtypes: &[DType],
    label: String,
    options: Options,
    bindings: Bindings,
    groups: usize,
) -> Result<Dispatch> {
    let grid = folded(target, groups)?;
    let count = bindings.storage_buffers();
    if count > target.storage_buffers_max as usize {
        return Err(Error::unsupported(format!(
            "{label}: the kernel needs {count} storage buffers, this device binds {} at most",
            target.storage_buffers_max
        )));
    }
    let variant = Variant {
        template: template.trim_end_matches(".wgsl").to_owned(),
        forms: options.defines().map(str::to_owned).collect(),
        dtypes: dtypes.iter().map(|dtype| dtype.name().to_owned()).collect(),
    };
    target.verdict.check(&variant)?;
    let options = options
        // A grid of one row has no second row that could start elsewhere.
        .constant("GRID_X", target.grid_max)
        .splice("bindings", bindings.declarations());
    let source = gradloom_shaders::expand(template, &options)
        .map_err(|error| Error::backend(error.to_string()))?;
    let source = match &target.fault {
        None => source,
        Some(Fault(change)) => change(&variant, source),
    };
    let (bindings, numbers) = bindings.into_parts();
    let words = Words::default();
    Ok(Dispatch { label, variant, source, bindings, words, numbers, foreign: false, grid })
}

/// The grid of so many workgroups, folded. Rows are as long as the device allows where there are several.
fn folded(target: &Target, groups: usize) -> Result<[u32; 2]> {
    let max = target.grid_max as usize;
    let x = groups.clamp(1, max);
    let y = groups.div_ceil(x);
    if y > max || groups >= 1 << 31 {
        return Err(Error::unsupported(format!(
            "dispatch: {groups} workgroups are more than this device's grid holds; split the work"
        )));
    }
    Ok([x as u32, y as u32])
}
