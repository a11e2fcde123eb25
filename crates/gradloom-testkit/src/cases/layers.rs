//! Row-wise functions, attention and losses.

use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

use crate::case::Case;

fn causal() -> AttentionOptions {
    AttentionOptions { causal: true, ..Default::default() }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("softmax", |x| x[0].softmax(-1)).float(&[5, 33]),
        Case::new("softmax of the first axis", |x| x[0].softmax(0)).float(&[9, 4]),
        Case::new("softmax of long rows", |x| x[0].softmax(-1)).float(&[3, 5000]).smooth(1),
        Case::new("softmax of large values", |x| (&x[0] * 1000.0).softmax(-1))
            .float(&[4, 9])
            .smooth(0),
        Case::new("log_softmax", |x| x[0].log_softmax(-1)).float(&[5, 33]),
        Case::new("layer_norm", |x| x[0].layer_norm(1, Some(&x[1]), Some(&x[2]), 1e-5))
            .float(&[6, 40])
            .float(&[40])
            .float(&[40]),
        Case::new("layer_norm of a batch of sequences", |x| {
            x[0].layer_norm(1, Some(&x[1]), None, 1e-5) + &x[0]
        })
        .float(&[2, 3, 16])
        .float(&[16]),
        Case::new("rms_norm", |x| x[0].rms_norm(Some(&x[1]), 1e-6)).float(&[6, 40]).float(&[40]),
        Case::new("group_norm", |x| x[0].group_norm(2, Some(&x[1]), Some(&x[2]), 1e-5))
            .float(&[2, 4, 3, 3])
            .float(&[4])
            .float(&[4]),
        Case::new("batch norm by hand", |x| {
            let mean = x[0].mean_keepdim([0, 2, 3]);
            let centered = &x[0] - &mean;
            let variance = centered.square().mean_keepdim([0, 2, 3]);
            centered * (variance + 1e-5).rsqrt() * x[1].reshape([1, 3, 1, 1])
        })
        .float(&[4, 3, 5, 5])
        .float(&[3]),
        Case::new("cross_entropy", |x| x[0].cross_entropy(&x[1])).float(&[7, 10]).index(&[7], 10),
        Case::new("cross_entropy of sequences", |x| x[0].cross_entropy(&x[1]))
            .float(&[2, 3, 12])
            .index(&[2, 3], 12),
        Case::new("mse_loss", |x| x[0].mse_loss(&x[1])).float(&[4, 5]).float(&[4, 5]),
        Case::new("bce_with_logits", |x| x[0].bce_with_logits(&x[1].sigmoid()))
            .float(&[4, 5])
            .float(&[4, 5]),
        Case::new("attention", |x| {
            Tensor::attention(&x[0], &x[1], &x[2], &AttentionOptions::default())
        })
        .float(&[2, 2, 5, 4])
        .float(&[2, 2, 6, 4])
        .float(&[2, 2, 6, 4]),
        Case::new("attention causal", |x| Tensor::attention(&x[0], &x[1], &x[2], &causal()))
            .float(&[2, 2, 6, 4])
            .float(&[2, 2, 6, 4])
            .float(&[2, 2, 6, 4]),
        Case::new("classifier", |x| {
            let hidden = (x[0].matmul(&x[1]) + &x[2]).relu();
            hidden.matmul(&x[3]).cross_entropy(&x[4])
        })
        .float(&[6, 9])
        .float(&[9, 16])
        .float(&[16])
        .float(&[16, 5])
        .index(&[6], 5),
        Case::new("a small gated cell", |x| {
            let gates = x[0].matmul(&x[1]) + &x[2];
            let (input, output) = (gates.narrow(1, 0, 4).sigmoid(), gates.narrow(1, 4, 4).tanh());
            (input * output).matmul(&x[3]).square()
        })
        .float(&[3, 5])
        .float(&[5, 8])
        .float(&[8])
        .float(&[4, 4]),
    ]
}
