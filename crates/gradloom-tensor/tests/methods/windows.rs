//! Windows that do not fit: each call panics with a message that begins with the op's name.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gradloom_tensor::ops::convolution::{Conv1dOptions, Conv2dOptions, Conv3dOptions};
use gradloom_tensor::ops::convolution::{ConvTranspose1dOptions, ConvTranspose2dOptions};
use gradloom_tensor::ops::per_axis::Padding;
use gradloom_tensor::ops::pooling::{Pool1dOptions, Pool3dOptions, PoolOptions};
use gradloom_tensor::ops::unfold::UnfoldOptions;
use gradloom_tensor::{DType, Shape, Tensor};

use crate::refusing::{device, leaf};

#[track_caller]
fn refused<T>(begins: &str, make: impl FnOnce() -> T) {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(make()))).expect_err(begins);
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.starts_with(begins), "{message:?} does not begin with {begins:?}");
}

fn float(shape: &[usize]) -> Tensor {
    leaf(shape, DType::F32, &device())
}

#[test]
fn convolutions_that_do_not_fit() {
    let on = device();
    let x = leaf(&[2, 4, 6, 7], DType::F32, &on);
    let w = leaf(&[6, 2, 3, 3], DType::F32, &on);
    let grouped = Conv2dOptions::default().groups(2);
    assert_eq!(*x.conv2d(&w, &grouped).shape(), [2, 6, 4, 5]);
    refused("conv2d: channels do not fit", || x.conv2d(&w, &Conv2dOptions::default()));
    refused("conv2d: channels do not fit", || x.conv2d(&w, &Conv2dOptions::default().groups(0)));
    refused("conv2d: channels do not fit", || x.conv2d(&w, &Conv2dOptions::default().groups(4)));
    refused("conv2d: kernel [3, 3], stride [1, 0]", || x.conv2d(&w, &grouped.stride([1, 0])));
    refused("conv2d: kernel [3, 3], stride", || x.conv2d(&w, &grouped.dilation([0, 1])));
    refused("conv2d: a window of [3, 3] with dilation [4, 1] does not fit into [6, 7]", || {
        x.conv2d(&w, &grouped.dilation([4, 1]))
    });
    refused("conv2d: padding [[-4, -3], [0, 0]] cuts more", || {
        x.conv2d(&w, &grouped.padding([[-4, -3], [0, 0]]))
    });
    refused("conv2d: a window of [3, 3] with dilation [1, 1] does not fit into [2, 7]", || {
        x.conv2d(&w, &grouped.padding([[-4, 0], [0, 0]]))
    });
    let empty = leaf(&[6, 2, 0, 3], DType::F32, &on);
    refused("conv2d: kernel [0, 3]", || x.conv2d(&empty, &grouped));
    refused("conv1d: needs an input [N, C, L]", || x.conv1d(&w, &Conv1dOptions::default()));
    refused("conv3d: needs an input [N, C, D, H, W]", || x.conv3d(&w, &Conv3dOptions::default()));
    let sequence = leaf(&[2, 4, 6], DType::F32, &on);
    refused("conv1d: needs a weight [.., .., K]", || {
        sequence.conv1d(&w, &Conv1dOptions::default())
    });
    let double = leaf(&[6, 2, 3, 3], DType::F64, &on);
    refused("conv2d: dtypes differ", || x.conv2d(&double, &grouped));
    // What does not fit begins to with padding.
    let small = leaf(&[1, 2, 1, 1], DType::F32, &on);
    let same = Conv2dOptions::default().padding(Padding::same(3, 1));
    assert_eq!(*small.conv2d(&w, &same).shape(), [1, 6, 1, 1]);
    let even = Padding::<1>::same(4, 2);
    assert_eq!(even, Padding([[3, 3]]));
    assert_eq!(Padding::<2>::same([2, 3], 1), Padding([[0, 1], [1, 1]]));
}

#[test]
fn transposes_that_do_not_fit() {
    let on = device();
    let x = leaf(&[2, 4, 5], DType::F32, &on);
    let w = leaf(&[4, 3, 3], DType::F32, &on);
    let options = ConvTranspose1dOptions::default().stride(2).dilation(4);
    assert_eq!(*x.conv_transpose1d(&w, &options.output_padding(3)).shape(), [2, 3, 20]);
    refused("conv_transpose1d: output_padding [4] must be below", || {
        x.conv_transpose1d(&w, &options.output_padding(4))
    });
    refused("conv_transpose1d: channels do not fit", || x.conv_transpose1d(&w, &options.groups(3)));
    refused("conv_transpose1d: padding [[9, 9]] leaves nothing", || {
        x.conv_transpose1d(&w, &options.padding(9))
    });
    refused("conv_transpose1d: kernel [3], stride [0]", || {
        x.conv_transpose1d(&w, &options.stride(0))
    });
    let empty = leaf(&[2, 4, 0], DType::F32, &on);
    refused("conv_transpose1d: an axis of [2, 4, 0] has no elements", || {
        empty.conv_transpose1d(&w, &options)
    });
    refused("conv_transpose2d: needs an input [N, C, H, W]", || {
        x.conv_transpose2d(&w, &ConvTranspose2dOptions::default())
    });
}

