//! [`Mix`]: pictures of a batch mixed with each other, and their labels with them.
//!
//! A batch is mixed with itself moved on by one sample, as torchvision does: a batch in random order needs
//! no second draw.

use crate::batch::{Batch, Collate};
use crate::random::RandomStream;
use crate::{Error, Result};
use gradloom_tensor::{Device, Key, Tensor};

/// Pictures and the share of each class in them.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftBatch {
    /// `[B, C, H, W]`
    pub images: Vec<f32>,
    /// B, C, H and W.
    pub shape: Vec<usize>,
    /// `[B, K]`; each row sums to 1.
    pub labels: Vec<f32>,
    /// K
    pub classes: usize,
}

impl SoftBatch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pictures and the shares of the classes, f32 `[B, C, H, W]` and `[B, K]`, on a device.
    ///
    /// # Errors
    /// If the device has no memory left or is lost.
    #[track_caller]
    pub fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let labels = Tensor::from_slice(&self.labels, [self.len(), self.classes], device)?;
        Ok((Tensor::from_slice(&self.images, &self.shape[..], device)?, labels))
    }
}

/// The share of each class: all of the sample's own.
///
/// # Errors
/// If a label is outside the classes.
pub fn one_hot(labels: &[i32], classes: usize) -> Result<Vec<f32>> {
    let mut shares = vec![0.0; labels.len() * classes];
    for (sample, &label) in labels.iter().enumerate() {
        let class = usize::try_from(label).ok().filter(|&class| class < classes);
        let Some(class) = class else {
            return Err(Error::invalid(format!(
                "one hot: label {sample} is {label}, outside the {classes} classes"
            )));
        };
        shares[sample * classes + class] = 1.0;
    }
    Ok(shares)
}

/// `share * x + (1 - share) * x` of the sample before, of all pictures and labels.
fn blended(values: &mut [f32], samples: usize, share: f32) {
    let len = values.len() / samples.max(1);
    let before: Vec<f32> = (0..samples)
        .flat_map(|sample| {
            let other = (sample + samples - 1) % samples;
            values[other * len..(other + 1) * len].to_vec()
        })
        .collect();
    for (value, before) in values.iter_mut().zip(before) {
        *value = *value * share + before * (1.0 - share);
    }
}

/// How the pictures of a batch are mixed.
///
/// torchvision: `v2.MixUp(alpha)`, `v2.CutMix(alpha)`; Zhang et al., "mixup: beyond empirical risk
/// minimization", 2017; Yun et al., "CutMix", 2019.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mixing {
    /// Pictures shine through each other, by a share from Beta(alpha, alpha).
    MixUp(f32),
    /// A rectangle of one picture is put into another.
    CutMix(f32),
    /// The one or the other, each every second batch: the alphas of both.
    Either(f32, f32),
}

impl Mixing {
    /// A batch mixed with itself.
    ///
    /// ```
    /// use gradloom_data::Batch;
    /// use gradloom_data::transform::Mixing;
    /// use gradloom_tensor::Key;
    ///
    /// let batch = Batch::new(vec![0.0, 0.0, 1.0, 1.0], vec![2, 1, 1, 2], vec![0, 1])?;
    /// let mixed = Mixing::MixUp(1.0).apply(&batch, 2, Key::new(3))?;
    /// // As much of the class as of the picture.
    /// assert_eq!(mixed.images[0], mixed.labels[1]);
    /// # Ok::<(), gradloom_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a label is outside the classes, or pictures to be cut have no height and width.
    pub fn apply(&self, batch: &Batch, classes: usize, key: Key) -> Result<SoftBatch> {
        let mut stream = RandomStream::new(key);
        let mut mixed = SoftBatch {
            images: batch.images.clone(),
            shape: batch.shape.clone(),
            labels: one_hot(&batch.labels, classes)?,
            classes,
        };
        let samples = batch.len();
        let (alpha, cut) = match *self {
            Mixing::MixUp(alpha) => (alpha, false),
            Mixing::CutMix(alpha) => (alpha, true),
            Mixing::Either(mix, cut) => {
                if stream.chance(0.5) {
                    (mix, false)
                } else {
                    (cut, true)
                }
            }
        };
        let mut share = stream.beta(alpha, alpha);
        if cut {
            share = cut_mix(&mut mixed, share, &mut stream)?;
        } else {
            blended(&mut mixed.images, samples, share);
        }
        blended(&mut mixed.labels, samples, share);
        Ok(mixed)
    }
}

/// Puts a rectangle of the sample before into each; gives the share that is left of the sample's own.
fn cut_mix(batch: &mut SoftBatch, share: f32, stream: &mut RandomStream) -> Result<f32> {
    let [samples, channels, height, width] = batch.shape[..] else {
        return Err(Error::invalid(format!(
            "cutmix: a batch of {:?} has no pictures to cut; it is [B, C, H, W]",
            batch.shape
        )));
    };
    if batch.images.is_empty() {
        return Ok(1.0);
    }
    let half = 0.5 * (1.0 - share).sqrt();
    let mut side = |size: usize| {
        let (middle, half) = (stream.below(size), (half * size as f32) as usize);
        middle.saturating_sub(half)..(middle + half).min(size)
    };
    let (columns, rows) = (side(width), side(height));
    let whole = batch.images.clone();
    for sample in 0..samples {
        let other = (sample + samples - 1) % samples;
        for (channel, row) in (0..channels).flat_map(|c| rows.clone().map(move |row| (c, row))) {
            let line = |sample: usize| ((sample * channels + channel) * height + row) * width;
            batch.images[line(sample) + columns.start..line(sample) + columns.end]
                .copy_from_slice(&whole[line(other) + columns.start..line(other) + columns.end]);
        }
    }
    Ok(1.0 - (rows.len() * columns.len()) as f32 / (height * width) as f32)
}

