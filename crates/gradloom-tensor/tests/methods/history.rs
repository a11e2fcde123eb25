//! Histories of nodes: freed without recursion, and each node knows the line that made it.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Barrier};

use gradloom_tensor::op::CustomGrad;
use gradloom_tensor::{DType, Key, Op, State, Tensor};

use crate::refusing::{device, leaf};

#[test]
fn nodes_know_the_line_of_the_program_that_made_them() {
    let device = device();
    let x = leaf(&[2, 3], DType::F32, &device);
    let line = line!() + 1;
    let nodes = [x.exp(), &x + 1.0, 2.0 / &x, -&x, x.powi(5), x.gelu(), x.sum(0), x.var(.., 1)];
    for node in nodes {
        let mut pending = vec![node];
        while let Some(node) = pending.pop() {
            if node.id() != x.id() {
                assert_eq!((node.location().file(), node.location().line()), (file!(), line));
                pending.extend(node.inputs().iter().cloned());
            }
        }
    }
    let random = Tensor::normal(Key::new(0), 2, 0.0, 1.0, &device);
    assert_eq!(random.location().file(), file!());
}

thread_local! {
    static PANICKED_AT: Cell<Option<(String, u32)>> = const { Cell::new(None) };
}

#[test]
fn broken_contracts_panic_at_the_line_of_the_caller() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED_AT.set(info.location().map(|place| (place.file().to_owned(), place.line())));
        previous(info);
    }));
    let device = device();
    let x = leaf(&[2, 3], DType::I32, &device);
    let broken: [(&dyn Fn() -> Tensor, u32); 4] = [
        (&|| x.exp(), line!()),
        (&|| &x + leaf(&[2, 3], DType::U32, &device), line!()),
        (&|| x.sum(5), line!()),
        (&|| x.argmax(-3), line!()),
    ];
    for (call, line) in broken {
        assert!(std::panic::catch_unwind(AssertUnwindSafe(call)).is_err());
        assert_eq!(PANICKED_AT.take(), Some((file!().to_owned(), line)));
    }
}

const MILLION: usize = 1_000_000;

/// Runs on a stack that a recursion of some thousand levels does not fit.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

/// A million nodes, each made from the last.
fn chain(mut next: impl FnMut(Tensor) -> Tensor) -> Tensor {
    (0..MILLION).fold(leaf(&[], DType::F32, &device()), |x, _| next(x))
}

/// The last operand's value, with a rule that has captured it too.
fn custom(x: &Tensor) -> Tensor {
    let captured = x.clone();
    let rule = CustomGrad::new(Arc::new(move |_, _, gradient| vec![Some(gradient * &captured)]));
    let value = leaf(&[], DType::F32, x.device());
    Tensor::from_op(Op::Custom(rule), vec![value], *x.shape(), x.dtype(), x.device())
}

#[test]
fn a_chain_of_a_million_nodes_is_dropped_on_a_small_stack() {
    on_a_small_stack(|| drop(chain(|x| x.neg())));
}

#[test]
fn a_chain_through_detach_is_dropped_on_a_small_stack() {
    on_a_small_stack(|| drop(chain(|x| x.detach())));
    on_a_small_stack(|| drop(chain(|x| x.neg().tracked())));
}

#[test]
fn a_chain_through_what_rules_have_captured_is_dropped_on_a_small_stack() {
    on_a_small_stack(|| drop(chain(|x| custom(&x))));
    on_a_small_stack(|| drop(chain(|x| custom(&x.neg()).detach())));
}

#[test]
fn a_value_frees_the_chain_behind_a_detach_on_a_small_stack() {
    on_a_small_stack(|| {
        let x = chain(|x| x.neg().detach());
        x.set_value(leaf(&[], DType::F32, x.device()).value().unwrap().clone());
        assert!(matches!(x.state(), State::Value(_)));
    });
}

#[test]
fn a_chain_in_a_variable_of_a_thread_is_dropped_on_a_small_stack() {
    thread_local! {
        static HELD: Cell<Option<Tensor>> = const { Cell::new(None) };
    }
    // First used before any drop, so that it goes after what drops use.
    on_a_small_stack(|| {
        HELD.set(None);
        HELD.set(Some(chain(|x| x.neg())));
    });
}

#[test]
fn a_captured_value_whose_drop_panics_does_not_stop_later_drops() {
    struct Panics(Arc<()>);
    impl Drop for Panics {
        fn drop(&mut self) {
            assert!(Arc::strong_count(&self.0) == 0, "a drop that panics");
        }
    }
    let (witness, x) = (Arc::new(()), leaf(&[], DType::F32, &device()));
    let captured = Panics(witness.clone());
    let rule = CustomGrad::new(Arc::new(move |_, _, _| {
        let _ = &captured;
        Vec::new()
    }));
    let y = Tensor::from_op(Op::Custom(rule), vec![x.neg()], *x.shape(), x.dtype(), x.device());
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| drop(y))).is_err());
    assert_eq!(Arc::strong_count(&witness), 1);
    drop(x.neg().exp().detach());
    assert_eq!(x.handles(), 1);
}

#[test]
fn a_long_history_is_printed_on_a_small_stack() {
    on_a_small_stack(|| {
        let x = chain(|x| x.neg());
        let expected = "tensor(<no value: this backend computes nothing>, shape=[], f32)";
        assert_eq!((format!("{x:?}"), format!("{x}")), (expected.to_owned(), expected.to_owned()));
    });
}

#[test]
fn a_detached_tensor_has_a_source_or_a_value_while_another_thread_evaluates_it() {
    for _ in 0..2000 {
        let source = leaf(&[], DType::F32, &device()).neg();
        let detached = source.detach();
        let value = leaf(&[], DType::F32, source.device()).value().unwrap().clone();
        let start = Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    loop {
                        match detached.state() {
                            State::Value(_) => break,
                            State::Detached(found) => assert_eq!(found.id(), source.id()),
                            State::Node => panic!("neither a source nor a value"),
                        }
                    }
                });
            }
            start.wait();
            detached.set_value(value);
        });
    }
}

#[test]
fn the_last_holder_of_memory_is_known() {
    let x = leaf(&[2], DType::F32, &device());
    let held = x.value().unwrap();
    assert!(held.is_held_only_by(1));
    let other = held.clone();
    assert!(!held.is_held_only_by(1) && held.is_held_only_by(2));
    drop(other);
    assert!(held.is_held_only_by(1));
}
