//! Plain programs as people write them, whole: values, first gradients and one step against the reference,
//! whatever the planner makes of them.

use gradloom::prelude::*;
use gradloom_testkit::graphs::{Graph, Pattern, Scenario, agree};

use crate::{cpus, gpus};

/// Compares a program over some leaves on every device: its values; node by node; after a part of it was
/// evaluated; with its gradients to the float leaves, first, second, and after evaluation; with its
/// derivative forward. GPUs take the first three, to compile less.
fn everywhere(leaves: &[(&[usize], DType, Pattern)], program: impl Fn(&[&Tensor]) -> Vec<Tensor>) {
    let build = |graph: &mut Graph| -> Vec<usize> {
        for (seed, &(shape, dtype, pattern)) in leaves.iter().enumerate() {
            graph.leaf(shape, dtype, pattern, seed as u64 + 1);
        }
        let operands: Vec<Tensor> = graph.nodes().to_vec();
        let results = program(&operands.iter().collect::<Vec<_>>());
        let first = graph.nodes().len();
        let count = results.len();
        results.into_iter().for_each(|result| graph.push(result));
        (first..first + count).collect()
    };
    let of: Vec<usize> = (0..leaves.len()).filter(|&leaf| leaves[leaf].1.is_float()).collect();
    let first = vec![leaves.len()];
    let scenarios = [
        Scenario::Together,
        Scenario::Gradients { of: of.clone(), order: 1 },
        Scenario::After(first.clone()),
        Scenario::Alone,
        Scenario::Gradients { of: of.clone(), order: 2 },
        Scenario::Later { first, of: of.clone() },
        Scenario::Forward { along: of.clone() },
        Scenario::Train { weights: of.clone(), steps: 2 },
    ];
    for scenario in &scenarios {
        agree(scenario, &cpus(), &build);
    }
    for scenario in &scenarios[..3] {
        agree(scenario, &gpus(), &build);
    }
}

const SMALL: Pattern = Pattern::Small;
const F32: DType = DType::F32;

#[test]
fn a_table_is_standardised_and_its_covariance_taken() {
    everywhere(&[(&[37, 5], F32, SMALL)], |x| {
        let centered = x[0] - x[0].mean_keepdim(0);
        let scaled = &centered / (x[0].std_keepdim(0, 1) + 1e-3);
        let covariance = scaled.t().matmul(&scaled) / 36.0;
        vec![covariance.clone(), (&covariance - covariance.t()).abs().max(..), scaled]
    });
}

#[test]
fn a_moving_average_is_a_difference_of_running_sums() {
    everywhere(&[(&[40, 3], F32, SMALL)], |x| {
        let sums = x[0].cumsum(0).pad(&[(1, 0), (0, 0)]);
        let window = (sums.narrow(0, 5, 36) - sums.narrow(0, 0, 36)) / 5.0;
        let backwards = x[0].flip(0).cumsum(0).flip(0);
        vec![window, backwards]
    });
}

#[test]
fn distances_by_products_find_neighbours() {
    everywhere(&[(&[9, 4], F32, SMALL), (&[7, 4], F32, SMALL)], |x| {
        let (a, b) = (x[0], x[1]);
        let squares = a.square().sum_keepdim(1) + b.square().sum(1) - a.matmul(&b.t()) * 2.0;
        let distance = squares.maximum(0.0).add(0.5).sqrt();
        let nearest = distance.argsort(1, false).narrow(1, 0, 2).detach();
        let near = distance.gather(1, &nearest);
        vec![near.mean(1), b.take(0, &nearest).mean(1), distance]
    });
}

#[test]
fn sinkhorn_normalises_rows_and_columns_in_turn() {
    everywhere(&[(&[6, 8], F32, SMALL)], |x| {
        let mut plan = x[0].softmax(0);
        for _ in 0..3 {
            plan = &plan / plan.sum_keepdim(1);
            plan = &plan / plan.sum_keepdim(0);
        }
        vec![plan.sum(1), plan]
    });
}

