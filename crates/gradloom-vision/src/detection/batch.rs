//! [`PictureTransform`]: pictures of different sizes as one batch, and boxes there and back.

use crate::detection::ObjectBoxes;
use crate::detection::host::floats;
use crate::{Error, Result};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};

/// To which size pictures are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureSize {
    /// The shorter side to so many pixels, if the longer one does not come above its limit by that.
    Within {
        /// Of the shorter side.
        shorter: usize,
        /// Of the longer side, at most.
        longer: usize,
    },
    /// All to this height and width, whatever their proportions.
    Exactly([usize; 2]),
}

/// Normalises pictures, resizes them bilinearly, and pads them with zeros at the right and below to one size.
///
/// torchvision: `models.detection.transform.GeneralizedRCNNTransform`.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureTransform {
    /// To which size.
    pub size: PictureSize,
    /// Of each channel, subtracted.
    pub mean: [f64; 3],
    /// Of each channel, divided by.
    pub deviation: [f64; 3],
    /// What height and width of a batch are multiples of.
    pub multiple: usize,
}

/// Pictures of one size, and where they came from.
#[derive(Clone, Debug)]
pub struct PictureBatch {
    /// `[N, 3, H, W]`
    pub pictures: Tensor,
    /// Height and width of each in the batch, without what was padded.
    pub sizes: Vec<[usize; 2]>,
    /// Height and width that each had.
    pub originals: Vec<[usize; 2]>,
}

impl PictureTransform {
    /// ImageNet's mean and deviation, multiples of 32.
    pub fn new(size: PictureSize) -> Self {
        let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        PictureTransform { size, mean, deviation, multiple: 32 }
    }

    /// Height and width that a picture gets.
    fn target(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        match self.size {
            PictureSize::Exactly(size) => size,
            PictureSize::Within { shorter, longer } => {
                // In f32, as torchvision has it: a pixel depends on it.
                let by_shorter = shorter as f32 / height.min(width) as f32;
                let scale = f64::from(by_shorter.min(longer as f32 / height.max(width) as f32));
                [height, width].map(|side| ((side as f64 * scale).floor() as usize).max(1))
            }
        }
    }

    /// Pictures `[3, H, W]` of floats in `0..=1` as one batch.
    ///
    /// # Errors
    /// If there are none, or they are not such pictures of one dtype on one device.
    pub fn batch(&self, family: &str, pictures: &[Tensor]) -> Result<PictureBatch> {
        let failed = |message: String| Err(Error::invalid(format!("{family}: {message}")));
        let Some(first) = pictures.first() else { return failed("there are no pictures".into()) };
        if let PictureSize::Exactly([0, _] | [_, 0])
        | PictureSize::Within { shorter: 0, .. }
        | PictureSize::Within { longer: 0, .. } = self.size
        {
            return failed(format!("pictures cannot be brought to {:?}", self.size));
        }
        let (mut resized, mut originals) = (Vec::new(), Vec::new());
        for (index, picture) in pictures.iter().enumerate() {
            let (shape, dtype) = (picture.shape(), picture.dtype());
            if picture.rank() != 3 || shape[0] != 3 || shape.count() == 0 || !dtype.is_float() {
                return failed(format!(
                    "picture {index} is {dtype} {shape}; give [3, H, W] of floats in 0..=1"
                ));
            }
            if picture.device() != first.device() || dtype != first.dtype() {
                return failed(format!(
                    "picture {index} is of another device or dtype than the first"
                ));
            }
            originals.push([shape[1], shape[2]]);
            resized.push(self.apply(picture)?);
        }
        let sizes: Vec<[usize; 2]> = resized.iter().map(|x| [x.size(2), x.size(3)]).collect();
        let side = |axis: usize| {
            let largest = sizes.iter().map(|size| size[axis]).max().unwrap_or(1);
            largest.next_multiple_of(self.multiple.max(1))
        };
        let (height, width) = (side(0), side(1));
        let padded = resized
            .iter()
            .zip(&sizes)
            .map(|(x, size)| x.pad(&[(0, 0), (0, 0), (0, height - size[0]), (0, width - size[1])]));
        let padded: Vec<Tensor> = padded.collect();
        Ok(PictureBatch { pictures: Tensor::concat(&padded, 0), sizes, originals })
    }

    /// `[3, H, W] -> [1, 3, H', W']`
    fn apply(&self, picture: &Tensor) -> Result<Tensor> {
        let channels =
            |values: [f64; 3]| floats(&values, &[1, 3, 1, 1], picture.dtype(), picture.device());
        let x = (picture.unsqueeze(0) - channels(self.mean)?) / channels(self.deviation)?;
        let size = [picture.size(1), picture.size(2)];
        let target = self.target(size);
        if target == size {
            return Ok(x);
        }
        Ok(x.interpolate(&target, &InterpolateOptions::new(Interpolation::Linear)))
    }
}

impl PictureBatch {
    /// Height and width of the batch.
    pub fn size(&self) -> [usize; 2] {
        [self.pictures.size(2), self.pictures.size(3)]
    }

    /// Boxes of a picture in the batch.
    pub fn to_batch(&self, picture: usize, boxes: &[[f32; 4]]) -> Vec<[f32; 4]> {
        scaled(boxes, self.originals[picture], self.sizes[picture])
    }

    /// Boxes of the batch in the picture that it came from.
    pub fn to_picture(&self, picture: usize, boxes: &[[f32; 4]]) -> Vec<[f32; 4]> {
        scaled(boxes, self.sizes[picture], self.originals[picture])
    }

    /// Checked objects of each picture, their boxes in the batch.
    pub(crate) fn objects(
        &self,
        family: &str,
        objects: &[ObjectBoxes],
        labels: std::ops::Range<usize>,
    ) -> Result<Vec<ObjectBoxes>> {
        if objects.len() != self.originals.len() {
            let (lists, pictures) = (objects.len(), self.originals.len());
            let message = format!("{family}: objects of {lists} pictures for {pictures} pictures");
            return Err(Error::invalid(message));
        }
        let of_each = objects.iter().enumerate().map(|(index, objects)| {
            objects.check(family, index, self.originals[index], &labels)?;
            let boxes = self.to_batch(index, &objects.boxes);
            Ok(ObjectBoxes { boxes, labels: objects.labels.clone() })
        });
        of_each.collect()
    }
}

fn scaled(boxes: &[[f32; 4]], from: [usize; 2], to: [usize; 2]) -> Vec<[f32; 4]> {
    let ratio = |axis: usize| to[axis] as f32 / from[axis] as f32;
    let (down, across) = (ratio(0), ratio(1));
    let scaled = boxes.iter().map(|[left, top, right, bottom]| {
        [left * across, top * down, right * across, bottom * down]
    });
    scaled.collect()
}
