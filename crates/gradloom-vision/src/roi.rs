//! [`RoiAlign`] and [`RoiPool`]: features of regions of a feature map, all of one size.
//!
//! Where a region's samples lie is decided on the host, where proposals come from in any case; the features are then
//! gathered and weighted by ordinary operations, so there are gradients of every order on every device. What is
//! gathered is in memory at once: for K regions of P x P cells, S samples along a cell's side and C channels,
//! `4 K P^2 S^2 C` numbers.
//!
//! Letters: N pictures, C channels, H and W sizes, K regions, P cells along a side.

use crate::{Error, Result};
use gradloom_tensor::{DType, Tensor};

/// Means of bilinear samples in each cell of a region.
///
/// torchvision: `roi_align`. He et al., "Mask R-CNN", 2017.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiAlign {
    output: [usize; 2],
    scale: f64,
    samples: Option<usize>,
    aligned: bool,
}

/// A region's values along one axis: for each cell, places in the map and their weights.
type Taps = Vec<Vec<(usize, f64)>>;

impl RoiAlign {
    /// Of cells by rows and columns; `scale` is the map's size over the picture's.
    pub fn new(output: [usize; 2], scale: f64) -> Self {
        RoiAlign { output, scale, samples: None, aligned: false }
    }

    /// Sets the samples along each side of a cell; as many as it has pixels otherwise.
    #[must_use]
    pub fn samples(self, samples: usize) -> Self {
        RoiAlign { samples: Some(samples.max(1)), ..self }
    }

    /// Pixels are at the middles of their squares, as they should be. torchvision: `aligned=True`.
    #[must_use]
    pub fn aligned(self) -> Self {
        RoiAlign { aligned: true, ..self }
    }

    /// Features `[N, C, H, W]` and the boxes of each picture, in pixels of the picture -> `[K, C, P, P]`, picture by
    /// picture.
    ///
    /// ```
    /// use gradloom_tensor::{DType, Tensor};
    /// use gradloom_vision::roi::RoiAlign;
    ///
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let features = Tensor::ones([1, 3, 8, 8], DType::F32, &device);
    /// let align = RoiAlign::new([2, 2], 0.5).samples(2).aligned();
    /// let regions = align.forward(&features, &[vec![[2.0, 2.0, 10.0, 12.0]]])?;
    /// assert_eq!(regions.shape(), &[1, 3, 2, 2]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If shapes do not fit, a box is not finite, or there are too many samples.
    pub fn forward(&self, features: &Tensor, boxes: &[Vec<[f32; 4]>]) -> Result<Tensor> {
        self.forward_levels(&[(features, self.scale)], boxes, |_| 0)
    }

    /// As [`forward`](Self::forward), with several feature maps `[N, C, H_l, W_l]` and their scales; `level` says which
    /// one a box is looked at in. The result is in the order of the boxes.
    ///
    /// torchvision: `MultiScaleRoIAlign`, with levels of the caller's choice.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and if there are no maps, or `level` says one that there is not.
    pub fn forward_levels(
        &self,
        levels: &[(&Tensor, f64)],
        boxes: &[Vec<[f32; 4]>],
        level: impl Fn(&[f32; 4]) -> usize,
    ) -> Result<Tensor> {
        const OP: &str = "roi_align";
        let offset = if self.aligned { 0.5 } else { 0.0 };
        let (mut sizes, mut first, mut total) = (Vec::new(), Vec::new(), 0);
        for (features, _) in levels {
            let [pictures, channels, height, width] = check(OP, features, boxes, self.output)?;
            let fits = levels[0].0.size(1) == channels && levels[0].0.dtype() == features.dtype();
            if !fits {
                let message =
                    format!("{OP}: maps {} and {}", levels[0].0.shape(), features.shape());
                return Err(Error::invalid(message));
            }
            sizes.push([height, width]);
            first.push(total);
            total += pictures * height * width;
        }
        if i32::try_from(total).is_err() {
            return Err(Error::invalid(format!("{OP}: maps of {total} places together")));
        }
        let mut rows = Vec::new();
        for (picture, boxes) in boxes.iter().enumerate() {
            for bounds in boxes {
                let level = level(bounds);
                let (Some(&[height, width]), Some((_, scale))) =
                    (sizes.get(level), levels.get(level))
                else {
                    let message = format!("{OP}: a box in map {level} of {}", levels.len());
                    return Err(Error::invalid(message));
                };
                let sides = bounds.map(|side| side * *scale as f32 - offset as f32);
                let across = self.axis([sides[0], sides[2]], self.output[1], width)?;
                let down = self.axis([sides[1], sides[3]], self.output[0], height)?;
                for row in &down {
                    for column in &across {
                        let mut cell = crossed(picture, row, column, [height, width]);
                        cell.iter_mut().for_each(|(place, _)| *place += first[level] as i32);
                        rows.push(cell);
                    }
                }
            }
        }
        let maps: Vec<&Tensor> = levels.iter().map(|(features, _)| *features).collect();
        gather(OP, &maps, rows, self.output, |taken, weights| (taken * weights).sum(1))
    }

