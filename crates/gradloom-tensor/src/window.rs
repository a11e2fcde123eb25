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

    /// Number of windows along the two axes of an input of `size`; `None` if none fits or a size
    /// overflows.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let [before, after] = self.padding[axis];
            let padded = size[axis].checked_add(before)?.checked_add(after)?;
            let room = padded.checked_sub(self.extent(axis)?)?;
            output[axis] = room.checked_div(self.stride[axis])?.checked_add(1)?;
        }
        Some(output)
    }

    /// Elements from the first to the last of a window, both included.
    fn extent(&self, axis: usize) -> Option<usize> {
        self.dilation[axis].checked_mul(self.kernel[axis].checked_sub(1)?)?.checked_add(1)
    }

    /// Elements that `count` windows reach along an axis, padding included; as if there were one window
    /// if there is none, and as if it had one element. `None` if that overflows.
    pub(crate) fn transposed_extent(&self, axis: usize, count: usize) -> Option<usize> {
        let between = count.saturating_sub(1).checked_mul(self.stride[axis])?;
        let inside = self.dilation[axis].checked_mul(self.kernel[axis].saturating_sub(1))?;
        between.checked_add(inside)?.checked_add(1)
    }
}

/// Number of independent groups of channels of a convolution.
pub type Groups = usize;
