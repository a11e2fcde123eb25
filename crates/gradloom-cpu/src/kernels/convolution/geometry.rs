//! [`Geometry`]: the sizes of a convolution as its loops need them, and images with room around them.

use bytemuck::Pod;
use gradloom_plan::Convolution;

/// Sizes of one group of one picture: the planes that one depth of the output reads.
///
/// A volume is a batch of pictures, one for each depth of its output. The planes of a picture's channels
/// are those that its windows reach in depth, channel by channel; that is also the order of the weights,
/// so all loops below are over two axes. Sequences and pictures have one plane a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Planes of the input of one picture and channels of the output, of one group.
    pub(super) channels: usize,
    pub(super) outputs: usize,
    pub(super) groups: usize,
    pub(super) depth: Depth,
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

/// How windows lie in depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
}

impl Depth {
    /// The plane of a channel that an element of the windows of a picture meets, if it is no padding.
    fn plane(&self, picture: usize, tap: usize) -> Option<usize> {
        (picture * self.stride + tap * self.dilation)
            .checked_sub(self.before)
            .filter(|&plane| plane < self.input)
    }
}

impl Geometry {
    pub(super) fn new(convolution: &Convolution) -> Geometry {
        let window = &convolution.window;
        let (input, output) = (convolution.input_size, convolution.output_size);
        let mut padded = [0; 2];
        for axis in 0..2 {
            padded[axis] =
                input[axis + 1] + window.padding[axis + 1][0] + window.padding[axis + 1][1];
        }
        let flat = |[_, height, width]: [usize; 3]| [height, width];
        Geometry {
            channels: convolution.channels / convolution.groups * window.kernel[0],
            outputs: convolution.outputs / convolution.groups,
            groups: convolution.groups,
            depth: Depth {
                input: input[0],
                output: output[0],
                kernel: window.kernel[0],
                stride: window.stride[0],
                dilation: window.dilation[0],
                before: window.padding[0][0],
            },
            kernel: flat(window.kernel),
            stride: flat(window.stride),
            dilation: flat(window.dilation),
            before: [window.padding[1][0], window.padding[2][0]],
            input: flat(input),
            output: flat(output),
            padded,
        }
    }

    /// True if a picture's planes are a volume's.
    pub(super) fn is_flat(&self) -> bool {
        let Depth { input, output, kernel, before, .. } = self.depth;
        [input, output, kernel, before] == [1, 1, 1, 0]
    }

    /// Elements of the input of a group of a volume.
    pub(super) fn input_volume(&self) -> usize {
        self.channels / self.depth.kernel.max(1) * self.depth.input * self.input_area()
    }

    /// Elements of the output of a group of a volume.
    pub(super) fn output_volume(&self) -> usize {
        self.outputs * self.depth.output * self.output_area()
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

    /// Copies the planes of a picture into a buffer of padded planes; what is around them becomes zero,
    /// also all elements after the last.
    pub(super) fn pad<T: Pod>(&self, volume: &[T], picture: usize, out: &mut [T]) {
        let (area, padded) = (self.input_area(), self.padded_area());
        if area == padded && self.is_flat() {
            let len = self.channels * area;
            out[..len].copy_from_slice(&volume[..len]);
            out[len..].fill(T::zeroed());
            return;
        }
        out.fill(T::zeroed());
        for (plane, out) in out.chunks_exact_mut(padded).take(self.channels).enumerate() {
            if let Some(first) = self.plane(picture, plane) {
                self.pad_plane(&volume[first..first + area], out);
            }
        }
    }

    /// Copies one plane between zeros.
    pub(super) fn pad_plane<T: Pod>(&self, plane: &[T], out: &mut [T]) {
        let [_, width] = self.input;
        let rows = out.chunks_exact_mut(self.padded[1]).skip(self.before[0]);
        for (row, out) in plane.chunks_exact(width).zip(rows) {
            out[self.before[1]..self.before[1] + width].copy_from_slice(row);
        }
    }

    /// Where a plane of a picture begins in the volume, if it is no padding.
    pub(super) fn plane(&self, picture: usize, plane: usize) -> Option<usize> {
        let (channel, tap) = (plane / self.depth.kernel, plane % self.depth.kernel);
        let depth = self.depth.plane(picture, tap)?;
        Some((channel * self.depth.input + depth) * self.input_area())
    }

    /// Copies what lies between the zeros around the planes of a picture to the volume, where `add` says
    /// how; a volume of one picture is overwritten.
    pub(super) fn unpad<T: Pod>(
        &self,
        padded: &[T],
        picture: usize,
        volume: &mut [T],
        add: impl Fn(&[T], &mut [T]),
    ) {
        if self.is_flat() && self.input_area() == self.padded_area() {
            volume.copy_from_slice(&padded[..volume.len()]);
            return;
        }
        let (first, width, area) = (self.before[1], self.input[1], self.input_area());
        for (plane, padded) in padded.chunks_exact(self.padded_area()).enumerate() {
            let Some(place) = self.plane(picture, plane) else { continue };
            let Some(out) = volume.get_mut(place..place + area) else { return };
            let rows = padded.chunks_exact(self.padded[1]).skip(self.before[0]);
            for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
                let row = &row[first..first + width];
                if self.is_flat() { out.copy_from_slice(row) } else { add(row, out) }
            }
        }
    }
}
