//! Loops: the body's plan interpreted once for every step.

use std::sync::Arc;

use gradloom_tensor::{Buffer, DType, Scalar};

use super::fault::{Failure, Fault};
use super::memory::Memory;
use super::operand::{Cell, Operands};
use crate::kernel::{Kernel, LoopKernel};

/// How a plan is interpreted.
type Interpret = fn(&crate::kernel::Plan, &[Buffer], &[Scalar]) -> Result<Vec<Buffer>, Failure>;

/// The elements of each result of a loop.
pub(super) fn run(
    kernel: &Kernel,
    own: &LoopKernel,
    operands: &Operands,
    arguments: &[Scalar],
    interpret: Interpret,
) -> Result<Vec<Vec<f64>>, Fault> {
    let body = &*own.body;
    let cells = |operand: usize| Ok::<_, Fault>(operands.get(operand)?.whole_cells()?.to_vec());
    let mut carries = Vec::new();
    for carry in &own.carries {
        carries.push(cells(carry.init)?);
    }
    let mut results: Vec<Vec<Cell>> =
        kernel.outputs.iter().map(|output| vec![None; output.len]).collect();
    let mut at_step = Vec::new();
    for turn in 0..own.length {
        let step = own.step(turn);
        own.arguments_at(arguments, step, &mut at_step);
        // What nobody gives is never read.
        let mut inputs: Vec<Vec<Cell>> =
            body.inputs.iter().map(|&(_, len)| vec![None; len]).collect();
        inputs[0] = vec![Some(step as f64)];
        for (carry, value) in own.carries.iter().zip(&mut carries) {
            inputs[carry.input] = std::mem::take(value);
        }
        for &(operand, input) in &own.sequences {
            let len = body.inputs[input].1;
            inputs[input] = cells(operand)?[step * len..(step + 1) * len].to_vec();
        }
        for &(operand, input) in &own.captured {
            inputs[input] = cells(operand)?;
        }
        let inputs: Vec<Buffer> = inputs
            .into_iter()
            .zip(&body.inputs)
            .map(|(cells, &(dtype, _))| buffer(dtype, cells))
            .collect();
        let outputs =
            interpret(body, &inputs, &at_step).map_err(|failure| at(own, step, failure))?;
        for (carry, value) in own.carries.iter().zip(&mut carries) {
            *value = cells_of(&outputs[carry.next])?;
        }
        for &(output, result) in &own.stacked {
            let part = cells_of(&outputs[output])?;
            results[result][step * part.len()..(step + 1) * part.len()].clone_from_slice(&part);
        }
    }
    for (carry, value) in own.carries.iter().zip(carries) {
        if let Some(last) = carry.last {
            results[last] = value;
        }
    }
    let written = |cells: Vec<Cell>| -> Result<Vec<f64>, Fault> {
        let each = cells.into_iter();
        each.map(|cell| cell.ok_or_else(|| Fault::malformed("a result is not written"))).collect()
    };
    results.into_iter().map(written).collect()
}

fn buffer(dtype: DType, cells: Vec<Cell>) -> Buffer {
    let len = cells.len();
    Buffer::new(Arc::new(Memory::new(cells)), dtype, len)
}

fn cells_of(buffer: &Buffer) -> Result<Vec<Cell>, Fault> {
    let foreign = || Fault::malformed("an output belongs to another device");
    Ok(buffer.storage::<Memory>().ok_or_else(foreign)?.cells().clone())
}

/// A failure of the body as one of the loop: nodes have other numbers outside.
fn at(own: &LoopKernel, step: usize, failure: Failure) -> Fault {
    match failure.fault {
        Fault::Index { site, index, size } => Fault::Index { site: own.nodes + site, index, size },
        Fault::NotFinite { site, what } => Fault::NotFinite { site: own.nodes + site, what },
        _ => Fault::Step { step, failure: Box::new(failure) },
    }
}
