//! Loops: [`scan`] and its options [`Scan`].

use std::sync::Arc;

use crate::called::{Called, demand};
use crate::capture::{LoopParts, stacked_shape};
use crate::op::{Loop, LoopOutput, LoopResult, Op};
use crate::{DType, Device, Shape, Tensor, Tensors};

/// Runs `body` over the first axis of every tensor of `sequence`, and hands `carry` from step to step.
///
/// `(carry, y) = body(carry, x)`, where `x` are the elements of one step, without the axis. The result
/// is the last carry, and every tensor of `y` with its values at all steps along a new first axis.
/// The body is called once, on tensors that have no values yet; it is planned once and run as often
/// as the sequences are long. It may use whatever lies around it. Random numbers drawn in the body
/// are others at every step: the step's number is [folded](crate::Key::fold) into the key.
///
/// Derivatives of any order flow to the carries, the sequences and all that the body uses. As JAX's
/// `jax.lax.scan`; [`Scan`] has more options.
///
/// ```ignore
/// let (last, all) = scan(zero, x, |sum, x| { let sum = &sum + &x; (sum.clone(), sum) });
/// ```
///
/// # Panics
/// If sequences differ in length, a carry changes its shape or dtype, a stacked result would have too
/// many axes, or there is neither a carry nor a sequence.
#[track_caller]
pub fn scan<C: Tensors, X: Tensors, Y: Tensors>(
    carry: C,
    sequence: X,
    body: impl FnOnce(C, X) -> (C, Y),
) -> (C, Y) {
    Scan::default().run(carry, sequence, |_, carry, x| body(carry, x))
}

/// The options of a loop. The default is that of [`scan`].
#[derive(Clone, Debug, Default)]
pub struct Scan {
    length: Option<usize>,
    reverse: bool,
    recompute: bool,
    lengths: Option<Tensor>,
}

impl Scan {
    /// Sets the number of steps: needed where there is no sequence.
    #[must_use]
    pub fn length(self, length: usize) -> Self {
        Scan { length: Some(length), ..self }
    }

    /// Sets whether the last step of the sequences runs first. Stacked results stay in the order of the
    /// sequences.
    #[must_use]
    pub fn reverse(self, reverse: bool) -> Self {
        Scan { reverse, ..self }
    }

    /// Sets whether derivatives compute the body again at each step, so that only carries are kept.
    #[must_use]
    pub fn recompute(self, recompute: bool) -> Self {
        Scan { recompute, ..self }
    }

    /// Sets how long the sequences of each sample are: integers `[B]`, where `B` is the first axis of
    /// every carry and every value of a step. At the steps beyond a sample's length its carries stay as
    /// they are and its values are zero. So in reverse a sample begins at its own end.
    #[must_use]
    pub fn lengths(self, lengths: &Tensor) -> Self {
        Scan { lengths: Some(lengths.clone()), ..self }
    }

