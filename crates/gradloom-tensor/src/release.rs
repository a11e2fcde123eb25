//! How nodes are dropped: long histories by a loop, because the default would recurse.

use std::cell::RefCell;
use std::sync::Arc;

use crate::op::{CustomGrad, Detached, LoopResult, Op};
use crate::tensor::{Node, Tensor};

/// What a dropped node owned and whose drop may reach further nodes.
enum Owned {
    Inputs(Vec<Tensor>),
    Source(Detached),
    Rule(CustomGrad),
    Body(LoopResult),
}

thread_local! {
    /// What is left to drop while a drop of a node runs on this thread; `None` while none does.
    static PENDING: RefCell<Option<Vec<Owned>>> = const { RefCell::new(None) };
}

impl Drop for Node {
    /// Frees long histories with a loop: the default would recurse once per node, also through what the
    /// closures of custom gradients have captured.
    fn drop(&mut self) {
        if !self.inputs.is_empty() {
            release(Owned::Inputs(std::mem::take(&mut self.inputs)));
        }
        if matches!(self.op, Op::Detach(_) | Op::Custom(_) | Op::Loop(_)) {
            match std::mem::replace(&mut self.op, Op::Buffer) {
                Op::Loop(result) => release(Owned::Body(result)),
                Op::Detach(source) => release(Owned::Source(source)),
                Op::Custom(rule) => release(Owned::Rule(rule)),
                other => drop(other),
            }
        }
    }
}

/// Drops what a node owned: at once if no drop runs on this thread, otherwise when that one comes to it.
fn release(owned: Owned) {
    /// Ends the drop, also if one of a captured value panics.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            let left = PENDING.try_with(|pending| pending.borrow_mut().take());
            drop(left);
        }
    }

    let mut owned = Some(owned);
    let first = PENDING.try_with(|pending| {
        let mut pending = pending.borrow_mut();
        match &mut *pending {
            Some(pending) => pending.extend(owned.take()),
            none => *none = Some(Vec::new()),
        }
        owned.is_some()
    });
    match first {
        Ok(true) => {
            let _end = End;
            while let Some(next) = owned.take() {
                drop(next);
                owned = PENDING.with(|pending| pending.borrow_mut().as_mut().and_then(Vec::pop));
            }
        }
        Ok(false) => {}
        Err(_) => release_at_the_end_of_a_thread(owned),
    }
}

/// As [`release`], for tensors that a thread's own variables hold until after its queue is gone. Only what
/// closures have captured and the bodies of loops are dropped by recursion then.
fn release_at_the_end_of_a_thread(owned: Option<Owned>) {
    let mut pending: Vec<Tensor> = Vec::new();
    match owned {
        Some(Owned::Inputs(inputs)) => pending.extend(inputs),
        Some(Owned::Source(source)) => pending.extend(source.clear()),
        Some(Owned::Rule(rule)) => drop(rule),
        Some(Owned::Body(body)) => drop(body),
        None => {}
    }
    while let Some(tensor) = pending.pop() {
        let Some(mut node) = Arc::into_inner(tensor.0) else { continue };
        pending.append(&mut node.inputs);
        if let Op::Detach(source) = &node.op {
            pending.extend(source.clear());
        }
    }
}
