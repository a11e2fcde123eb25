//! Convolutions and their transposes: one loop over all products, which differ in what is summed.

use gradloom_tensor::Shape;
use gradloom_tensor::op::Window2d;

use super::fault::Fault;
use super::operand::{Operands, linear};
use super::value::Sum;
use crate::kernel::Convolution;

/// Which of input, weight and output is computed; the others are the operands, in that order.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    Input,
    Weight,
    Output,
}

pub(super) fn convolve(
    part: Part,
    sizes: &Convolution,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let Convolution { window, groups, batch, channels, outputs, .. } = *sizes;
    let divisible = groups > 0 && channels % groups == 0 && outputs % groups == 0;
    Fault::unless(divisible, || format!("convolution: {channels}, {outputs} in {groups} groups"))?;
    let ([height, width], [out_height, out_width]) = (sizes.input_size, sizes.output_size);
    let input = Shape::new(&[batch, channels, height, width]);
    let weight = Shape::new(&[outputs, channels / groups, window.kernel[0], window.kernel[1]]);
    let output = Shape::new(&[batch, outputs, out_height, out_width]);
    let (shapes, space) = match part {
        Part::Input => ([weight, output], input),
        Part::Weight => ([input, output], weight),
        Part::Output => ([input, weight], output),
    };
    let dtype = operands.get(0)?.dtype;
    let (first, second) = (operands.get(0)?.whole(shapes[0])?, operands.get(1)?.whole(shapes[1])?);
    let mut sums = vec![Sum::of(dtype); space.count()];
    for_each_product(sizes, |n, [o, c, ky, kx], at, [y, x]| {
        let channel = o / (outputs / groups) * (channels / groups) + c;
        let i = linear(&input, &[n, channel, y, x]);
        let w = linear(&weight, &[o, c, ky, kx]);
        let o = linear(&output, &[n, o, at[0], at[1]]);
        match part {
            Part::Input => sums[i].add_product(first[w], second[o]),
            Part::Weight => sums[w].add_product(first[i], second[o]),
            Part::Output => sums[o].add_product(first[i], second[w]),
        }
    });
    Ok(sums.into_iter().map(|sum| sum.value(dtype)).collect())
}

/// Calls `visit` with the image, the weight's coordinate, the window and the place in the input.
fn for_each_product(
    sizes: &Convolution,
    mut visit: impl FnMut(usize, [usize; 4], [usize; 2], [usize; 2]),
) {
    for n in 0..sizes.batch {
        for o in 0..sizes.outputs {
            for c in 0..sizes.channels / sizes.groups {
                for_each_tap(
                    &sizes.window,
                    sizes.input_size,
                    sizes.output_size,
                    |at, tap, place| visit(n, [o, c, tap[0], tap[1]], at, place),
                );
            }
        }
    }
}

/// Calls `visit` with each window, each of its elements and that element's place in the plane, in
/// row-major order, where it is not padding.
pub(super) fn for_each_tap(
    window: &Window2d,
    input: [usize; 2],
    output: [usize; 2],
    mut visit: impl FnMut([usize; 2], [usize; 2], [usize; 2]),
) {
    let place = |axis: usize, at: usize, tap: usize| {
        (at * window.stride[axis] + tap * window.dilation[axis])
            .checked_sub(window.padding[axis][0])
            .filter(|&place| place < input[axis])
    };
    for oy in 0..output[0] {
        for ox in 0..output[1] {
            for ky in 0..window.kernel[0] {
                let Some(y) = place(0, oy, ky) else { continue };
                for kx in 0..window.kernel[1] {
                    if let Some(x) = place(1, ox, kx) {
                        visit([oy, ox], [ky, kx], [y, x]);
                    }
                }
            }
        }
    }
}