    /// As [`scan`], with these options. The body's first argument is the step's number, `i32` of no axes.
    ///
    /// # Panics
    /// As [`scan`], and if the lengths do not fit.
    #[track_caller]
    pub fn run<C: Tensors, X: Tensors, Y: Tensors>(
        &self,
        mut carry: C,
        mut sequence: X,
        body: impl FnOnce(&Tensor, C, X) -> (C, Y),
    ) -> (C, Y) {
        let first = Tensor::next_id();
        let (inits, sequences) = (collect(&mut carry), collect(&mut sequence));
        let device = self.device(&inits, &sequences);
        let length = self.steps(&sequences);
        let index = Tensor::placeholder((), DType::I32, &device);
        let mut carries = Vec::with_capacity(inits.len());
        for init in &inits {
            carries.push(Tensor::placeholder(*init.shape(), init.dtype(), &device));
        }
        let mut slices = Vec::with_capacity(sequences.len());
        for sequence in &sequences {
            let shape = Shape::new(&sequence.shape()[1..]);
            slices.push(Tensor::placeholder(shape, sequence.dtype(), &device));
        }
        replace(&mut carry, carries.clone());
        replace(&mut sequence, slices.clone());
        let (mut carry, mut values) = body(&index, carry, sequence);
        let (mut next, mut stacked) = (collect(&mut carry), collect(&mut values));
        check_carries(&inits, &next);
        if let Some(lengths) = &self.lengths {
            let runs = self.runs(&index, lengths);
            for (next, old) in next.iter_mut().zip(&carries) {
                *next = along(&runs, next).select(&*next, old);
            }
            for value in &mut stacked {
                *value = along(&runs, value).select(&*value, value.zeros_like());
            }
        }
        let parts = LoopParts {
            length,
            reverse: self.reverse,
            recompute: self.recompute,
            index,
            carries,
            slices,
            next,
            first,
        };
        let body = Arc::new(parts.close(&stacked));
        if length == 0 {
            let mut empty = Vec::with_capacity(stacked.len());
            for value in &stacked {
                let shape = stacked_shape(0, value);
                empty.push(Tensor::zeros(shape, value.dtype(), value.device()));
            }
            replace(&mut carry, inits);
            replace(&mut values, empty);
            return (carry, values);
        }
        let mut operands = inits;
        operands.extend(sequences);
        for value in &stacked {
            demand!(
                value.rank() < crate::RANK_MAX,
                "scan: a value of shape {} has no axis left to be stacked along; reshape it",
                value.shape()
            );
        }
        let (last, all) = results(&body, &operands, &stacked);
        replace(&mut carry, last);
        replace(&mut values, all);
        (carry, values)
    }

    /// The device of all operands.
    #[track_caller]
    fn device(&self, inits: &[Tensor], sequences: &[Tensor]) -> Device {
        let operands: Vec<&Tensor> = inits.iter().chain(sequences).chain(&self.lengths).collect();
        let Some(&one) = operands.first() else {
            Called::fail(format_args!(
                "scan: there is neither a carry nor a sequence; give one to loop over"
            ));
        };
        for operand in operands {
            demand!(
                operand.device() == one.device(),
                "scan: operands are on different devices: {} and {}; move one with `to_device`",
                one.device().name(),
                operand.device().name()
            );
        }
        one.device().clone()
    }

    /// The number of steps.
    #[track_caller]
    fn steps(&self, sequences: &[Tensor]) -> usize {
        for sequence in sequences {
            demand!(
                sequence.rank() > 0,
                "scan: a sequence is a single number; it needs a first axis of steps"
            );
        }
        let length = self.length.or_else(|| Some(sequences.first()?.shape()[0]));
        let Some(length) = length else {
            Called::fail(format_args!(
                "scan: there is no sequence; give the number of steps with `length`"
            ));
        };
        for sequence in sequences {
            demand!(
                sequence.shape()[0] == length,
                "scan: a sequence of shape {} for {length} steps; all have one length",
                sequence.shape()
            );
        }
        demand!(
            length <= i32::MAX as usize,
            "scan: {length} steps are more than i32 counts; loop over parts"
        );
        length
    }

    /// For each sample whether this step is one of its own: `[B]`.
    #[track_caller]
    fn runs(&self, index: &Tensor, lengths: &Tensor) -> Tensor {
        demand!(
            lengths.rank() == 1 && lengths.dtype().is_int(),
            "scan: lengths are {} {}; they are integers [B]",
            lengths.dtype(),
            lengths.shape()
        );
        index.lt(lengths.cast(DType::I32))
    }
}

/// The last carries, and the stacked values of these nodes of the body.
#[track_caller]
fn results(
    body: &Arc<Loop>,
    operands: &[Tensor],
    stacked: &[Tensor],
) -> (Vec<Tensor>, Vec<Tensor>) {
    let mut last = Vec::with_capacity(body.carries().len());
    for carry in 0..body.carries().len() {
        last.push(Tensor::loop_result(body, operands, LoopOutput::Carry(carry)));
    }
    let mut all = Vec::with_capacity(stacked.len());
    for value in stacked {
        all.push(Tensor::loop_result(body, operands, LoopOutput::Stacked(value.clone())));
    }
    (last, all)
}

