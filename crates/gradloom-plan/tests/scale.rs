//! Large graphs: they are planned at all, in pieces, and on a small stack. `--nocapture` prints the times.

use std::time::Instant;

use gradloom_autodiff::grad;
use gradloom_plan::{KernelKind, Limits, Planner, Prepared};
use gradloom_tensor::{DType, Retention, Scan, Tensor};
use gradloom_testkit::reference;

fn prepare(what: &str, roots: &[Tensor]) -> Prepared {
    let start = Instant::now();
    let planner = Planner::new(Limits { verify: false, ..Limits::default() });
    let prepared = planner.prepare(roots, Retention::Keep).unwrap();
    let kernels = prepared.plan.kernels.len();
    let (nodes, bytes) = (prepared.nodes.len(), planner.bytes());
    println!("{what}: {nodes} nodes, {kernels} kernels, {bytes} bytes, {:?}", start.elapsed());
    let start = Instant::now();
    prepared.plan.verify().unwrap();
    println!("    verified in {:?}", start.elapsed());
    prepared
}

/// The loss of a recurrent network of so many steps and its gradients.
fn recurrent(steps: usize) -> Vec<Tensor> {
    let device = reference::device();
    let leaf = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        Tensor::from_vec(vec![0.1f32; count], shape, &device).unwrap().tracked()
    };
    let (x, w, u, b) = (leaf(&[8, steps, 16]), leaf(&[16, 32]), leaf(&[32, 32]), leaf(&[32]));
    let mut state = Tensor::zeros([8, 32], DType::F32, &device);
    for step in 0..steps {
        let input = x.narrow(1, step, 1).squeeze(1);
        state = (input.matmul(&w) + state.matmul(&u) + &b).tanh();
    }
    let loss = state.square().mean(..);
    let mut roots = grad(&loss, &[&w, &u, &b]);
    roots.push(loss);
    roots
}

/// Runs on a thread with the stack that spawned threads have at the least.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(512 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_recurrent_network_of_five_hundred_steps() {
    on_a_small_stack(|| {
        prepare("recurrent, 500 steps", &recurrent(500));
    });
}

#[test]
fn a_hundred_thousand_nodes() {
    on_a_small_stack(|| {
        prepare("recurrent, 4,000 steps", &recurrent(4_000));
    });
}

#[test]
fn a_chain_of_a_million_nodes() {
    on_a_small_stack(|| {
        let device = reference::device();
        let mut y = Tensor::from_vec(vec![1f32, 2.0], [2], &device).unwrap();
        for _ in 0..250_000 {
            y = &y * 0.999 + 0.001;
        }
        prepare("chain", &[y]);
    });
}

#[test]
fn a_thousand_updates_in_one_step() {
    let device = reference::device();
    let roots: Vec<Tensor> = (0..1_000)
        .flat_map(|_| {
            let weight = Tensor::from_vec(vec![1f32; 64], [8, 8], &device).unwrap().tracked();
            let gradient = &grad(&weight.square().sum(..), &[&weight])[0];
            let moment = gradient * 0.1;
            [&weight - &(&moment * 0.01), moment]
        })
        .collect();
    prepare("updates", &roots);
}

/// The loss of an LSTM of two directions, each of which is a loop, and its gradients.
fn looped(steps: usize) -> Vec<Tensor> {
    let device = reference::device();
    let leaf = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        Tensor::from_vec(vec![0.1f32; count], shape, &device).unwrap().tracked()
    };
    let x = leaf(&[steps, 8, 16]);
    let (mut weights, mut sides) = (Vec::new(), Vec::new());
    for reverse in [false, true] {
        let (w, u, b) = (leaf(&[16, 128]), leaf(&[32, 128]), leaf(&[128]));
        let zero = Tensor::zeros([8, 32], DType::F32, &device);
        let inputs = x.matmul(&w) + &b;
        let scan = Scan::default().reverse(reverse);
        let (_, outputs) = scan.run([zero.clone(), zero], inputs, |_, [hidden, cell], input| {
            let gates = input + hidden.matmul(&u);
            let gate = |index: usize| gates.narrow(-1, index * 32, 32);
            let kept = gate(1).sigmoid() * cell;
            let cell = kept + gate(0).sigmoid() * gate(2).tanh();
            let hidden = gate(3).sigmoid() * cell.tanh();
            ([hidden.clone(), cell], hidden)
        });
        weights.extend([w, u, b]);
        sides.push(outputs);
    }
    let loss = Tensor::concat(&sides, -1).square().mean(..);
    let mut roots = grad(&loss, &weights.iter().collect::<Vec<_>>());
    roots.push(loss);
    roots
}

#[test]
fn a_loop_of_two_thousand_steps_is_planned_as_one_of_twenty() {
    // The first plan of a process also waits for memory.
    prepare("loop, first", &looped(20));
    let [few, many] =
        [20, 2_000].map(|steps| prepare(&format!("loop, {steps} steps"), &looped(steps)));
    assert_eq!(few.nodes.len(), many.nodes.len());
    assert_eq!(few.plan.kernels.len(), many.plan.kernels.len());
    let bodies = |prepared: &Prepared| -> Vec<usize> {
        let kernels = prepared.plan.kernels.iter();
        kernels
            .filter_map(|kernel| match &kernel.kind {
                KernelKind::Loop(own) => Some(own.body.kernels.len()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(bodies(&few), bodies(&many));
    assert_eq!(bodies(&few).len(), 4, "one loop forward, one backward in each direction");
    assert!(bodies(&few).iter().all(|&kernels| kernels <= 5), "{}", few.plan);
}
