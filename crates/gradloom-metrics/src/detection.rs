//! [`MeanAveragePrecision`]: how well boxes of objects are found.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Accumulator;
use crate::boxes::{Detection, GroundTruth, Image};
use crate::coco::{self, CocoSummary};

/// Mean average precision by the protocol of COCO, as `pycocotools.cocoeval.COCOeval` of boxes: ten overlaps
/// from 0.5 to 0.95, precision at 101 recalls, at most 100 detections of a class in an image.
///
/// ```
/// use gradloom_metrics::{Accumulator, Detection, GroundTruth, MeanAveragePrecision};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut map = MeanAveragePrecision::default();
/// map.update(
///     &[Detection { class: 0, score: 0.9, bounds: [10.0, 10.0, 40.0, 40.0] }],
///     &[GroundTruth::new(0, [10.0, 10.0, 40.0, 40.0])],
/// )?;
/// assert!((map.value()?.ap.unwrap() - 1.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanAveragePrecision {
    images: Vec<Image>,
}

impl MeanAveragePrecision {
    /// Adds an image, also one without objects or detections.
    ///
    /// # Errors
    /// If a number is not finite, or a width, height or area negative.
    pub fn update(&mut self, detections: &[Detection], truths: &[GroundTruth]) -> Result<()> {
        for (index, detection) in detections.iter().enumerate() {
            if !detection.score.is_finite() {
                let score = detection.score;
                return Err(Error::invalid(format!("map: score {score} of detection {index}")));
            }
            sensible("detection", index, detection.bounds, 0.0)?;
        }
        for (index, truth) in truths.iter().enumerate() {
            sensible("object", index, truth.bounds, truth.area)?;
        }
        self.images.push(Image { detections: detections.to_vec(), truths: truths.to_vec() });
        Ok(())
    }
}

fn sensible(what: &str, index: usize, bounds: [f64; 4], area: f64) -> Result<()> {
    let finite = bounds.iter().all(|number| number.is_finite()) && area.is_finite();
    if finite && bounds[2] >= 0.0 && bounds[3] >= 0.0 && area >= 0.0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "map: {what} {index} has the bounds {bounds:?} and the area {area}; give left, top, width and \
         height, finite and no size negative"
    )))
}

impl Accumulator for MeanAveragePrecision {
    type Value = CocoSummary;

    fn value(&self) -> Result<CocoSummary> {
        if self.images.is_empty() {
            return Err(Error::invalid("map: no images"));
        }
        Ok(coco::summarize(&self.images))
    }

    fn reset(&mut self) {
        self.images.clear();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.images.extend_from_slice(&other.images);
        Ok(())
    }
}
