//! TensorFlow's conventions, for weights that come from there: layouts and names of weights, padding, resizing.

use crate::{Error, Result};
use gradloom_data::Image;
use gradloom_tensor::{Device, Tensor};

/// In which order a file has the axes of its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// As PyTorch: kernels `[O, I, H, W]`, depthwise ones `[C, 1, H, W]`, matrices `[O, I]`.
    #[default]
    Torch,
    /// As TensorFlow and Keras: kernels `[H, W, I, O]`, depthwise ones `[H, W, C, multiplier]`, matrices `[I, O]`.
    /// Depthwise ones are told by the last part of their names, which begins so.
    TensorFlow,
}

impl Layout {
    /// A weight in PyTorch's order. Tensors of other ranks than two and four stay as they are.
    pub fn to_torch(self, name: &str, weight: &Tensor) -> Tensor {
        if self == Layout::Torch {
            return weight.clone();
        }
        match weight.rank() {
            2 => weight.permute(&[1, 0]),
            4 if last_part(name).starts_with("depthwise") => {
                let [height, width] = [weight.size(0), weight.size(1)];
                let outputs = weight.size(2) * weight.size(3);
                weight.permute(&[2, 3, 0, 1]).reshape([outputs, 1, height, width])
            }
            4 => weight.permute(&[3, 2, 0, 1]),
            _ => weight.clone(),
        }
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// PyTorch's name for a TensorFlow name: dots for slashes, and the usual words for the parts of a layer.
pub(crate) fn torch_name(name: &str) -> String {
    let last = match last_part(name) {
        "kernel" | "filters" | "weights" | "gamma" => "weight",
        "depthwise_kernel" | "depthwise_weights" => "weight",
        "depthwise_filter" => "depthwise.weight",
        "pointwise_filter" => "pointwise.weight",
        "biases" | "beta" => "bias",
        "moving_mean" => "running_mean",
        "moving_variance" => "running_var",
        other => other,
    };
    match name.rsplit_once('/') {
        Some((before, _)) => format!("{}.{last}", before.replace('/', ".")),
        None => last.to_owned(),
    }
}

/// From a picture to what networks from Keras in a browser expect: stretched to a square with aligned corners, and
/// divided.
///
/// TensorFlow.js: `tf.image.resizeBilinear(x.div(255), [size, size], true)`.
///
/// ```
/// use gradloom_data::Image;
/// use gradloom_vision::TensorFlowPreprocessing;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let photo = Image::new(vec![255u8; 3 * 40 * 60], [3, 40, 60])?;
/// let pictures = TensorFlowPreprocessing::new(32).tensor(&[photo], &device)?;
/// assert_eq!(pictures.shape(), &[1, 3, 32, 32]);
/// assert_eq!(pictures.to_vec::<f32>()?[0], 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorFlowPreprocessing {
    /// Height and width.
    pub size: usize,
    /// What levels are divided by.
    pub divisor: f32,
}

impl TensorFlowPreprocessing {
    /// To levels in 0..=1.
    pub fn new(size: usize) -> Self {
        TensorFlowPreprocessing { size, divisor: 255.0 }
    }

    /// Pictures as one batch `[N, 3, size, size]` on a device. A grey one is taken three times, and of an alpha
    /// channel nothing.
    ///
    /// # Errors
    /// If there are no pictures, or one has no pixels.
    pub fn tensor(&self, images: &[Image], device: &Device) -> Result<Tensor> {
        if images.is_empty() {
            return Err(Error::invalid("preprocessing: there are no pictures"));
        }
        let size = self.size.max(1);
        let mut pixels = Vec::with_capacity(images.len() * 3 * size * size);
        for image in images {
            let levels = Levels::of(image)?;
            let resized = levels.resized([size, size], true);
            pixels.extend(resized.pixels.iter().map(|level| level / self.divisor));
        }
        Tensor::from_vec(pixels, [images.len(), 3, size, size], device)
    }
}

/// Three channels of levels as floats.
pub(crate) struct Levels {
    pub(crate) pixels: Vec<f32>,
    pub(crate) size: [usize; 2],
}

impl Levels {
    /// Of a picture of one to four channels.
    pub(crate) fn of(image: &Image) -> Result<Levels> {
        let image = crate::preprocessing::three_channels(image)?;
        let [_, height, width] = image.size();
        if height == 0 || width == 0 {
            return Err(Error::invalid(format!("a picture of {height} x {width} has no pixels")));
        }
        let pixels = image.pixels().iter().map(|&level| f32::from(level)).collect();
        Ok(Levels { pixels, size: [height, width] })
    }

