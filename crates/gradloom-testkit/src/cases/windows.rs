//! Convolutions, pooling, unfolding: windows over one to three axes.

use gradloom_tensor::ops::convolution::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose1dOptions, ConvTranspose2dOptions,
    ConvTranspose3dOptions,
};
use gradloom_tensor::ops::pooling::{Pool1dOptions, Pool3dOptions, PoolOptions};
use gradloom_tensor::ops::unfold::UnfoldOptions;

use crate::case::Case;

fn strided() -> Conv2dOptions {
    Conv2dOptions::default().stride([2, 1]).padding([1, 2]).dilation([1, 2])
}

pub(super) fn cases() -> Vec<Case> {
    [convolutions(), points(), volumes(), pools(), more_pools()].into_iter().flatten().collect()
}

fn convolutions() -> Vec<Case> {
    vec![
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
            x[0].conv2d(&x[1], &Conv2dOptions::default().groups(2).padding(1))
        })
        .float(&[2, 4, 5, 5])
        .float(&[6, 2, 3, 3]),
        Case::new("conv2d depthwise", |x| {
            x[0].conv2d(&x[1], &Conv2dOptions::default().groups(4).padding(1))
        })
        .float(&[2, 4, 5, 5])
        .float(&[4, 1, 3, 3]),
        Case::new("conv2d of one point", |x| x[0].conv2d(&x[1], &Conv2dOptions::default()))
            .float(&[2, 5, 4, 4])
            .float(&[3, 5, 1, 1]),
        Case::new("conv2d larger", |x| x[0].conv2d(&x[1], &Conv2dOptions::default().padding(1)))
            .float(&[3, 17, 12, 13])
            .float(&[20, 17, 3, 3])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("conv1d", |x| x[0].conv1d(&x[1], &Conv1dOptions::default().stride(2).padding(1)))
            .float(&[2, 3, 9])
            .float(&[4, 3, 3]),
        Case::new("conv_transpose2d", |x| {
            x[0].conv_transpose2d(
                &x[1],
                &ConvTranspose2dOptions::default().stride(2).padding(1).output_padding(1),
            )
        })
        .float(&[2, 3, 4, 4])
        .float(&[3, 2, 3, 3]),
        Case::new("conv1d grouped, dilated", |x| {
            x[0].conv1d(&x[1], &Conv1dOptions::default().groups(3).dilation(2).padding(2))
        })
        .float(&[2, 6, 11])
        .float(&[6, 2, 3]),
        Case::new("conv2d unevenly padded", |x| {
            x[0].conv2d(&x[1], &Conv2dOptions::default().padding([[2, -1], [-2, 3]]))
        })
        .float(&[2, 3, 6, 7])
        .float(&[4, 3, 2, 3]),
        Case::new("conv_transpose1d", |x| {
            let options = ConvTranspose1dOptions::default().stride(3).padding(1).output_padding(2);
            x[0].conv_transpose1d(&x[1], &options)
        })
        .float(&[2, 4, 5])
        .float(&[4, 2, 4]),
        Case::new("conv_transpose2d padded below zero", |x| {
            let options = ConvTranspose2dOptions::default().dilation(3).output_padding(2).groups(2);
            x[0].conv_transpose2d(&x[1], &options.padding([[-1, 0], [1, -2]]))
        })
        .float(&[1, 4, 3, 4])
        .float(&[4, 1, 2, 2]),
    ]
}

/// Windows that are the whole input, and transposes from a single point.
fn points() -> Vec<Case> {
    vec![
        Case::new("conv2d of a whole input", |x| x[0].conv2d(&x[1], &Conv2dOptions::default()))
            .float(&[3, 4, 3, 2])
            .float(&[5, 4, 3, 2]),
        Case::new("conv2d of one window, grouped, dilated, with a rest", |x| {
            x[0].conv2d(&x[1], &Conv2dOptions::default().groups(2).dilation([2, 3]).stride(4))
        })
        .float(&[2, 4, 6, 5])
        .float(&[6, 2, 3, 2]),
        Case::new("conv1d of a whole input, grouped", |x| {
            x[0].conv1d(&x[1], &Conv1dOptions::default().groups(3))
        })
        .float(&[2, 6, 4])
        .float(&[3, 2, 4]),
        Case::new("conv_transpose2d of one point", |x| {
            x[0].conv_transpose2d(&x[1], &ConvTranspose2dOptions::default().stride(2))
        })
        .float(&[3, 4, 1, 1])
        .float(&[4, 5, 3, 2]),
        Case::new("conv_transpose3d of one point, grouped, padded below zero", |x| {
            let options = ConvTranspose3dOptions::default().groups(2);
            x[0].conv_transpose3d(&x[1], &options.padding([[-1, 0], [0, -2], [0, 0]]))
        })
        .float(&[2, 4, 1, 1, 1])
        .float(&[4, 3, 2, 1, 3]),
    ]
}

