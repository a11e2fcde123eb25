//! [`DefaultBoxes`]: SSD's reference boxes, in shares of the picture.

use crate::{Error, Result};

/// Boxes of several shapes around each place of each feature map; their sizes are shares of the picture's.
///
/// torchvision: `models.detection.anchor_utils.DefaultBoxGenerator`. Liu et al., "SSD: single shot multibox
/// detector", 2016.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultBoxes {
    /// Ratios of width to height for each feature map, beside the square; each is taken lying and standing.
    pub ratios: Vec<Vec<f32>>,
    /// The size of each feature map's boxes, and one more: a second square lies between a size and the next.
    pub scales: Vec<f32>,
    /// Pixels between the places of each feature map.
    pub steps: Vec<f32>,
}

impl DefaultBoxes {
    /// SSD300's.
    pub fn ssd300() -> Self {
        let (two, both) = (vec![2.0], vec![2.0, 3.0]);
        DefaultBoxes {
            ratios: vec![two.clone(), both.clone(), both.clone(), both, two.clone(), two],
            scales: vec![0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
            steps: vec![8.0, 16.0, 32.0, 64.0, 100.0, 300.0],
        }
    }

    /// Boxes at each place of each feature map.
    pub fn per_place(&self) -> Vec<usize> {
        self.ratios.iter().map(|ratios| 2 + 2 * ratios.len()).collect()
    }

    /// # Errors
    /// If the lists do not fit, or a number is not above zero.
    pub(crate) fn check(&self) -> Result<()> {
        let maps = self.ratios.len();
        if self.scales.len() != maps + 1 || self.steps.len() != maps {
            let (scales, steps) = (self.scales.len(), self.steps.len());
            let message = format!("{scales} scales and {steps} steps for {maps} feature maps");
            return Err(Error::invalid(format!("default_boxes: {message}; give one scale more")));
        }
        let all = self.ratios.iter().flatten().chain(&self.scales).chain(&self.steps);
        match all.into_iter().find(|value| !(value.is_finite() && **value > 0.0)) {
            Some(value) => Err(Error::invalid(format!("default_boxes: a number is {value}"))),
            None => Ok(()),
        }
    }

    /// The boxes `[left, top, right, bottom]` of all places, feature map by feature map, row by row, for pictures of
    /// this height and width.
    pub fn boxes(&self, [height, width]: [usize; 2], maps: &[[usize; 2]]) -> Vec<[f32; 4]> {
        let (height, width) = (height as f64, width as f64);
        let mut boxes = Vec::new();
        for (index, &[rows, columns]) in maps.iter().enumerate().take(self.ratios.len()) {
            let [scale, next] = [0, 1].map(|more| f64::from(self.scales[index + more]));
            let mut shapes = vec![[scale; 2], [(scale * next).sqrt(); 2]];
            for ratio in &self.ratios[index] {
                let root = f64::from(*ratio).sqrt();
                shapes.push([scale * root, scale / root]);
                shapes.push([scale / root, scale * root]);
            }
            let step = f64::from(self.steps[index]);
            for row in 0..rows {
                for column in 0..columns {
                    let (x, y) = ((column as f64 + 0.5) * step, (row as f64 + 0.5) * step);
                    boxes.extend(shapes.iter().map(|shape| {
                        let [across, down] = shape.map(|share| share.clamp(0.0, 1.0) / 2.0);
                        let (across, down) = (across * width, down * height);
                        [x - across, y - down, x + across, y + down].map(|side| side as f32)
                    }));
                }
            }
        }
        boxes
    }
}