/// Takes the tensors of a structure.
fn collect(structure: &mut impl Tensors) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    structure.for_each_tensor(&mut |tensor| tensors.push(tensor.clone()));
    tensors
}

/// Puts others in their place.
fn replace(structure: &mut impl Tensors, others: Vec<Tensor>) {
    let mut others = others.into_iter();
    structure.for_each_tensor(&mut |tensor| {
        if let Some(other) = others.next() {
            *tensor = other;
        }
    });
}

#[track_caller]
fn check_carries(inits: &[Tensor], next: &[Tensor]) {
    demand!(
        inits.len() == next.len(),
        "scan: {} carries before the body and {} after it; the body keeps their number",
        inits.len(),
        next.len()
    );
    for (position, (init, next)) in inits.iter().zip(next).enumerate() {
        demand!(
            init.shape() == next.shape() && init.dtype() == next.dtype(),
            "scan: carry {position} is {} {} before the body and {} {} after it; it keeps shape and dtype",
            init.dtype(),
            init.shape(),
            next.dtype(),
            next.shape()
        );
    }
}

/// `[B]` along the first axis of a value.
#[track_caller]
fn along(runs: &Tensor, value: &Tensor) -> Tensor {
    let samples = runs.shape()[0];
    demand!(
        value.rank() > 0 && value.shape()[0] == samples,
        "scan: lengths of {samples} samples for a value of shape {}; its first axis has one of each",
        value.shape()
    );
    let mut sizes = vec![1; value.rank()];
    sizes[0] = samples;
    runs.reshape(sizes).broadcast_to(*value.shape())
}

impl Tensor {
    /// One result of a loop on inits and sequences: for crates that transform loops, such as autodiff.
    /// Others use [`scan`]. The values that the body has captured follow among the operands.
    ///
    /// A sequence may have other axes than its parameter if it has as many elements for each step.
    ///
    /// # Panics
    /// If the inits and sequences are not those of the loop.
    #[track_caller]
    pub fn loop_result(body: &Arc<Loop>, operands: &[Tensor], output: LoopOutput) -> Tensor {
        check_operands(body, operands);
        let (shape, of) = match &output {
            LoopOutput::Carry(carry) => (*body.next[*carry].shape(), &body.next[*carry]),
            LoopOutput::Stacked(node) => (stacked_shape(body.length, node), node),
        };
        let (dtype, device) = (of.dtype(), of.device().clone());
        let op = Op::Loop(LoopResult { body: Arc::clone(body), output });
        let operands = operands.iter().chain(body.captured()).cloned().collect();
        Tensor::from_op(op, operands, shape, dtype, &device)
    }
}

#[track_caller]
fn check_operands(body: &Loop, operands: &[Tensor]) {
    let slices = body.carries.len()..body.carries.len() + body.slices.len();
    let parameters: Vec<&Tensor> = body.carries.iter().chain(&body.slices).collect();
    demand!(
        operands.len() == parameters.len(),
        "scan: {} inits and sequences for a loop of {}",
        operands.len(),
        parameters.len()
    );
    for (position, (operand, parameter)) in operands.iter().zip(parameters).enumerate() {
        let fits = match slices.contains(&position) {
            true => {
                operand.rank() > 0
                    && operand.shape()[0] == body.length
                    && operand.count() == body.length * parameter.count()
            }
            false => operand.shape() == parameter.shape(),
        };
        demand!(
            fits && operand.dtype() == parameter.dtype(),
            "scan: operand {position} is {} {}, its parameter {} {} of {} steps",
            operand.dtype(),
            operand.shape(),
            parameter.dtype(),
            parameter.shape(),
            body.length
        );
    }
}
