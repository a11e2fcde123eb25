//! [`Geometry`]: the sizes of a convolution as its loops need them, and images with room around them.

use bytemuck::Pod;
use gradloom_plan::Convolution;

/// Sizes of one group of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Channels of the input and of the output, of one group.
    pub(super) channels: usize,
    pub(super) outputs: usize,
    pub(super) groups: usize,
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Zeros before the input.
    pub(super) before: [usize; 2],
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    /// Height and width of the input with the zeros around it.
    pub(super) padded: [usize; 2],
}

impl Geometry {
    pub(super) fn new(convolution: &Convolution) -> Geometry {
        let window = &convolution.window;
        let mut padded = [0; 2];
        for axis in 0..2 {
            padded[axis] =
                convolution.input_size[axis] + window.padding[axis][0] + window.padding[axis][1];
        }
        Geometry {
            channels: convolution.channels / convolution.groups,
            outputs: convolution.outputs / convolution.groups,
            groups: convolution.groups,
            kernel: window.kernel,
            stride: window.stride,
            dilation: window.dilation,
            before: [window.padding[0][0], window.padding[1][0]],
            input: convolution.input_size,
            output: convolution.output_size,
            padded,
        }
    }

    /// Elements of an input plane.
    pub(super) fn input_area(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Elements of an output plane.
    pub(super) fn output_area(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of a plane with the zeros around it.
    pub(super) fn padded_area(&self) -> usize {
        self.padded[0] * self.padded[1]
    }

    /// Elements of a window over all channels of a group.
    pub(super) fn inner(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Where each element of the first window is in a padded image, in the order of the weights.
    pub(super) fn offsets(&self) -> Vec<usize> {
        let mut offsets = Vec::with_capacity(self.inner());
        for channel in 0..self.channels {
            for y in 0..self.kernel[0] {
                for x in 0..self.kernel[1] {
                    offsets.push(
                        channel * self.padded_area()
                            + y * self.dilation[0] * self.padded[1]
                            + x * self.dilation[1],
                    );
                }
            }
        }
        offsets
    }

    /// Copies planes into a buffer of padded planes; what is around them becomes zero, also `room`
    /// elements after the last.
    pub(super) fn pad<T: Pod>(&self, planes: &[T], out: &mut [T]) {
        let (area, padded) = (self.input_area(), self.padded_area());
        let [_, width] = self.input;
        if area == padded {
            out[..planes.len()].copy_from_slice(planes);
            out[planes.len()..].fill(T::zeroed());
            return;
        }
        out.fill(T::zeroed());
        for (plane, out) in planes.chunks_exact(area.max(1)).zip(out.chunks_exact_mut(padded)) {
            let rows = out.chunks_exact_mut(self.padded[1]).skip(self.before[0]);
            for (row, out) in plane.chunks_exact(width).zip(rows) {
                out[self.before[1]..self.before[1] + width].copy_from_slice(row);
            }
        }
    }

    /// Copies what lies between the zeros around the planes.
    pub(super) fn unpad<T: Pod>(&self, padded: &[T], out: &mut [T]) {
        if self.input_area() == self.padded_area() {
            out.copy_from_slice(&padded[..out.len()]);
            return;
        }
        let (first, width) = (self.before[1], self.input[1]);
        let planes = padded.chunks_exact(self.padded_area());
        for (plane, out) in planes.zip(out.chunks_exact_mut(self.input_area())) {
            let rows = plane.chunks_exact(self.padded[1]).skip(self.before[0]);
            for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
                out.copy_from_slice(&row[first..first + width]);
            }
        }
    }
}