fn volumes() -> Vec<Case> {
    vec![
        Case::new("conv3d", |x| x[0].conv3d(&x[1], &Conv3dOptions::default().padding(1)))
            .float(&[2, 3, 4, 5, 6])
            .float(&[4, 3, 3, 3, 3]),
        Case::new("conv3d with bias and relu", |x| {
            let y = x[0].conv3d(&x[1], &Conv3dOptions::default());
            (y + x[2].reshape([1, 4, 1, 1, 1])).relu()
        })
        .float(&[1, 2, 4, 5, 4])
        .float(&[4, 2, 2, 3, 2])
        .float(&[4]),
        Case::new("conv3d strided, padded, dilated, grouped", |x| {
            let options = Conv3dOptions::default().stride([2, 1, 2]).dilation([1, 2, 1]).groups(2);
            x[0].conv3d(&x[1], &options.padding([[1, 0], [0, 2], [1, 1]]))
        })
        .float(&[2, 4, 5, 6, 5])
        .float(&[6, 2, 2, 3, 2]),
        Case::new("conv3d depthwise", |x| {
            x[0].conv3d(&x[1], &Conv3dOptions::default().groups(3).padding(1))
        })
        .float(&[2, 3, 4, 5, 4])
        .float(&[3, 1, 3, 3, 3]),
        Case::new("conv3d larger", |x| x[0].conv3d(&x[1], &Conv3dOptions::default().padding(1)))
            .float(&[2, 9, 6, 7, 8])
            .float(&[20, 9, 3, 3, 3])
            .smooth(1)
            .tolerance(1e-4),
        Case::new("conv_transpose3d", |x| {
            let options = ConvTranspose3dOptions::default().stride(2).padding([1, 0, 1]);
            x[0].conv_transpose3d(&x[1], &options.output_padding([1, 0, 1]))
        })
        .float(&[1, 3, 3, 2, 3])
        .float(&[3, 2, 3, 2, 2]),
        Case::new("unfold 1d", |x| x[0].unfold(&UnfoldOptions::new([3]).stride(2).padding(1)))
            .float(&[2, 3, 9]),
        Case::new("unfold", |x| {
            let options = UnfoldOptions::new([2, 3]).stride([1, 2]).dilation([2, 1]);
            x[0].unfold(&options.padding([[0, 1], [2, 0]])).exp()
        })
        .float(&[2, 3, 5, 6]),
        Case::new("unfold of patches", |x| x[0].unfold(&UnfoldOptions::new([2, 2]).stride(2)))
            .float(&[2, 3, 6, 5]),
        Case::new("unfold 3d", |x| {
            x[0].unfold(&UnfoldOptions::new([2, 2, 1]).stride([1, 3, 1]).padding(1))
        })
        .float(&[1, 2, 3, 4, 2]),
        Case::new("fold", |x| {
            let options = UnfoldOptions::new([2, 3]).stride([1, 2]).dilation([2, 1]);
            x[0].fold([4, 5], &options.padding([[0, 1], [2, 0]])).square()
        })
        .float(&[2, 18, 9]),
        Case::new("fold of patches", |x| {
            x[0].fold([6, 5], &UnfoldOptions::new([2, 2]).stride([3, 2]))
        })
        .float(&[2, 12, 4]),
        Case::new("fold 3d", |x| x[0].fold([3, 3, 2], &UnfoldOptions::new([2, 2, 1])))
            .float(&[1, 8, 8]),
    ]
}

fn pools() -> Vec<Case> {
    vec![
        Case::new("max_pool2d", |x| x[0].max_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 6, 8]),
        Case::new("max_pool2d of an odd size", |x| x[0].max_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 7, 5]),
        Case::new("max_pool2d overlapping", |x| {
            x[0].max_pool2d(&PoolOptions::new([3, 3]).stride([2, 1]).padding(1)).exp()
        })
        .float(&[2, 2, 7, 6]),
        Case::new("max_pool2d of relu", |x| x[0].relu().max_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 6, 6])
            .smooth(0),
        Case::new("avg_pool2d", |x| x[0].avg_pool2d(&PoolOptions::new([2, 2])))
            .float(&[2, 3, 6, 8]),
        Case::new("avg_pool2d overlapping", |x| {
            x[0].avg_pool2d(&PoolOptions::new([3, 3]).stride([2, 1]).padding(1))
        })
        .float(&[2, 2, 7, 6]),
        Case::new("adaptive_avg_pool2d", |x| x[0].adaptive_avg_pool2d([1, 1])).float(&[2, 3, 5, 5]),
    ]
}