/// Makes batches of mixed pictures: a [`Collate`] around another that makes a [`Batch`]. Every batch draws
/// from a key of its own, so the workers of a loader do the mixing.
///
/// ```
/// use gradloom_data::transform::{Mix, Mixing, OnInput, Scale};
/// use gradloom_data::{CollateImages, Loader, mnist};
/// use gradloom_tensor::Key;
///
/// # #[cfg(feature = "mnist")]
/// # {
/// let (train, _) = mnist::embedded_split()?;
/// let mix = Mix::new(CollateImages::default(), Mixing::Either(0.2, 1.0), 10);
/// let loader = Loader::new(train, OnInput(Scale), mix).batch_size(100).shuffle(Key::new(1));
/// let batch = loader.epoch(0).next().unwrap()?;
/// assert_eq!(batch.labels.len(), 100 * 10);
/// # }
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mix<C> {
    collate: C,
    mixing: Mixing,
    classes: usize,
}

impl<C> Mix<C> {
    /// Mixes what `collate` makes, of this many classes.
    ///
    /// # Panics
    /// If an alpha is not positive.
    #[track_caller]
    pub fn new(collate: C, mixing: Mixing, classes: usize) -> Self {
        let fits = |alpha: f32| alpha > 0.0 && alpha.is_finite();
        let (Mixing::MixUp(a) | Mixing::CutMix(a) | Mixing::Either(a, _)) = mixing;
        let b = if let Mixing::Either(_, b) = mixing { b } else { a };
        assert!(fits(a) && fits(b), "mix: {mixing:?}; alphas are positive");
        Mix { collate, mixing, classes }
    }
}

impl<S, C: Collate<S, Batch = Batch>> Collate<S> for Mix<C> {
    type Batch = SoftBatch;

    fn describe(&self) -> String {
        let Mix { collate, mixing, classes } = self;
        format!("{mixing:?} of {classes} classes, {}", collate.describe())
    }

    /// Without a key nothing is mixed.
    fn collate(&self, samples: Vec<S>) -> Result<SoftBatch> {
        let batch = self.collate.collate(samples)?;
        Ok(SoftBatch {
            images: batch.images.clone(),
            shape: batch.shape.clone(),
            labels: one_hot(&batch.labels, self.classes)?,
            classes: self.classes,
        })
    }

    fn collate_with(&self, samples: Vec<S>, key: Key) -> Result<SoftBatch> {
        let (inner, own) = key.split();
        let batch = self.collate.collate_with(samples, inner)?;
        self.mixing.apply(&batch, self.classes, own)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mixing, one_hot};
    use crate::Batch;
    use gradloom_tensor::Key;

    fn batch() -> Batch {
        // Sample `s` is all `s`, so a mixed pixel tells the shares.
        let images = (0..4).flat_map(|sample| vec![sample as f32; 2 * 6 * 5]).collect();
        Batch::new(images, vec![4, 2, 6, 5], vec![0, 1, 2, 3]).unwrap()
    }

    #[test]
    fn labels_are_mixed_as_the_pictures_are() {
        for seed in 0..50 {
            for mixing in [Mixing::MixUp(0.4), Mixing::CutMix(1.0), Mixing::Either(1.0, 1.0)] {
                let mixed = mixing.apply(&batch(), 4, Key::new(seed)).unwrap();
                for sample in 0..4 {
                    let row = &mixed.labels[sample * 4..sample * 4 + 4];
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                    let expected: f32 =
                        row.iter().enumerate().map(|(k, share)| k as f32 * share).sum();
                    let pixels = &mixed.images[sample * 60..sample * 60 + 60];
                    let mean = pixels.iter().sum::<f32>() / 60.0;
                    assert!((mean - expected).abs() < 1e-4, "{mixing:?} {mean} {expected}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        let message = one_hot(&[0, 4], 4).unwrap_err().to_string();
        assert_eq!(message, "one hot: label 1 is 4, outside the 4 classes");
        let rows = Batch::new(vec![0.0; 6], vec![2, 3], vec![0, 1]).unwrap();
        assert!(Mixing::CutMix(1.0).apply(&rows, 2, Key::new(0)).is_err());
        assert!(Mixing::MixUp(1.0).apply(&rows, 2, Key::new(0)).is_ok());
        let none = Batch::new(vec![], vec![0, 3, 2, 2], vec![]).unwrap();
        assert!(Mixing::Either(1.0, 1.0).apply(&none, 2, Key::new(0)).unwrap().is_empty());
    }
}
