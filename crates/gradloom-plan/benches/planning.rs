//! What planning costs: finding a known plan, which every step does, and making a new one. Divide by the
//! number of nodes in the name for nanoseconds per node.

use criterion::{Criterion, criterion_group, criterion_main};
use gradloom_plan::Planner;
use gradloom_tensor::{DType, Retention, Tensor};
use gradloom_testkit::reference;

const ROUNDS: usize = 100;

/// Four nodes a round, and the leaf.
fn graph() -> [Tensor; 1] {
    let x = Tensor::ones([8, 8], DType::F32, &reference::device());
    x.eval().expect("a constant on the reference backend");
    let mut y = x.clone();
    for _ in 0..ROUNDS {
        y = (y.matmul(&x) + &x).tanh() * &x;
    }
    [y]
}

fn planning(criterion: &mut Criterion) {
    let nodes = 4 * ROUNDS + 1;
    let planner = Planner::default();
    let roots = graph();
    criterion.bench_function(&format!("find a known plan of {nodes} nodes"), |bencher| {
        bencher.iter(|| planner.prepare(&roots, Retention::Keep).expect("a plan"));
    });
    criterion.bench_function(&format!("make a new plan of {nodes} nodes"), |bencher| {
        bencher.iter(|| Planner::default().prepare(&roots, Retention::Keep).expect("a plan"));
    });
}

criterion_group!(benches, planning);
criterion_main!(benches);
