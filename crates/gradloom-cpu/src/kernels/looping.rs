//! `Loop`: the kernels of a body's plan, once for every step, over memory that is taken once.
//!
//! Nothing is copied that can lie where it is needed: a step reads its part of a sequence where the
//! sequence is and writes its part of a result where the result is. A carry goes back and forth between
//! two blocks, is updated in place where the plan says so, or lives in a result that keeps all its
//! values.
#![expect(
    unsafe_code,
    reason = "parts of several blocks are read and written at once, as the plan says"
)]

use std::time::Instant;

use gradloom_plan::{BufferRef, Kernel, LoopKernel};
use gradloom_tensor::{Error, Result, Scalar};

use super::carried::{Carried, Next, carried};
use super::executable::{Context, Executable, InPlace};
use super::regions::{Blocks, Region};
use crate::memory::Temporary;
use crate::tile::Failures;

/// Steps from which on constant operands are prepared once for all.
const SETTLED_MIN: usize = 3;

/// A kernel of the body.
struct Work {
    executable: Box<dyn Executable>,
    in_place: Vec<(usize, usize)>,
    inputs: Vec<(BufferRef, usize)>,
    outputs: Vec<(BufferRef, usize)>,
}

pub(super) struct Loop {
    own: LoopKernel,
    works: Vec<Work>,
    carried: Vec<Carried>,
    /// Stacked results that the body's kernels write: output, result.
    written: Vec<(usize, usize)>,
    /// Stacked results that are copied: where from, result.
    copied: Vec<(BufferRef, usize)>,
}

/// What the references of the body mean at a step.
struct Table {
    inputs: Vec<Region>,
    outputs: Vec<Region>,
    slots: Vec<Region>,
}

impl Table {
    fn region(&self, reference: BufferRef) -> Region {
        match reference {
            BufferRef::Input(input) => self.inputs[input],
            BufferRef::Output(output) => self.outputs[output],
            BufferRef::Slot(slot) => self.slots[slot],
        }
    }
}

impl Loop {
    /// `prepare` prepares the kernels of the body.
    ///
    /// # Errors
    /// What `prepare` says.
    pub(super) fn new(
        own: &LoopKernel,
        prepare: impl Fn(&Kernel, &InPlace) -> Result<Box<dyn Executable>>,
    ) -> Result<Loop> {
        let body = &*own.body;
        let mut works = Vec::with_capacity(body.kernels.len());
        for (position, kernel) in body.kernels.iter().enumerate() {
            let unsound =
                |fault| Error::backend(format!("loop: its body fails its check: {fault}"));
            let in_place = body.in_place(position).map_err(unsound)?;
            let executable = prepare(kernel, &in_place)?;
            let place = |buffer, bytes| (body.block(buffer), bytes);
            let inputs = kernel.inputs.iter();
            let outputs = kernel.outputs.iter();
            works.push(Work {
                executable,
                in_place,
                inputs: inputs.map(|one| place(one.buffer, one.len * one.dtype.size())).collect(),
                outputs: outputs.map(|one| place(one.buffer, one.len * one.dtype.size())).collect(),
            });
        }
        let (mut written, mut copied) = (Vec::new(), Vec::new());
        for &(output, result) in &own.stacked {
            match body.owner(BufferRef::Output(output)) {
                BufferRef::Output(owner) if owner == output => written.push((output, result)),
                other => copied.push((body.block(other), result)),
            }
        }
        let stays = |place: BufferRef| match place {
            BufferRef::Output(output) => written.iter().any(|&(stacked, _)| stacked == output),
            BufferRef::Input(input) => {
                let mut lasting = own.sequences.iter().chain(&own.captured);
                lasting.any(|&(_, lasting)| lasting == input)
            }
            BufferRef::Slot(_) => false,
        };
        let each = own.carries.iter();
        let carried = each.map(|carry| carried(body, carry, &stays, &mut copied)).collect();
        Ok(Loop { own: own.clone(), works, carried, written, copied })
    }

    /// Bytes of all blocks that a run takes.
    fn block_bytes(&self) -> usize {
        let slots = self.own.body.slots.iter().map(|slot| slot.bytes);
        let carried = self.carried.iter().flat_map(|carried| [carried.bytes; 2]);
        slots.chain(carried).chain([size_of::<i32>()]).map(Blocks::padded).sum()
    }