fn more_pools() -> Vec<Case> {
    vec![
        Case::new("max_pool1d", |x| x[0].max_pool1d(&Pool1dOptions::new(3).stride(2).padding(1)))
            .float(&[2, 3, 9]),
        Case::new("max_pool2d in ceil mode", |x| {
            x[0].max_pool2d(&PoolOptions::new([2, 3]).dilation([2, 1]).ceil_mode(true))
        })
        .float(&[2, 2, 6, 7]),
        Case::new("max_pool3d", |x| x[0].max_pool3d(&Pool3dOptions::new(2).stride([1, 2, 2])))
            .float(&[1, 2, 4, 5, 6]),
        Case::new("max_pool3d of planes", |x| x[0].max_pool3d(&Pool3dOptions::new([1, 2, 2])))
            .float(&[2, 2, 3, 4, 6]),
        Case::new("max_pool2d places", |x| {
            x[0].max_pool2d_with_indices(&PoolOptions::new([3, 2]).padding(1)).1
        })
        .float(&[2, 2, 5, 6])
        .smooth(0),
        Case::new("max_unpool2d", |x| {
            let options = PoolOptions::new([2, 2]).stride([2, 3]);
            let (values, places) = x[0].max_pool2d_with_indices(&options);
            values.max_unpool2d(&places, &options, Some([5, 6]))
        })
        .float(&[2, 2, 5, 6]),
        Case::new("max_unpool1d of overlapping windows", |x| {
            let options = Pool1dOptions::new(3).stride(1);
            let (values, places) = x[0].max_pool1d_with_indices(&options);
            values.max_unpool1d(&places, &options, None)
        })
        .float(&[2, 2, 8]),
        Case::new("avg_pool1d", |x| {
            x[0].avg_pool1d(&Pool1dOptions::new(3).stride(2).padding(1).count_include_pad(false))
        })
        .float(&[2, 3, 9]),
        Case::new("avg_pool2d in ceil mode", |x| {
            x[0].avg_pool2d(&PoolOptions::new([2, 3]).stride([2, 2]).padding(1).ceil_mode(true))
        })
        .float(&[2, 2, 5, 6]),
        Case::new("avg_pool2d with a divisor", |x| {
            x[0].avg_pool2d(&PoolOptions::new([2, 3]).stride(2).divisor(4))
        })
        .float(&[2, 2, 5, 7]),
        Case::new("avg_pool3d", |x| {
            x[0].avg_pool3d(&Pool3dOptions::new([2, 3, 2]).stride([1, 2, 2]).padding([0, 1, 1]))
        })
        .float(&[1, 2, 4, 5, 4]),
        Case::new("lp_pool2d", |x| x[0].exp().lp_pool2d(3.0, &PoolOptions::new([2, 3]).stride(1)))
            .float(&[2, 2, 4, 5]),
        Case::new("lp_pool1d in ceil mode", |x| {
            x[0].exp().lp_pool1d(2.0, &Pool1dOptions::new(3).stride(2).ceil_mode(true))
        })
        .float(&[2, 2, 8]),
        Case::new("adaptive_avg_pool2d of any size", |x| x[0].adaptive_avg_pool2d([3, 6]))
            .float(&[2, 2, 5, 4]),
        Case::new("adaptive_avg_pool1d", |x| x[0].adaptive_avg_pool1d([4])).float(&[2, 2, 7]),
        Case::new("adaptive_max_pool2d", |x| x[0].adaptive_max_pool2d([3, 2]).exp())
            .float(&[2, 2, 5, 7]),
        Case::new("adaptive_max_pool3d", |x| x[0].adaptive_max_pool3d([2, 2, 3]))
            .float(&[1, 2, 3, 4, 5]),
        Case::new("adaptive_max_pool2d places", |x| {
            x[0].adaptive_max_pool2d_with_indices([3, 2]).1
        })
        .float(&[2, 2, 5, 7])
        .smooth(0),
    ]
}