    /// Places and weights of the cells along an axis of `size` places.
    fn axis(&self, [start, end]: [f32; 2], cells: usize, size: usize) -> Result<Taps> {
        let length = if self.aligned { end - start } else { (end - start).max(1.0) };
        let cell = length / cells as f32;
        let samples =
            self.samples.unwrap_or_else(|| (length / cells as f32).ceil().max(0.0) as usize);
        if samples > 4096 {
            let message = format!("roi_align: {samples} samples along a cell; clip the boxes");
            return Err(Error::invalid(message));
        }
        let taps = (0..cells).map(|index| {
            let mut taps: Vec<(usize, f64)> = Vec::new();
            for sample in 0..samples {
                let inside = (sample as f32 + 0.5) * cell / samples as f32;
                let place = start + index as f32 * cell + inside;
                for (at, weight) in bilinear(place, size) {
                    match taps.iter_mut().find(|(other, _)| *other == at) {
                        Some((_, sum)) => *sum += weight / samples as f64,
                        None => taps.push((at, weight / samples as f64)),
                    }
                }
            }
            taps
        });
        Ok(taps.collect())
    }
}

/// The places beside a sample and their weights; none if it is further than one outside.
fn bilinear(place: f32, size: usize) -> Vec<(usize, f64)> {
    if !(-1.0..=size as f32).contains(&place) {
        return Vec::new();
    }
    let place = place.max(0.0);
    let low = place as usize;
    if low >= size - 1 {
        return vec![(size - 1, 1.0)];
    }
    let high = f64::from(place - low as f32);
    vec![(low, 1.0 - high), (low + 1, high)]
}

/// Maxima of the pixels in each cell of a region; zero where a cell has none.
///
/// torchvision: `roi_pool`. Girshick, "Fast R-CNN", 2015.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiPool {
    output: [usize; 2],
    scale: f64,
}

impl RoiPool {
    /// Of cells by rows and columns; `scale` is the map's size over the picture's.
    pub fn new(output: [usize; 2], scale: f64) -> Self {
        RoiPool { output, scale }
    }

    /// As [`RoiAlign::forward`].
    ///
    /// # Errors
    /// If shapes do not fit or a box is not finite.
    pub fn forward(&self, features: &Tensor, boxes: &[Vec<[f32; 4]>]) -> Result<Tensor> {
        const OP: &str = "roi_pool";
        let [_, _, height, width] = check(OP, features, boxes, self.output)?;
        let mut rows = Vec::new();
        for (picture, boxes) in boxes.iter().enumerate() {
            for bounds in boxes {
                let sides = bounds.map(|side| (side * self.scale as f32).round());
                let across = cells([sides[0], sides[2]], self.output[1], width);
                let down = cells([sides[1], sides[3]], self.output[0], height);
                for row in &down {
                    for column in &across {
                        rows.push(crossed(picture, row, column, [height, width]));
                    }
                }
            }
        }
        gather(OP, &[features], rows, self.output, |taken, weights| {
            let real = weights.gt(0.0);
            let none = taken.constant_like(f64::NEG_INFINITY);
            let all = taken.shape();
            let largest = real.broadcast_to(*all).select(taken, none).max(1);
            let any = weights.max(1).gt(0.0).broadcast_to(*largest.shape());
            any.select(&largest, largest.zeros_like())
        })
    }
}

