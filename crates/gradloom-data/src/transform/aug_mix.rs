//! [`AugMix`]: a picture mixed with several chains of changes of itself.
//!
//! Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", 2019. The loss
//! of consistency between a picture and its mixtures is an ordinary loss, and absent here.

use super::change::{Change, Strengths};
use crate::interpolation::Interpolation;
use crate::random::RandomStream;
use crate::{Image, Result, Transform};
use gradloom_tensor::Key;

const STRENGTHS: Strengths = Strengths {
    bins: 10,
    shear: 0.3,
    translate: |size| size as f64 / 3.0,
    rotate: 30.0,
    colour: 0.9,
    posterize: (4.0, 4.0),
};

/// Mixes a picture with chains of one to three of thirteen changes, by weights from a Dirichlet distribution.
///
/// ```
/// use gradloom_data::transform::AugMix;
/// use gradloom_data::{Image, Transform};
/// use gradloom_tensor::Key;
///
/// let image = Image::new(vec![100; 3 * 32 * 32], [3, 32, 32])?;
/// assert_eq!(AugMix::default().apply(image, Key::new(1))?.size(), [3, 32, 32]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
///
/// torchvision: `AugMix(severity, mixture_width, chain_depth, alpha)` with all its changes and bilinear pixels.
#[derive(Clone, Copy, Debug)]
pub struct AugMix {
    severity: usize,
    width: usize,
    depth: Option<usize>,
    alpha: f32,
}

impl Default for AugMix {
    /// Three chains of one to three changes of severity 3, with alpha 1.
    fn default() -> Self {
        AugMix { severity: 3, width: 3, depth: None, alpha: 1.0 }
    }
}

impl AugMix {
    /// How many of the ten strengths are drawn from, from the weakest on.
    ///
    /// # Panics
    /// If it is not within 1 and 10.
    #[must_use]
    #[track_caller]
    pub fn severity(mut self, severity: usize) -> Self {
        let most = STRENGTHS.bins;
        assert!((1..=most).contains(&severity), "aug mix: severity {severity}; it is 1 to {most}");
        self.severity = severity;
        self
    }

    /// Number of chains. Without any the picture gets darker, so there must be one.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn width(mut self, chains: usize) -> Self {
        assert!(chains > 0, "aug mix: no chains");
        self.width = chains;
        self
    }

    /// Changes of each chain; one to three at random unless said otherwise.
    #[must_use]
    pub fn depth(mut self, changes: usize) -> Self {
        self.depth = Some(changes);
        self
    }

    /// The parameter of the distributions of the weights: the larger, the more alike they are.
    ///
    /// # Panics
    /// If it is not positive.
    #[must_use]
    #[track_caller]
    pub fn alpha(mut self, alpha: f32) -> Self {
        assert!(alpha > 0.0 && alpha.is_finite(), "aug mix: alpha {alpha}; it must be positive");
        self.alpha = alpha;
        self
    }

    fn chain(&self, image: &Image, stream: &mut RandomStream) -> Result<Image> {
        let changes = &Change::USUAL[1..]; // all but the identity
        let mut image = image.clone();
        for _ in 0..self.depth.unwrap_or_else(|| 1 + stream.below(3)) {
            let change = changes[stream.below(changes.len())];
            let strength = STRENGTHS.of(change, stream.below(self.severity), &image);
            let negative = stream.chance(0.5) && change.is_signed();
            let strength = if negative { -strength } else { strength };
            image = change.apply(&image, strength, Interpolation::Bilinear)?;
        }
        Ok(image)
    }
}

/// The picture by its weight and each chain by its own, added in f32 in this order, cut to whole numbers.
fn mixed(image: &Image, own: f32, chains: &[(f32, Image)]) -> Result<Image> {
    let mut sums: Vec<f32> = image.pixels().iter().map(|&pixel| own * f32::from(pixel)).collect();
    for (weight, chain) in chains {
        for (sum, &pixel) in sums.iter_mut().zip(chain.pixels()) {
            *sum += weight * f32::from(pixel);
        }
    }
    // Weights add up to one within rounding; a conversion in Rust holds what is above at 255.
    Image::new(sums.into_iter().map(|sum| sum as u8).collect(), image.size())
}

impl Transform<Image> for AugMix {
    type Output = Image;

    fn apply(&self, image: Image, key: Key) -> Result<Image> {
        let mut stream = RandomStream::new(key);
        let [own, rest] = stream.dirichlet(self.alpha, 2)[..] else { unreachable!("two weights") };
        let weights = stream.dirichlet(self.alpha, self.width);
        let chains: Result<Vec<(f32, Image)>> = weights
            .iter()
            .map(|weight| Ok((weight * rest, self.chain(&image, &mut stream)?)))
            .collect();
        mixed(&image, own, &chains?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{assert_policy, golden};
    use super::{AugMix, STRENGTHS, mixed};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn changes_and_mixtures_are_those_of_torchvision() {
        assert_policy("aug_mix", 2 * (13 + 9), &STRENGTHS);
        let (golden, image) = golden();
        let flipped: Vec<u8> = image.pixels().iter().map(|pixel| 255 - pixel).collect();
        let flipped = Image::new(flipped, image.size()).unwrap();
        let case = &golden["mixed"];
        let weights: Vec<f32> = case["weights"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_f64().unwrap() as f32)
            .collect();
        let chains = [(weights[1], flipped), (weights[2], image.clone())];
        let mut crc = flate2::Crc::new();
        crc.update(mixed(&image, weights[0], &chains).unwrap().pixels());
        assert_eq!(u64::from(crc.sum()), case["crc"].as_u64().unwrap());
    }

    #[test]
    fn mixtures_stay_near_the_picture_and_differ() {
        let (_, image) = golden();
        let of = |seed| AugMix::default().apply(image.clone(), Key::new(seed)).unwrap();
        assert_eq!(of(3), of(3));
        assert!((0..20).filter(|&seed| of(seed) != image).count() > 15);
        let mean = |image: &Image| {
            image.pixels().iter().map(|&pixel| f64::from(pixel)).sum::<f64>()
                / image.pixels().len() as f64
        };
        let drift: f64 = (0..50).map(|seed| mean(&of(seed)) - mean(&image)).sum::<f64>() / 50.0;
        assert!(drift.abs() < 25.0, "{drift}");
        // Without changes the weights add up to the picture itself, less what is cut off.
        let same = AugMix::default().depth(0).apply(image.clone(), Key::new(1)).unwrap();
        assert!(same.pixels().iter().zip(image.pixels()).all(|(a, b)| a.abs_diff(*b) <= 1));
    }
}
