//! The interpreter of plans: the table of cases that every backend runs, planned and interpreted, against
//! the reference, which plans nothing; and plans made by hand that are wrong, with what it says of them.

use std::sync::Arc;

use gradloom_plan::interpret::{self, Failure, Fault, download, upload};
use gradloom_plan::{
    Attachments, BufferRef, Instruction, Kernel, KernelInput, KernelKind, KernelOutput, Level,
    Limits, Operation, Plan, PlanOutput, ProductForms, Program, Slot, Space, TransposedCopies,
    View,
};
use gradloom_tensor::op::{Reduction, Unary};
use gradloom_tensor::{Buffer, DType, Shape, Tensor, commit};
use gradloom_testkit::{cases, check};

#[track_caller]
fn all_hold(outcomes: Vec<Result<(), String>>) {
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn values_are_those_of_the_reference() {
    let device = interpret::device();
    let mut outcomes = Vec::new();
    for case in cases() {
        for float in [DType::F32, DType::F64, DType::F16, DType::BF16] {
            outcomes.push(check::value(&case, &device, float));
        }
    }
    all_hold(outcomes);
}

#[test]
fn gradients_are_those_of_the_reference() {
    let device = interpret::device();
    let mut outcomes = Vec::new();
    for case in cases() {
        for float in [DType::F32, DType::F64] {
            outcomes.push(check::gradient(&case, &device, float));
        }
    }
    all_hold(outcomes);
}

/// What a device without tiles asks for, in every plan with a product: values and first gradients.
#[test]
fn products_as_reductions_are_those_of_the_reference() {
    let products = Some(ProductForms { narrow_max: usize::MAX, bytes: false });
    let limits = Limits { products, ..Limits::default() };
    let device = interpret::Interpreter::new(limits).into_device();
    let product = |case: &gradloom_testkit::Case| case.name.contains("matmul");
    let mut outcomes = Vec::new();
    for case in cases().into_iter().filter(product) {
        for float in [DType::F32, DType::F16, DType::BF16] {
            outcomes.push(check::value(&case, &device, float));
        }
        outcomes.push(check::gradient(&case, &device, DType::F32));
    }
    assert!(!outcomes.is_empty());
    all_hold(outcomes);
}

/// What a device asks for that reads across memory slowly: every transposed operand is copied.
#[test]
fn copies_of_transposed_operands_are_those_of_the_reference() {
    let transposed_copies = Some(TransposedCopies { elements_min: 1, axis_min: 2 });
    let limits = Limits { transposed_copies, ..Limits::default() };
    let device = interpret::Interpreter::new(limits).into_device();
    let mut outcomes = Vec::new();
    for case in cases() {
        for float in [DType::F32, DType::BF16] {
            outcomes.push(check::value(&case, &device, float));
        }
        outcomes.push(check::gradient(&case, &device, DType::F32));
    }
    all_hold(outcomes);
}

/// The leaf that the plans below read.
const LEAF: usize = 0;

/// Four numbers in f32, negated: reads the elements of one node and writes those of another.
fn negation((from, read): (BufferRef, usize), (to, written): (BufferRef, usize)) -> Kernel {
    let view = View::contiguous(Shape::new(&[4]));
    let (dtype, level) = (DType::F32, Level::Element);
    let mut program = Program::default();
    let operation = Operation::Load { input: 0, view };
    let loaded = program.push(Instruction { operation, dtype, level });
    let operation = Operation::Unary(Unary::Neg, loaded);
    let value = program.push(Instruction { operation, dtype, level });
    Kernel {
        kind: KernelKind::Map,
        program,
        space: Space::elements(view.shape),
        inputs: vec![KernelInput { buffer: from, dtype, len: 4, node: read }],
        outputs: vec![KernelOutput { buffer: to, dtype, len: 4, value, node: written }],
        node: written,
        origins: vec![0, 1],
    }
}

/// A plan of these kernels with one input, outputs that reuse inputs, and two slots.
fn plan(kernels: Vec<Kernel>, reuses: &[Option<usize>]) -> Plan {
    let output = |&reuses| PlanOutput { dtype: DType::F32, len: 4, reuses, alias: None };
    Plan {
        id: 0,
        kernels,
        together: Vec::new(),
        inputs: vec![(DType::F32, 4)],
        outputs: reuses.iter().map(output).collect(),
        slots: vec![Slot { elements_max: 4, bytes: 16 }; 2],
        arguments: Vec::new(),
        attachments: Attachments::default(),
    }
}

fn leaf() -> Buffer {
    upload(DType::F32, &[1.0, 2.0, 3.0, 4.0])
}

#[track_caller]
fn fails(plan: &Plan, kernel: Option<usize>, fault: Fault) {
    let failure = interpret::plan(plan, &[leaf()], &[]).expect_err("the plan is wrong");
    assert_eq!(failure, Failure { kernel, fault });
}

const INPUT: BufferRef = BufferRef::Input(0);
const OUTPUT: BufferRef = BufferRef::Output(0);
const SLOT: BufferRef = BufferRef::Slot(0);

#[test]
fn temporaries_share_slots_and_outputs_take_over_inputs() {
    let kernels = vec![
        negation((INPUT, LEAF), (SLOT, 1)),
        negation((SLOT, 1), (BufferRef::Slot(1), 2)),
        negation((BufferRef::Slot(1), 2), (SLOT, 3)),
        negation((SLOT, 3), (OUTPUT, 4)),
        negation((OUTPUT, 4), (BufferRef::Output(1), 5)),
    ];
    let mut plan = plan(kernels, &[None, Some(0), None]);
    plan.outputs[2].alias = Some(BufferRef::Output(1));
    let input = leaf();
    let outputs = interpret::plan(&plan, std::slice::from_ref(&input), &[]).unwrap();
    assert_eq!(download(&outputs[0]).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(download(&outputs[1]).unwrap(), [-1.0, -2.0, -3.0, -4.0]);
    for output in &outputs[1..] {
        assert!(Arc::ptr_eq(output.shared(), input.shared()));
    }
    // Whoever held the input would see it.
    assert_eq!(download(&input).unwrap(), [-1.0, -2.0, -3.0, -4.0]);
}

#[test]
fn what_nobody_wrote_is_not_read() {
    let never = plan(vec![negation((SLOT, 1), (OUTPUT, 2))], &[None]);
    fails(&never, Some(0), Fault::Unwritten { operand: 0, element: 0 });
    let early = plan(vec![negation((OUTPUT, 1), (BufferRef::Output(1), 2))], &[Some(0), None]);
    fails(&early, Some(0), Fault::Stale { operand: 0, element: 0, node: 1, found: None });
    let absent = plan(vec![negation((INPUT, LEAF), (SLOT, 1))], &[None]);
    let fault = Fault::Malformed("output 0 does not hold its elements".to_owned());
    fails(&absent, None, fault);
}

#[test]
fn what_was_overwritten_is_not_read() {
    let shared = plan(
        vec![
            negation((INPUT, LEAF), (SLOT, 1)),
            negation((INPUT, LEAF), (SLOT, 2)),
            negation((SLOT, 1), (OUTPUT, 3)),
        ],
        &[None],
    );
    fails(&shared, Some(2), Fault::Stale { operand: 0, element: 0, node: 1, found: Some(2) });
    let in_place = plan(
        vec![negation((INPUT, LEAF), (OUTPUT, 1)), negation((INPUT, LEAF), (SLOT, 2))],
        &[Some(0)],
    );
    let fault = Fault::Stale { operand: 0, element: 0, node: LEAF, found: Some(1) };
    fails(&in_place, Some(1), fault);
    let twice = plan(
        vec![negation((INPUT, LEAF), (OUTPUT, 1)), negation((OUTPUT, 1), (OUTPUT, 2))],
        &[None],
    );
    fails(&twice, Some(1), Fault::Overwritten { output: 0, node: 1 });
}

#[test]
fn nothing_is_read_or_written_outside_a_buffer() {
    for (offset, element) in [(1, 4), (-1, -1)] {
        let mut kernel = negation((INPUT, LEAF), (OUTPUT, 1));
        let view = View { offset, ..View::contiguous(Shape::new(&[4])) };
        kernel.program.instructions[0].operation = Operation::Load { input: 0, view };
        let fault = Fault::Outside { operand: 0, element, len: 4 };
        fails(&plan(vec![kernel], &[None]), Some(0), fault);
    }
    let mut narrow = plan(vec![negation((INPUT, LEAF), (SLOT, 1))], &[None]);
    narrow.slots[0].bytes = 12;
    let fault = Fault::Malformed("output 0: 16 bytes written to 12".to_owned());
    fails(&narrow, Some(0), fault);
}

#[test]
fn a_row_has_one_value_and_an_element_its_own() {
    let mut kernel = negation((INPUT, LEAF), (OUTPUT, 1));
    (kernel.kind, kernel.space.kept) = (KernelKind::Reduce, 0);
    let (dtype, level) = (DType::F32, Level::Row);
    let operation = Operation::Reduce(Reduction::Sum, 1);
    kernel.outputs[0].value = kernel.program.push(Instruction { operation, dtype, level });
    // The sum has one element, and the output four.
    let fault = Fault::Malformed("output 0: 1 elements stored in 4".to_owned());
    fails(&plan(vec![kernel.clone()], &[None]), Some(0), fault);
    // Lifted, it has four.
    let (operation, level) = (Operation::Cast(2), Level::Element);
    kernel.outputs[0].value = kernel.program.push(Instruction { operation, dtype, level });
    let lifted = plan(vec![kernel.clone()], &[None]);
    let outputs = interpret::plan(&lifted, &[leaf()], &[]).unwrap();
    assert_eq!(download(&outputs[0]).unwrap(), [-10.0; 4]);
    kernel.program.instructions[0].level = Level::Row;
    let fault = Fault::Malformed("a value of a row varies along it".to_owned());
    fails(&plan(vec![kernel], &[None]), Some(0), fault);
}

#[test]
fn indices_are_checked_and_what_fails_changes_nothing() {
    let device = interpret::device();
    let table = Tensor::from_vec(vec![1f32, 2.0, 3.0], [3], &device).unwrap();
    let bad = Tensor::from_vec(vec![0i32, 3], [2], &device).unwrap();
    let picked = table.index_select(0, &bad);
    let error = picked.to_vec::<f32>().unwrap_err();
    assert!(error.is_index_out_of_range(), "{error}");
    assert!(error.to_string().contains("index 3 out of range for axis of size 3"), "{error}");
    assert_eq!(table.to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
}

#[test]
fn a_commit_updates_in_the_memory_of_the_leaf() {
    let device = interpret::device();
    let weight = Tensor::from_vec(vec![1f32, 2.0], [2], &device).unwrap();
    let before = Arc::as_ptr(weight.value().unwrap().shared());
    let mut updated = &weight * 2.0;
    drop(weight);
    commit(&mut updated).unwrap();
    let after = Arc::as_ptr(updated.value().unwrap().shared());
    assert!(std::ptr::addr_eq(before, after));
    assert_eq!(updated.to_vec::<f32>().unwrap(), [2.0, 4.0]);
    let statistics = device.statistics();
    assert_eq!((statistics.plans, statistics.replays, statistics.kernels), (1, 0, 1));
}

#[test]
fn a_cache_is_written_in_place_and_read_at_once() {
    let device = interpret::device();
    let mut cache = Tensor::from_vec(vec![0f32; 8], [1, 4, 2], &device).unwrap();
    let before = Arc::as_ptr(cache.value().unwrap().shared());
    for position in 0..3 {
        let start = Tensor::from_vec(vec![position], [1], &device).unwrap();
        let start = start.check_index(4, "cache");
        let row = Tensor::from_vec(vec![position as f32 + 1.0, -1.0], [1, 1, 2], &device).unwrap();
        let written = cache.write(1, &start, &(&row * 2.0));
        let mut total = written.sum(..);
        cache = written;
        commit((&mut cache, &mut total)).unwrap();
        let sum: i32 = (0..=position).map(|position| 2 * (position + 1) - 2).sum();
        assert_eq!(total.item().unwrap(), f64::from(sum));
    }
    assert!(std::ptr::addr_eq(before, Arc::as_ptr(cache.value().unwrap().shared())));
    let expected = [2.0, -2.0, 4.0, -2.0, 6.0, -2.0, 0.0, 0.0];
    assert_eq!(cache.to_vec::<f32>().unwrap(), expected);
}

#[test]
fn two_roots_that_are_views_of_one_permutation() {
    let device = gradloom_plan::interpret::device();
    let x = Tensor::from_vec((0..12).map(|i| i as f32).collect(), [3, 2, 2], &device).unwrap();
    let (a, b) = (x.permute(&[2, 0, 1]).unsqueeze(0), x.permute(&[2, 0, 1]));
    gradloom_tensor::eval([&a, &b]).unwrap();
    assert_eq!(a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
}
