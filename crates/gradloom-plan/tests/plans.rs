//! Plans of representative training steps, pinned: how many kernels, what is in them, what is reused.
use gradloom_autodiff::grad;
use gradloom_plan::Planner;
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{BlockFormat, DType, Device, Retention, Tensor};
use gradloom_testkit::reference;

fn leaf(shape: &[usize], device: &Device) -> Tensor {
    let count = shape.iter().product();
    let values = (0..count).map(|index| index as f32 * 0.01).collect();
    Tensor::from_vec(values, shape, device).unwrap().tracked()
}

fn labels(count: usize, device: &Device) -> Tensor {
    Tensor::from_vec(vec![1i32; count], [count], device).unwrap()
}

/// The plan of one step of SGD with momentum, as `commit` asks for it.
fn sgd_step(loss: Tensor, parameters: Vec<Tensor>) -> String {
    let device = loss.device().clone();
    let references: Vec<&Tensor> = parameters.iter().collect();
    let gradients = grad(&loss, &references);
    drop(references);
    let mut roots = vec![loss];
    for (parameter, gradient) in parameters.into_iter().zip(gradients) {
        let momentum =
            Tensor::from_vec(vec![0f32; parameter.count()], *parameter.shape(), &device).unwrap();
        let momentum = &momentum * 0.9 + &gradient;
        let updated = &parameter - &(&momentum * 0.01);
        roots.push(updated);
        roots.push(momentum);
    }
    plan(roots)
}

fn plan(roots: Vec<Tensor>) -> String {
    let planner = Planner::default();
    let held = roots.clone();
    let prepared = planner.prepare(&roots, Retention::Release).unwrap();
    assert!(!prepared.cached);
    let text = prepared.plan.to_string();
    // What is prepared holds nodes of the graph, so memory is reusable only once it is gone.
    drop(prepared);
    assert!(planner.prepare(&roots, Retention::Release).unwrap().cached);
    drop(held);
    text
}

#[test]
fn mlp_step() {
    let device = reference::device();
    let x = Tensor::from_vec(vec![0.5f32; 64 * 784], [64, 784], &device).unwrap();
    let parameters = vec![
        leaf(&[784, 128], &device),
        leaf(&[128], &device),
        leaf(&[128, 10], &device),
        leaf(&[10], &device),
    ];
    let hidden = (x.matmul(&parameters[0]) + &parameters[1]).relu();
    let logits = hidden.matmul(&parameters[2]) + &parameters[3];
    let loss = logits.cross_entropy(&labels(64, &device));
    drop((hidden, logits, x));
    insta::assert_snapshot!(sgd_step(loss, parameters));
}

#[test]
fn cnn_step() {
    let device = reference::device();
    let x = Tensor::from_vec(vec![0.5f32; 64 * 784], [64, 1, 28, 28], &device).unwrap();
    let parameters = vec![
        leaf(&[32, 1, 3, 3], &device),
        leaf(&[32], &device),
        leaf(&[64, 32, 3, 3], &device),
        leaf(&[64], &device),
        leaf(&[512, 1600], &device),
        leaf(&[512], &device),
        leaf(&[10, 512], &device),
        leaf(&[10], &device),
    ];
    let p = &parameters;
    let convolve = |x: &Tensor, w: &Tensor, b: &Tensor| {
        let y = x.conv2d(w, &Conv2dOptions::default()) + b.reshape([1, -1, 1, 1]);
        y.relu().max_pool2d(&PoolOptions::new([2, 2]))
    };
    let y = convolve(&convolve(&x, &p[0], &p[1]), &p[2], &p[3]).reshape([64, 1600]);
    let y = (y.matmul(&p[4].t()) + &p[5]).relu();
    let loss = (y.matmul(&p[6].t()) + &p[7]).cross_entropy(&labels(64, &device));
    drop((x, y));
    insta::assert_snapshot!(sgd_step(loss, parameters));
}

