//! [`Window`]: where windows lie, for convolution and pooling over one to three axes.

use crate::Shape;
use crate::called::demand;

/// Most axes of a window.
pub const WINDOW_AXES_MAX: usize = 3;

/// Where windows lie on the last axes of `[N, C, ..]`, for convolution and pooling.
///
/// Three axes are kept, depth, height and width. A window of fewer has its missing axes in front, with a
/// kernel, stride and dilation of one and no padding, so that what is written for three axes serves all;
/// [`Window::of`] puts the sizes of a shape in the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Number of axes, from 1 to [`WINDOW_AXES_MAX`]: the last ones of the arrays.
    pub axes: usize,
    /// Elements of a window.
    pub kernel: [usize; WINDOW_AXES_MAX],
    /// Distance between windows.
    pub stride: [usize; WINDOW_AXES_MAX],
    /// Padding before and after.
    pub padding: [[usize; 2]; WINDOW_AXES_MAX],
    /// Distance between a window's elements.
    pub dilation: [usize; WINDOW_AXES_MAX],
}

/// The last of three places.
fn in_last<T: Copy, const N: usize>(values: [T; N], others: T) -> [T; WINDOW_AXES_MAX] {
    let mut all = [others; WINDOW_AXES_MAX];
    all[WINDOW_AXES_MAX - N..].copy_from_slice(&values);
    all
}

impl Window {
    /// Windows of `kernel` elements at distance one, without padding.
    ///
    /// # Panics
    /// Unless there are one to three axes.
    #[track_caller]
    pub fn new<const N: usize>(kernel: [usize; N]) -> Self {
        demand!(
            (1..=WINDOW_AXES_MAX).contains(&N),
            "window: {N} axes, but windows have one to {WINDOW_AXES_MAX}"
        );
        Window {
            axes: N,
            kernel: in_last(kernel, 1),
            stride: [1; WINDOW_AXES_MAX],
            padding: [[0, 0]; WINDOW_AXES_MAX],
            dilation: [1; WINDOW_AXES_MAX],
        }
    }

    /// Sets the distance between windows, of as many axes as the window has.
    #[must_use]
    pub fn stride<const N: usize>(self, stride: [usize; N]) -> Self {
        Window { stride: in_last(stride, 1), ..self }
    }

    /// Sets the padding before and after.
    #[must_use]
    pub fn padding<const N: usize>(self, padding: [[usize; 2]; N]) -> Self {
        Window { padding: in_last(padding, [0, 0]), ..self }
    }

    /// Sets the distance between a window's elements.
    #[must_use]
    pub fn dilation<const N: usize>(self, dilation: [usize; N]) -> Self {
        Window { dilation: in_last(dilation, 1), ..self }
    }

    /// The places of the window's own axes.
    pub fn own(&self) -> std::ops::Range<usize> {
        WINDOW_AXES_MAX - self.axes.min(WINDOW_AXES_MAX)..WINDOW_AXES_MAX
    }

    /// True if the axes that the window does not have are as they should be.
    pub fn is_whole(&self) -> bool {
        (1..=WINDOW_AXES_MAX).contains(&self.axes)
            && (0..WINDOW_AXES_MAX - self.axes).all(|axis| {
                let unit = [self.kernel[axis], self.stride[axis], self.dilation[axis]] == [1; 3];
                unit && self.padding[axis] == [0, 0]
            })
    }

    /// Number of elements of a window.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// True if windows reach beyond what they are moved over.
    pub fn pads(&self) -> bool {
        self.padding != [[0, 0]; WINDOW_AXES_MAX]
    }

    /// Sizes of the last axes of a shape `[N, C, ..]`, one for each that the window does not have.
    pub fn of(&self, shape: &Shape) -> [usize; WINDOW_AXES_MAX] {
        let mut sizes = [1; WINDOW_AXES_MAX];
        for (place, &size) in self.own().rev().zip(shape.iter().rev()) {
            sizes[place] = size;
        }
        sizes
    }

    /// A shape `[first, second, ..]` of as many further axes as the window has.
    pub fn shape(&self, first: usize, second: usize, sizes: [usize; WINDOW_AXES_MAX]) -> Shape {
        [first, second].into_iter().chain(self.own().map(|axis| sizes[axis])).collect()
    }

    /// Number of windows along each axis of an input of `size`; `None` if none fits or a size
    /// overflows.
    pub fn output(&self, size: [usize; WINDOW_AXES_MAX]) -> Option<[usize; WINDOW_AXES_MAX]> {
        let mut output = [1; WINDOW_AXES_MAX];
        for axis in 0..WINDOW_AXES_MAX {
            let [before, after] = self.padding[axis];
            let padded = size[axis].checked_add(before)?.checked_add(after)?;
            let room = padded.checked_sub(self.extent(axis)?)?;
            output[axis] = room.checked_div(self.stride[axis])?.checked_add(1)?;
        }
        Some(output)
    }

    /// Elements from the first to the last of a window along an axis, both included; `None` if there are
    /// none or they overflow.
    pub fn extent(&self, axis: usize) -> Option<usize> {
        self.dilation[axis].checked_mul(self.kernel[axis].checked_sub(1)?)?.checked_add(1)
    }
}

/// Number of independent groups of channels.
pub type Groups = usize;
