//! A whole plan: kernels in order over memory that is shared and reused as the plan says.

use std::any::Any;
use std::sync::Arc;

use gradloom_tensor::{Buffer, DType, Scalar};

use super::blame::{blame, named};
use super::fault::{Failure, Fault};
use super::kinds::execute;
use super::looping;
use super::memory::Memory;
use super::operand::{Operand, Operands};
use crate::kernel::{BufferRef, Kernel, KernelInput, KernelKind, KernelOutput, Plan};

/// Interprets a plan. Inputs are buffers of [`upload`](super::upload) or of an earlier plan; those whose
/// memory the plan reuses are overwritten.
///
/// # Errors
/// The first fault, and the kernel where it was found. What earlier kernels wrote in place stays written.
pub fn plan(plan: &Plan, inputs: &[Buffer], arguments: &[Scalar]) -> Result<Vec<Buffer>, Failure> {
    interpret(plan, inputs, arguments, false)
}

/// As [`plan`], until an op makes a NaN or an infinity of finite numbers.
pub(super) fn watched(
    plan: &Plan,
    inputs: &[Buffer],
    arguments: &[Scalar],
) -> Result<Vec<Buffer>, Failure> {
    interpret(plan, inputs, arguments, true)
}

fn interpret(
    plan: &Plan,
    inputs: &[Buffer],
    arguments: &[Scalar],
    watch: bool,
) -> Result<Vec<Buffer>, Failure> {
    let whole = |fault| Failure { kernel: None, fault };
    let mut run = Run::new(plan, inputs, watch).map_err(whole)?;
    for (index, kernel) in plan.kernels.iter().enumerate() {
        let step = run.kernel(kernel, arguments);
        step.map_err(|fault| Failure { kernel: Some(index), fault })?;
    }
    run.outputs().map_err(whole)
}

/// Whose elements are in a block.
#[derive(Clone, Copy, PartialEq)]
enum Holder {
    /// Nobody's yet.
    Nothing,
    /// Those of the input that the block belongs to.
    Leaf,
    /// Those of a node that a kernel has computed.
    Node(usize),
}

/// A piece of memory in one evaluation.
struct Block {
    shared: Arc<dyn Any + Send + Sync>,
    dtype: DType,
    bytes: usize,
    holder: Holder,
}

impl Block {
    fn new(bytes: usize) -> Block {
        let (dtype, holder) = (DType::U8, Holder::Nothing);
        Block { shared: Arc::new(Memory::default()), dtype, bytes, holder }
    }

    fn memory(&self) -> Result<&Memory, Fault> {
        let foreign = || Fault::malformed("an input belongs to another device");
        self.shared.downcast_ref().ok_or_else(foreign)
    }
}