    /// Puts the carries where the first step finds them.
    fn begin(
        &self,
        table: &mut Table,
        operands: &[Region],
        results: &[Region],
        pairs: &[[Region; 2]],
    ) {
        for (carried, pair) in self.carried.iter().zip(pairs) {
            let init = operands[carried.carry.init];
            let home = match (carried.next, carried.kept) {
                (Next::InPlace, _) => {
                    Some(carried.carry.last.map_or(pair[0], |last| results[last]))
                }
                (_, Some(kept)) => Some(results[kept].part(self.own.step(0), carried.bytes)),
                (_, None) => None,
            };
            if let Some(home) = home {
                home.copy_from(init);
            }
            table.inputs[carried.carry.input] = home.unwrap_or(init);
        }
    }

    /// Where a carry goes after this step, if it moves.
    fn target(
        &self,
        carried: &Carried,
        results: &[Region],
        pair: &[Region; 2],
        turn: usize,
    ) -> Region {
        match (turn + 1 < self.own.length, carried.carry.last, carried.kept) {
            (true, _, Some(kept)) => results[kept].part(self.own.step(turn + 1), carried.bytes),
            (false, Some(last), _) => results[last],
            _ => pair[turn % 2],
        }
    }

    /// Tells the kernels of a step where to write carries.
    fn place_next(
        &self,
        table: &mut Table,
        results: &[Region],
        pairs: &[[Region; 2]],
        turn: usize,
    ) {
        for (carried, pair) in self.carried.iter().zip(pairs) {
            if carried.next == Next::Fresh {
                table.outputs[carried.carry.next] = self.target(carried, results, pair, turn);
            }
        }
    }

    /// Copies what no kernel has written where it belongs, and hands the carries on.
    fn end_step(&self, table: &mut Table, results: &[Region], pairs: &[[Region; 2]], turn: usize) {
        for &(source, result) in &self.copied {
            let source = table.region(source);
            results[result].part(self.own.step(turn), source.bytes).copy_from(source);
        }
        for (carried, pair) in self.carried.iter().zip(pairs) {
            let copied = match carried.next {
                Next::Copied(source) => Some(source),
                Next::Elsewhere(source) => carried.kept.map(|_| source),
                Next::Same | Next::InPlace | Next::Fresh => None,
            };
            if let Some(source) = copied {
                self.target(carried, results, pair, turn).copy_from(table.region(source));
            }
        }
        let moved: Vec<Region> = self
            .carried
            .iter()
            .zip(pairs)
            .map(|(carried, pair)| match (carried.next, carried.kept) {
                (Next::Same | Next::InPlace, _) => table.inputs[carried.carry.input],
                (Next::Elsewhere(source), None) => table.region(source),
                _ => self.target(carried, results, pair, turn),
            })
            .collect();
        for (carried, region) in self.carried.iter().zip(moved) {
            table.inputs[carried.carry.input] = region;
        }
    }

    /// Runs the kernels of a step.
    fn step(
        &self,
        context: &Context<'_>,
        table: &Table,
        settled: &[Option<Temporary>],
    ) -> Result<()> {
        for (index, work) in self.works.iter().enumerate() {
            let start = context.profile.map(|_| Instant::now());
            work.run(context, table, settled[index].as_ref())?;
            if let (Some(profile), Some(start)) = (context.profile, start) {
                profile.kernel(None, &self.own.body, index, start);
            }
        }
        Ok(())
    }
}

impl Work {
    /// What the kernel makes of operands that no step changes.
    fn settle(
        &self,
        context: &Context<'_>,
        own: &LoopKernel,
        table: &Table,
    ) -> Result<Option<Temporary>> {
        let constant = |&(buffer, _): &(BufferRef, usize)| {
            own.captured.iter().any(|&(_, input)| buffer == BufferRef::Input(input))
        };
        let constant: Vec<bool> = self.inputs.iter().map(constant).collect();
        if !constant.contains(&true) {
            return Ok(None);
        }
        let read = |(input, &constant): (&(BufferRef, usize), &bool)| match constant {
            // SAFETY: captured values are operands of the loop, which nobody writes meanwhile.
            true => unsafe { Region { bytes: input.1, ..table.region(input.0) }.read() },
            false => &[][..],
        };
        let inputs: Vec<&[u8]> = self.inputs.iter().zip(&constant).map(read).collect();
        self.executable.settle(context, &inputs, &constant)
    }

