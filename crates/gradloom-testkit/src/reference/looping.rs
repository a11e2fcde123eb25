//! Loops by their definition: the body's nodes once for every step, each step from the carries of the one
//! before.

use std::collections::HashMap;
use std::sync::Arc;

use gradloom_tensor::op::{Loop, LoopOutput, LoopResult};
use gradloom_tensor::{Error, Result, Tensor};

use super::{Known, Reference, Values};

/// The nodes of one graph, or of one step of a body, that are known.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) known: HashMap<u64, Known>,
    /// Numbers of the steps of the loops around, the outermost first; none outside of loops.
    pub(super) steps: Vec<u32>,
    /// Loops that have run, by their address and their operands.
    loops: HashMap<(usize, Vec<u64>), Run>,
}

/// A loop that has run.
struct Run {
    /// What is known of each step, in the order of the sequences.
    frames: Vec<Frame>,
    /// The carries after the last step.
    last: Vec<Known>,
}

impl Reference {
    /// One result of a loop on operands.
    pub(super) fn loop_result(
        &self,
        tensor: &Tensor,
        result: &LoopResult,
        operands: &[Known],
        frame: &mut Frame,
    ) -> Result<Known> {
        let body = &*result.body;
        let address = Arc::as_ptr(&result.body) as usize;
        let key = (address, tensor.inputs().iter().map(Tensor::id).collect::<Vec<u64>>());
        let mut run = match frame.loops.remove(&key) {
            Some(run) => run,
            None => self.run(body, operands, &frame.steps)?,
        };
        let known = match &result.output {
            LoopOutput::Carry(carry) => run.last[*carry].clone(),
            LoopOutput::Stacked(node) => {
                let mut parts = Vec::with_capacity(run.frames.len());
                for step in &mut run.frames {
                    self.resolve(std::slice::from_ref(node), step)?;
                    parts.push(step.known[&node.id()].clone());
                }
                stack(&parts)
            }
        };
        frame.loops.insert(key, run);
        Ok(known)
    }

    fn run(&self, body: &Loop, operands: &[Known], outer: &[u32]) -> Result<Run> {
        let (carries, slices) = (body.carries().len(), body.slices().len());
        let mut last = operands[..carries].to_vec();
        let mut frames: Vec<Frame> = (0..body.length()).map(|_| Frame::default()).collect();
        let order: Vec<usize> = match body.reverse() {
            true => (0..body.length()).rev().collect(),
            false => (0..body.length()).collect(),
        };
        for step in order {
            let number = u32::try_from(step).map_err(|_| Error::backend("reference: steps"))?;
            let frame = &mut frames[step];
            frame.steps = outer.iter().copied().chain([number]).collect();
            let index =
                Known { values: Arc::new(vec![f64::from(number)]), errors: Arc::new(vec![0.0]) };
            frame.known.insert(body.index().id(), index);
            let parts = operands[carries..carries + slices].iter();
            let parts = parts.map(|sequence| part(sequence, step, body.length()));
            let given = last.drain(..).chain(parts).chain(operands[carries + slices..].to_vec());
            for (parameter, known) in body.parameters().zip(given.collect::<Vec<Known>>()) {
                frame.known.insert(parameter.id(), known);
            }
            self.resolve(body.next(), frame)?;
            last = body.next().iter().map(|next| frame.known[&next.id()].clone()).collect();
        }
        Ok(Run { frames, last })
    }
}

/// A step's elements of a sequence.
fn part(sequence: &Known, step: usize, length: usize) -> Known {
    let cut = |all: &Values| {
        let count = all.len() / length;
        Arc::new(all[step * count..(step + 1) * count].to_vec())
    };
    Known { values: cut(&sequence.values), errors: cut(&sequence.errors) }
}

fn stack(parts: &[Known]) -> Known {
    let join = |of: fn(&Known) -> &Values| {
        Arc::new(parts.iter().flat_map(|part| of(part).iter().copied()).collect::<Vec<f64>>())
    };
    Known { values: join(|known| &known.values), errors: join(|known| &known.errors) }
}
