//! [`RandAugment`]: a few random changes of one strength, a strong augmentation without a search.

use super::Interpolation;
use super::colour::{adjust_brightness, adjust_contrast, adjust_saturation};
use super::filters::{adjust_sharpness, autocontrast, equalize, posterize, solarize};
use super::warp::{Affine, affine, rotate};
use crate::random::RandomStream;
use crate::{Image, Result, Transform};
use gradloom_tensor::Key;

/// The strengths that the policy counts.
const STRENGTHS: usize = 31;

#[derive(Clone, Copy, Debug)]
enum Change {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

const CHANGES: [Change; 14] = [
    Change::Identity,
    Change::ShearX,
    Change::ShearY,
    Change::TranslateX,
    Change::TranslateY,
    Change::Rotate,
    Change::Brightness,
    Change::Color,
    Change::Contrast,
    Change::Sharpness,
    Change::Posterize,
    Change::Solarize,
    Change::AutoContrast,
    Change::Equalize,
];

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
        assert!(magnitude < STRENGTHS, "rand augment: magnitude {magnitude}; they are 0 to 30");
        RandAugment { count, magnitude }
    }

    fn change(&self, image: &Image, change: Change, negative: bool) -> Result<Image> {
        let [_, height, width] = image.size();
        let share = self.magnitude as f64 / (STRENGTHS - 1) as f64;
        let sign = if negative { -1.0 } else { 1.0 };
        let factor = 1.0 + sign * 0.9 * share;
        let shear = (sign * 0.3 * share).atan().to_degrees();
        let corner = Affine { centre: Some((0.0, 0.0)), ..Affine::default() };
        // Moves are by whole pixels, up to 150 of 331.
        let moved = |size: usize| (sign * 150.0 / 331.0 * size as f64 * share).trunc();
        let map = match change {
            Change::ShearX => Affine { shear: (shear, 0.0), ..corner },
            Change::ShearY => Affine { shear: (0.0, shear), ..corner },
            Change::TranslateX => Affine { translate: (moved(width), 0.0), ..Affine::default() },
            Change::TranslateY => Affine { translate: (0.0, moved(height)), ..Affine::default() },
            Change::Identity => return Ok(image.clone()),
            Change::Rotate => return rotate(image, sign * 30.0 * share, Interpolation::Nearest, 0),
            Change::Brightness => return adjust_brightness(image, factor),
            Change::Color => return adjust_saturation(image, factor),
            Change::Contrast => return adjust_contrast(image, factor),
            Change::Sharpness => return adjust_sharpness(image, factor),
            Change::Posterize => {
                return Ok(posterize(image, 8 - (share * 4.0).round_ties_even() as u32));
            }
            Change::Solarize => return Ok(solarize(image, 255.0 * (1.0 - share) as f32)),
            Change::AutoContrast => return Ok(autocontrast(image)),
            Change::Equalize => return Ok(equalize(image)),
        };
        affine(image, &map, Interpolation::Nearest, 0)
    }
}

impl Transform<Image> for RandAugment {
    type Output = Image;

    fn apply(&self, mut image: Image, key: Key) -> Result<Image> {
        let mut stream = RandomStream::new(key);
        for _ in 0..self.count {
            let change = CHANGES[stream.below(CHANGES.len())];
            image = self.change(&image, change, stream.chance(0.5))?;
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::{CHANGES, Change, RandAugment};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn changes_of_no_strength_are_small_and_of_full_strength_are_seen() {
        let pixels = (0..3 * 24 * 24).map(|i| (i * 7 % 200 + i % 24) as u8).collect();
        let image = Image::new(pixels, [3, 24, 24]).unwrap();
        for change in CHANGES {
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
    }
}
