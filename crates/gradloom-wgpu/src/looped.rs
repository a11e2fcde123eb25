//! A loop: the dispatches of its body, recorded once for every step.
//!
//! All steps use the same memory, so they are the same dispatches: what differs from step to step is copied in
//! and out of it by the step's number, and keys of random numbers are folded on the device. Carries go back
//! and forth between two blocks, so that two steps in turn are what is compiled, whatever the length.

use gradloom_plan::{BufferRef, Carry, Kernel, LoopKernel, Plan};
use gradloom_tensor::{DType, Result};
use rustc_hash::FxHashMap;

use crate::codegen::bindings::Resource;
use crate::codegen::looping::{self, Copy, End};
use crate::codegen::words::Word;
use crate::compiler::{Compiler, Scope, Table};
use crate::transfer::device_bytes;
use crate::turns;
use crate::work::{LoopWork, Work};

/// The memory of a loop while it is compiled.
struct Memory {
    /// At each of the turns.
    tables: Vec<Table>,
    /// Once, before all steps.
    before: Vec<Copy>,
    /// At the start of every step.
    begin: Vec<Copy>,
    /// At the end of each of the turns.
    end: Vec<Vec<Copy>>,
    /// Once, after all steps.
    after: Vec<Copy>,
}

/// Scratch memory from some buffer on.
struct Scratch<'a, 'b> {
    compiler: &'a mut Compiler<'b>,
    next: usize,
}

impl Scratch<'_, '_> {
    fn take(&mut self, bytes: u64) -> Resource {
        self.compiler.reserve(self.next, bytes);
        self.next += 1;
        Resource::Scratch(self.next - 1)
    }
}

impl Compiler<'_> {
    /// What a loop does.
    pub(crate) fn add_loop(
        &mut self,
        around: &Scope<'_>,
        kernel: &Kernel,
        own: &LoopKernel,
        table: &Table,
    ) -> Result<Work> {
        let at = |buffer: BufferRef| table.of(around.plan.block(buffer));
        let operands: Vec<Resource> = kernel.inputs.iter().map(|input| at(input.buffer)).collect();
        let results: Vec<Resource> =
            kernel.outputs.iter().map(|output| at(output.buffer)).collect();
        let stride = turns::stride(self.gpu);
        let mut scratch = Scratch { compiler: self, next: around.scratch };
        let memory = Memory::new(own, &operands, &results, stride, &mut scratch);
        let mut scope = Scope {
            plan: &own.body,
            arguments: around.arguments + own.arguments,
            nodes: around.nodes + own.nodes,
            scratch: scratch.next,
            keys: FxHashMap::default(),
            keyed: Vec::new(),
        };
        for &argument in own.keys.iter().flatten() {
            let place = self.words.reserve();
            scope.keys.insert(argument, place);
            scope.keyed.push((argument, place));
        }
        let mut turns: Vec<Vec<Work>> = vec![Vec::new(); memory.tables.len()];
        let begin = looping::copies(&memory.begin, self.target)?;
        let begin = self.add_own(&begin)?;
        for position in 0..own.body.kernels.len() {
            let works = self.add(&mut scope, position, &memory.tables)?;
            turns.iter_mut().zip(works).for_each(|(turn, work)| turn.push(work));
        }
        let keys = self.add_keys(around, own, &scope)?;
        for (turn, copies) in turns.iter_mut().zip(&memory.end) {
            let end = looping::copies(copies, self.target)?;
            turn.push(self.add_own(&end)?);
            turn.splice(0..0, keys.clone().into_iter().chain([begin.clone()]));
        }
        let before = looping::copies(&memory.before, self.target)?;
        let after = looping::copies(&memory.after, self.target)?;
        Ok(Work::Loop(Box::new(LoopWork {
            length: own.length,
            reverse: own.reverse,
            before: vec![self.add_own(&before)?],
            turns,
            after: vec![self.add_own(&after)?],
        })))
    }

    /// What folds the step's number into the keys of the body.
    fn add_keys(
        &mut self,
        around: &Scope<'_>,
        own: &LoopKernel,
        scope: &Scope<'_>,
    ) -> Result<Option<Work>> {
        if own.keys.is_empty() {
            return Ok(None);
        }
        let mut sources = FxHashMap::default();
        for key in &own.keys {
            let words = key.map(|argument| {
                let outside = own.arguments + argument;
                let folded = around.keys.get(&outside).copied();
                let argument = Word::Argument(around.arguments + outside);
                folded.unwrap_or_else(|| self.words.add_single(argument)) as u32
            });
            sources.extend(key.iter().zip(0..).map(|(&argument, half)| (argument, (words, half))));
        }
        let mut list = Vec::with_capacity(scope.keyed.len() * 4);
        for &(argument, place) in &scope.keyed {
            let ([first, second], half) = sources[&argument];
            list.extend([first, second, half, place as u32]);
        }
        let mut dispatch = looping::keys(scope.keyed.len(), self.target)?;
        dispatch.numbers = list;
        self.add_own(&[dispatch]).map(Some)
    }
}

