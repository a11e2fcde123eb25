//! Products, convolutions, pooling, indexing.

use gradloom_tensor::ops::convolution::{Conv1dOptions, Conv2dOptions, ConvTranspose2dOptions};
use gradloom_tensor::ops::pooling::PoolOptions;

use crate::case::Case;

fn strided() -> Conv2dOptions {
    Conv2dOptions { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 1 }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("matmul", |x| x[0].matmul(&x[1])).float(&[5, 7]).float(&[7, 3]),
        Case::new("matmul as what it is summed in", |x| {
            x[0].matmul_as(&x[1], x[0].dtype().compute())
        })
        .float(&[5, 70])
        .float(&[70, 9]),
        Case::new("matmul of vectors", |x| x[0].matmul(&x[1])).float(&[7]).float(&[7]),
        Case::new("matmul with a bias and relu", |x| (x[0].matmul(&x[1]) + &x[2]).relu())
            .float(&[33, 20])
            .float(&[20, 70])
            .float(&[70]),
        Case::new("matmul with gelu and residual", |x| x[0].matmul(&x[1]).gelu() + &x[0])
            .float(&[9, 16])
            .float(&[16, 16]),
        Case::new("matmul transposed", |x| x[0].t().matmul(&x[1].t()))
            .float(&[7, 5])
            .float(&[3, 7]),
        Case::new("matmul batched", |x| x[0].matmul(&x[1]))
            .float(&[2, 3, 4, 5])
            .float(&[2, 3, 5, 6]),
        Case::new("matmul broadcast batch", |x| x[0].matmul(&x[1]))
            .float(&[2, 1, 4, 5])
            .float(&[3, 5, 6]),
        Case::new("matmul folds rows", |x| x[0].matmul(&x[1]) + &x[2])
            .float(&[2, 4, 5])
            .float(&[5, 6])
            .float(&[2, 4, 6]),
        Case::new("matmul large", |x| x[0].matmul(&x[1]).tanh())
            .float(&[130, 257])
            .float(&[257, 97])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("matmul long inner", |x| x[0].matmul(&x[1]))
            .float(&[3, 3000])
            .float(&[3000, 5])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("matmul of one row", |x| x[0].matmul(&x[1]))
            .float(&[1, 300])
            .float(&[300, 200])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("matmul with nothing inside", |x| x[0].matmul(&x[1]) + 1.0)
            .float(&[3, 0])
            .float(&[0, 4])
            .smooth(0),
        Case::new("matmul of a slice", |x| x[0].narrow(1, 1, 4).matmul(&x[1]))
            .float(&[5, 7])
            .float(&[4, 3]),
        Case::new("matmul of a padded operand", |x| x[0].pad(&[(1, 0), (0, 1)]).matmul(&x[1]))
            .float(&[3, 4])
            .float(&[5, 2]),
        Case::new("conv2d", |x| x[0].conv2d(&x[1], &Conv2dOptions::default()))
            .float(&[2, 3, 6, 7])
            .float(&[4, 3, 3, 3]),
        Case::new("conv2d with bias and relu", |x| {
            (x[0].conv2d(&x[1], &Conv2dOptions::default()) + x[2].reshape([1, 4, 1, 1])).relu()
        })
        .float(&[2, 1, 8, 8])
        .float(&[4, 1, 3, 3])
        .float(&[4]),
        Case::new("conv2d strided, padded, dilated", |x| x[0].conv2d(&x[1], &strided()))
            .float(&[2, 3, 7, 9])
            .float(&[4, 3, 3, 2]),
        Case::new("conv2d grouped", |x| {
            x[0].conv2d(&x[1], &Conv2dOptions { groups: 2, padding: [1, 1], ..Default::default() })
        })
        .float(&[2, 4, 5, 5])
        .float(&[6, 2, 3, 3]),
        Case::new("conv2d depthwise", |x| {
            x[0].conv2d(&x[1], &Conv2dOptions { groups: 4, padding: [1, 1], ..Default::default() })
        })
        .float(&[2, 4, 5, 5])
        .float(&[4, 1, 3, 3]),
        Case::new("conv2d of one point", |x| x[0].conv2d(&x[1], &Conv2dOptions::default()))
            .float(&[2, 5, 4, 4])
            .float(&[3, 5, 1, 1]),
        Case::new("conv2d larger", |x| {
            x[0].conv2d(&x[1], &Conv2dOptions { padding: [1, 1], ..Default::default() })
        })
        .float(&[3, 17, 12, 13])
        .float(&[20, 17, 3, 3])
        .smooth(1)
        .tolerance(1e-4),
        Case::new("conv1d", |x| {
            x[0].conv1d(&x[1], &Conv1dOptions { stride: 2, padding: 1, dilation: 1, groups: 1 })
        })
        .float(&[2, 3, 9])
        .float(&[4, 3, 3]),
        Case::new("conv_transpose2d", |x| {
            x[0].conv_transpose2d(
                &x[1],
                &ConvTranspose2dOptions {
                    stride: [2, 2],
                    padding: [1, 1],
                    output_padding: [1, 1],
                    ..Default::default()
                },
            )
        })
        .float(&[2, 3, 4, 4])
        .float(&[3, 2, 3, 3]),
        Case::new("max_pool2d", |x| x[0].max_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 6, 8]),
        Case::new("max_pool2d of an odd size", |x| x[0].max_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 7, 5]),
        Case::new("max_pool2d overlapping", |x| {
            x[0].max_pool2d(&PoolOptions {
                stride: [2, 1],
                padding: [1, 1],
                ..PoolOptions::new([3, 3])
            })
            .exp()
        })
        .float(&[2, 2, 7, 6]),
        Case::new("max_pool2d of relu", |x| x[0].relu().max_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 6, 6])
            .smooth(0),
        Case::new("avg_pool2d", |x| x[0].avg_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 6, 8]),
        Case::new("avg_pool2d overlapping", |x| {
            x[0].avg_pool2d(&PoolOptions {
                stride: [2, 1],
                padding: [1, 1],
                ..PoolOptions::new([3, 3])
            })
        })
        .float(&[2, 2, 7, 6]),
        Case::new("adaptive_avg_pool2d", |x| x[0].adaptive_avg_pool2d([1, 1])).float(&[2, 3, 5, 5]),
        Case::new("gather", |x| x[0].gather(1, &x[1]) * 2.0).float(&[3, 6]).index(&[3, 4], 6),
        Case::new("gather of the first axis", |x| x[0].gather(0, &x[1]))
            .float(&[6, 3])
            .index(&[9, 3], 6),
        Case::new("take", |x| x[0].take(1, &x[1])).float(&[3, 6, 2]).index(&[2, 4], 6),
        Case::new("embedding", |x| x[0].embedding(&x[1]).square())
            .float(&[10, 8])
            .index(&[4, 5], 10),
        Case::new("scatter_add", |x| x[0].scatter_add(1, &x[1], &x[2]))
            .float(&[3, 6])
            .index(&[3, 4], 6)
            .float(&[3, 4]),
    ]
}