    fn run(&self, context: &Context<'_>, table: &Table, settled: Option<&Temporary>) -> Result<()> {
        let region = |&(buffer, bytes): &(BufferRef, usize)| {
            let region = table.region(buffer);
            assert!(bytes <= region.bytes, "loop: a value is larger than its memory");
            Region { bytes, ..region }
        };
        let outputs: Vec<Region> = self.outputs.iter().map(region).collect();
        let mut copies = Vec::new();
        let mut inputs: Vec<&[u8]> = Vec::with_capacity(self.inputs.len());
        for (index, input) in self.inputs.iter().enumerate() {
            let region = region(input);
            if self.in_place.iter().any(|pair| pair.0 == index) {
                inputs.push(&[]);
                continue;
            }
            let same = |output: &Region| output.bytes > 0 && output.pointer == region.pointer;
            // SAFETY: the blocks live through this run, and this kernel's outputs are other memory where
            // the input is not copied.
            let bytes = unsafe { region.read() };
            if outputs.iter().any(same) {
                let mut copy = context.pool.temporary(region.bytes)?;
                copy.get_mut().copy_from_slice(bytes);
                copies.push((index, copy));
                inputs.push(&[]);
            } else {
                inputs.push(bytes);
            }
        }
        for (index, copy) in &copies {
            inputs[*index] = copy.get();
        }
        let mut written: Vec<&mut [u8]> = outputs
            .iter()
            // SAFETY: the plan gives every output of a kernel its own memory, and no input slice above
            // is in it.
            .map(|output| unsafe { output.write() })
            .collect();
        match settled {
            Some(settled) => self.executable.run_settled(context, settled, &inputs, &mut written),
            None => self.executable.run(context, &inputs, &mut written),
        }
    }
}

impl Executable for Loop {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let (own, body) = (&self.own, &*self.own.body);
        let mut blocks = Blocks::new(context.pool.temporary(self.block_bytes())?);
        let nothing = Region::of(&[]);
        let mut table = Table {
            inputs: vec![nothing; body.inputs.len()],
            outputs: vec![nothing; body.outputs.len()],
            slots: body.slots.iter().map(|slot| blocks.take(slot.bytes)).collect(),
        };
        table.inputs[0] = blocks.take(size_of::<i32>());
        let operands: Vec<Region> = inputs.iter().map(|input| Region::of(input)).collect();
        let results: Vec<Region> =
            outputs.iter_mut().map(|output| Region::of_mut(output)).collect();
        for &(operand, input) in &own.captured {
            table.inputs[input] = operands[operand];
        }
        let pairs: Vec<[Region; 2]> = self
            .carried
            .iter()
            .map(|carried| [(); 2].map(|()| blocks.take(carried.bytes)))
            .collect();
        self.begin(&mut table, &operands, &results, &pairs);
        // Few steps do not pay for it.
        let settle = |work: &Work| match own.length {
            0..SETTLED_MIN => Ok(None),
            _ => work.settle(context, own, &table),
        };
        let settled = self.works.iter().map(settle).collect::<Result<Vec<_>>>()?;
        let failures = Failures::default();
        let mut arguments: Vec<Scalar> = Vec::with_capacity(body.arguments.len());
        for turn in 0..own.length {
            let step = own.step(turn);
            own.arguments_at(context.arguments, step, &mut arguments);
            // SAFETY: the block is this run's alone and no kernel runs.
            unsafe { table.inputs[0].write() }.copy_from_slice(&(step as i32).to_ne_bytes());
            for &(operand, input) in &own.sequences {
                let (dtype, len) = body.inputs[input];
                table.inputs[input] = operands[operand].part(step, len * dtype.size());
            }
            for &(output, result) in &self.written {
                let size = &body.outputs[output];
                table.outputs[output] = results[result].part(step, size.len * size.dtype.size());
            }
            self.place_next(&mut table, &results, &pairs, turn);
            let inner = Context { arguments: &arguments, failures: &failures, ..*context };
            self.step(&inner, &table, &settled)?;
            if let Some(failure) = failures.first() {
                // Nodes of the body have other numbers outside.
                context.failures.record(failure.outside(own.nodes));
                return Ok(());
            }
            self.end_step(&mut table, &results, &pairs, turn);
        }
        for carried in &self.carried {
            if let Some(last) = carried.carry.last {
                results[last].copy_from(table.inputs[carried.carry.input]);
            }
        }
        Ok(())
    }
}
