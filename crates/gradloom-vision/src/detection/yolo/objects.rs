//! Which boxes of a network are kept, and the way from pictures to framed ones and back.

use crate::boxes::batched_nms;
use crate::detection::{Detections, ObjectBoxes};
use crate::{Error, Letterbox, LetterboxPlace, Result};
use gradloom_data::Image;
use gradloom_tensor::{DType, Device, Tensor, eval};

/// Checks the targets of a batch of pictures `[N, 3, H, W]`.
pub(crate) fn check_targets(
    op: &str,
    targets: &[ObjectBoxes],
    pictures: &Tensor,
    classes: usize,
) -> Result<()> {
    let (given, count) = (targets.len(), pictures.size(0));
    if given != count {
        let message = format!("{op}: targets of {given} pictures for {count}");
        return Err(Error::invalid(message));
    }
    let size = [pictures.size(2), pictures.size(3)];
    let check =
        |(picture, objects): (usize, &ObjectBoxes)| objects.check(op, picture, size, &(0..classes));
    targets.iter().enumerate().try_for_each(check)
}

/// Which of the boxes that a network says are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectOptions {
    /// The least score; 0.25 unless set.
    pub score_min: f32,
    /// The largest overlap (IoU) of two boxes of one class; 0.5 unless set.
    pub overlap_max: f64,
    /// Boxes of a picture at most; 300 unless set.
    pub count_max: usize,
}

impl Default for DetectOptions {
    fn default() -> Self {
        DetectOptions { score_min: 0.25, overlap_max: 0.5, count_max: 300 }
    }
}

/// Of boxes `[N, A, 4]`, scores and classes `[N, A]`, those of each picture that are sure enough, suppressed class by
/// class.
pub(crate) fn kept(
    boxes: &Tensor,
    scores: &Tensor,
    classes: &Tensor,
    options: &DetectOptions,
) -> Result<Vec<Detections>> {
    eval([boxes, scores, classes])?;
    let (pictures, count) = (scores.size(0), scores.size(1));
    let (boxes, scores) = (values(boxes)?, values(scores)?);
    let classes = classes.to_vec::<i32>()?;
    let of_picture = |picture: usize| {
        let mut found = Detections::default();
        for row in picture * count..(picture + 1) * count {
            let score = scores[row] as f32;
            // A NaN goes on, and is refused by its name.
            if score >= options.score_min || score.is_nan() {
                found.boxes.push(std::array::from_fn(|side| boxes[4 * row + side] as f32));
                found.scores.push(score);
                found.labels.push(classes[row] as usize);
            }
        }
        suppressed(&found, options)
    };
    (0..pictures).map(of_picture).collect()
}

fn suppressed(found: &Detections, options: &DetectOptions) -> Result<Detections> {
    let Detections { boxes, labels, scores } = found;
    let mut kept = batched_nms(boxes, scores, labels, options.overlap_max)?;
    kept.truncate(options.count_max);
    Ok(Detections {
        boxes: kept.iter().map(|&index| boxes[index]).collect(),
        labels: kept.iter().map(|&index| labels[index]).collect(),
        scores: kept.iter().map(|&index| scores[index]).collect(),
    })
}

/// Frames pictures as squares of this side, finds objects in them, and gives their boxes in the pictures.
pub(crate) fn in_pictures(
    images: &[Image],
    side: usize,
    device: Option<&Device>,
    detect: impl FnOnce(&Tensor) -> Result<Vec<Detections>>,
) -> Result<Vec<Detections>> {
    let (Some(device), false) = (device, images.is_empty()) else { return Ok(Vec::new()) };
    let (mut pixels, mut places) = (Vec::new(), Vec::<LetterboxPlace>::new());
    for (index, image) in images.iter().enumerate() {
        if image.channels() != 3 {
            let channels = image.channels();
            let message = format!("detection: picture {index} has {channels} channels; make it 3");
            return Err(Error::invalid(message));
        }
        let (framed, place) = Letterbox::new(side, side)
            .apply(image)
            .map_err(|error| error.context(format!("picture {index}")))?;
        pixels.extend(framed.pixels().iter().map(|&level| f32::from(level) / 255.0));
        places.push(place);
    }
    let pictures = Tensor::from_vec(pixels, [images.len(), 3, side, side], device)?;
    let mut found = detect(&pictures)?;
    for (found, place) in found.iter_mut().zip(&places) {
        found.boxes.iter_mut().for_each(|sides| *sides = place.to_picture(*sides));
    }
    Ok(found)
}

/// An error unless these are pictures `[N, 3, H, W]` of floats whose sizes are multiples of this.
pub(crate) fn fits(op: &str, pictures: &Tensor, multiple: usize) -> Result<()> {
    let (shape, dtype) = (pictures.shape(), pictures.dtype());
    let wrong = |side: usize| side == 0 || !side.is_multiple_of(multiple);
    if pictures.rank() != 4 || shape[1] != 3 || wrong(shape[2]) || wrong(shape[3]) {
        return Err(Error::invalid(format!(
            "{op}: needs pictures [N, 3, H, W] of sizes of multiples of {multiple}, got {shape}"
        )));
    }
    if !dtype.is_float() {
        return Err(Error::invalid(format!("{op}: needs floats, got {dtype}")));
    }
    Ok(())
}

/// All numbers of a tensor on the host.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    if tensor.dtype() == DType::F64 {
        return tensor.to_vec::<f64>();
    }
    Ok(tensor.cast(DType::F32).to_vec::<f32>()?.into_iter().map(f64::from).collect())
}

/// Numbers of the host as a tensor of this dtype.
pub(crate) fn tensor(
    values: Vec<f64>,
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    if dtype == DType::F64 {
        return Tensor::from_vec(values, shape, device);
    }
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Ok(Tensor::from_vec(values, shape, device)?.cast(dtype))
}
