//! Segments of pictures of about one colour (SLIC), as features for LIME and Shapley values.

use std::collections::VecDeque;

use gradloom_tensor::{Error, Result, Tensor};

use crate::{Features, rows};

/// Rounds of assigning pixels and moving centres.
const ROUNDS: usize = 10;

impl Features {
    /// About `count` connected segments of a picture `[C, H, W]`, of similar colour and size, the same in all
    /// channels. `compactness` weighs places against colours: 10 for colours in `0..=255`, 0.1 for those in
    /// `0..=1`.
    ///
    /// Achanta et al., "SLIC superpixels", 2010, on the picture's own channels.
    ///
    /// # Errors
    /// If the picture has another rank or no pixels, a number is not finite, or no segments are asked for.
    pub fn segments(picture: &Tensor, count: usize, compactness: f64) -> Result<Features> {
        let [channels, height, width] = picture.shape()[..] else {
            let shape = picture.shape();
            return Err(Error::shape(format!(
                "segments: a picture of shape {shape}, not [C, H, W]"
            )));
        };
        let pixels = height * width;
        if pixels == 0 || channels == 0 || count == 0 || compactness.is_nan() || compactness <= 0.0
        {
            return Err(Error::invalid(format!(
                "segments: {count} segments of compactness {compactness} of {height} x {width} pixels of \
                 {channels} channels; all must be above 0"
            )));
        }
        let planes = rows::numbers(picture)?;
        if planes.iter().any(|value| !value.is_finite()) {
            return Err(Error::invalid("segments: the picture has values that are not finite"));
        }
        let slic = Slic { planes, channels, height, width };
        let labels = slic.connected(&slic.assigned(count.min(pixels), compactness), count);
        Features::new([labels.repeat(channels)])
    }
}

struct Slic {
    planes: Vec<f64>,
    channels: usize,
    height: usize,
    width: usize,
}

/// The middle of a segment: row, column, colours.
type Centre = Vec<f64>;

impl Slic {
    fn colour(&self, pixel: usize) -> impl Iterator<Item = f64> + '_ {
        let pixels = self.height * self.width;
        (0..self.channels).map(move |channel| self.planes[channel * pixels + pixel])
    }

    fn centre(&self, row: usize, column: usize) -> Centre {
        let colour = self.colour(row * self.width + column);
        [row as f64, column as f64].into_iter().chain(colour).collect()
    }

    /// The number of the nearest centre for each pixel, by colour and place together.
    fn assigned(&self, count: usize, compactness: f64) -> Vec<usize> {
        let pixels = self.height * self.width;
        let spacing = (pixels as f64 / count as f64).sqrt().max(1.0);
        let along = |size: usize| ((size as f64 / spacing).round() as usize).clamp(1, size);
        let (down, across) = (along(self.height), along(self.width));
        let middle = |at: usize, of: usize, size: usize| (2 * at + 1) * size / (2 * of);
        let mut centres: Vec<Centre> = (0..down * across)
            .map(|at| {
                let row = middle(at / across, down, self.height);
                self.centre(row, middle(at % across, across, self.width))
            })
            .collect();
        let weight = (compactness / spacing).powi(2);
        let mut labels = vec![0; pixels];
        for _ in 0..ROUNDS {
            let mut nearest = vec![f64::INFINITY; pixels];
            for (number, centre) in centres.iter().enumerate() {
                let range = |at: f64, size: usize| {
                    let low = (at - spacing).floor().max(0.0) as usize;
                    low..((at + spacing).ceil() as usize + 1).min(size)
                };
                for row in range(centre[0], self.height) {
                    for column in range(centre[1], self.width) {
                        let pixel = row * self.width + column;
                        let place =
                            (row as f64 - centre[0]).powi(2) + (column as f64 - centre[1]).powi(2);
                        let colours = self.colour(pixel).zip(&centre[2..]);
                        let colour: f64 = colours.map(|(a, b)| (a - b) * (a - b)).sum();
                        let distance = colour + weight * place;
                        if distance < nearest[pixel] {
                            (nearest[pixel], labels[pixel]) = (distance, number);
                        }
                    }
                }
            }
            self.moved(&mut centres, &labels);
        }
        labels
    }

    /// Centres in the middle of their pixels.
    fn moved(&self, centres: &mut [Centre], labels: &[usize]) {
        let mut sums = vec![vec![0.0; 2 + self.channels]; centres.len()];
        let mut counts = vec![0.0; centres.len()];
        for (pixel, &label) in labels.iter().enumerate() {
            let own = self.centre(pixel / self.width, pixel % self.width);
            sums[label].iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
            counts[label] += 1.0;
        }
        for ((centre, sum), count) in centres.iter_mut().zip(sums).zip(counts) {
            if count > 0.0 {
                *centre = sum.into_iter().map(|sum| sum / count).collect();
            }
        }
    }

    /// Connected pieces; those smaller than a quarter of a segment join the piece before them.
    fn connected(&self, labels: &[usize], count: usize) -> Vec<usize> {
        let least = labels.len() / count.max(1) / 4;
        let unknown = usize::MAX;
        let mut pieces = vec![unknown; labels.len()];
        let mut next = 0;
        for start in 0..labels.len() {
            if pieces[start] != unknown {
                continue;
            }
            let (mut piece, mut queue) = (vec![start], VecDeque::from([start]));
            let mut beside = None;
            pieces[start] = next;
            while let Some(pixel) = queue.pop_front() {
                for neighbour in self.neighbours(pixel) {
                    if pieces[neighbour] == unknown && labels[neighbour] == labels[start] {
                        pieces[neighbour] = next;
                        piece.push(neighbour);
                        queue.push_back(neighbour);
                    } else if pieces[neighbour] != unknown && pieces[neighbour] != next {
                        beside = Some(pieces[neighbour]);
                    }
                }
            }
            match beside {
                Some(other) if piece.len() < least => {
                    piece.into_iter().for_each(|pixel| pieces[pixel] = other);
                }
                _ => next += 1,
            }
        }
        pieces
    }

    fn neighbours(&self, pixel: usize) -> impl Iterator<Item = usize> {
        let (row, column) = (pixel / self.width, pixel % self.width);
        let (width, height) = (self.width, self.height);
        let up = (row > 0).then(|| pixel - width);
        let down = (row + 1 < height).then(|| pixel + width);
        let left = (column > 0).then(|| pixel - 1);
        let right = (column + 1 < width).then(|| pixel + 1);
        [up, down, left, right].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use gradloom_tensor::Tensor;

    use crate::Features;

    #[test]
    fn segments_follow_the_edge_between_two_colours() {
        let device = gradloom_testkit::reference::device();
        let (height, width) = (12, 16);
        let bright = |pixel: usize| pixel % width >= 7;
        let picture: Vec<f32> =
            (0..height * width).map(|at| f32::from(u8::from(bright(at)))).collect();
        let picture = Tensor::from_vec(picture, [1, height, width], &device).unwrap();
        let features = Features::segments(&picture, 12, 0.1).unwrap();
        assert!((4..=16).contains(&features.count()), "{} segments", features.count());
        let labels = &features.labels()[0];
        for label in 0..features.count() {
            let of_label = (0..labels.len()).filter(|&at| labels[at] == label);
            let sides: Vec<bool> = of_label.map(bright).collect();
            assert!(sides.iter().all(|&side| side == sides[0]), "segment {label} crosses the edge");
        }
        let error = Features::segments(&picture, 0, 0.1).unwrap_err().to_string();
        assert!(error.starts_with("segments: 0 segments"), "{error}");
    }
}
