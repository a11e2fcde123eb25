//! The sizes of kernels that move windows over pictures: [`Convolution`] and [`Pool`].

use gradloom_tensor::Shape;
use gradloom_tensor::op::Window;

use crate::factors::Factors;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Windows.
    pub window: Window,
    /// Groups of channels.
    pub groups: usize,
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Depth, height and width of the input; 1 for what the window does not have.
    pub input_size: [usize; 3],
    /// Depth, height and width of the output.
    pub output_size: [usize; 3],
    /// The dtype of what is multiplied.
    pub factors: Factors,
}

/// Sizes of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Windows.
    pub window: Window,
    /// Images times channels, and times a depth that windows do not cross.
    pub planes: usize,
    /// Depth, height and width of the input; 1 for what the window does not have.
    pub input_size: [usize; 3],
    /// Depth, height and width of the output.
    pub output_size: [usize; 3],
}

impl Convolution {
    /// `[N, C, ..]`.
    pub fn input(&self) -> Shape {
        self.window.shape(self.batch, self.channels, self.input_size)
    }

    /// `[O, C / groups, K..]`.
    pub fn weight(&self) -> Shape {
        let channels = self.channels / self.groups.max(1);
        self.window.shape(self.outputs, channels, self.window.kernel)
    }

    /// `[N, O, ..]`.
    pub fn output(&self) -> Shape {
        self.window.shape(self.batch, self.outputs, self.output_size)
    }
}

impl Pool {
    /// Elements of all planes of the input.
    pub fn inputs(&self) -> usize {
        self.planes * self.input_size.iter().product::<usize>()
    }

    /// Elements of all planes of the output.
    pub fn outputs(&self) -> usize {
        self.planes * self.output_size.iter().product::<usize>()
    }
}
