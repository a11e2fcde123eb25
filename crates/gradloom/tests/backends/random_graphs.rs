//! Random graphs with fixed seeds on the interpreter of plans, on the processor at each level of vector
//! instructions, and on every GPU adapter. `cargo xtask graphs` draws as many others as one likes.

use gradloom::prelude::*;
use gradloom_cpu::{CpuBackend, Level};
use gradloom_plan::interpret::Interpreter;
use gradloom_plan::{Limits, ProductForms, TransposedCopies};
use gradloom_testkit::graphs::{Options, Recipe, Verdict, check};

use crate::gpus;

/// Checks so many graphs and fails with those that differ, printed as tests to paste into `found.rs`.
fn hold(device: &Device, options: &Options, first: u64, count: u64) {
    let mut compared = 0;
    for seed in first..first + count {
        let recipe = Recipe::random(seed, options);
        match check(&recipe.scenario, &|graph| recipe.build(graph), device) {
            Verdict::Same(coverage) => compared += coverage.compared,
            Verdict::Meaningless(_) => {}
            Verdict::Different(difference) => {
                let source = recipe.source(&format!("seed_{seed}"));
                panic!("{}: {difference}\n{source}", device.name());
            }
        }
    }
    assert!(compared > count as usize, "nothing was compared");
}

#[test]
fn the_interpreter_agrees_with_the_reference_on_random_graphs() {
    let device = gradloom_plan::interpret::device();
    hold(&device, &Options::of(&device), 10_000_000, 600);
}

/// With every transposed operand copied, as devices ask for large ones.
#[test]
fn copies_of_transposed_operands_agree_with_the_reference_on_random_graphs() {
    let transposed_copies = Some(TransposedCopies { elements_min: 1, axis_min: 2 });
    let limits = Limits { transposed_copies, casts_on_read: true, ..Limits::default() };
    let device = Interpreter::new(limits).into_device();
    hold(&device, &Options::of(&device), 40_000_000, 600);
}

#[test]
fn kernels_of_few_buffers_agree_with_the_reference_on_random_graphs() {
    for buffers_max in [4, 6] {
        let limits = Limits { buffers_max, casts_on_read: true, ..Limits::default() };
        let device = Interpreter::new(limits).into_device();
        hold(&device, &Options::of(&device), 50_000_000, 300);
    }
}

/// With every product as a reduction, the casts of its operands among the instructions.
#[test]
fn products_as_reductions_agree_with_the_reference_on_random_graphs() {
    let products = Some(ProductForms { narrow_max: usize::MAX, bytes: false });
    let limits = Limits { products, casts_on_read: true, ..Limits::default() };
    let device = Interpreter::new(limits).into_device();
    hold(&device, &Options::of(&device), 60_000_000, 600);
}

#[test]
fn every_level_of_the_processor_agrees_with_the_reference_on_random_graphs() {
    for (index, level) in Level::available().into_iter().enumerate() {
        let device = CpuBackend::with_level(Some(1 + index % 2), level).unwrap().into_device();
        hold(&device, &Options::of(&device), 20_000_000, 2_000);
    }
}

#[test]
fn every_gpu_agrees_with_the_reference_on_random_graphs() {
    for device in gpus() {
        let options = Options::of(&device).few_shapes();
        hold(&device, &options, 30_000_000, 60);
    }
}