    /// A window of it, `[top, left, height, width]`, with zeros where it reaches outside.
    pub(crate) fn window(&self, [top, left]: [isize; 2], size: [usize; 2]) -> Levels {
        let [height, width] = self.size;
        let mut pixels = vec![0.0; 3 * size[0] * size[1]];
        for (row, line) in pixels.chunks_exact_mut(size[1].max(1)).enumerate() {
            let (channel, y) = (row / size[0], (row % size[0]) as isize + top);
            if y < 0 || y >= height as isize {
                continue;
            }
            let source = &self.pixels[(channel * height + y as usize) * width..][..width];
            for (column, pixel) in line.iter_mut().enumerate() {
                let x = column as isize + left;
                if let Some(level) = usize::try_from(x).ok().and_then(|x| source.get(x)) {
                    *pixel = *level;
                }
            }
        }
        Levels { pixels, size }
    }

    /// Bilinear with TensorFlow's old places: a pixel's corner, or with `align_corners` its middle, stays at the
    /// picture's border. No pixel counts for more than its two neighbours, so reducing skips pixels.
    pub(crate) fn resized(&self, size: [usize; 2], align_corners: bool) -> Levels {
        let places = [0, 1].map(|axis| lines(self.size[axis], size[axis], align_corners));
        let [height, width] = self.size;
        let mut pixels = Vec::with_capacity(3 * size[0] * size[1]);
        for channel in 0..3 {
            let plane = &self.pixels[channel * height * width..][..height * width];
            for &(upper, lower, down) in &places[0] {
                let [upper, lower] = [upper, lower].map(|row| &plane[row * width..][..width]);
                for &(left, right, across) in &places[1] {
                    let mix = |row: &[f32]| row[left] + (row[right] - row[left]) * across;
                    let (top, bottom) = (mix(upper), mix(lower));
                    pixels.push(top + (bottom - top) * down);
                }
            }
        }
        Levels { pixels, size }
    }

    /// On a device, `[1, 3, H, W]`.
    pub(crate) fn tensor(self, device: &Device) -> Result<Tensor> {
        Tensor::from_vec(self.pixels, [1, 3, self.size[0], self.size[1]], device)
    }
}

/// Of each new place the two old ones, and how far it is from the first.
fn lines(from: usize, to: usize, align_corners: bool) -> Vec<(usize, usize, f32)> {
    let ratio = match align_corners && to > 1 {
        true => (from - 1) as f64 / (to - 1) as f64,
        false => from as f64 / to as f64,
    };
    let place = |index: usize| {
        let at = index as f64 * ratio;
        let first = (at.floor() as usize).min(from - 1);
        let second = (at.ceil() as usize).min(from - 1);
        (first, second, (at - first as f64) as f32)
    };
    (0..to).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::{Layout, lines, torch_name};
    use gradloom_tensor::Tensor;

    #[test]
    fn kernels_get_pytorchs_order() {
        let device = gradloom_testkit::reference::device();
        let weight = Tensor::from_vec((0..24).collect::<Vec<i32>>(), [1, 2, 3, 4], &device);
        let weight = weight.unwrap();
        let kernel = Layout::TensorFlow.to_torch("a/kernel", &weight);
        assert_eq!(kernel.shape(), &[4, 3, 1, 2]);
        // Output 1, input 2, row 0, column 1.
        let at = [12 + 2 * 4 + 1];
        let element = kernel.narrow(0, 1, 1).narrow(1, 2, 1).narrow(3, 1, 1).flatten(0, -1);
        assert_eq!(element.to_vec::<i32>().unwrap(), at);
        let depthwise = Layout::TensorFlow.to_torch("a/depthwise_kernel", &weight);
        assert_eq!(depthwise.shape(), &[12, 1, 1, 2]);
        // Channel 2, its multiple 1.
        let element = depthwise.narrow(0, 2 * 4 + 1, 1).narrow(3, 1, 1).flatten(0, -1);
        assert_eq!(element.to_vec::<i32>().unwrap(), at);
        assert_eq!(Layout::Torch.to_torch("a/kernel", &weight).shape(), weight.shape());
    }

    #[test]
    fn names_get_pytorchs_words() {
        assert_eq!(torch_name("dense0/conv1/depthwise_filter"), "dense0.conv1.depthwise.weight");
        assert_eq!(torch_name("block/bn/moving_variance"), "block.bn.running_var");
        assert_eq!(torch_name("fc"), "fc");
    }

    #[test]
    fn places_of_aligned_corners_reach_the_last() {
        assert_eq!(lines(3, 5, true).last(), Some(&(2, 2, 0.0)));
        assert_eq!(lines(3, 6, false)[5], (2, 2, 0.5));
        assert_eq!(lines(1, 2, true), [(0, 0, 0.0), (0, 0, 0.0)]);
    }
}
