//! Every row of the table under `vmap` against a loop, in f64 on the reference backend: the batching rules
//! alone, without planner or kernels.
use gradloom_tensor::DType;
use gradloom_testkit::{Case, batched, cases, check, reference};

fn all(run: impl Fn(&Case) -> check::Outcome) {
    let small = |case: &&Case| case.operands.iter().all(|operand| operand.shape.count() < 2000);
    let failures: Vec<String> =
        cases().iter().filter(small).filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn vmap_is_a_loop() {
    all(|case| batched::check(case, &reference::device(), DType::F64, 1));
}

#[test]
fn second_derivatives_of_vmap_are_those_of_a_loop() {
    all(|case| batched::check(case, &reference::device(), DType::F64, 2));
}

#[test]
fn nested_vmaps_are_nested_loops() {
    all(|case| batched::nested(case, &reference::device(), DType::F64));
}
