//! [`ObjectBoxes`] that a detector learns from, and [`Detections`] that it gives.

use crate::{Error, Result};

/// The objects of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectBoxes {
    /// Left, top, right, bottom in pixels. Boxes may reach beyond the picture.
    pub boxes: Vec<[f32; 4]>,
    /// What each is. Of `FasterRcnn` and `Ssd` 0 is the background, and objects begin at 1.
    pub labels: Vec<usize>,
}

/// What was found in one picture, the surest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detections {
    /// Left, top, right, bottom in pixels of the picture; those of a [`Detector`](super::Detector) lie within it.
    pub boxes: Vec<[f32; 4]>,
    /// What each is, as in [`ObjectBoxes`].
    pub labels: Vec<usize>,
    /// How sure the network is, in `0..=1`.
    pub scores: Vec<f32>,
}

impl ObjectBoxes {
    /// Checks the objects of a picture of this height and width, whose labels are `labels`.
    pub(crate) fn check(
        &self,
        family: &str,
        picture: usize,
        [height, width]: [usize; 2],
        labels: &std::ops::Range<usize>,
    ) -> Result<()> {
        let failed = |message: String| {
            Err(Error::invalid(format!("{family}: objects of picture {picture}: {message}")))
        };
        if self.boxes.len() != self.labels.len() {
            return failed(format!("{} boxes, {} labels", self.boxes.len(), self.labels.len()));
        }
        for (index, (bounds, label)) in self.boxes.iter().zip(&self.labels).enumerate() {
            let [left, top, right, bottom] = *bounds;
            if bounds.iter().any(|side| !side.is_finite()) {
                return failed(format!("box {index} is {bounds:?}, which is not finite"));
            }
            if left >= right || top >= bottom {
                return failed(format!(
                    "box {index} is {bounds:?}, which has no area; give left, top, right, bottom"
                ));
            }
            if left >= width as f32 || top >= height as f32 || right <= 0.0 || bottom <= 0.0 {
                let picture = format!("{height} x {width} pixels");
                return failed(format!("box {index} is {bounds:?}, outside of the {picture}"));
            }
            if !labels.contains(label) {
                let (first, end) = (labels.start, labels.end);
                return failed(format!("label {index} is {label}; labels are {first}..{end}"));
            }
        }
        Ok(())
    }
}
