//! [`Carried`]: where the carry of a loop is from step to step.

use gradloom_plan::{BufferRef, Carry, Plan};

/// Where a carry is after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Where it was: it does not change.
    Same,
    /// Where it was, written over.
    InPlace,
    /// In a block of its own, written by a kernel.
    Fresh,
    /// It is another value of the step, which stays where it is until the loop ends.
    Elsewhere(BufferRef),
    /// It is another value of the step, which may be overwritten before it is read.
    Copied(BufferRef),
}

/// A carry, and how it goes from step to step.
pub(super) struct Carried {
    pub(super) carry: Carry,
    pub(super) next: Next,
    pub(super) bytes: usize,
    /// The result that keeps its values before each step, in which it lives.
    pub(super) kept: Option<usize>,
}

/// How a carry goes from step to step. A stacked result that is the carry before each step is taken off
/// the list of those that are copied.
pub(super) fn carried(
    body: &Plan,
    carry: &Carry,
    stays: &dyn Fn(BufferRef) -> bool,
    copied: &mut Vec<(BufferRef, usize)>,
) -> Carried {
    let own = BufferRef::Input(carry.input);
    let output = &body.outputs[carry.next];
    let next = match (output.alias, output.reuses) {
        (None, Some(_)) => Next::InPlace,
        (None, None) => Next::Fresh,
        (Some(_), _) => match body.block(BufferRef::Output(carry.next)) {
            other if other == own => Next::Same,
            other if stays(other) => Next::Elsewhere(other),
            other => Next::Copied(other),
        },
    };
    let position = match next {
        Next::Same | Next::InPlace => None,
        Next::Fresh | Next::Elsewhere(_) | Next::Copied(_) => {
            copied.iter().position(|&(source, _)| source == own)
        }
    };
    let kept = position.map(|position| copied.remove(position).1);
    let (dtype, len) = body.inputs[carry.input];
    Carried { carry: *carry, next, bytes: len * dtype.size(), kept }
}
