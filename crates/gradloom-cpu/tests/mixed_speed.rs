//! Products, convolutions and training steps whose f32 operands are cast to bf16, printed rather than
//! asserted: times, and what plans move and store, where operands are cast as they are read and, in
//! brackets, where casts are stored.
//! `cargo test --release -p gradloom-cpu --test mixed_speed -- --ignored --nocapture`.

use std::time::Instant;

use gradloom_autodiff::grad;
use gradloom_plan::{Limits, Planner};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Key, Retention, Shape, Tensor, eval};

const HALF: DType = DType::BF16;

/// What of a function of operands is computed.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Forward,
    /// And the gradients of all operands.
    Both,
}

/// A case: operands, and what is made of their casts.
struct Case {
    name: String,
    operands: Vec<Vec<usize>>,
    function: Box<dyn Fn(&[Tensor]) -> Tensor>,
    pass: Pass,
}

impl Case {
    fn new(
        name: impl Into<String>,
        operands: &[&[usize]],
        pass: Pass,
        function: impl Fn(&[Tensor]) -> Tensor + 'static,
    ) -> Case {
        let operands = operands.iter().map(|shape| shape.to_vec()).collect();
        Case { name: name.into(), operands, function: Box::new(function), pass }
    }

    /// What is computed, and the casts.
    fn roots(&self, operands: &[Tensor]) -> (Vec<Tensor>, Vec<Tensor>) {
        let casts: Vec<Tensor> = operands.iter().map(|operand| operand.cast(HALF)).collect();
        let result = (self.function)(&casts);
        if self.pass == Pass::Forward {
            return (vec![result], casts);
        }
        let loss = result.cast(DType::F32).square().mean(..);
        let gradients = grad(&loss, &Vec::from_iter(operands));
        let step = |(weight, gradient): (&Tensor, &Tensor)| weight - &gradient.mul(1e-3);
        let mut roots: Vec<Tensor> = operands.iter().zip(&gradients).map(step).collect();
        roots.push(loss);
        (roots, casts)
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        [1, 4096, 4096],
        [8, 4096, 4096],
        [64, 1024, 1024],
        [512, 512, 512],
        [1024, 1024, 1024],
        [4096, 768, 768],
    ];
    for [m, k, n] in sizes {
        for (suffix, pass) in [("", Pass::Forward), (" and gradients", Pass::Both)] {
            let name = format!("product {m}x{k}x{n}{suffix}");
            cases.push(Case::new(name, &[&[m, k], &[n, k]], pass, |x| x[0].matmul(&x[1].t())));
        }
    }
    for (suffix, pass) in [("", Pass::Forward), (" and gradients", Pass::Both)] {
        let name = format!("products 96 x 128x64x128{suffix}");
        let shape: &[usize] = &[96, 128, 64];
        cases
            .push(Case::new(name, &[shape, shape], pass, |x| x[0].matmul(&x[1].transpose(-1, -2))));
        let name = format!("conv 8x64x56 -> 64, 3x3{suffix}");
        cases.push(Case::new(name, &[&[8, 64, 56, 56], &[64, 64, 3, 3]], pass, |x| {
            x[0].conv2d(&x[1], &Conv2dOptions { padding: 1.into(), ..Conv2dOptions::default() })
        }));
    }
    let mlp: [&[usize]; 4] = [&[256, 784], &[1024, 784], &[1024, 1024], &[10, 1024]];
    cases.push(Case::new("mlp 256x784-1024-1024-10", &mlp, Pass::Both, |x| {
        let hidden = x[0].matmul(&x[1].t()).relu().matmul(&x[2].t()).relu();
        hidden.matmul(&x[3].t())
    }));
    let block: [&[usize]; 5] =
        [&[8, 128, 512], &[1536, 512], &[512, 512], &[2048, 512], &[512, 2048]];
    cases.push(Case::new("block 8x128x512", &block, Pass::Both, |x| {
        let heads = x[0].layer_norm(1, None, None, 1e-5).matmul(&x[1].t());
        let heads = heads.reshape([8, 128, 3, 8, 64]).permute(&[2, 0, 3, 1, 4]);
        let [query, key, value] = [0, 1, 2].map(|part| heads.index(0, part));
        let scores = (query.matmul(&key.transpose(-1, -2)) * 0.125).softmax(-1);
        let mixed = scores.matmul(&value).transpose(1, 2).reshape([8, 128, 512]);
        let first = &x[0] + mixed.matmul(&x[2].t());
        let inner = first.layer_norm(1, None, None, 1e-5).matmul(&x[3].t()).gelu();
        &first + inner.matmul(&x[4].t())
    }));
    cases
}

#[test]
#[ignore = "prints times"]
fn times_and_bytes() {
    let device = gradloom_cpu::device();
    println!("{:44} {:>22} {:>20} {:>20}", "", "ms", "MB moved", "MB temporary");
    for case in cases() {
        let shapes = case.operands.iter().enumerate();
        let operands: Vec<Tensor> = shapes
            .map(|(index, shape)| {
                let key = Key::new(index as u64 + 1);
                Tensor::normal(key, Shape::new(shape), 0.0, 0.05, &device)
            })
            .collect();
        eval(&operands).expect("memory");
        let operands: Vec<Tensor> = operands.iter().map(Tensor::tracked).collect();
        // Casts that are roots are stored.
        let mut best = [f64::INFINITY; 2];
        let started = Instant::now();
        while started.elapsed().as_secs_f64() < 4.0 {
            for (kept, best) in best.iter_mut().enumerate() {
                let (roots, casts) = case.roots(&operands);
                let begun = Instant::now();
                eval(roots.iter().chain(&casts[..casts.len() * kept])).expect("memory");
                *best = best.min(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        let plan = |casts_on_read: bool| {
            let planner = Planner::new(Limits { casts_on_read, ..Limits::default() });
            let (roots, _) = case.roots(&operands);
            let prepared = planner.prepare(&roots, Retention::Release).expect("a plan");
            let temporary: usize = prepared.plan.slots.iter().map(|slot| slot.bytes).sum();
            [prepared.plan.bytes(), temporary].map(|bytes| bytes as f64 / 1e6)
        };
        let [[moved, temporary], [moved_before, temporary_before]] = [plan(true), plan(false)];
        println!(
            "{:44} {:>8.3} ({:>8.3}) {:>8.2} ({:>8.2}) {:>8.2} ({:>8.2})",
            case.name, best[0], best[1], moved, moved_before, temporary, temporary_before
        );
    }
}
