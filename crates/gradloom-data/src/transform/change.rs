//! [`Change`]: the changes that learnt and random policies choose from, and how strong they are.
//!
//! Nearest pixels or bilinear ones, and zeros where nothing was. Other fillings are absent.

use super::colour::{adjust_brightness, adjust_contrast, adjust_saturation};
use super::filters::{adjust_sharpness, autocontrast, equalize, posterize, solarize};
use super::warp::{Affine, affine, rotate};
use crate::interpolation::Interpolation;
use crate::{Image, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
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
    Invert,
}

impl Change {
    /// Those of RandAugment and TrivialAugment: all but the last.
    pub(super) const USUAL: [Change; 14] = [
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

    /// Whether a strength may be negative.
    pub(super) fn is_signed(self) -> bool {
        use Change::*;
        matches!(
            self,
            ShearX
                | ShearY
                | TranslateX
                | TranslateY
                | Rotate
                | Brightness
                | Color
                | Contrast
                | Sharpness
        )
    }

    /// A picture changed by a strength in the change's own unit. torchvision: `_apply_op`.
    pub(super) fn apply(
        self,
        image: &Image,
        strength: f64,
        interpolation: Interpolation,
    ) -> Result<Image> {
        let corner = Affine { centre: Some((0.0, 0.0)), ..Affine::default() };
        let shear = strength.atan().to_degrees();
        let whole = strength.trunc();
        let map = match self {
            Change::ShearX => Affine { shear: (shear, 0.0), ..corner },
            Change::ShearY => Affine { shear: (0.0, shear), ..corner },
            Change::TranslateX => Affine { translate: (whole, 0.0), ..Affine::default() },
            Change::TranslateY => Affine { translate: (0.0, whole), ..Affine::default() },
            Change::Identity => return Ok(image.clone()),
            Change::Rotate => return rotate(image, strength, interpolation, 0),
            Change::Brightness => return adjust_brightness(image, 1.0 + strength),
            Change::Color => return adjust_saturation(image, 1.0 + strength),
            Change::Contrast => return adjust_contrast(image, 1.0 + strength),
            Change::Sharpness => return adjust_sharpness(image, 1.0 + strength),
            Change::Posterize => return Ok(posterize(image, whole.max(0.0) as u32)),
            Change::Solarize => return Ok(solarize(image, strength as f32)),
            Change::AutoContrast => return Ok(autocontrast(image)),
            Change::Equalize => return Ok(equalize(image)),
            Change::Invert => return Ok(inverted(image)),
        };
        affine(image, &map, interpolation, 0)
    }
}

fn inverted(image: &Image) -> Image {
    let mut image = image.clone();
    image.pixels_mut().iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
    image
}

/// The strengths that a policy counts, from none to the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strengths {
    /// How many there are.
    pub(super) bins: usize,
    pub(super) shear: f64,
    /// The farthest move along a side of this length.
    pub(super) translate: fn(usize) -> f64,
    pub(super) rotate: f64,
    pub(super) colour: f64,
    /// Bits that the weakest posterization keeps, and how many fewer the strongest.
    pub(super) posterize: (f64, f64),
}

impl Strengths {
    /// Strength number `index` of a change for a picture; those without strengths have zero.
    pub(super) fn of(&self, change: Change, index: usize, image: &Image) -> f64 {
        let [_, height, width] = image.size();
        let upto = |most: f64| linspace(0.0, most, self.bins, index);
        match change {
            Change::ShearX | Change::ShearY => upto(self.shear),
            Change::TranslateX => upto((self.translate)(width)),
            Change::TranslateY => upto((self.translate)(height)),
            Change::Rotate => upto(self.rotate),
            Change::Brightness | Change::Color | Change::Contrast | Change::Sharpness => {
                upto(self.colour)
            }
            Change::Posterize => {
                let (bits, fewer) = self.posterize;
                let step = (self.bins - 1) as f64 / fewer;
                bits - f64::from((index as f32 / step as f32).round_ties_even())
            }
            Change::Solarize => linspace(255.0, 0.0, self.bins, index),
            Change::Identity | Change::AutoContrast | Change::Equalize | Change::Invert => 0.0,
        }
    }
}

/// Number `index` of PyTorch's `linspace`, which counts in steps of f32 from the nearer end and rounds once: a move by
/// 15.999999 is one pixel less than one by 16.
fn linspace(start: f64, end: f64, count: usize, index: usize) -> f64 {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (count - 1) as f32;
    f64::from(if index < count / 2 {
        step.mul_add(index as f32, start)
    } else {
        step.mul_add(-((count - 1 - index) as f32), end)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use super::{Change, Strengths, linspace};
    use crate::Image;
    use crate::interpolation::Interpolation;

    /// What torchvision makes of a small picture (`tests/golden/make_images.py`), and the picture.
    pub(crate) fn golden() -> (serde_json::Value, Image) {
        let packed = &include_bytes!("../../tests/golden/images.json.gz")[..];
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let hex = golden["image"]["pixels"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let pixels = (0..hex.len()).step_by(2).map(byte).collect();
        (golden, Image::new(pixels, [3, 23, 31]).unwrap())
    }

    /// Every strength and change of a policy that the golden data have, to the byte.
    pub(crate) fn assert_policy(name: &str, count: usize, strengths: &Strengths) {
        let (golden, image) = golden();
        let cases = golden[name].as_array().unwrap();
        assert_eq!(cases.len(), count, "{name}");
        for case in cases {
            let op = case["op"].as_str().unwrap();
            let all = Change::USUAL.into_iter().chain([Change::Invert]);
            let change = all.into_iter().find(|change| format!("{change:?}") == op).unwrap();
            let strength =
                strengths.of(change, case["magnitude"].as_u64().unwrap() as usize, &image);
            let negative = case["negative"].as_bool().unwrap();
            let strength = if negative { -strength } else { strength };
            let mut crc = flate2::Crc::new();
            let changed = change.apply(&image, strength, Interpolation::Nearest).unwrap();
            crc.update(changed.pixels());
            assert_eq!(u64::from(crc.sum()), case["crc"].as_u64().unwrap(), "{name}: {case}");
        }
    }

    #[test]
    fn strengths_are_those_of_pytorch() {
        // torch.linspace(0, 0.99, 31)[19], linspace(0, 32, 31)[15], linspace(0, 0.9, 31)[20].
        assert_eq!(linspace(0.0, 0.99, 31, 19) as f32, 0.627_000_03);
        assert_eq!(linspace(0.0, 32.0, 31, 15) as f32, 15.999_999);
        assert_eq!(linspace(0.0, 0.9, 31, 20) as f32, 0.599_999_96);
        assert_eq!((linspace(255.0, 0.0, 10, 0), linspace(255.0, 0.0, 10, 9)), (255.0, 0.0));
    }
}
