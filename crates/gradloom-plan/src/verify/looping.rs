//! A loop: its body is sound on its own, and what goes in and out of a step has the size of what it is a
//! part of.

use gradloom_tensor::DType;

use crate::kernel::{BufferRef, Kernel, LoopKernel, Plan};

/// Dtype and number of elements.
type Size = (DType, usize);

pub(super) fn check(kernel: &Kernel, own: &LoopKernel, arguments: &[DType]) -> Result<(), String> {
    let body = &*own.body;
    body.verify().map_err(|fault| format!("its body: {fault}"))?;
    if own.length == 0 {
        return Err("it has no steps".into());
    }
    if arguments.get(own.arguments..own.arguments + body.arguments.len()) != Some(&body.arguments) {
        return Err("the body's arguments are not among those of the plan".into());
    }
    let words = own.keys.iter().flatten();
    if let Some(word) = words.copied().find(|&word| body.arguments.get(word) != Some(&DType::U32)) {
        return Err(format!("argument {word} of the body is no word of a key"));
    }
    if body.inputs.first() != Some(&(DType::I32, 1)) {
        return Err("the body has no number of the step".into());
    }
    let mut bound = vec![false; body.inputs.len()];
    bound[0] = true;
    let carries = own.carries.iter().map(|carry| (carry.init, carry.input, 1));
    let sequences = own.sequences.iter().map(|&(operand, input)| (operand, input, own.length));
    let captured = own.captured.iter().map(|&(operand, input)| (operand, input, 1));
    for (operand, input, times) in carries.chain(sequences).chain(captured) {
        let given = kernel.inputs.get(operand).map(|given| (given.dtype, given.len));
        let part = input_size(body, input)?;
        if given != Some((part.0, part.1 * times)) {
            return Err(format!(
                "operand {operand} is not what input {input} of the body is part of"
            ));
        }
        if std::mem::replace(&mut bound[input], true) {
            return Err(format!("input {input} of the body is given twice"));
        }
    }
    let read = body.kernels.iter().flat_map(|kernel| &kernel.inputs).map(|input| input.buffer);
    let kept = (0..body.outputs.len()).map(|output| body.owner(BufferRef::Output(output)));
    for reference in read.chain(kept) {
        if let BufferRef::Input(input) = reference
            && !bound[input]
        {
            return Err(format!("input {input} of the body is given by nobody"));
        }
    }
    check_results(kernel, own)
}

/// Every result is written by the body, and every output of the body goes somewhere.
fn check_results(kernel: &Kernel, own: &LoopKernel) -> Result<(), String> {
    let body = &*own.body;
    let mut results: Vec<Option<Size>> = vec![None; kernel.outputs.len()];
    let mut place = |result: usize, size: Size| match results.get_mut(result) {
        Some(empty @ None) => {
            *empty = Some(size);
            Ok(())
        }
        _ => Err(format!("result {result} is not there, or is written twice")),
    };
    let mut used = vec![false; body.outputs.len()];
    for carry in &own.carries {
        let (dtype, len) = output_size(body, carry.next)?;
        used[carry.next] = true;
        if (dtype, len) != input_size(body, carry.input)? {
            return Err(format!("input {} of the body changes its size", carry.input));
        }
        if let Some(over) = body.outputs[carry.next].reuses
            && over != carry.input
        {
            return Err(format!("output {} of the body is written over input {over}", carry.next));
        }
        if let Some(last) = carry.last {
            place(last, (dtype, len))?;
        }
    }
    for &(output, result) in &own.stacked {
        let (dtype, len) = output_size(body, output)?;
        used[output] = true;
        if body.outputs[output].reuses.is_some() {
            return Err(format!("output {output} of the body is stacked and written in place"));
        }
        place(result, (dtype, len * own.length))?;
    }
    if let Some(lost) = used.iter().position(|&used| !used) {
        return Err(format!("output {lost} of the body goes nowhere"));
    }
    for (position, (output, written)) in kernel.outputs.iter().zip(&results).enumerate() {
        if *written != Some((output.dtype, output.len)) {
            return Err(format!("result {position} does not get its elements"));
        }
    }
    Ok(())
}

fn input_size(body: &Plan, input: usize) -> Result<Size, String> {
    body.inputs.get(input).copied().ok_or_else(|| format!("the body has no input {input}"))
}

fn output_size(body: &Plan, output: usize) -> Result<Size, String> {
    let output = body.outputs.get(output).map(|found| (found.dtype, found.len));
    output.ok_or_else(|| "the body has no such output".into())
}