impl Memory {
    fn new(
        own: &LoopKernel,
        operands: &[Resource],
        results: &[Resource],
        turn_stride: usize,
        scratch: &mut Scratch<'_, '_>,
    ) -> Memory {
        let body = &*own.body;
        let reads = Reads::of(body);
        // What is not read may be anything.
        let nothing = Resource::Turns;
        let mut table = Table {
            inputs: vec![nothing; body.inputs.len()],
            outputs: vec![nothing; body.outputs.len()],
            slots: body.slots.iter().map(|slot| scratch.take(slot.bytes as u64)).collect(),
        };
        let (mut before, mut begin, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for &(operand, input) in &own.captured {
            table.inputs[input] = operands[operand];
        }
        let step = (Resource::Turns, turn_stride, 0, (DType::I32, 1));
        let parts = own.sequences.iter().map(|&(operand, input)| {
            let (dtype, len) = body.inputs[input];
            (operands[operand], dtype.size() * len, input, (dtype, len))
        });
        for (resource, stride, input, (dtype, len)) in std::iter::once(step).chain(parts) {
            if reads.of_input(input) {
                let target = scratch.take(device_bytes(dtype, len));
                table.inputs[input] = target;
                let (source, target) = (End { resource, stride }, End::fixed(target));
                begin.push(Copy { source, target, bytes: len * dtype.size() });
            }
        }
        let mut stacked = Vec::with_capacity(own.stacked.len());
        for &(output, result) in &own.stacked {
            let block = body.block(BufferRef::Output(output));
            let (dtype, len) = (body.outputs[output].dtype, body.outputs[output].len);
            if block == BufferRef::Output(output) {
                table.outputs[output] = scratch.take(device_bytes(dtype, len));
            }
            stacked.push((block, results[result], len * dtype.size()));
        }
        let mut moved = Vec::new();
        for carry in &own.carries {
            let (dtype, len) = body.inputs[carry.input];
            let (bytes, exact) = (device_bytes(dtype, len), len * dtype.size());
            let next = Next::of(body, carry);
            let init = operands[carry.init];
            table.inputs[carry.input] = match next {
                Next::Same => init,
                Next::InPlace | Next::Moved(_) => {
                    let block = scratch.take(bytes);
                    before.push(fixed(init, block, exact));
                    block
                }
            };
            if let Next::Moved(from) = next {
                moved.push((carry, from, scratch.take(bytes), exact));
            }
        }
        let mut tables = vec![table];
        if !moved.is_empty() {
            let mut other = tables[0].clone();
            for &(carry, from, block, _) in &moved {
                other.inputs[carry.input] = block;
                if from == BufferRef::Output(carry.next) {
                    other.outputs[carry.next] = tables[0].inputs[carry.input];
                    tables[0].outputs[carry.next] = block;
                }
            }
            tables.push(other);
        }
        let end = (0..tables.len()).map(|turn| {
            let (now, later) = (&tables[turn], &tables[(turn + 1) % tables.len()]);
            let kept = stacked.iter().map(|&(block, resource, bytes)| Copy {
                source: End::fixed(now.of(block)),
                target: End { resource, stride: bytes },
                bytes,
            });
            let carried = moved.iter().filter_map(|&(carry, from, _, bytes)| {
                let is_written = from == BufferRef::Output(carry.next);
                let later = later.inputs[carry.input];
                (!is_written).then(|| fixed(now.of(from), later, bytes))
            });
            kept.chain(carried).collect()
        });
        let end = end.collect();
        let last = &tables[own.length % tables.len()];
        for carry in &own.carries {
            if let Some(result) = carry.last {
                let (dtype, len) = body.inputs[carry.input];
                let source = last.inputs[carry.input];
                after.push(fixed(source, results[result], len * dtype.size()));
            }
        }
        Memory { tables, before, begin, end, after }
    }
}

fn fixed(source: Resource, target: Resource, bytes: usize) -> Copy {
    Copy { source: End::fixed(source), target: End::fixed(target), bytes }
}

/// Where a carry is after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Where it was: it does not change.
    Same,
    /// Where it was, written over.
    InPlace,
    /// In other memory: an output of its own, or another value of the step.
    Moved(BufferRef),
}

impl Next {
    fn of(body: &Plan, carry: &Carry) -> Next {
        let output = &body.outputs[carry.next];
        if output.alias.is_none() && output.reuses.is_some() {
            return Next::InPlace;
        }
        match body.block(BufferRef::Output(carry.next)) {
            BufferRef::Input(input) if input == carry.input => Next::Same,
            other => Next::Moved(other),
        }
    }
}

/// Which inputs of a body are read.
struct Reads(Vec<bool>);

impl Reads {
    fn of(body: &Plan) -> Reads {
        let mut reads = vec![false; body.inputs.len()];
        let inputs = body.kernels.iter().flat_map(|kernel| &kernel.inputs);
        let inputs = inputs.map(|input| body.block(input.buffer));
        let outputs = (0..body.outputs.len()).map(|output| body.block(BufferRef::Output(output)));
        for block in inputs.chain(outputs) {
            if let BufferRef::Input(input) = block {
                reads[input] = true;
            }
        }
        Reads(reads)
    }

    fn of_input(&self, input: usize) -> bool {
        self.0[input]
    }
}
