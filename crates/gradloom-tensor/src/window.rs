//! [`Window2d`]: where windows lie, for convolution and pooling.

/// Where windows lie on the last two axes, for convolution and pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window2d {
    /// Height and width of the window in elements.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Padding before and after, per axis: `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; 2],
    /// Distance between a window's elements.
    pub dilation: [usize; 2],
}

impl Window2d {
    /// Windows of `kernel` elements side by side at distance one, without padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Window2d { kernel, stride: [1, 1], padding: [[0, 0]; 2], dilation: [1, 1] }
    }

    /// Number of windows along the two axes of an input of `size`; `None` if none fits.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let extent = self.dilation[axis] * self.kernel[axis].checked_sub(1)? + 1;
            let padded = size[axis] + self.padding[axis][0] + self.padding[axis][1];
            output[axis] = padded.checked_sub(extent)? / self.stride[axis] + 1;
        }
        Some(output)
    }
}

/// Number of independent groups of channels of a convolution.
pub type Groups = usize;
