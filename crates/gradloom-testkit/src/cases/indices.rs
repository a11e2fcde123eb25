//! Writing at indices, picking by several, parts replaced, segments.

use gradloom_tensor::Tensor;
use gradloom_tensor::ops::scatter::ScatterReduction;

use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [scattered(), picked(), replaced(), regrouped()].into_iter().flatten().collect()
}

fn scattered() -> Vec<Case> {
    vec![
        Case::new("scatter", |x| x[0].scatter(1, &x[1], &x[2]))
            .float(&[3, 6])
            .index(&[3, 4], 6)
            .float(&[3, 4]),
        Case::new("scatter of a part along the first axis", |x| {
            x[0].scatter(0, &x[1], &x[2]) * 2.0
        })
        .float(&[5, 4])
        .index(&[7, 3], 5)
        .float(&[8, 4]),
        Case::new("scatter of a number", |x| x[0].scatter(1, &x[1], 0.5) * &x[0])
            .float(&[3, 6])
            .index(&[2, 4], 6),
        Case::new("scatter_reduce to a sum without self", |x| {
            x[0].scatter_reduce(0, &x[1], &x[2], ScatterReduction::Sum, false)
        })
        .float(&[5, 3])
        .index(&[7, 3], 5)
        .float(&[7, 3]),
        Case::new("scatter_reduce to a product", |x| {
            x[0].scatter_reduce(0, &x[1], &x[2], ScatterReduction::Prod, true)
        })
        .float(&[4, 3])
        .index(&[9, 2], 4)
        .float(&[9, 2]),
        Case::new("scatter_reduce to a mean", |x| {
            x[0].scatter_reduce(1, &x[1], &x[2], ScatterReduction::Mean, true)
        })
        .float(&[2, 4])
        .index(&[2, 9], 4)
        .float(&[2, 9]),
        Case::new("scatter_reduce to a maximum", |x| {
            x[0].scatter_reduce(1, &x[1], &x[2], ScatterReduction::Max, true).sin()
        })
        .float(&[2, 4])
        .index(&[2, 9], 4)
        .float(&[2, 9]),
        Case::new("scatter_reduce to a minimum without self", |x| {
            x[0].scatter_reduce(0, &x[1], &x[2], ScatterReduction::Min, false).sin()
        })
        .float(&[4, 2])
        .index(&[9, 2], 4)
        .float(&[9, 2]),
        Case::new("index_reduce to a product", |x| {
            x[0].index_reduce(1, &x[1], &x[2], ScatterReduction::Prod, false)
        })
        .float(&[2, 4, 3])
        .index(&[6], 4)
        .float(&[2, 6, 3]),
        Case::new("index_add", |x| x[0].index_add(1, &x[1], &x[2], -2.0))
            .float(&[2, 4])
            .index(&[6], 4)
            .float(&[2, 6]),
        Case::new("index_copy and index_fill", |x| {
            x[0].index_copy(0, &x[1], &x[2]).index_fill(1, &x[3], 3.0)
        })
        .float(&[4, 5])
        .index(&[3], 4)
        .float(&[3, 5])
        .index(&[2], 5),
        Case::new("segment_reduce", |x| {
            let lengths = filled(&(&x[1] + 1), 12);
            x[0].segment_reduce(&lengths, ScatterReduction::Mean, None)
        })
        .float(&[12, 2])
        .index(&[4], 3),
        Case::new("segment_reduce of rows to a maximum", |x| {
            let lengths = filled(&x[1], 6);
            x[0].segment_reduce(&lengths, ScatterReduction::Max, Some(-0.5)).exp()
        })
        .float(&[2, 6])
        .index(&[2, 3], 3),
    ]
}

/// Lengths of segments along the last axis, with one more for what is left of `size`.
fn filled(lengths: &Tensor, size: i32) -> Tensor {
    let rest = size - lengths.sum_keepdim(-1);
    Tensor::concat(&[lengths.clone(), rest], -1)
}

