//! Every row of the table against finite differences in f64, first and second order, on the reference
//! backend: the derivative rules alone, without planner or kernels.
use gradloom_testkit::{cases, check, reference};

#[test]
fn derivatives_agree_with_finite_differences() {
    let device = reference::device();
    let failures: Vec<String> = cases()
        .iter()
        .filter(|case| case.operands.iter().all(|operand| operand.shape.count() < 2000))
        .filter_map(|case| check::finite_differences(case, &device).err())
        .collect();
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn names_are_unique() {
    let mut names: Vec<String> = cases().into_iter().map(|case| case.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