#[test]
fn a_softmax_over_segments_goes_through_scatter_and_gather() {
    everywhere(&[(&[30], F32, SMALL), (&[30], DType::I32, Pattern::Index(6))], |x| {
        let (scores, segment) = (x[0], x[1]);
        let powers = scores.exp();
        let totals = Tensor::scatter_add_zeros([6], 0, segment, &powers);
        let shares = &powers / totals.index_select(0, segment);
        let back = Tensor::scatter_add_zeros([6], 0, segment, &shares);
        vec![shares, back]
    });
}

#[test]
fn a_hard_choice_has_a_soft_gradient() {
    everywhere(&[(&[5, 7], F32, SMALL), (&[7, 3], F32, SMALL)], |x| {
        let soft = x[0].softmax(1);
        let hard = soft.detach().argmax(1).one_hot(7).cast(F32);
        let straight = &hard - soft.detach() + &soft;
        vec![straight.matmul(x[1]), straight]
    });
}

#[test]
fn masks_come_of_comparisons_of_positions() {
    everywhere(&[(&[2, 6, 6], F32, SMALL), (&[2, 6, 3], F32, SMALL)], |x| {
        let device = x[0].device();
        let rows = Tensor::iota([6, 6], 0, device);
        let columns = Tensor::iota([6, 6], 1, device);
        let hidden = columns.gt(&rows);
        let scores = x[0].masked_fill(&hidden, f64::NEG_INFINITY);
        let weights = scores.softmax(-1);
        vec![weights.matmul(x[1]), weights.cumsum(-1), scores.logsumexp(-1)]
    });
}

#[test]
fn pictures_of_bytes_are_normalised_and_become_bytes_again() {
    everywhere(
        &[(&[2, 3, 5, 4], DType::U8, Pattern::Far), (&[3, 1, 1], F32, Pattern::Positive)],
        |x| {
            let floats = x[0].cast(F32) / 255.0;
            let centered = &floats - floats.mean_keepdim([0, 2, 3]);
            let scaled = &centered / (floats.var_keepdim([0, 2, 3], 0) + 1e-2).sqrt() * x[1];
            let bytes = (scaled.clamp(-2.0, 2.0) * 50.0 + 120.5).cast(DType::U8);
            vec![scaled.permute(&[0, 2, 3, 1]), (bytes / 2 + x[0] / 2).sum([1, 2])]
        },
    );
}

#[test]
fn rows_are_replaced_by_slices_and_concatenation() {
    everywhere(&[(&[6, 4], F32, SMALL), (&[4], F32, SMALL)], |x| {
        let mut state = x[0].clone();
        for step in 0..5 {
            let row = state.narrow(0, step, 1) * 0.5 + x[1];
            let parts = [state.narrow(0, 0, step), row, state.narrow(0, step + 1, 5 - step)];
            state = Tensor::concat(&parts, 0);
            state = state.roll(1, 1);
        }
        vec![state.sum(0), state]
    });
}

#[test]
fn a_gated_network_with_norms_over_several_axes() {
    let leaves: [(&[usize], DType, Pattern); 4] = [
        (&[3, 4, 5, 2], F32, SMALL),
        (&[4, 1, 1], F32, Pattern::Positive),
        (&[8, 4, 3, 3], F32, SMALL),
        (&[8], F32, SMALL),
    ];
    everywhere(&leaves, |x| {
        let centered = x[0] - x[0].mean_keepdim([1, 2, 3]);
        let scale = (centered.square().mean_keepdim([1, 2, 3]) + 1e-3).rsqrt();
        let normal = centered * scale * x[1];
        let padded = normal.pad(&[(0, 0), (0, 0), (1, 1), (1, 1)]);
        let options = gradloom_tensor::ops::convolution::Conv2dOptions::default();
        let hidden = padded.conv2d(x[2], &options) + x[3].reshape([8, 1, 1]);
        let halves = hidden.chunk(2, 1);
        let gated = &halves[0] * halves[1].sigmoid();
        let out = gated + x[0];
        vec![out.mean([2, 3]).log_softmax(1), out.max([1, 2, 3])]
    });
}

