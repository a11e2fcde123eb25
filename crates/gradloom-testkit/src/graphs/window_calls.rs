//! Calls of what moves windows, with their options as lists of sizes: the number of axes, then kernel,
//! stride and dilation of each axis, then padding before and after each, then what a call needs beside.

use gradloom_tensor::Tensor;
use gradloom_tensor::op::Window;
use gradloom_tensor::ops::convolution::{ConvOptions, ConvTransposeOptions};
use gradloom_tensor::ops::per_axis::Padding;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::ops::unfold::UnfoldOptions;

/// Sizes of one kind for `N` axes.
fn part<const N: usize>(sizes: &[usize], index: usize) -> [usize; N] {
    std::array::from_fn(|axis| sizes[1 + index * N + axis])
}

fn around<const N: usize>(sizes: &[usize]) -> [[usize; 2]; N] {
    std::array::from_fn(|axis| [0, 1].map(|side| sizes[1 + 3 * N + 2 * axis + side]))
}

fn padding<const N: usize>(sizes: &[usize]) -> Padding<N> {
    Padding(around(sizes).map(|sides| sides.map(|size: usize| size as isize)))
}

fn of_axes<const N: usize>(sizes: &[usize]) -> Window {
    Window::new(part::<N>(sizes, 0))
        .stride(part::<N>(sizes, 1))
        .dilation(part::<N>(sizes, 2))
        .padding(around::<N>(sizes))
}

/// The window of a list.
pub fn window(sizes: &[usize]) -> Window {
    match sizes[0] {
        1 => of_axes::<1>(sizes),
        2 => of_axes::<2>(sizes),
        _ => of_axes::<3>(sizes),
    }
}

/// What follows a window in a list.
pub fn rest(sizes: &[usize]) -> &[usize] {
    &sizes[1 + 5 * sizes[0]..]
}

/// Calls the expression for one, two or three axes.
macro_rules! by_axes {
    ($axes:expr; $one:expr, $two:expr, $three:expr) => {
        match $axes {
            1 => $one,
            2 => $two,
            _ => $three,
        }
    };
}

fn pool<const N: usize>(sizes: &[usize]) -> PoolOptions<N> {
    let options = PoolOptions::new(part::<N>(sizes, 0))
        .stride(part::<N>(sizes, 1))
        .dilation(part::<N>(sizes, 2))
        .padding(padding(sizes))
        .ceil_mode(rest(sizes)[0] == 1)
        .count_include_pad(rest(sizes)[1] == 1);
    match rest(sizes).get(2) {
        Some(&divisor) if divisor > 0 && rest(sizes).len() == 3 => {
            options.divisor(divisor as isize)
        }
        _ => options,
    }
}

/// `max_pool1d` to `max_pool3d`; after the window come ceil mode and a number that is not read.
pub fn max_pool(x: &Tensor, sizes: &[usize]) -> Tensor {
    by_axes!(sizes[0];
        x.max_pool1d(&pool(sizes)), x.max_pool2d(&pool(sizes)), x.max_pool3d(&pool(sizes)))
}

/// The indices of the maxima.
pub fn max_pool_indices(x: &Tensor, sizes: &[usize]) -> Tensor {
    by_axes!(sizes[0];
        x.max_pool1d_with_indices(&pool(sizes)),
        x.max_pool2d_with_indices(&pool(sizes)),
        x.max_pool3d_with_indices(&pool(sizes)))
    .1
}

/// Maxima that go back to where they were.
pub fn max_unpool(x: &Tensor, sizes: &[usize]) -> Tensor {
    match sizes[0] {
        1 => {
            let (values, indices) = x.max_pool1d_with_indices(&pool(sizes));
            values.max_unpool1d(&indices, &pool(sizes), Some([x.size(2)]))
        }
        2 => {
            let (values, indices) = x.max_pool2d_with_indices(&pool(sizes));
            values.max_unpool2d(&indices, &pool(sizes), Some([x.size(2), x.size(3)]))
        }
        _ => {
            let (values, indices) = x.max_pool3d_with_indices(&pool(sizes));
            values.max_unpool3d(&indices, &pool(sizes), Some([x.size(2), x.size(3), x.size(4)]))
        }
    }
}

/// Values at given indices; after the window come ceil mode, a number that is not read, and the sizes of
/// the result.
pub fn max_unpool_at(x: &Tensor, indices: &Tensor, sizes: &[usize]) -> Tensor {
    let output = &rest(sizes)[2..];
    by_axes!(sizes[0];
        x.max_unpool1d(indices, &pool(sizes), Some([output[0]])),
        x.max_unpool2d(indices, &pool(sizes), Some([output[0], output[1]])),
        x.max_unpool3d(indices, &pool(sizes), Some([output[0], output[1], output[2]])))
}

