//! [`Geometry`]: sizes of a convolution of pictures whose channels lie side by side.

use gradloom_tensor::op::Window;
use gradloom_tensor::{Error, Result, Shape};

use super::packed::{FOUR, Layout};
use super::scratch::with_bytes;

/// Bytes that may be read after the last run.
const ROOM: usize = FOUR;

/// Sizes of a convolution of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) images: usize,
    /// Channels of the input.
    pub(super) channels: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) before: [usize; 2],
}

impl Geometry {
    /// Of `[N, L, C]` or `[N, H, W, C]`.
    ///
    /// # Errors
    /// If windows do not fit, or have depth.
    pub(super) fn new(x: &Shape, window: &Window) -> Result<Geometry> {
        if x.rank() != window.axes + 2 || window.axes > 2 || !window.is_whole() {
            return Err(Error::shape(format!("an input {x} with windows of {} axes", window.axes)));
        }
        let (images, channels) = (x[0], x[x.rank() - 1]);
        let mut first = vec![images, channels];
        first.extend(&x[1..x.rank() - 1]);
        let input = window.of(&Shape::new(&first));
        let Some(output) = window.output(input) else {
            return Err(Error::shape(format!("windows {:?} do not fit into {x}", window.kernel)));
        };
        let flat = |[_, height, width]: [usize; 3]| [height, width];
        if channels == 0 || input.contains(&0) {
            return Err(Error::shape(format!("an input {x} without channels or elements")));
        }
        Ok(Geometry {
            images,
            channels,
            input: flat(input),
            output: flat(output),
            kernel: flat(window.kernel),
            stride: flat(window.stride),
            dilation: flat(window.dilation),
            before: [window.padding[1][0], window.padding[2][0]],
        })
    }

    /// The shape of a result with these channels.
    pub(super) fn result(&self, axes: usize, channels: usize) -> Shape {
        let mut shape = vec![self.images];
        shape.extend(&self.output[2 - axes..]);
        shape.push(channels);
        Shape::new(&shape)
    }

    pub(super) fn input_bytes(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    pub(super) fn output_area(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Rows and columns that windows reach, with the padding before them.
    fn reach(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.output[axis].max(1) - 1) * self.stride[axis]
                + (self.kernel[axis] - 1) * self.dilation[axis]
                + 1
        })
    }

    /// True if windows read no padding.
    fn is_inside(&self) -> bool {
        let reach = self.reach();
        self.before == [0, 0] && (0..2).all(|axis| reach[axis] <= self.input[axis])
    }

    /// From an element to that of the next row and of the next column, in a padded picture.
    fn steps(&self) -> [usize; 2] {
        let columns = if self.is_inside() { self.input[1] } else { self.reach()[1] };
        [columns * self.channels, self.channels]
    }

    /// Where the window of each position begins in a padded picture.
    pub(super) fn starts(&self) -> Vec<usize> {
        let [down, right] = self.steps();
        let [rows, columns] = self.output;
        let rows = (0..rows).map(|y| y * self.stride[0] * down);
        let columns = (0..columns).map(|x| x * self.stride[1] * right);
        rows.flat_map(|row| columns.clone().map(move |column| row + column)).collect()
    }

    /// Where the fours of a sum lie after the start of a window, for the first group.
    pub(super) fn offsets(&self, layout: &Layout) -> Vec<usize> {
        let [down, right] = self.steps();
        let columns = layout.runs / self.kernel[0];
        let runs = (0..layout.runs).map(|run| {
            run / columns * self.dilation[0] * down + run % columns * self.dilation[1] * right
        });
        runs.flat_map(|run| (0..layout.fours()).map(move |four| run + four * FOUR)).collect()
    }

    /// Runs `work` on a picture with its padding, which stands for zero: on the picture itself if windows need none and
    /// fours do not reach beyond its last element.
    pub(super) fn padded<R>(
        &self,
        input: &[u8],
        zero_point: u8,
        whole_fours: bool,
        work: impl FnOnce(&[u8]) -> R,
    ) -> R {
        if self.is_inside() && whole_fours {
            return work(input);
        }
        let rows = self.reach()[0];
        let [row, channels] = self.steps();
        with_bytes(rows * row + ROOM, |bytes| {
            let above = self.before[0].min(rows);
            let start = row.min(self.before[1] * channels);
            let count = (self.input[1] * channels).min(row - start);
            let kept = self.input[0].min(rows - above);
            bytes[..above * row].fill(zero_point);
            let inputs = input.chunks_exact(self.input[1] * channels);
            let inside = bytes[above * row..].chunks_exact_mut(row);
            for (to, from) in inside.take(kept).zip(inputs) {
                to[..start].fill(zero_point);
                to[start..start + count].copy_from_slice(&from[..count]);
                to[start + count..].fill(zero_point);
            }
            bytes[(above + kept) * row..].fill(zero_point);
            work(bytes)
        })
    }
}