#[test]
fn windows_overlap_by_strides_and_are_added_back() {
    everywhere(&[(&[2, 21], F32, SMALL)], |x| {
        // Frames of eight with hops of four, weighted, and overlapped again.
        let frames: Vec<Tensor> = (0..4).map(|frame| x[0].narrow(1, 4 * frame, 8)).collect();
        let frames = Tensor::stack(&frames, 1);
        let device = x[0].device();
        let weights = (Tensor::iota([8], 0, device).cast(F32) * 0.4).sin();
        let weighted = frames * &weights;
        let parts: Vec<Tensor> = (0..4)
            .map(|frame| {
                let pads = (4 * frame as usize, 20 - 8 - 4 * frame as usize);
                weighted.narrow(1, frame as usize, 1).squeeze(1).pad(&[(0, 0), pads])
            })
            .collect();
        let mut sum = parts[0].clone();
        for part in &parts[1..] {
            sum = sum + part;
        }
        vec![sum, weighted.square().sum(-1)]
    });
}

#[test]
fn an_empty_batch_goes_through_a_network() {
    everywhere(&[(&[0, 5], F32, SMALL), (&[5, 3], F32, SMALL), (&[3], F32, SMALL)], |x| {
        let hidden = (x[0].matmul(x[1]) + x[2]).relu();
        vec![hidden.sum(0), hidden.softmax(1), hidden.square().sum(..)]
    });
}

#[test]
fn a_recurrence_keeps_some_of_its_states() {
    everywhere(&[(&[2, 3], F32, SMALL), (&[3, 3], F32, SMALL), (&[6, 2, 3], F32, SMALL)], |x| {
        let mut state = x[0].clone();
        let mut kept = Vec::new();
        for step in 0..6 {
            let input = x[2].narrow(0, step, 1).squeeze(0);
            state = (state.matmul(x[1]) + input).tanh();
            if step % 2 == 0 {
                kept.push(state.clone());
            }
        }
        let kept = Tensor::stack(&kept, 0);
        vec![kept.max(0), kept.transpose(0, 2), state]
    });
}

#[test]
fn accuracy_and_counts_come_of_comparisons() {
    everywhere(&[(&[20, 4], F32, SMALL), (&[20], DType::I32, Pattern::Index(4))], |x| {
        let guess = x[0].argmax(1);
        let right = guess.eq(x[1]);
        let confusion = x[1].one_hot(4).cast(F32).t().matmul(&guess.one_hot(4).cast(F32));
        vec![right.cast(F32).mean(..), confusion, right.sum(..), (guess - x[1]).rem(3) / 2]
    });
}

#[test]
fn low_rank_updates_of_views_of_weights() {
    let leaves: [(&[usize], DType, Pattern); 4] = [
        (&[8, 6], F32, SMALL),
        (&[8, 2], F32, SMALL),
        (&[2, 6], F32, SMALL),
        (&[3, 6], F32, SMALL),
    ];
    everywhere(&leaves, |x| {
        let weight = x[0] + x[1].matmul(x[2]) * 0.5;
        let half = weight.narrow(0, 2, 4).t();
        let flipped = weight.flip([0, 1]).t();
        vec![x[3].matmul(&half), x[3].matmul(&flipped).relu(), weight.norm(..)]
    });
}

#[test]
fn halves_are_mixed_with_floats_in_one_expression() {
    everywhere(&[(&[4, 8], DType::BF16, SMALL), (&[8], F32, SMALL), (&[4, 8], F32, SMALL)], |x| {
        let mixed = x[0].cast(F32) * x[1] + x[2];
        let half = mixed.cast(DType::BF16);
        let normal = half.softmax(1);
        vec![(&normal * x[0]).sum(1), half.sum(0).cast(F32) * x[1], mixed.sum(..)]
    });
}

#[test]
fn averages_of_weights_are_carried_beside_them() {
    let devices: Vec<Device> = cpus().into_iter().chain(gpus()).collect();
    agree(&Scenario::Carry { updates: vec![(0, 2), (1, 3)], steps: 3 }, &devices, &|t| {
        t.leaf(&[3, 4], F32, SMALL, 1);
        t.leaf(&[3, 4], F32, SMALL, 2);
        let gradient = grad(&(t[0].t().matmul(&t[0]).sum(..)), &[&t[0]]).swap_remove(0);
        t.push(&t[0] - &gradient * 0.01);
        // The average reads the weight before and after its step, also turned.
        t.push(&t[1] * 0.9 + &t[2] * 0.1 + t[0].flip(0) * 0.01);
        t.push(t[3].t().sum(0));
        vec![4, 2]
    });
}
