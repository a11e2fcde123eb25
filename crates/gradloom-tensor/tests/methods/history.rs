//! Histories of nodes: freed without recursion, and each node knows the line that made it.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use gradloom_tensor::{DType, Key, Tensor};

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
    let x = leaf(&[2, 3], DType::I32, &device());
    let broken: [(&dyn Fn() -> Tensor, u32); 4] = [
        (&|| x.exp(), line!()),
        (&|| &x + 0.5, line!()),
        (&|| x.sum(5), line!()),
        (&|| x.argmax(-3), line!()),
    ];
    for (call, line) in broken {
        assert!(std::panic::catch_unwind(AssertUnwindSafe(call)).is_err());
        assert_eq!(PANICKED_AT.take(), Some((file!().to_owned(), line)));
    }
}

#[test]
fn a_chain_of_a_million_nodes_is_dropped_on_a_small_stack() {
    let build_and_drop = || {
        let device = device();
        let mut x = Tensor::zeros((), DType::F32, &device);
        for _ in 0..1_000_000 {
            x = x.neg();
        }
        drop(x);
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(build_and_drop).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_chain_through_detach_is_dropped_on_a_small_stack() {
    let build_and_drop = || {
        let device = device();
        let mut x = Tensor::zeros((), DType::F32, &device);
        for _ in 0..100_000 {
            x = x.neg().detach();
        }
        drop(x);
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(build_and_drop).unwrap();
    thread.join().unwrap();
}
