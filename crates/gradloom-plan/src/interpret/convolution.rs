//! Convolutions and their transposes: one loop over all products, which differ in what is summed.

use gradloom_tensor::Shape;
use gradloom_tensor::op::Window;

use super::fault::Fault;
use super::operand::{Operands, linear};
use super::value::Sum;
use crate::kernel::Convolution;
use crate::view::View;

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
    // Three axes whatever the window's: those it does not have are of size one.
    let all = |first, second, [depth, height, width]: [usize; 3]| {
        Shape::new(&[first, second, depth, height, width])
    };
    let input = all(batch, channels, sizes.input_size);
    let weight = all(outputs, channels / groups, window.kernel);
    let output = all(batch, outputs, sizes.output_size);
    let (shapes, space) = match part {
        Part::Input => ([weight, output], input),
        Part::Weight => ([input, output], weight),
        Part::Output => ([input, weight], output),
    };
    let dtype = sizes.factors.dtype;
    let factors =
        |at: usize| operands.get(at)?.factors(&View::contiguous(shapes[at]), &sizes.factors);
    let (first, second) = (factors(0)?, factors(1)?);
    let mut sums = vec![Sum::of(dtype); space.count()];
    for_each_product(sizes, |n, [o, c], at, tap, place| {
        let channel = o / (outputs / groups) * (channels / groups) + c;
        let i = linear(&input, &[n, channel, place[0], place[1], place[2]]);
        let w = linear(&weight, &[o, c, tap[0], tap[1], tap[2]]);
        let o = linear(&output, &[n, o, at[0], at[1], at[2]]);
        match part {
            Part::Input => sums[i].add_product(first[w], second[o]),
            Part::Weight => sums[w].add_product(first[i], second[o]),
            Part::Output => sums[o].add_product(first[i], second[w]),
        }
    });
    Ok(sums.into_iter().map(|sum| sum.value(dtype)).collect())
}

/// Calls `visit` with the image, the weight's channels, the window, its element and the place in the
/// input.
fn for_each_product(
    sizes: &Convolution,
    mut visit: impl FnMut(usize, [usize; 2], [usize; 3], [usize; 3], [usize; 3]),
) {
    for n in 0..sizes.batch {
        for o in 0..sizes.outputs {
            for c in 0..sizes.channels / sizes.groups {
                for_each_tap(
                    &sizes.window,
                    sizes.input_size,
                    sizes.output_size,
                    |at, tap, place| visit(n, [o, c], at, tap, place),
                );
            }
        }
    }
}

/// Calls `visit` with each window, each of its elements and that element's place in the plane, in
/// row-major order, where it is not padding.
pub(super) fn for_each_tap(
    window: &Window,
    input: [usize; 3],
    output: [usize; 3],
    mut visit: impl FnMut([usize; 3], [usize; 3], [usize; 3]),
) {
    for_each_coordinate(output, |at| {
        for_each_coordinate(window.kernel, |tap| {
            let mut place = [0; 3];
            for axis in 0..3 {
                let from_padding =
                    at[axis] * window.stride[axis] + tap[axis] * window.dilation[axis];
                match from_padding.checked_sub(window.padding[axis][0]) {
                    Some(inside) if inside < input[axis] => place[axis] = inside,
                    _ => return,
                }
            }
            visit(at, tap, place);
        });
    });
}

fn for_each_coordinate(sizes: [usize; 3], mut visit: impl FnMut([usize; 3])) {
    for first in 0..sizes[0] {
        for second in 0..sizes[1] {
            for third in 0..sizes[2] {
                visit([first, second, third]);
            }
        }
    }
}
