//! Plans are kept by structure, and forgotten by bytes: counted, never timed.

use gradloom_plan::{Limits, Owner, Planner, Prepared};
use gradloom_tensor::{Device, Retention, Tensor};
use gradloom_testkit::reference;

/// A chain of `steps` ops on `count` elements, planned.
fn prepare(planner: &Planner, count: usize, steps: usize, device: &Device) -> Prepared {
    let x = Tensor::from_vec(vec![1f32; count], [count], device).unwrap();
    let root = (0..steps).fold(x, |x, step| (x * 0.5).narrow(0, 0, count) + step as f64);
    planner.prepare(&[root], Retention::Keep).unwrap()
}

#[test]
fn a_thousand_shapes_take_no_more_than_the_bound() {
    let device = reference::device();
    let plan_bytes_max = 64 << 10;
    let planner = Planner::new(Limits { plan_bytes_max, ..Limits::default() });
    let mut largest = 0;
    for count in 1..=1000 {
        let prepared = prepare(&planner, count, 3, &device);
        assert!(!prepared.cached, "{count}");
        largest = largest.max(prepared.plan.footprint());
        let bytes = planner.bytes();
        assert!(bytes <= plan_bytes_max + 4 * largest, "{bytes} bytes after {count} shapes");
        assert!(prepare(&planner, count, 3, &device).cached, "the latest is kept");
    }
}

#[test]
fn what_was_used_lately_is_kept() {
    let device = reference::device();
    let planner = Planner::new(Limits { plan_bytes_max: 64 << 10, ..Limits::default() });
    prepare(&planner, 1, 3, &device);
    for count in 2..500 {
        prepare(&planner, count, 3, &device);
        assert!(prepare(&planner, 1, 3, &device).cached, "{count}");
    }
    assert!(!prepare(&planner, 2, 3, &device).cached);
}

#[test]
fn what_a_backend_made_of_a_plan_counts_and_goes_with_it() {
    let device = reference::device();
    let planner = Planner::new(Limits { plan_bytes_max: 64 << 10, ..Limits::default() });
    let owner = Owner::new();
    let attach = |prepared: &Prepared, bytes: usize| {
        let made = prepared.plan.attachments.get_or_make(owner, || Ok((7u32, bytes))).unwrap();
        std::sync::Arc::downgrade(&made)
    };
    let before = planner.bytes();
    let large = attach(&prepare(&planner, 1, 1, &device), 1 << 20);
    assert!(planner.bytes() >= before + (1 << 20));
    assert!(large.upgrade().is_some(), "the planner holds the plan, the plan what was made of it");
    prepare(&planner, 2, 1, &device);
    assert!(large.upgrade().is_none(), "beyond the bound");

    let kept = attach(&prepare(&planner, 3, 1, &device), 10);
    prepare(&planner, 4, 1, &device);
    assert!(kept.upgrade().is_some());
    planner.forget_half();
    assert!(kept.upgrade().is_none());
    assert!(prepare(&planner, 4, 1, &device).cached, "the half that was used lately stays");
}

#[test]
fn each_owner_makes_its_own() {
    let device = reference::device();
    let planner = Planner::default();
    let plan = prepare(&planner, 1, 1, &device).plan;
    let owners = [Owner::new(), Owner::new()];
    for (owner, value) in owners.into_iter().zip([1u32, 2]) {
        let made = plan.attachments.get_or_make(owner, || Ok((value, 8))).unwrap();
        assert_eq!(*made, value);
    }
    let again = plan.attachments.get_or_make(owners[0], || Ok((9u32, 8))).unwrap();
    assert_eq!(*again, 1);
    assert_eq!(plan.attachments.bytes(), 16);
}