/// `avg_pool1d` to `avg_pool3d`; after the window come ceil mode, whether padding counts, and a divisor or
/// zero for none.
pub fn avg_pool(x: &Tensor, sizes: &[usize]) -> Tensor {
    by_axes!(sizes[0];
        x.avg_pool1d(&pool(sizes)), x.avg_pool2d(&pool(sizes)), x.avg_pool3d(&pool(sizes)))
}

/// `lp_pool1d` to `lp_pool3d`.
pub fn lp_pool(x: &Tensor, power: f64, sizes: &[usize]) -> Tensor {
    by_axes!(sizes[0];
        x.lp_pool1d(power, &pool(sizes)),
        x.lp_pool2d(power, &pool(sizes)),
        x.lp_pool3d(power, &pool(sizes)))
}

/// `adaptive_avg_pool1d` to `adaptive_avg_pool3d`.
pub fn adaptive_avg_pool(x: &Tensor, output: &[usize]) -> Tensor {
    by_axes!(output.len();
        x.adaptive_avg_pool1d([output[0]]),
        x.adaptive_avg_pool2d([output[0], output[1]]),
        x.adaptive_avg_pool3d([output[0], output[1], output[2]]))
}

/// `adaptive_max_pool1d` to `adaptive_max_pool3d`.
pub fn adaptive_max_pool(x: &Tensor, output: &[usize]) -> Tensor {
    by_axes!(output.len();
        x.adaptive_max_pool1d([output[0]]),
        x.adaptive_max_pool2d([output[0], output[1]]),
        x.adaptive_max_pool3d([output[0], output[1], output[2]]))
}

/// The indices of the maxima.
pub fn adaptive_max_pool_indices(x: &Tensor, output: &[usize]) -> Tensor {
    by_axes!(output.len();
        x.adaptive_max_pool1d_with_indices([output[0]]),
        x.adaptive_max_pool2d_with_indices([output[0], output[1]]),
        x.adaptive_max_pool3d_with_indices([output[0], output[1], output[2]]))
    .1
}

fn unfolding<const N: usize>(sizes: &[usize]) -> UnfoldOptions<N> {
    UnfoldOptions::new(part::<N>(sizes, 0))
        .stride(part::<N>(sizes, 1))
        .dilation(part::<N>(sizes, 2))
        .padding(padding(sizes))
}

/// [`Tensor::unfold`].
pub fn unfold(x: &Tensor, sizes: &[usize]) -> Tensor {
    by_axes!(sizes[0];
        x.unfold(&unfolding::<1>(sizes)),
        x.unfold(&unfolding::<2>(sizes)),
        x.unfold(&unfolding::<3>(sizes)))
}

/// [`Tensor::fold`] to the sizes after the window.
pub fn fold(x: &Tensor, sizes: &[usize]) -> Tensor {
    let output = rest(sizes);
    by_axes!(sizes[0];
        x.fold([output[0]], &unfolding(sizes)),
        x.fold([output[0], output[1]], &unfolding(sizes)),
        x.fold([output[0], output[1], output[2]], &unfolding(sizes)))
}

fn convolving<const N: usize>(cut: &[isize], sizes: &[usize]) -> ConvOptions<N> {
    let mut around = padding::<N>(sizes);
    for (size, cut) in around.0.as_flattened_mut().iter_mut().zip(cut) {
        *size -= cut;
    }
    ConvOptions::default()
        .stride(part::<N>(sizes, 1))
        .dilation(part::<N>(sizes, 2))
        .padding(around)
        .groups(rest(sizes)[0])
}

/// `conv1d` to `conv3d` with less padding; after the window come groups.
pub fn conv(x: &Tensor, weight: &Tensor, cut: &[isize], sizes: &[usize]) -> Tensor {
    by_axes!(sizes[0];
        x.conv1d(weight, &convolving(cut, sizes)),
        x.conv2d(weight, &convolving(cut, sizes)),
        x.conv3d(weight, &convolving(cut, sizes)))
}

fn transposing<const N: usize>(cut: &[isize], sizes: &[usize]) -> ConvTransposeOptions<N> {
    let ConvOptions { stride, padding, dilation, groups } = convolving::<N>(cut, sizes);
    let output_padding = std::array::from_fn(|axis| rest(sizes)[1 + axis]);
    ConvTransposeOptions { stride, padding, output_padding, dilation, groups }
}

/// `conv_transpose1d` to `conv_transpose3d` with less padding; after the window come groups and output
/// padding.
pub fn conv_transpose(x: &Tensor, weight: &Tensor, cut: &[isize], sizes: &[usize]) -> Tensor {
    by_axes!(sizes[0];
        x.conv_transpose1d(weight, &transposing(cut, sizes)),
        x.conv_transpose2d(weight, &transposing(cut, sizes)),
        x.conv_transpose3d(weight, &transposing(cut, sizes)))
}
