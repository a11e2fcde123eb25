//! [`AutoAugment`]: policies that were learnt on ImageNet, CIFAR-10 and SVHN.
//!
//! Cubuk et al., "AutoAugment: learning augmentation policies from data", 2018.

use super::change::{Change, Change::*, Strengths};
use crate::interpolation::Interpolation;
use crate::random::RandomStream;
use crate::{Image, Result, Transform};
use gradloom_tensor::Key;

const STRENGTHS: Strengths = Strengths {
    bins: 10,
    shear: 0.3,
    translate: |size| 150.0 / 331.0 * size as f64,
    rotate: 30.0,
    colour: 0.9,
    posterize: (8.0, 4.0),
};

/// Two changes one after another, each with how many times of ten it happens, and its strength.
type Pair = [(Change, u8, usize); 2];
type Table = [Pair; 25];

/// One of 25 pairs of changes, each equally likely; each change of a pair has a probability and a strength that were
/// learnt.
///
/// ```
/// use gradloom_data::transform::AutoAugment;
/// use gradloom_data::{Image, Transform};
/// use gradloom_tensor::Key;
///
/// let image = Image::new(vec![100; 3 * 32 * 32], [3, 32, 32])?;
/// assert_eq!(AutoAugment::Cifar10.apply(image, Key::new(1))?.size(), [3, 32, 32]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
///
/// torchvision: `AutoAugment(policy)`, with nearest pixels and zeros where nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoAugment {
    /// Learnt on ImageNet, for photographs.
    ImageNet,
    /// Learnt on CIFAR-10, for small pictures of things.
    Cifar10,
    /// Learnt on SVHN, for numbers.
    Svhn,
}

impl AutoAugment {
    fn table(self) -> &'static Table {
        match self {
            AutoAugment::ImageNet => &IMAGE_NET,
            AutoAugment::Cifar10 => &CIFAR10,
            AutoAugment::Svhn => &SVHN,
        }
    }
}

impl Transform<Image> for AutoAugment {
    type Output = Image;

    fn apply(&self, mut image: Image, key: Key) -> Result<Image> {
        let mut stream = RandomStream::new(key);
        let table = self.table();
        for (change, tenths, magnitude) in table[stream.below(table.len())] {
            let (happens, negative) = (stream.chance(f32::from(tenths) / 10.0), stream.chance(0.5));
            if happens {
                let strength = STRENGTHS.of(change, magnitude, &image);
                let strength = if negative && change.is_signed() { -strength } else { strength };
                image = change.apply(&image, strength, Interpolation::Nearest)?;
            }
        }
        Ok(image)
    }
}

#[rustfmt::skip]
const IMAGE_NET: Table = [
    [(Posterize, 4, 8), (Rotate, 6, 9)],
    [(Solarize, 6, 5), (AutoContrast, 6, 0)],
    [(Equalize, 8, 0), (Equalize, 6, 0)],
    [(Posterize, 6, 7), (Posterize, 6, 6)],
    [(Equalize, 4, 0), (Solarize, 2, 4)],
    [(Equalize, 4, 0), (Rotate, 8, 8)],
    [(Solarize, 6, 3), (Equalize, 6, 0)],
    [(Posterize, 8, 5), (Equalize, 10, 0)],
    [(Rotate, 2, 3), (Solarize, 6, 8)],
    [(Equalize, 6, 0), (Posterize, 4, 6)],
    [(Rotate, 8, 8), (Color, 4, 0)],
    [(Rotate, 4, 9), (Equalize, 6, 0)],
    [(Equalize, 0, 0), (Equalize, 8, 0)],
    [(Invert, 6, 0), (Equalize, 10, 0)],
    [(Color, 6, 4), (Contrast, 10, 8)],
    [(Rotate, 8, 8), (Color, 10, 2)],
    [(Color, 8, 8), (Solarize, 8, 7)],
    [(Sharpness, 4, 7), (Invert, 6, 0)],
    [(ShearX, 6, 5), (Equalize, 10, 0)],
    [(Color, 4, 0), (Equalize, 6, 0)],
    [(Equalize, 4, 0), (Solarize, 2, 4)],
    [(Solarize, 6, 5), (AutoContrast, 6, 0)],
    [(Invert, 6, 0), (Equalize, 10, 0)],
    [(Color, 6, 4), (Contrast, 10, 8)],
    [(Equalize, 8, 0), (Equalize, 6, 0)],
];

