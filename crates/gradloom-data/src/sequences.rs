//! Sequences of different lengths in one batch: filled up to one length, with the lengths beside them.

use crate::batch::Collate;
use crate::dataset::{InMemory, Labelled};
use crate::loader::Loader;
use crate::transform::Identity;
use crate::{Error, Result};
use gradloom_tensor::{Device, Element, Tensor};

/// Sequences filled up to the longest, and how long each is.
#[derive(Clone, Debug, PartialEq)]
pub struct Padded<T> {
    /// `[B, L, ..]`
    pub values: Vec<T>,
    /// B, L and the sizes of a step.
    pub shape: Vec<usize>,
    /// The length of each sequence.
    pub lengths: Vec<i32>,
    /// The class of each sequence.
    pub labels: Vec<i32>,
}

impl<T: Element> Padded<T> {
    /// The values, the lengths (i32 `[B]`) and the classes (i32 `[B]`) on a device.
    ///
    /// # Errors
    /// If the device has no memory left or is lost.
    #[track_caller]
    pub fn to_tensors(&self, device: &Device) -> Result<(Tensor, Tensor, Tensor)> {
        Ok((
            Tensor::from_slice(&self.values, &self.shape[..], device)?,
            Tensor::from_slice(&self.lengths, self.lengths.len(), device)?,
            Tensor::from_slice(&self.labels, self.labels.len(), device)?,
        ))
    }
}

/// Puts sequences side by side, `[B, L]`, filled up with `padding`; L is the longest, or the shortest of
/// some lengths that holds it. PyTorch: `torch.nn.utils.rnn.pad_sequence(batch_first=True)`.
///
/// ```
/// use gradloom_data::sequences::PadSequences;
/// use gradloom_data::{Collate, Labelled};
///
/// let texts = vec![
///     Labelled { input: vec![5, 6, 7], label: 0 },
///     Labelled { input: vec![8], label: 1 },
/// ];
/// let batch = PadSequences::new(0).collate(texts)?;
/// assert_eq!((&batch.values[..], &batch.shape[..]), (&[5, 6, 7, 8, 0, 0][..], &[2, 3][..]));
/// assert_eq!(batch.lengths, [3, 1]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PadSequences<T> {
    padding: T,
    lengths: Vec<usize>,
    step: Vec<usize>,
}

impl<T> PadSequences<T> {
    /// Fills up with `padding` to the longest of a batch.
    pub fn new(padding: T) -> Self {
        PadSequences { padding, lengths: Vec::new(), step: Vec::new() }
    }

    /// Fills up to the shortest of these lengths that holds the longest of a batch, so that few shapes
    /// are planned. A sequence longer than all of them is an error.
    #[must_use]
    pub fn to_lengths(mut self, lengths: impl Into<Vec<usize>>) -> Self {
        self.lengths = lengths.into();
        self.lengths.sort_unstable();
        self
    }

    /// Each step of a sequence is values of this shape, one after another: `[B, L, ..]`.
    ///
    /// # Panics
    /// If the shape has no elements.
    #[must_use]
    #[track_caller]
    pub fn step(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.step = shape.into();
        assert!(self.step.iter().product::<usize>() > 0, "pad sequences: steps {:?}", self.step);
        self
    }
}

impl<T: Copy + Send + Sync> Collate<Labelled<Vec<T>>> for PadSequences<T> {
    type Batch = Padded<T>;

    fn describe(&self) -> String {
        format!("PadSequences to {:?} of steps {:?}", self.lengths, self.step)
    }