struct Run<'a> {
    plan: &'a Plan,
    inputs: Vec<Block>,
    /// Those that have memory of their own.
    outputs: Vec<Block>,
    slots: Vec<Block>,
    /// Whether to look for NaN and infinities.
    watch: bool,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, inputs: &[Buffer], watch: bool) -> Result<Run<'a>, Fault> {
        let given: Vec<(DType, usize)> =
            inputs.iter().map(|input| (input.dtype(), input.len())).collect();
        Fault::unless(given == plan.inputs, || "the inputs are not those of the plan".to_owned())?;
        let input = |buffer: &Buffer| Block {
            shared: Arc::clone(buffer.shared()),
            dtype: buffer.dtype(),
            bytes: buffer.len() * buffer.dtype().size(),
            holder: Holder::Leaf,
        };
        let slots = plan.slots.iter().map(|slot| Block::new(slot.bytes)).collect();
        let outputs =
            plan.outputs.iter().map(|output| Block::new(output.len * output.dtype.size()));
        Ok(Run {
            plan,
            inputs: inputs.iter().map(input).collect(),
            outputs: outputs.collect(),
            slots,
            watch,
        })
    }

    /// What a reference means after aliases: an input, an output that is computed, or a slot.
    fn target(&self, reference: BufferRef) -> Result<BufferRef, Fault> {
        let mut reference = reference;
        while let BufferRef::Output(output) = reference {
            let missing = || Fault::malformed(format!("there is no output {output}"));
            let Some(alias) = self.plan.outputs.get(output).ok_or_else(missing)?.alias else {
                break;
            };
            let earlier = !matches!(alias, BufferRef::Output(other) if other >= output);
            Fault::unless(earlier, || format!("output {output} is an alias of a later one"))?;
            reference = alias;
        }
        Ok(reference)
    }

    /// As [`Run::target`], and an output that takes over an input's memory means that input.
    fn place(&self, reference: BufferRef) -> Result<BufferRef, Fault> {
        let target = self.target(reference)?;
        Ok(match target {
            BufferRef::Output(output) => match self.plan.outputs[output].reuses {
                Some(input) => BufferRef::Input(input),
                None => target,
            },
            BufferRef::Input(_) | BufferRef::Slot(_) => target,
        })
    }

    fn block(&mut self, place: BufferRef) -> Result<&mut Block, Fault> {
        let block = match place {
            BufferRef::Input(input) => self.inputs.get_mut(input),
            BufferRef::Output(output) => self.outputs.get_mut(output),
            BufferRef::Slot(slot) => self.slots.get_mut(slot),
        };
        block.ok_or_else(|| Fault::malformed(format!("there is no {place:?}")))
    }

    fn kernel(&mut self, kernel: &Kernel, arguments: &[Scalar]) -> Result<(), Fault> {
        let inputs = kernel.inputs.iter().enumerate();
        let operands: Result<Vec<Operand>, Fault> =
            inputs.map(|(position, input)| self.operand(position, input)).collect();
        // All is read before anything is written: where an output has an operand's memory, it is the
        // backend's duty to make it look so.
        let operands = Operands(operands?);
        let results = match &kernel.kind {
            KernelKind::Loop(own) => {
                let body = if self.watch { watched } else { plan };
                looping::run(kernel, own, &operands, arguments, body)?
            }
            _ => {
                let results = execute(kernel, &operands, arguments)?;
                if self.watch {
                    watch(kernel, &operands, arguments, &results)?;
                }
                results
            }
        };
        let mut places = Vec::new();
        for (position, (output, elements)) in kernel.outputs.iter().zip(results).enumerate() {
            let place = self.place(output.buffer)?;
            Fault::unless(!places.contains(&place), || {
                format!("output {position} has the memory of another output")
            })?;
            places.push(place);
            self.write(position, output, elements)?;
        }
        Ok(())
    }

    fn operand(&mut self, position: usize, input: &KernelInput) -> Result<Operand, Fault> {
        let target = self.target(input.buffer)?;
        let place = self.place(input.buffer)?;
        let block = self.block(place)?;
        let stale = match block.holder {
            Holder::Leaf if matches!(target, BufferRef::Input(_)) => None,
            Holder::Leaf => Some((input.node, None)),
            Holder::Node(node) if node == input.node => None,
            Holder::Node(node) => Some((input.node, Some(node))),
            Holder::Nothing => {
                let cells = vec![None; input.len];
                return Ok(Operand { position, dtype: input.dtype, cells, stale: None });
            }
        };
        let cells = block.memory()?.cells().clone();
        let (dtype, len) = (block.dtype, cells.len());
        let same = dtype == input.dtype && len == input.len;
        if stale.is_some() && !same {
            // Whatever is read is of somebody else.
            let cells = vec![None; input.len];
            return Ok(Operand { position, dtype: input.dtype, cells, stale });
        }
        Fault::unless(same, || {
            let (wanted, count) = (input.dtype, input.len);
            format!("operand {position}: {count} of {wanted} are read where {len} of {dtype} are")
        })?;
        Ok(Operand { position, dtype, cells, stale })
    }

    fn write(
        &mut self,
        position: usize,
        output: &KernelOutput,
        elements: Vec<f64>,
    ) -> Result<(), Fault> {
        let kept = match self.target(output.buffer)? {
            BufferRef::Input(input) => {
                return Err(Fault::malformed(format!("output {position} writes input {input}")));
            }
            BufferRef::Output(_) => true,
            BufferRef::Slot(_) => false,
        };
        let place = self.place(output.buffer)?;
        let block = self.block(place)?;
        if let (true, Holder::Node(node)) = (kept, block.holder)
            && node != output.node
        {
            return Err(Fault::Overwritten { output: position, node });
        }
        let bytes = output.len * output.dtype.size();
        Fault::unless(bytes <= block.bytes, || {
            format!("output {position}: {bytes} bytes written to {}", block.bytes)
        })?;
        block.holder = Holder::Node(output.node);
        block.dtype = output.dtype;
        *block.memory()?.cells() = elements.into_iter().map(Some).collect();
        Ok(())
    }

    /// The buffers of the outputs, each written whole.
    fn outputs(mut self) -> Result<Vec<Buffer>, Fault> {
        let plan = self.plan;
        let mut buffers = Vec::with_capacity(plan.outputs.len());
        for (index, output) in plan.outputs.iter().enumerate() {
            let target = self.target(BufferRef::Output(index))?;
            let place = self.place(BufferRef::Output(index))?;
            Fault::unless(!matches!(place, BufferRef::Slot(_)), || {
                format!("output {index} is a temporary")
            })?;
            let block = self.block(place)?;
            let holds = match block.holder {
                Holder::Leaf => matches!(target, BufferRef::Input(_)),
                Holder::Node(_) => !matches!(target, BufferRef::Input(_)),
                Holder::Nothing => false,
            };
            Fault::unless(holds, || format!("output {index} does not hold its elements"))?;
            let (dtype, len) = (block.dtype, block.memory()?.cells().len());
            Fault::unless((dtype, len) == (output.dtype, output.len), || {
                let (said, count) = (output.dtype, output.len);
                format!("output {index}: {len} of {dtype} where {count} of {said} should be")
            })?;
            buffers.push(Buffer::new(Arc::clone(&block.shared), dtype, len));
        }
        Ok(buffers)
    }
}

/// Fails if a kernel makes a NaN or an infinity of finite numbers.
fn watch(
    kernel: &Kernel,
    operands: &Operands,
    arguments: &[Scalar],
    results: &[Vec<f64>],
) -> Result<(), Fault> {
    let mut floats =
        kernel.outputs.iter().zip(results).filter(|(output, _)| output.dtype.is_float());
    if floats.all(|(_, values)| values.iter().all(|value| value.is_finite())) {
        return Ok(());
    }
    let known = |operand: &Operand| operand.cells.iter().map(|cell| cell.unwrap_or(0.0)).collect();
    let inputs: Vec<Vec<f64>> = operands.0.iter().map(known).collect();
    match blame(kernel, &inputs, arguments)? {
        Some((site, value)) => Err(Fault::NotFinite { site, what: named(value) }),
        None => Ok(()),
    }
}