#[rustfmt::skip]
const CIFAR10: Table = [
    [(Invert, 1, 0), (Contrast, 2, 6)],
    [(Rotate, 7, 2), (TranslateX, 3, 9)],
    [(Sharpness, 8, 1), (Sharpness, 9, 3)],
    [(ShearY, 5, 8), (TranslateY, 7, 9)],
    [(AutoContrast, 5, 0), (Equalize, 9, 0)],
    [(ShearY, 2, 7), (Posterize, 3, 7)],
    [(Color, 4, 3), (Brightness, 6, 7)],
    [(Sharpness, 3, 9), (Brightness, 7, 9)],
    [(Equalize, 6, 0), (Equalize, 5, 0)],
    [(Contrast, 6, 7), (Sharpness, 6, 5)],
    [(Color, 7, 7), (TranslateX, 5, 8)],
    [(Equalize, 3, 0), (AutoContrast, 4, 0)],
    [(TranslateY, 4, 3), (Sharpness, 2, 6)],
    [(Brightness, 9, 6), (Color, 2, 8)],
    [(Solarize, 5, 2), (Invert, 0, 0)],
    [(Equalize, 2, 0), (AutoContrast, 6, 0)],
    [(Equalize, 2, 0), (Equalize, 6, 0)],
    [(Color, 9, 9), (Equalize, 6, 0)],
    [(AutoContrast, 8, 0), (Solarize, 2, 8)],
    [(Brightness, 1, 3), (Color, 7, 0)],
    [(Solarize, 4, 5), (AutoContrast, 9, 0)],
    [(TranslateY, 9, 9), (TranslateY, 7, 9)],
    [(AutoContrast, 9, 0), (Solarize, 8, 3)],
    [(Equalize, 8, 0), (Invert, 1, 0)],
    [(TranslateY, 7, 9), (AutoContrast, 9, 0)],
];

#[rustfmt::skip]
const SVHN: Table = [
    [(ShearX, 9, 4), (Invert, 2, 0)],
    [(ShearY, 9, 8), (Invert, 7, 0)],
    [(Equalize, 6, 0), (Solarize, 6, 6)],
    [(Invert, 9, 0), (Equalize, 6, 0)],
    [(Equalize, 6, 0), (Rotate, 9, 3)],
    [(ShearX, 9, 4), (AutoContrast, 8, 0)],
    [(ShearY, 9, 8), (Invert, 4, 0)],
    [(ShearY, 9, 5), (Solarize, 2, 6)],
    [(Invert, 9, 0), (AutoContrast, 8, 0)],
    [(Equalize, 6, 0), (Rotate, 9, 3)],
    [(ShearX, 9, 4), (Solarize, 3, 3)],
    [(ShearY, 8, 8), (Invert, 7, 0)],
    [(Equalize, 9, 0), (TranslateY, 6, 6)],
    [(Invert, 9, 0), (Equalize, 6, 0)],
    [(Contrast, 3, 3), (Rotate, 8, 4)],
    [(Invert, 8, 0), (TranslateY, 0, 2)],
    [(ShearY, 7, 6), (Solarize, 4, 8)],
    [(Invert, 6, 0), (Rotate, 8, 4)],
    [(ShearY, 3, 7), (TranslateX, 9, 3)],
    [(ShearX, 1, 6), (Invert, 6, 0)],
    [(Solarize, 7, 2), (TranslateY, 6, 7)],
    [(ShearY, 8, 4), (Invert, 8, 0)],
    [(ShearX, 7, 9), (TranslateY, 8, 3)],
    [(ShearY, 8, 5), (AutoContrast, 7, 0)],
    [(ShearX, 7, 2), (Invert, 1, 0)],
];

#[cfg(test)]
mod tests {
    use super::super::change::tests::{assert_policy, golden};
    use super::{AutoAugment, STRENGTHS};
    use crate::Transform;
    use gradloom_tensor::Key;

    const POLICIES: [(&str, AutoAugment); 3] = [
        ("imagenet", AutoAugment::ImageNet),
        ("cifar10", AutoAugment::Cifar10),
        ("svhn", AutoAugment::Svhn),
    ];

    #[test]
    fn changes_and_tables_are_those_of_torchvision() {
        assert_policy("auto_augment", 3 * (14 + 9), &STRENGTHS);
        let (golden, _) = golden();
        for (name, policy) in POLICIES {
            let expected = golden["policies"][name].as_array().unwrap();
            assert_eq!(expected.len(), policy.table().len());
            for (pair, expected) in policy.table().iter().zip(expected) {
                for ((change, tenths, magnitude), expected) in
                    pair.iter().zip(expected.as_array().unwrap())
                {
                    assert_eq!(format!("{change:?}"), expected[0].as_str().unwrap(), "{name}");
                    assert_eq!(f64::from(*tenths) / 10.0, expected[1].as_f64().unwrap(), "{name}");
                    assert_eq!(*magnitude as u64, expected[2].as_u64().unwrap_or(0), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_policy_draws_the_same_again_and_changes_most_pictures() {
        let (_, image) = golden();
        for (name, policy) in POLICIES {
            let of = |seed| policy.apply(image.clone(), Key::new(seed)).unwrap();
            assert_eq!(of(3), of(3));
            assert!((0..40).filter(|&seed| of(seed) != image).count() > 25, "{name}");
        }
    }
}
