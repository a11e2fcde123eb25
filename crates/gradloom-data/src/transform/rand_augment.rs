//! [`RandAugment`]: a few random changes of one strength, a strong augmentation without a search.

use super::colour::{adjust_brightness, adjust_contrast, adjust_saturation};
use super::filters::{adjust_sharpness, autocontrast, equalize, posterize, solarize};
use super::warp::{Affine, affine, rotate};
use crate::interpolation::Interpolation;
use crate::random::RandomStream;
use crate::transform::described;
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

    /// The part of the most that this strength is, in steps of f32 from the nearer end, as PyTorch's
    /// `linspace` counts them.
    fn strength(&self, most: f64) -> f64 {
        let (most, steps) = (most as f32, STRENGTHS - 1);
        let step = most / steps as f32;
        f64::from(if self.magnitude < STRENGTHS / 2 {
            step * self.magnitude as f32
        } else {
            most - step * (steps - self.magnitude) as f32
        })
    }

    fn change(&self, image: &Image, change: Change, negative: bool) -> Result<Image> {
        let [_, height, width] = image.size();
        let sign = if negative { -1.0 } else { 1.0 };
        let strength = |most: f64| sign * self.strength(most);
        let factor = 1.0 + strength(0.9);
        let shear = strength(0.3).atan().to_degrees();
        let corner = Affine { centre: Some((0.0, 0.0)), ..Affine::default() };
        // Moves are by whole pixels, up to 150 of 331.
        let moved = |size: usize| strength(150.0 / 331.0 * size as f64).trunc();
        let map = match change {
            Change::ShearX => Affine { shear: (shear, 0.0), ..corner },
            Change::ShearY => Affine { shear: (0.0, shear), ..corner },
            Change::TranslateX => Affine { translate: (moved(width), 0.0), ..Affine::default() },
            Change::TranslateY => Affine { translate: (0.0, moved(height)), ..Affine::default() },
            Change::Identity => return Ok(image.clone()),
            Change::Rotate => return rotate(image, strength(30.0), Interpolation::Nearest, 0),
            Change::Brightness => return adjust_brightness(image, factor),
            Change::Color => return adjust_saturation(image, factor),
            Change::Contrast => return adjust_contrast(image, factor),
            Change::Sharpness => return adjust_sharpness(image, factor),
            Change::Posterize => {
                return Ok(posterize(
                    image,
                    8 - (self.magnitude as f64 / 7.5).round_ties_even() as u32,
                ));
            }
            Change::Solarize => return Ok(solarize(image, 255.0 - self.strength(255.0) as f32)),
            Change::AutoContrast => return Ok(autocontrast(image)),
            Change::Equalize => return Ok(equalize(image)),
        };
        affine(image, &map, Interpolation::Nearest, 0)
    }
}

impl Transform<Image> for RandAugment {
    type Output = Image;

    described!();

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
    use std::io::Read;

    use super::{CHANGES, Change, RandAugment};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn changes_are_those_of_torchvision() {
        let packed = &include_bytes!("../../tests/golden/images.json.gz")[..];
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let hex = golden["image"]["pixels"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let pixels = (0..hex.len()).step_by(2).map(byte).collect();
        let image = Image::new(pixels, [3, 23, 31]).unwrap();
        let cases = golden["rand_augment"].as_array().unwrap();
        assert_eq!(cases.len(), 3 * (14 + 9));
        for case in cases {
            let name = case["op"].as_str().unwrap();
            let change = CHANGES.into_iter().find(|change| format!("{change:?}") == name).unwrap();
            let augment = RandAugment::new(1, case["magnitude"].as_u64().unwrap() as usize);
            let negative = case["negative"].as_bool().unwrap();
            let mut crc = flate2::Crc::new();
            crc.update(augment.change(&image, change, negative).unwrap().pixels());
            assert_eq!(u64::from(crc.sum()), case["crc"].as_u64().unwrap(), "{case}");
        }
    }

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
