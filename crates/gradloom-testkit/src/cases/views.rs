//! Views, alone and in chains that fold or must be stored, and joins.

use gradloom_tensor::{Tensor, s};

use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("diagonal", |x| x[0].diagonal(1, 0, 2).exp()).float(&[4, 3, 5]),
        Case::new("diagonal below", |x| x[0].diagonal(-2, 0, 1)).float(&[5, 4]),
        Case::new("diag_embed", |x| x[0].diag_embed(-1) * 2.0).float(&[2, 3]),
        Case::new("rot90 and movedim", |x| x[0].rot90(3, 0, 1).movedim(0, -1)).float(&[2, 3, 4]),
        Case::new("repeat_interleave", |x| x[0].repeat_interleave(3, 1)).float(&[2, 3]),
        Case::new("sliding_windows", |x| x[0].sliding_windows(1, 3, 2)).float(&[2, 8]),
        Case::new("tensordot", |x| x[0].tensordot(&x[1], &[0, 2], &[1, 0]))
            .float(&[3, 4, 5])
            .float(&[5, 3, 2]),
        Case::new("einsum", |x| gradloom_tensor::Tensor::einsum("bij,kj,bi->kb", x))
            .float(&[2, 3, 4])
            .float(&[5, 4])
            .float(&[2, 3]),
        Case::new("einsum of a diagonal", |x| gradloom_tensor::Tensor::einsum("iji...->...j", x))
            .float(&[3, 4, 3, 2]),
        Case::new("kron", |x| x[0].kron(&x[1])).float(&[2, 3]).float(&[3, 2]),
        Case::new("cdist", |x| x[0].cdist(&x[1], 2.0)).float(&[4, 3]).float(&[5, 3]),
        Case::new("reshape", |x| x[0].reshape([6, 10]) * 2.0).float(&[3, 4, 5]),
        Case::new("permute", |x| x[0].permute(&[2, 0, 1]).sin()).float(&[3, 4, 5]),
        Case::new("permute alone", |x| x[0].permute(&[2, 0, 1])).float(&[3, 4, 5]),
        Case::new("transpose then reshape", |x| x[0].transpose(0, 1).reshape([12]).exp())
            .float(&[3, 4]),
        Case::new("reshape of a product", |x| (&x[0] * &x[0]).transpose(0, 1).reshape([2, 6]))
            .float(&[3, 4]),
        Case::new("slice", |x| x[0].slice(s![1..3, .., ..;2]).exp()).float(&[4, 3, 5]),
        Case::new("slice with an index", |x| x[0].slice(s![.., -1]) * 3.0).float(&[4, 3]),
        Case::new("slice backwards", |x| x[0].slice(s![..;-1, 1..]) * 3.0).float(&[4, 3]),
        Case::new("strided slice of a product", |x| (&x[0] * &x[0]).slice(s![1..;3])).float(&[11]),
        Case::new("flip", |x| x[0].flip([1]) * &x[0]).float(&[3, 4]),
        Case::new("pad", |x| x[0].pad(&[(1, 0), (2, 3)]).exp()).float(&[3, 4]),
        Case::new("pad of a cosine", |x| x[0].cos().pad(&[(1, 2)]) * 2.0).float(&[5]),
        Case::new("pad then reshape", |x| x[0].pad(&[(1, 1), (1, 1)]).reshape([30]) * 2.0)
            .float(&[3, 4]),
        Case::new("pad then slice then flip", |x| {
            x[0].pad(&[(2, 2)]).slice(s![1..;2]).flip([0]) * 2.0
        })
        .float(&[5]),
        Case::new("pad twice", |x| x[0].pad(&[(1, 0)]).pad(&[(0, 2)]).square()).float(&[4]),
        Case::new("broadcast_to", |x| x[0].broadcast_to([2, 3, 4]).exp()).float(&[3, 1]),
        Case::new("broadcast then permute then reshape", |x| {
            x[0].broadcast_to([4, 3]).transpose(0, 1).reshape([12]).cos()
        })
        .float(&[3]),
        Case::new("squeeze and unsqueeze", |x| x[0].unsqueeze(1).squeeze(0) + 1.0).float(&[1, 4]),
        Case::new("concat", |x| Tensor::concat(&[&x[0], &x[1], &x[0]], 1).exp())
            .float(&[2, 3])
            .float(&[2, 4]),
        Case::new("concat of products", |x| {
            Tensor::concat(&[&(&x[0] * 2.0), &x[0].exp()], 0) * &x[1]
        })
        .float(&[2, 3])
        .float(&[4, 3]),
        Case::new("stack", |x| Tensor::stack(&[&x[0], &x[1]], 0).square())
            .float(&[2, 3])
            .float(&[2, 3]),
        Case::new("roll", |x| x[0].roll(2, 1)).float(&[2, 5]),
        Case::new("the same tensor twice in one view", |x| x[0].transpose(0, 1) * &x[0])
            .float(&[4, 4]),
        Case::new("narrow gates", |x| {
            let gates = &x[0] * 2.0 + &x[1];
            gates.narrow(1, 0, 3).sigmoid() * gates.narrow(1, 3, 3).tanh()
        })
        .float(&[5, 6])
        .float(&[6]),
    ]
}