/// The pixels of the cells along an axis, each of weight one.
fn cells([start, end]: [f32; 2], count: usize, size: usize) -> Taps {
    let length = (end - start + 1.0).max(1.0);
    let cell = length / count as f32;
    let cells = (0..count).map(|index| {
        let first = (index as f32 * cell).floor() + start;
        let last = ((index + 1) as f32 * cell).ceil() + start;
        let inside = |place: f32| place.clamp(0.0, size as f32) as usize;
        (inside(first)..inside(last)).map(|place| (place, 1.0)).collect()
    });
    cells.collect()
}

/// Places in `[N, H, W]` and their weights for a cell.
fn crossed(
    picture: usize,
    rows: &[(usize, f64)],
    columns: &[(usize, f64)],
    [height, width]: [usize; 2],
) -> Vec<(i32, f32)> {
    let rows = rows.iter().flat_map(|&(row, vertical)| {
        columns.iter().map(move |&(column, horizontal)| {
            let place = (picture * height + row) * width + column;
            (place as i32, (vertical * horizontal) as f32)
        })
    });
    rows.collect()
}

fn check(
    op: &str,
    features: &Tensor,
    boxes: &[Vec<[f32; 4]>],
    output: [usize; 2],
) -> Result<[usize; 4]> {
    let failed = |message: String| Err(Error::invalid(format!("{op}: {message}")));
    let shape = features.shape();
    if features.rank() != 4 || !features.dtype().is_float() {
        return failed(format!("needs floats [N, C, H, W], got {} {shape}", features.dtype()));
    }
    if shape[0] != boxes.len() {
        return failed(format!("boxes of {} pictures for features of {}", boxes.len(), shape[0]));
    }
    if output.contains(&0) || shape[2] == 0 || shape[3] == 0 {
        return failed(format!("cells {output:?} of features {shape}"));
    }
    if i32::try_from(shape[0] * shape[2] * shape[3]).is_err() {
        return failed(format!("features {shape} have too many places"));
    }
    let wrong = boxes.iter().flatten().find(|bounds| bounds.iter().any(|side| !side.is_finite()));
    match wrong {
        Some(bounds) => failed(format!("a box is {bounds:?}, which is not finite")),
        None => Ok([shape[0], shape[1], shape[2], shape[3]]),
    }
}

/// Takes the places of each cell `[K P P, T, C]` with their weights `[K P P, T, 1]` together to `[K P P, C]`.
fn gather(
    op: &str,
    maps: &[&Tensor],
    rows: Vec<Vec<(i32, f32)>>,
    output: [usize; 2],
    together: impl Fn(&Tensor, &Tensor) -> Tensor,
) -> Result<Tensor> {
    let Some(features) = maps.first() else {
        return Err(Error::invalid(format!("{op}: there are no features")));
    };
    let (channels, device) = (features.size(1), features.device());
    let regions = rows.len() / (output[0] * output[1]);
    let shape = [regions, channels, output[0], output[1]];
    if regions == 0 {
        return Ok(Tensor::zeros(shape, features.dtype(), device));
    }
    let taps = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let total = rows.len().checked_mul(taps).filter(|&total| i32::try_from(total).is_ok());
    let Some(total) = total else {
        let message = format!("{op}: {} cells of {taps} samples are too many", rows.len());
        return Err(Error::invalid(message));
    };
    let (mut places, mut weights) = (Vec::with_capacity(total), Vec::with_capacity(total));
    for row in &rows {
        let padded = row.iter().copied().chain(std::iter::repeat((0, 0.0))).take(taps);
        for (place, weight) in padded {
            places.push(place);
            weights.push(weight);
        }
    }
    let places = Tensor::from_vec(places, [total], device)?;
    let weights = Tensor::from_vec(weights, [rows.len(), taps, 1], device)?;
    let dtype = features.wide().dtype();
    let weights = if dtype == DType::F32 { weights } else { weights.cast(dtype) };
    let tables = maps.iter().map(|map| map.wide().permute(&[0, 2, 3, 1]).flatten(0, 2));
    let table = Tensor::concat(&tables.collect::<Vec<Tensor>>(), 0);
    let taken = table.index_select(0, &places).reshape([rows.len(), taps, channels]);
    let cells = together(&taken, &weights).reshape([regions, output[0], output[1], channels]);
    Ok(cells.permute(&[0, 3, 1, 2]).cast(features.dtype()))
}
