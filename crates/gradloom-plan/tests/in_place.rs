//! Results that are written over operands that nobody else holds: which are, and that they are right.

use gradloom_plan::{Planner, interpret};
use gradloom_tensor::{Device, Retention, Tensor, commit};
use gradloom_testkit::reference;

/// A matrix and one number for each of its rows.
const SIZE: [usize; 2] = [6, 40];

fn operands(device: &Device) -> (Tensor, Tensor) {
    let numbers = |count: usize| (0..count).map(|index| ((index * 37) % 19) as f32 * 0.25 - 2.0);
    let matrix = Tensor::from_vec(numbers(SIZE[0] * SIZE[1]).collect(), SIZE, device).unwrap();
    let column = Tensor::from_vec(numbers(SIZE[0]).collect(), [SIZE[0]], device).unwrap();
    (matrix, column)
}

/// A result, the only holder of its operands.
fn made(form: impl Fn(&Tensor, &Tensor) -> Tensor, device: &Device) -> Tensor {
    let (matrix, column) = operands(device);
    form(&matrix, &column)
}

/// Whether `form` is one kernel that writes over an operand; its values are those of the reference.
#[track_caller]
fn overwrites(form: impl Fn(&Tensor, &Tensor) -> Tensor + Copy) -> bool {
    let device = interpret::device();
    let roots = [made(form, &device)];
    let held = roots.clone();
    let prepared = Planner::default().prepare(&roots, Retention::Release).unwrap();
    drop(held);
    let plan = &prepared.plan;
    assert_eq!(plan.kernels.len(), 1, "{plan}");
    let pairs = plan.in_place(0).unwrap();
    assert_eq!(pairs.is_empty(), plan.outputs[0].reuses.is_none(), "{plan}");

    let mut result = made(form, &device);
    commit(&mut result).unwrap();
    let expected = made(form, &reference::device()).to_vec::<f32>().unwrap();
    let found = result.to_vec::<f32>().unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found} instead of {expected}: {plan}");
    }
    !pairs.is_empty()
}

#[test]
fn rows_are_written_over_what_they_are_made_of() {
    assert!(overwrites(|x, _| x.softmax(-1)));
    assert!(overwrites(|x, _| x.rms_norm(None, 1e-5)));
    assert!(overwrites(|x, _| x - x.mean_keepdim(1) + x.sum_keepdim(1).tanh() * x));
}

#[test]
fn values_of_rows_are_written_over_values_of_rows() {
    assert!(overwrites(|x, running| running * 0.9 + x.sum(1) * 0.1));
    assert!(overwrites(|x, running| running - x.softmax(-1).square().sum(1)));
}

#[test]
fn what_is_read_elsewhere_than_written_is_not_overwritten() {
    // The numbers of rows go into the sums that are written over them.
    let column = |v: &Tensor| v.reshape([SIZE[0], 1]);
    assert!(!overwrites(|x, v| (x * column(v)).sum(1) + v));
    // Every element reads another one.
    assert!(!overwrites(|x, _| x + x.flip(1)));
    assert!(!overwrites(|x, _| (x.flip(1) * x).softmax(-1)));
    // Other rows read the same.
    assert!(!overwrites(|x, v| v + (x + v.flip(0).reshape([SIZE[0], 1])).sum(1)));
}
