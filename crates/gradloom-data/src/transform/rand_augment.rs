//! [`RandAugment`]: a few random changes of one strength; [`TrivialAugmentWide`]: one of any strength.

use super::change::{Change, Strengths};
use crate::interpolation::Interpolation;
use crate::random::RandomStream;
use crate::transform::described;
use crate::{Image, Result, Transform};
use gradloom_tensor::Key;

/// Moves are up to 150 of 331 pixels.
const RAND_AUGMENT: Strengths = Strengths {
    bins: 31,
    shear: 0.3,
    translate: |size| 150.0 / 331.0 * size as f64,
    rotate: 30.0,
    colour: 0.9,
    posterize: (8.0, 4.0),
};

const WIDE: Strengths = Strengths {
    bins: 31,
    shear: 0.99,
    translate: |_| 32.0,
    rotate: 135.0,
    colour: 0.99,
    posterize: (8.0, 6.0),
};

/// Applies a few of fourteen changes (shears, moves, turns, colours, contrasts), each equally likely.
///
/// Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", 2019.
/// torchvision: `RandAugment(num_ops, magnitude)`, with nearest pixels and zeros where nothing was.
#[derive(Clone, Copy, Debug)]
pub struct RandAugment {
    count: usize,
    magnitude: usize,
}

impl Default for RandAugment {
    /// Two changes of strength 9.
    fn default() -> Self {
        RandAugment::new(2, 9)
    }
}

impl RandAugment {
    /// `count` changes of strength `magnitude`, from 0 to 30.
    ///
    /// # Panics
    /// If the strength is above 30.
    #[track_caller]
    pub fn new(count: usize, magnitude: usize) -> Self {
        let most = RAND_AUGMENT.bins - 1;
        assert!(magnitude <= most, "rand augment: magnitude {magnitude}; they are 0 to {most}");
        RandAugment { count, magnitude }
    }

    fn change(&self, image: &Image, change: Change, negative: bool) -> Result<Image> {
        let strength = RAND_AUGMENT.of(change, self.magnitude, image);
        let strength = if negative && change.is_signed() { -strength } else { strength };
        change.apply(image, strength, Interpolation::Nearest)
    }
}

impl Transform<Image> for RandAugment {
    type Output = Image;

    described!();

    fn apply(&self, mut image: Image, key: Key) -> Result<Image> {
        let mut stream = RandomStream::new(key);
        for _ in 0..self.count {
            let change = Change::USUAL[stream.below(Change::USUAL.len())];
            image = self.change(&image, change, stream.chance(0.5))?;
        }
        Ok(image)
    }
}

/// Applies one of fourteen changes with one of 31 strengths, all equally likely: nothing to be tuned.
///
/// ```
/// use gradloom_data::transform::TrivialAugmentWide;
/// use gradloom_data::{Image, Transform};
/// use gradloom_tensor::Key;
///
/// let image = Image::new(vec![100; 3 * 32 * 32], [3, 32, 32])?;
/// assert_eq!(TrivialAugmentWide.apply(image, Key::new(1))?.size(), [3, 32, 32]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
///
/// Müller, Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", 2021.
/// torchvision: `TrivialAugmentWide()`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrivialAugmentWide;

impl Transform<Image> for TrivialAugmentWide {
    type Output = Image;

    fn apply(&self, image: Image, key: Key) -> Result<Image> {
        let mut stream = RandomStream::new(key);
        let change = Change::USUAL[stream.below(Change::USUAL.len())];
        let strength = WIDE.of(change, stream.below(WIDE.bins), &image);
        let negative = stream.chance(0.5) && change.is_signed();
        change.apply(&image, if negative { -strength } else { strength }, Interpolation::Nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::assert_policy;
    use super::{Change, RAND_AUGMENT, RandAugment, TrivialAugmentWide, WIDE};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn changes_are_those_of_torchvision() {
        assert_policy("rand_augment", 3 * (14 + 9), &RAND_AUGMENT);
        assert_policy("trivial_augment_wide", 4 * (14 + 9), &WIDE);
    }

    #[test]
    fn changes_of_no_strength_are_small_and_of_full_strength_are_seen() {
        let pixels = (0..3 * 24 * 24).map(|i| (i * 7 % 200 + i % 24) as u8).collect();
        let image = Image::new(pixels, [3, 24, 24]).unwrap();
        for change in Change::USUAL {
            let of =
                |magnitude| RandAugment::new(1, magnitude).change(&image, change, false).unwrap();
            let kept = matches!(change, Change::Identity);
            let always = matches!(change, Change::AutoContrast | Change::Equalize);
            assert_eq!(of(0) == image, !always, "{change:?}");
            assert_eq!(of(30) == image, kept, "{change:?}");
        }
        let of = |seed| RandAugment::default().apply(image.clone(), Key::new(seed)).unwrap();
        assert_eq!(of(3), of(3));
        assert!((0..40).filter(|&seed| of(seed) != image).count() > 30);
        let wide = |seed| TrivialAugmentWide.apply(image.clone(), Key::new(seed)).unwrap();
        assert_eq!(wide(3), wide(3));
        assert!((0..40).filter(|&seed| wide(seed) != image).count() > 30);
    }
}
