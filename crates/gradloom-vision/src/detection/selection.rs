//! From what a network says of very many boxes to the few that are given: sorting and suppression.

use crate::Result;
use crate::boxes::batched_nms;
use crate::detection::{Detections, PictureBatch};

/// Boxes that may become detections, with their scores and labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) boxes: Vec<[f32; 4]>,
    pub(crate) scores: Vec<f32>,
    pub(crate) labels: Vec<usize>,
}

impl Candidates {
    /// Adds one, clipped to a picture of this height and width, unless a side is below `side_min` then.
    pub(crate) fn push(
        &mut self,
        bounds: [f32; 4],
        score: f32,
        label: usize,
        [height, width]: [usize; 2],
        side_min: f32,
    ) {
        let [left, top, right, bottom] = bounds;
        let (across, down) =
            (|x: f32| x.clamp(0.0, width as f32), |y: f32| y.clamp(0.0, height as f32));
        let bounds = [across(left), down(top), across(right), down(bottom)];
        if bounds[2] - bounds[0] >= side_min && bounds[3] - bounds[1] >= side_min {
            self.boxes.push(bounds);
            self.scores.push(score);
            self.labels.push(label);
        }
    }

    /// Without those that better ones of their label overlap by more than `overlap_max`; the best `count`, in boxes of
    /// the batch.
    pub(crate) fn suppressed(&self, overlap_max: f64, count: usize) -> Result<Detections> {
        let kept = batched_nms(&self.boxes, &self.scores, &self.labels, overlap_max)?;
        let kept = &kept[..kept.len().min(count)];
        Ok(Detections {
            boxes: kept.iter().map(|&index| self.boxes[index]).collect(),
            labels: kept.iter().map(|&index| self.labels[index]).collect(),
            scores: kept.iter().map(|&index| self.scores[index]).collect(),
        })
    }

    /// As [`suppressed`](Self::suppressed), in boxes of the picture.
    pub(crate) fn detections(
        &self,
        overlap_max: f64,
        count: usize,
        batch: &PictureBatch,
        picture: usize,
    ) -> Result<Detections> {
        let found = self.suppressed(overlap_max, count)?;
        Ok(Detections { boxes: batch.to_picture(picture, &found.boxes), ..found })
    }
}

/// Indices of the `count` largest of scores that `wanted` is true for, falling; equal ones by index.
pub(crate) fn largest(scores: &[f32], count: usize, wanted: impl Fn(f32) -> bool) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).filter(|&at| wanted(scores[at])).collect();
    let order = |&a: &usize, &b: &usize| scores[b].total_cmp(&scores[a]).then(a.cmp(&b));
    if places.len() > count {
        if count > 0 {
            places.select_nth_unstable_by(count - 1, order);
        }
        places.truncate(count);
    }
    places.sort_unstable_by(order);
    places
}