#[test]
fn pools_that_do_not_fit() {
    let x = float(&[2, 3, 5, 6]);
    let two = PoolOptions::new([2, 3]);
    refused("max_pool2d: padding [[2, 2], [0, 0]] is more than half", || {
        x.max_pool2d(&two.padding([2, 0]))
    });
    refused("avg_pool2d: padding [[-1, 0], [0, 0]] is below zero", || {
        x.avg_pool2d(&two.padding([[-1, 0], [0, 0]]))
    });
    refused("max_pool2d: kernel [0, 3]", || x.max_pool2d(&PoolOptions::new([0, 3])));
    refused("lp_pool2d: kernel [2, 3], stride [2, 0]", || x.lp_pool2d(2.0, &two.stride([2, 0])));
    refused("lp_pool2d: the power 0", || x.lp_pool2d(0.0, &two));
    refused("avg_pool2d: a window of [6, 3] with dilation [1, 1] does not fit", || {
        x.avg_pool2d(&PoolOptions::new([6, 3]))
    });
    refused("avg_pool2d: a divisor of zero", || x.avg_pool2d(&two.divisor(0)));
    refused("avg_pool1d: needs an input [N, C, L]", || x.avg_pool1d(&Pool1dOptions::new(2)));
    refused("max_pool3d: needs an input [N, C, D, H, W]", || x.max_pool3d(&Pool3dOptions::new(2)));
    refused("max_pool2d: an axis of [2, 3, 0, 6] has no elements", || {
        float(&[2, 3, 0, 6]).max_pool2d(&two)
    });
    refused("adaptive_max_pool2d: output [0, 1] must be", || x.adaptive_max_pool2d([0, 1]));
    refused("adaptive_avg_pool2d: an axis of [2, 3, 0, 6]", || {
        float(&[2, 3, 0, 6]).adaptive_avg_pool2d([1, 1])
    });
    let integers = leaf(&[2, 3, 5, 6], DType::I32, &device());
    refused("max_pool2d: needs a floating-point tensor", || integers.max_pool2d(&two));
    refused("avg_pool2d: needs a floating-point tensor", || integers.avg_pool2d(&two));
    let (values, places) = x.max_pool2d_with_indices(&two);
    assert_eq!(*values.max_unpool2d(&places, &two, Some([5, 6])).shape(), [2, 3, 5, 6]);
    refused("max_unpool2d: output [7, 6] is not within one stride", || {
        values.max_unpool2d(&places, &two, Some([7, 6]))
    });
    refused("max_unpool2d: values", || values.max_unpool2d(&places.narrow(0, 0, 1), &two, None));
    refused("max_unpool2d: needs an integer tensor", || values.max_unpool2d(&values, &two, None));
}

#[test]
fn ceil_mode_counts_windows_as_pytorch() {
    let windows = |size: usize, kernel: usize, stride: usize, padding: usize| {
        let options = Pool1dOptions::new(kernel).stride(stride).padding(padding).ceil_mode(true);
        let x = float(&[1, 1, size]);
        assert_eq!(x.max_pool1d(&options).shape(), x.avg_pool1d(&options).shape());
        x.max_pool1d(&options).size(2)
    };
    assert_eq!(windows(5, 2, 2, 0), 3);
    assert_eq!(windows(6, 2, 2, 0), 3);
    // The last window would begin in the padding after the input.
    assert_eq!(windows(5, 2, 2, 1), 3);
    assert_eq!(windows(3, 2, 3, 1), 2);
    assert_eq!(windows(4, 3, 3, 1), 2);
    assert_eq!(windows(1, 2, 2, 0), 1);
    refused("max_pool1d: no window of [4] with dilation [1] begins in [1]", || windows(1, 4, 2, 0));
}

#[test]
fn unfolding_that_does_not_fit() {
    let x = float(&[2, 3, 5, 6]);
    let options = UnfoldOptions::new([2, 3]);
    let columns = x.unfold(&options);
    assert_eq!(*columns.shape(), [2, 18, 16]);
    assert_eq!(*columns.fold([5, 6], &options).shape(), Shape::new(&[2, 3, 5, 6])[..]);
    refused("unfold: a window of [6, 3]", || x.unfold(&UnfoldOptions::new([6, 3])));
    refused("unfold: kernel [2, 3], stride [0, 0]", || x.unfold(&options.stride(0)));
    refused("unfold: needs an input [N, C, L]", || x.unfold(&UnfoldOptions::new([2])));
    refused("unfold: padding [[-1, 0], [0, 0]] is below zero", || {
        x.unfold(&options.padding([[-1, 0], [0, 0]]))
    });
    refused("fold: [2, 18, 16] is not [N, C x 6, 12]", || columns.fold([4, 6], &options));
    refused("fold: needs columns [N, C K, L]", || x.fold([5, 6], &options));
    refused("fold: a window of [2, 3]", || columns.fold([1, 6], &options));
}
