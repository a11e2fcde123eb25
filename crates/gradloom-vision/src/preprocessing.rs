//! [`Preprocessing`]: from a picture to what a published network expects, as torchvision's `weights.transforms()`.

use crate::Result;
use gradloom_data::transform::{CenterCrop, Interpolation, Normalize, Resize};
use gradloom_data::{Image, Transform};
use gradloom_tensor::{Device, Key, Tensor};

/// Resizes the shorter side, cuts out the middle, and normalises.
///
/// torchvision: `transforms._presets.ImageClassification` on images of Pillow, with their bytes.
///
/// ```
/// use gradloom_data::Image;
/// use gradloom_vision::Preprocessing;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let photo = Image::new(vec![128u8; 3 * 40 * 60], [3, 40, 60])?;
/// let pictures = Preprocessing::imagenet(36, 32).tensor(&[photo], &device)?;
/// assert_eq!(pictures.shape(), &[1, 3, 32, 32]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// Length of the shorter side before the cut.
    pub resize: usize,
    /// Height and width that are cut out.
    pub crop: usize,
    /// The filter of the resizing.
    pub interpolation: Interpolation,
    /// What is taken from each channel in 0..=1.
    pub mean: [f32; 3],
    /// What it is divided by then.
    pub deviation: [f32; 3],
}

impl Preprocessing {
    /// ImageNet's statistics and a bilinear filter: what most of torchvision's weights expect; `(256, 224)` those of
    /// ResNet, VGG, DenseNet and MobileNet.
    pub fn imagenet(resize: usize, crop: usize) -> Self {
        Preprocessing {
            resize,
            crop,
            interpolation: Interpolation::Bilinear,
            mean: [0.485, 0.456, 0.406],
            deviation: [0.229, 0.224, 0.225],
        }
    }

    /// What weights of EfficientNet-Lite0 from TensorFlow expect: bicubic, values in -1..1.
    pub fn tensorflow_lite0() -> Self {
        Preprocessing {
            interpolation: Interpolation::Bicubic,
            mean: [127.0 / 255.0; 3],
            deviation: [128.0 / 255.0; 3],
            ..Preprocessing::imagenet(256, 224)
        }
    }

    /// Sets the filter.
    #[must_use]
    pub fn interpolation(self, interpolation: Interpolation) -> Self {
        Preprocessing { interpolation, ..self }
    }

    /// One picture `[3, H, W]` of floats. A grey one is taken three times, and of an alpha channel nothing.
    ///
    /// # Errors
    /// If the picture has no pixels or is so long that resizing it would fill memory.
    pub fn image(&self, image: &Image) -> Result<Image<f32>> {
        let key = Key::new(0);
        let coloured = three_channels(image)?;
        let resize = Resize::shorter_side(self.resize.max(1)).interpolation(self.interpolation);
        let resized = resize.apply(coloured, key)?;
        let cut = CenterCrop::new(self.crop.max(1), self.crop.max(1)).apply(resized, key)?;
        Normalize::new(self.mean, self.deviation).apply(cut, key)
    }

    /// Pictures as one batch `[N, 3, crop, crop]` on a device.
    ///
    /// # Errors
    /// As [`image`](Self::image), and if there are no pictures.
    pub fn tensor(&self, images: &[Image], device: &Device) -> Result<Tensor> {
        if images.is_empty() {
            return Err(crate::Error::invalid("preprocessing: there are no pictures"));
        }
        let mut pixels = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let image =
                self.image(image).map_err(|error| error.context(format!("picture {index}")))?;
            pixels.extend_from_slice(image.pixels());
        }
        Tensor::from_vec(pixels, [images.len(), 3, self.crop.max(1), self.crop.max(1)], device)
    }
}

/// The same picture in three channels: of a grey one three times, without an alpha channel.
pub(crate) fn three_channels(image: &Image) -> Result<Image> {
    let [channels, height, width] = image.size();
    let plane = height * width;
    let pixels = match channels {
        3 => return Ok(image.clone()),
        1 | 2 => image.pixels()[..plane].repeat(3),
        4 => image.pixels()[..3 * plane].to_vec(),
        _ => {
            let message = format!("preprocessing: {channels} channels; give one to four");
            return Err(crate::Error::invalid(message));
        }
    };
    Image::new(pixels, [3, height, width])
}
