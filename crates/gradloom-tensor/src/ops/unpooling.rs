//! Unpooling: values go back to the places that maximum pooling took them from.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::ops::pooling::PoolOptions;
use crate::shape_rules::{self, windows};
use crate::{Shape, Tensor};

macro_rules! unpool {
    ($axes:literal: $name:ident, $pool:literal; $from:literal, $to:literal) => {
        impl Tensor {
            #[doc = concat!(
                "Zeros, but for the values at their indices in the plane: `", $from, " -> ", $to,
                "`. Indices are those of [`Tensor::", $pool, "_with_indices`] with the same options; ",
                "`output` are the sizes of what was pooled, `(size - 1) stride - padding + kernel` if ",
                "not given.\n\n",
                "Where windows overlap, the last of the values at one index stands there. Where they do ",
                "not, indices are taken to differ.\n\n",
                "Panics if shapes do not fit, or the output's size is not within one stride of what is ",
                "taken if none is given. An index outside the plane fails the evaluation. ",
                "PyTorch: `F.", stringify!($name), "`."
            )]
            #[track_caller]
            #[must_use]
            pub fn $name(
                &self,
                indices: &Tensor,
                options: &PoolOptions<$axes>,
                output: Option<[usize; $axes]>,
            ) -> Tensor {
                unpool(stringify!($name), self, indices, options, output)
            }
        }
    };
}

unpool!(1: max_unpool1d, "max_pool1d"; "[N, C, OL]", "[N, C, L]");
unpool!(2: max_unpool2d, "max_pool2d"; "[N, C, OH, OW]", "[N, C, H, W]");
unpool!(3: max_unpool3d, "max_pool3d"; "[N, C, OD, OH, OW]", "[N, C, D, H, W]");

#[track_caller]
fn unpool<const N: usize>(
    op: &'static str,
    values: &Tensor,
    indices: &Tensor,
    options: &PoolOptions<N>,
    output: Option<[usize; N]>,
) -> Tensor {
    let shape = *values.shape();
    let sizes = windows::sizes::<N>(op, &shape).or_fail();
    shape_rules::number(op, values.dtype()).or_fail();
    let other = indices.shape();
    demand!(shape == *other, "{op}: values {shape} and indices {other} must have one shape");
    let usual = usual_sizes(op, sizes, options);
    let output = output.unwrap_or(usual);
    let near = |axis: usize| output[axis].abs_diff(usual[axis]) < options.stride[axis].max(1);
    demand!(
        (0..N).all(near),
        "{op}: output {output:?} is not within one stride {:?} of {usual:?}",
        options.stride
    );
    let windows: usize = sizes.iter().product();
    let flat = [shape[0], shape[1], windows];
    let result: Shape = shape[..2].iter().chain(&output).copied().collect();
    let plane = Shape::new(&[shape[0], shape[1], result[2..].iter().product()]);
    let index = indices.checked_index(plane[2], op).reshape(flat);
    let values = values.reshape(flat);
    let (index, values) = match overlap(options) {
        true => last_of_equal(&index, &values),
        false => (index, values),
    };
    index.scatter_add_checked(2, &values, plane).reshape(result)
}

/// The smallest sizes of which pooling makes so many windows, as PyTorch takes them.
#[track_caller]
fn usual_sizes<const N: usize>(
    op: &str,
    sizes: [usize; N],
    options: &PoolOptions<N>,
) -> [usize; N] {
    std::array::from_fn(|axis| {
        let between = (sizes[axis] - 1) as i128 * options.stride[axis] as i128;
        let padding: i128 = options.padding.0[axis].iter().map(|&size| size as i128).sum();
        let size = between + options.kernel[axis] as i128 - padding;
        usize::try_from(size).unwrap_or_else(|_| {
            Called::fail(format_args!("{op}: {options:?} leaves nothing of {sizes:?}"));
        })
    })
}

/// True if two windows may have one element.
fn overlap<const N: usize>(options: &PoolOptions<N>) -> bool {
    (0..N).any(|axis| {
        let between = options.kernel[axis].saturating_sub(1);
        options.dilation[axis].saturating_mul(between) >= options.stride[axis]
    })
}

/// Indices `[N, C, L]` in order with their values, of which all but the last at one index are zero.
#[track_caller]
fn last_of_equal(index: &Tensor, values: &Tensor) -> (Tensor, Tensor) {
    let order = index.argsort(-1, false);
    let (index, values) = (index.gather_checked(2, &order), values.gather_checked(2, &order));
    let len = index.shape()[2];
    // No index is -1, so the end counts as a last one.
    let next = index.narrow(2, 1, len - 1).pad_value(&[(0, 0), (0, 0), (0, 1)], -1);
    let kept = index.ne(&next).select(&values, values.constant_like(0));
    (index, kept)
}
