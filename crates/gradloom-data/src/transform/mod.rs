//! Transforms of one sample: pictures cropped, resized, turned, coloured, hidden in part, scaled and
//! normalised; and mixing of a batch.
//!
//! A transform gets a key of its own for each sample and epoch, so what it draws does not depend on
//! which thread ran it, or in which order. Random transforms stand on functions without chance ([`resize`],
//! [`rotate`], [`adjust_hue`]), which name what they equal. Transforms of whole batches on the device are
//! ordinary tensor ops and absent here.

mod aug_mix;
mod auto_augment;
mod change;
mod colour;
mod crop;
mod erase;
mod filters;
mod flip;
mod mix;
mod normalize;
mod rand_augment;
mod resize;
mod resized_crop;
mod rotate;
mod spectrogram;
mod warp;

pub use crate::interpolation::Interpolation;
pub use aug_mix::AugMix;
pub use auto_augment::AutoAugment;
pub use colour::{
    ColorJitter, Grayscale, adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation,
    greyscale,
};
pub use crop::RandomCrop;
pub use erase::{Cutout, RandomErasing};
pub use filters::{
    GaussianBlur, adjust_sharpness, autocontrast, equalize, gaussian_blur, posterize, solarize,
};
pub use flip::{RandomFlip, RandomVerticalFlip};
pub use mix::{Mix, Mixing, SoftBatch, one_hot};
pub use normalize::{Normalize, Scale};
pub use rand_augment::{RandAugment, TrivialAugmentWide};
pub use resize::{Resize, resize};
pub use resized_crop::{CenterCrop, RandomResizedCrop, crop};
pub use rotate::{RandomAffine, RandomPerspective, RandomRotation};
pub use spectrogram::SpecAugment;
pub use warp::{Affine, affine, perspective, rotate};

use crate::Result;
use crate::dataset::Labelled;
use crate::random::sample_key;
use gradloom_tensor::Key;

/// A function of one sample and a key.
///
/// Closures `Fn(I, Key) -> Result<O>` are transforms, and so are tuples of transforms: one after another,
/// each with a key of its own.
pub trait Transform<I>: Send + Sync {
    /// What becomes of the sample.
    type Output;

    /// Changes one sample. The same input and key give the same output.
    ///
    /// # Errors
    /// If the sample does not suit, such as an image smaller than a crop.
    fn apply(&self, input: I, key: Key) -> Result<Self::Output>;

    /// What it is, with its settings, as text: a run that goes on from a checkpoint compares it. One of your own
    /// that does not say is known by the name of its type alone.
    fn describe(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// The description of a transform whose fields are its settings.
macro_rules! described {
    () => {
        fn describe(&self) -> String {
            format!("{self:?}")
        }
    };
}

pub(crate) use described;

impl<I, O, F: Fn(I, Key) -> Result<O> + Send + Sync> Transform<I> for F {
    type Output = O;

    fn apply(&self, input: I, key: Key) -> Result<O> {
        self(input, key)
    }
}

/// Leaves a sample as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl<I> Transform<I> for Identity {
    type Output = I;

    described!();

    fn apply(&self, input: I, _key: Key) -> Result<I> {
        Ok(input)
    }
}

macro_rules! transform_of_tuple {
    // Each transform reads what the one before it makes, and draws from a key of its own.
    ($first:ident, $($next:ident: $input:ident),+; $output:ident) => {
        impl<Input, $first, $($next),+> Transform<Input> for ($first, $($next),+)
        where
            $first: Transform<Input>,
            $($next: Transform<$input::Output>,)+
        {
            type Output = $output::Output;

            #[expect(non_snake_case, reason = "the type's letter names its field")]
            fn apply(&self, input: Input, key: Key) -> Result<Self::Output> {
                let ($first, $($next),+) = self;
                let (first, key) = key.split();
                let value = $first.apply(input, first)?;
                $(
                    let (next, key) = key.split();
                    let value = $next.apply(value, next)?;
                )+
                let _ = key;
                Ok(value)
            }

            #[expect(non_snake_case, reason = "the type's letter names its field")]
            fn describe(&self) -> String {
                let ($first, $($next),+) = self;
                [$first.describe(), $($next.describe()),+].join(", ")
            }
        }
    };
}

transform_of_tuple!(A, B: A; B);
transform_of_tuple!(A, B: A, C: B; C);
transform_of_tuple!(A, B: A, C: B, D: C; D);
transform_of_tuple!(A, B: A, C: B, D: C, E: D; E);
transform_of_tuple!(A, B: A, C: B, D: C, E: D, F: E; F);
transform_of_tuple!(A, B: A, C: B, D: C, E: D, F: E, G: F; G);
transform_of_tuple!(A, B: A, C: B, D: C, E: D, F: E, G: F, H: G; H);

/// Applies a transform to the input of a labelled sample.
#[derive(Clone, Debug)]
pub struct OnInput<T>(pub T);

impl<I, T: Transform<I>> Transform<Labelled<I>> for OnInput<T> {
    type Output = Labelled<T::Output>;

    fn apply(&self, sample: Labelled<I>, key: Key) -> Result<Self::Output> {
        Ok(Labelled { input: self.0.apply(sample.input, key)?, label: sample.label })
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// The key that sample `index` of an epoch gets from a loader's key.
pub(crate) fn key_of_sample(key: Key, epoch: u32, index: usize) -> Key {
    sample_key(key.fold(1).fold(epoch), index)
}

#[cfg(test)]
mod tests {
    use super::{RandomCrop, RandomFlip, RandomRotation, Scale, Transform, key_of_sample};
    use crate::Image;
    use gradloom_tensor::Key;

    #[test]
    fn a_sample_comes_out_the_same_whenever_it_is_made() {
        let chain =
            (RandomCrop::new(4, 4, 1), RandomFlip::default(), RandomRotation::degrees(10.0), Scale);
        let image = Image::new((0..32).collect::<Vec<u8>>(), [2, 4, 4]).unwrap();
        let make =
            |index| chain.apply(image.clone(), key_of_sample(Key::new(1), 0, index)).unwrap();
        let forward: Vec<_> = (0..20).map(make).collect();
        let mut backward: Vec<_> = (0..20).rev().map(make).collect();
        backward.reverse();
        assert_eq!(forward, backward);
        assert!(forward.iter().any(|image| *image != forward[0]));
    }

    #[test]
    fn a_closure_is_a_transform() {
        let double = |value: i32, _key: Key| Ok(value * 2);
        assert_eq!((double, double).apply(3, Key::new(0)).unwrap(), 12);
    }
}