#[test]
fn transformer_block_forward_and_backward() {
    let device = reference::device();
    let (b, t, d, heads) = (2, 16, 32, 4);
    let x = leaf(&[b, t, d], &device);
    let p: Vec<Tensor> = [
        &[d][..],
        &[d],
        &[d, 3 * d],
        &[3 * d],
        &[d, d],
        &[d],
        &[d],
        &[d],
        &[d, 4 * d],
        &[4 * d],
        &[4 * d, d],
        &[d],
    ]
    .iter()
    .map(|shape| leaf(shape, &device))
    .collect();
    let normed = x.layer_norm(1, Some(&p[0]), Some(&p[1]), 1e-5);
    let qkv = (normed.matmul(&p[2]) + &p[3])
        .reshape([b, t, 3, heads, d / heads])
        .permute(&[2, 0, 3, 1, 4]);
    let part = |index: usize| qkv.narrow(0, index, 1).squeeze(0);
    let options = AttentionOptions { causal: true, ..Default::default() };
    let attended = Tensor::attention(&part(0), &part(1), &part(2), &options);
    let merged = attended.permute(&[0, 2, 1, 3]).reshape([b, t, d]);
    let x1 = merged.matmul(&p[4]) + &p[5] + &x;
    let normed = x1.layer_norm(1, Some(&p[6]), Some(&p[7]), 1e-5);
    let y = (normed.matmul(&p[8]) + &p[9]).gelu().matmul(&p[10]) + &p[11] + &x1;
    let loss = y.square().mean(..);
    let mut inputs: Vec<&Tensor> = p.iter().collect();
    inputs.push(&x);
    let mut roots = grad(&loss, &inputs);
    drop(loss);
    roots.push(y);
    insta::assert_snapshot!(plan(roots));
}

#[test]
fn lstm_step() {
    let device = reference::device();
    let (batch, hidden) = (8, 16);
    let x = Tensor::from_vec(vec![0.5f32; 2 * batch * 4 * hidden], [2, batch, 4 * hidden], &device)
        .unwrap();
    let weight = leaf(&[hidden, 4 * hidden], &device);
    let zeros = || Tensor::zeros([batch, hidden], DType::F32, &device);
    let (mut h, mut c) = (zeros(), zeros());
    for step in 0..2 {
        let gates = x.narrow(0, step, 1).squeeze(0) + h.matmul(&weight);
        let gate = |index: usize| gates.narrow(1, index * hidden, hidden);
        c = gate(1).sigmoid() * &c + gate(0).sigmoid() * gate(2).tanh();
        h = gate(3).sigmoid() * c.tanh();
    }
    let loss = h.square().mean(..);
    let mut roots = grad(&loss, &[&weight]);
    roots.push(loss);
    insta::assert_snapshot!(plan(roots));
}

/// Bytes of temporaries of a deep chain's gradient.
fn temporary_bytes(checkpointed: bool) -> usize {
    let device = reference::device();
    let weights: Vec<Tensor> = (0..12).map(|_| leaf(&[16, 16], &device)).collect();
    let mut x = leaf(&[512, 16], &device);
    for group in weights.chunks(4) {
        let own = group.to_vec();
        let block = move |inputs: &[Tensor]| {
            own.iter().fold(inputs[0].clone(), |x, w| x.matmul(w).tanh().exp().sin())
        };
        x = if checkpointed { gradloom_autodiff::checkpoint(block, &[x]) } else { block(&[x]) };
    }
    let references: Vec<&Tensor> = weights.iter().collect();
    let roots = grad(&x.square().mean(..), &references);
    let prepared = Planner::default().prepare(&roots, Retention::Release).unwrap();
    let outputs: usize = prepared.plan.outputs.iter().map(|output| output.len * 4).sum();
    outputs + prepared.plan.slots.iter().map(|slot| slot.bytes).sum::<usize>()
}

#[test]
fn checkpointing_takes_less_memory() {
    let (plain, checkpointed) = (temporary_bytes(false), temporary_bytes(true));
    assert!(3 * checkpointed < 2 * plain, "{checkpointed} bytes with checkpoints, {plain} without");
}