    fn collate(&self, samples: Vec<Labelled<Vec<T>>>) -> Result<Padded<T>> {
        let width: usize = self.step.iter().product();
        let mut longest = 0;
        for (place, sample) in samples.iter().enumerate() {
            if !sample.input.len().is_multiple_of(width) {
                return Err(Error::invalid(format!(
                    "pad sequences: sample {place} has {} values, no steps of {:?}",
                    sample.input.len(),
                    self.step
                )));
            }
            longest = longest.max(sample.input.len() / width);
        }
        let length = match self.lengths.iter().find(|&&length| length >= longest) {
            Some(&length) => length,
            None if self.lengths.is_empty() => longest,
            None => {
                return Err(Error::invalid(format!(
                    "pad sequences: a sequence of {longest} steps is longer than {:?}; cut it before",
                    self.lengths
                )));
            }
        };
        let mut values = vec![self.padding; samples.len() * length * width];
        let mut lengths = Vec::with_capacity(samples.len());
        for (place, sample) in samples.iter().enumerate() {
            let start = place * length * width;
            values[start..start + sample.input.len()].copy_from_slice(&sample.input);
            lengths.push(i32::try_from(sample.input.len() / width).map_err(|_| {
                Error::invalid(format!("pad sequences: sample {place} is longer than i32 counts"))
            })?);
        }
        let shape = [samples.len(), length].into_iter().chain(self.step.iter().copied()).collect();
        let labels = samples.iter().map(|sample| sample.label).collect();
        Ok(Padded { values, shape, lengths, labels })
    }
}

impl<T: Copy + Send + Sync> Loader<InMemory<Labelled<Vec<T>>>, Identity, PadSequences<T>> {
    /// A loader of texts with their classes. Each becomes tokens once, here, by `encode`; those of a batch are filled
    /// up with `padding` to the longest.
    ///
    /// ```
    /// use gradloom_data::Loader;
    ///
    /// # fn main() -> gradloom_data::Result<()> {
    /// let letters = |text: &str| Ok(text.bytes().collect::<Vec<u8>>());
    /// let texts = [("good".to_owned(), 1), ("so bad".to_owned(), 0)];
    /// let batch = Loader::texts(&texts, letters, 0)?.epoch(0).next().unwrap()?;
    /// assert_eq!((&batch.shape[..], &batch.lengths[..]), (&[2, 6][..], &[4, 6][..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With a `Tokenizer` of `gradloom-text`: `Loader::texts(&texts, tokenizer.encoder(options), 0)`.
    ///
    /// # Errors
    /// If `encode` refuses a text; the message has its number.
    pub fn texts<S: AsRef<str>>(
        texts: &[(S, i32)],
        encode: impl Fn(&str) -> Result<Vec<T>>,
        padding: T,
    ) -> Result<Self> {
        let sample = |(number, (text, label)): (usize, &(S, i32))| {
            let input = encode(text.as_ref())
                .map_err(|error| error.context(format!("loader: text {number}")))?;
            Ok(Labelled { input, label: *label })
        };
        let samples = texts.iter().enumerate().map(sample).collect::<Result<_>>()?;
        Ok(Loader::new(InMemory(samples), Identity, PadSequences::new(padding)))
    }
}

#[cfg(test)]
mod tests {
    use super::PadSequences;
    use crate::batch::Collate;
    use crate::dataset::Labelled;

    fn samples(lengths: &[usize]) -> Vec<Labelled<Vec<f32>>> {
        let sample = |&length| Labelled { input: vec![1.0; length], label: 7 };
        lengths.iter().map(sample).collect()
    }

    #[test]
    fn a_batch_has_one_of_few_lengths() {
        let pad = PadSequences::new(0.0).to_lengths([8, 4]).step([2]);
        let batch = pad.collate(samples(&[6, 10])).unwrap();
        assert_eq!((&batch.shape[..], &batch.lengths[..]), (&[2, 8, 2][..], &[3, 5][..]));
        assert_eq!(batch.values.iter().sum::<f32>(), 16.0);
        assert_eq!(pad.collate(samples(&[2])).unwrap().shape, [1, 4, 2]);
        assert!(pad.collate(samples(&[18])).unwrap_err().to_string().contains("longer than"));
        assert!(pad.collate(samples(&[3])).unwrap_err().to_string().contains("sample 0 has 3"));
        assert_eq!(PadSequences::new(0.0f32).collate(samples(&[])).unwrap().shape, [0, 0]);
    }
}
