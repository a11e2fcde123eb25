//! Functions of one example under `vmap` take as few kernels as what one would write for a batch.
use gradloom_autodiff::{grad, vmap};
use gradloom_plan::{KernelKind, Plan, Planner};
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{Device, Retention, Tensor};
use gradloom_testkit::reference;
use std::slice::from_ref;
use std::sync::Arc;

fn leaf(shape: &[usize], device: &Device) -> Tensor {
    let count = shape.iter().product();
    let values = (0..count).map(|index| index as f32 * 0.01).collect();
    Tensor::from_vec(values, shape, device).unwrap()
}

fn plan(roots: &[Tensor]) -> Arc<Plan> {
    Planner::default().prepare(roots, Retention::Release).unwrap().plan
}

/// The extents of all products of a plan: rows, columns and the sizes before them.
fn products(plan: &Plan) -> Vec<Vec<usize>> {
    let is_product = |kind: &KernelKind| matches!(kind, KernelKind::Matmul { .. });
    let kernels = plan.kernels.iter().filter(|kernel| is_product(&kernel.kind));
    kernels.map(|kernel| kernel.space.shape.to_vec()).collect()
}

/// Both take the same kernels, and products of the same extents.
#[track_caller]
fn assert_as_by_hand(vmapped: &[Tensor], by_hand: &[Tensor]) {
    let (vmapped, by_hand) = (plan(vmapped), plan(by_hand));
    assert_eq!(vmapped.kernels.len(), by_hand.kernels.len(), "{vmapped}\nby hand:\n{by_hand}");
    assert_eq!(products(&vmapped), products(&by_hand));
}

#[test]
fn a_step_of_a_small_network() {
    let device = reference::device();
    let (x, t) = (leaf(&[64, 20], &device), leaf(&[64, 10], &device));
    let p = [&[20, 32][..], &[32], &[32, 10], &[10]].map(|shape| leaf(shape, &device).tracked());
    let net = |x: &Tensor| (x.matmul(&p[0]) + &p[1]).relu().matmul(&p[2]) + &p[3];
    let loss = |losses: Tensor| {
        let loss = losses.mean(..);
        let mut roots = grad(&loss, &[&p[0], &p[1], &p[2], &p[3]]);
        roots.push(loss);
        roots
    };
    let one = |v: &[Tensor]| (net(&v[0]).softmax(-1) - &v[1]).square().sum(..);
    let vmapped = loss(vmap(one, 0, 0).call(&[x.clone(), t.clone()]));
    let by_hand = loss((net(&x).softmax(-1) - &t).square().sum(-1));
    assert_as_by_hand(&vmapped, &by_hand);
}

#[test]
fn an_unbatched_matrix_is_one_product_on_either_side() {
    let device = reference::device();
    let (x, w) = (leaf(&[64, 20], &device), leaf(&[30, 20], &device));
    let left: Tensor = vmap(|v: &[Tensor]| w.matmul(&v[0]), 0, 0).call(from_ref(&x));
    let right: Tensor = vmap(|v: &[Tensor]| v[0].matmul(&w.t()), 0, 0).call(from_ref(&x));
    for product in [left, right] {
        let plan = plan(&[product]);
        assert_eq!(plan.kernels.len(), 1, "{plan}");
        assert_eq!(products(&plan), [[64, 30]]);
    }
}

#[test]
fn gradients_of_each_example_of_a_linear_layer() {
    let device = reference::device();
    let (x, w) = (leaf(&[64, 20], &device), leaf(&[20, 30], &device));
    let one = |v: &[Tensor]| grad(&v[0].matmul(&w).tanh().sum(..), &[&w]).swap_remove(0);
    let vmapped: Tensor = vmap(one, 0, 0).call(from_ref(&x));
    let y = x.matmul(&w).tanh();
    let by_hand = x.unsqueeze(2).matmul(&(1.0 - y.square()).unsqueeze(1));
    assert_as_by_hand(&[vmapped], &[by_hand]);
}

#[test]
fn rows_attention_and_convolutions() {
    let device = reference::device();
    let x = leaf(&[8, 2, 4, 6, 16], &device);
    let options = AttentionOptions::default().causal(true);
    let attend = |x: &Tensor| Tensor::attention(x, x, x, &options);
    let vmapped: Tensor = vmap(|v: &[Tensor]| attend(&v[0]), 0, 0).call(from_ref(&x));
    assert_as_by_hand(&[vmapped], &[attend(&x.reshape([16, 4, 6, 16]))]);

    let norm = |x: &Tensor| x.layer_norm(1, None, None, 1e-5).softmax(-1);
    let vmapped: Tensor = vmap(|v: &[Tensor]| norm(&v[0]), 0, 0).call(from_ref(&x));
    assert_as_by_hand(&[vmapped], &[norm(&x)]);

    let (image, weight) = (leaf(&[8, 3, 9, 9], &device), leaf(&[5, 3, 3, 3], &device));
    let convolve = |x: &Tensor| x.conv2d(&weight, &Conv2dOptions::default()).relu();
    let one = |v: &[Tensor]| convolve(&v[0].unsqueeze(0)).squeeze(0);
    let vmapped: Tensor = vmap(one, 0, 0).call(from_ref(&image));
    assert_as_by_hand(&[vmapped], &[convolve(&image)]);

    let (table, index) = (leaf(&[50, 16], &device), Tensor::arange(8, &device).reshape([8, 1]));
    let vmapped: Tensor = vmap(|v: &[Tensor]| table.embedding(&v[0]), 0, 0).call(from_ref(&index));
    assert_as_by_hand(&[vmapped], &[table.embedding(&index)]);
}