#[test]
fn kernels_stay_within_a_device_s_limit_of_buffers() {
    let device = reference::device();
    let leaves: Vec<Tensor> = (0..24).map(|_| leaf(&[4, 256], &device)).collect();
    // Sums of many operands, alone and in rows, and an update with three moments.
    let total = leaves.iter().skip(1).fold(leaves[0].exp(), |sum, x| sum + x * 2.0);
    let rows = leaves.iter().fold(total.softmax(-1), |sum, x| sum + x.softmax(-1));
    let columns = leaves.iter().map(|x| (x * &total).sum(0)).collect::<Vec<_>>();
    // Every step of a chain is a result, and is read again at its end.
    let mut chain = vec![leaves[0].sin()];
    for x in &leaves {
        chain.push((&chain[chain.len() - 1] * x).tanh());
    }
    let end = chain.iter().fold(leaves[1].cos(), |product, x| product * x);
    // A value that is used far from where all others are made.
    let [a, b, c, d] = [0, 1, 2, 3].map(|first| &leaves[first * 5] * &leaves[first * 5 + 1]);
    let far =
        ((&a * &b).sin() * (&c - &d)).tanh() * ((&a - &c) * (&b - &d)).exp() * &a * &b * &c * &d;
    let mut roots = vec![total, rows, end, far];
    roots.extend(columns);
    roots.extend(chain);
    let limits = gradloom_plan::Limits { buffers_max: 8, ..Default::default() };
    let prepared = Planner::new(limits).prepare(&roots, Retention::Keep).unwrap();
    for kernel in &prepared.plan.kernels {
        assert!(kernel.inputs.len() + kernel.outputs.len() <= 8, "{kernel}");
    }
}

/// A matrix in blocks; the numbers do not matter.
fn blocks(rows: usize, columns: usize, device: &Device) -> Tensor {
    let format = BlockFormat::Q4_1;
    let bytes = vec![0; rows * columns / format.elements() * format.bytes()];
    Tensor::from_blocks(format, [rows, columns], &bytes, device).unwrap()
}

/// One token through a layer of a decoder: products read blocks, keys and values are written in place.
#[test]
fn decoding_with_a_cache() {
    let device = reference::device();
    let (width, inner, heads, shared, features, capacity) = (64, 96, 4, 2, 16, 20);
    let zeros = |shape: &[usize]| {
        let values = vec![0f32; shape.iter().product()];
        Tensor::from_vec(values, shape, &device).unwrap()
    };
    let x = zeros(&[1, 1, width]);
    let norm = zeros(&[width]);
    let position = Tensor::from_vec(vec![3i32], [1], &device).unwrap();
    let angles = position.cast(DType::F32).reshape([1, 1, 1, 1, 1]) * zeros(&[features / 2]);
    let sign = Tensor::iota([2, 1], 0, &device).cast(DType::F32) * 2.0 - 1.0;
    let (cos, sin) = (angles.cos(), angles.sin() * sign);
    let turn = |x: Tensor, heads: usize| {
        let x = x.reshape([1, 1, heads, features]).transpose(1, 2);
        let halves = x.reshape([1, heads, 1, 2, features / 2]);
        (&halves * &cos + halves.flip(-2) * &sin).reshape(*x.shape())
    };
    let normed = x.rms_norm(Some(&norm), 1e-5);
    let sizes = [heads * features, shared * features, shared * features];
    let matrices = sizes.map(|rows| blocks(rows, width, &device));
    let weights: Vec<&Tensor> = matrices.iter().collect();
    let projected = normed.matmul(&Tensor::concat(&weights, 0).t());
    let query = turn(projected.narrow(-1, 0, sizes[0]), heads);
    let key = turn(projected.narrow(-1, sizes[0], sizes[1]), shared);
    let value = projected.narrow(-1, sizes[0] + sizes[1], sizes[2]);
    let value = value.reshape([1, 1, shared, features]).transpose(1, 2);
    let start = position.check_index(capacity, "cache");
    let keys = zeros(&[1, shared, capacity, features]).write(2, &start, &key);
    let values = zeros(&[1, shared, capacity, features]).write(2, &start, &value);
    let options = AttentionOptions::default().causal(true).start(&start);
    let mixed = Tensor::attention(&query, &keys, &values, &options).transpose(1, 2);
    let x = &x + mixed.flatten(2, 3).matmul(&blocks(width, sizes[0], &device).t());
    let normed = x.rms_norm(Some(&norm), 1e-5);
    let both = [blocks(inner, width, &device), blocks(inner, width, &device)];
    let both = normed.matmul(&Tensor::concat(&[&both[0], &both[1]], 0).t());
    let gated = both.narrow(-1, 0, inner).silu() * both.narrow(-1, inner, inner);
    let x = x + gated.matmul(&blocks(width, inner, &device).t());
    drop((projected, query, key, value, mixed, normed, both, gated, start, options, angles));
    drop((cos, sin, position));
    insta::assert_snapshot!(plan(vec![x, keys, values]));
}