fn picked() -> Vec<Case> {
    vec![
        Case::new("index_by", |x| x[0].index_by(&[Some(&x[1]), Some(&(&x[2] - 5))]))
            .float(&[3, 5, 2])
            .index(&[4, 1], 3)
            .index(&[3], 5),
        Case::new("index_by axes apart", |x| {
            x[0].index_by(&[Some(&x[1]), None, Some(&x[2])]).exp()
        })
        .float(&[3, 2, 5])
        .index(&[4], 3)
        .index(&[4], 5),
        Case::new("index_put", |x| x[0].index_put(&[None, Some(&x[1])], &x[2], false))
            .float(&[2, 5, 3])
            .index(&[4], 5)
            .float(&[4, 3]),
        Case::new("index_put with sums", |x| {
            x[0].index_put(&[Some(&x[1]), Some(&x[2])], &x[3], true)
        })
        .float(&[3, 4])
        .index(&[6], 3)
        .index(&[6], 4)
        .float(&[6]),
        Case::new("put", |x| x[0].put(&x[1], &x[2], false))
            .float(&[3, 4])
            .index(&[5], 12)
            .float(&[5]),
        Case::new("masked_scatter", |x| x[0].masked_scatter(&x[1], &x[2]))
            .float(&[3, 4])
            .bool(&[3, 4])
            .float(&[13]),
        Case::new("narrow_at", |x| x[0].narrow_at(1, &x[1], 3) * 2.0).float(&[2, 6]).index(&[], 4),
    ]
}

fn replaced() -> Vec<Case> {
    vec![
        Case::new("slice_scatter", |x| x[0].slice_scatter(&x[1], 1, 2..5))
            .float(&[2, 6])
            .float(&[2, 3]),
        Case::new("slice_scatter in steps", |x| {
            let range = gradloom_tensor::SliceRange::from(1..6).with_step(2);
            x[0].slice_scatter(&x[1], 0, range)
        })
        .float(&[7, 2])
        .float(&[3, 2]),
        Case::new("select_scatter", |x| x[0].select_scatter(&x[1], 0, -2))
            .float(&[4, 3])
            .float(&[3]),
        Case::new("diagonal_scatter", |x| x[0].diagonal_scatter(&x[1], -1, 0, 2))
            .float(&[4, 2, 3])
            .float(&[2, 3]),
        Case::new("as_strided", |x| x[0].as_strided(&[3, 4], &[2, 1], 1) * 2.0).float(&[3, 3]),
        Case::new("as_strided_scatter", |x| x[0].as_strided_scatter(&x[1], &[4, 1], 2))
            .float(&[4, 3])
            .float(&[2, 3]),
    ]
}

fn regrouped() -> Vec<Case> {
    vec![
        Case::new("movedims", |x| x[0].movedims(&[0, -1], &[1, 0])).float(&[2, 3, 4]),
        Case::new("diag_embed_axes", |x| x[0].diag_embed_axes(1, 0, -1)).float(&[2, 3]),
        Case::new("repeat_interleave_each", |x| x[0].repeat_interleave_each(&[2, 0, 3], 1))
            .float(&[2, 3]),
        Case::new("tensor_split", |x| {
            let parts = x[0].tensor_split(3, 1);
            &parts[0] * &parts[1].sum_keepdim(1) + parts[2].narrow(1, 0, 1)
        })
        .float(&[2, 7]),
        Case::new("combinations", |x| x[0].combinations(2, true).exp()).float(&[4]),
        Case::new("pad_or_cut", |x| x[0].pad_or_cut(&[(-1, 2), (3, -2)], 0.5) * 2.0).float(&[3, 4]),
        Case::new("resize", |x| x[0].resize([4, 4])).float(&[3, 4]),
        Case::new("chunk_concat", |x| Tensor::chunk_concat(x, 1, 2))
            .float(&[2, 3])
            .float(&[2, 4, 2]),
    ]
}
