//! [`SpecAugment`]: bands of a spectrogram hidden, along frequencies and along time.

use crate::random::RandomStream;
use crate::transform::described;
use crate::{Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// Hides random bands of a spectrogram `[C, F, T]`: frequencies are the rows of the picture, time its
/// columns.
///
/// Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition", 2019,
/// without the warp of time. torchaudio: `FrequencyMasking(width)` and `TimeMasking(width)`, one for each
/// band.
#[derive(Clone, Copy, Debug)]
pub struct SpecAugment {
    frequency: (usize, usize),
    time: (usize, usize),
    value: f32,
}

impl SpecAugment {
    /// `frequency_masks` bands of up to `frequency_width` rows, `time_masks` of up to `time_width`
    /// columns, set to zero. Each width below the largest is equally likely.
    pub fn new(
        frequency_masks: usize,
        frequency_width: usize,
        time_masks: usize,
        time_width: usize,
    ) -> Self {
        let (frequency, time) = ((frequency_masks, frequency_width), (time_masks, time_width));
        SpecAugment { frequency, time, value: 0.0 }
    }

    /// Sets bands to this value instead, such as the mean.
    #[must_use]
    pub fn value(mut self, value: f32) -> Self {
        self.value = value;
        self
    }
}

/// A band along an axis of `len`, as torchaudio draws it.
fn band(stream: &mut RandomStream, width: usize, len: usize) -> std::ops::Range<usize> {
    let width = stream.unit() * width.min(len) as f32;
    let start = stream.unit() * (len as f32 - width);
    let first = (start as usize).min(len);
    first..(first + width as usize).min(len)
}

impl<T: Pixel> Transform<Image<T>> for SpecAugment {
    type Output = Image<T>;

    described!();

    fn apply(&self, mut image: Image<T>, key: Key) -> Result<Image<T>> {
        let mut stream = RandomStream::new(key);
        let [_, rows, columns] = image.size();
        let value = T::from_f32(self.value);
        for _ in 0..self.frequency.0 {
            let hidden = band(&mut stream, self.frequency.1, rows);
            for plane in image.pixels_mut().chunks_exact_mut((rows * columns).max(1)) {
                plane[hidden.start * columns..hidden.end * columns].fill(value);
            }
        }
        for _ in 0..self.time.0 {
            let hidden = band(&mut stream, self.time.1, columns);
            for row in image.pixels_mut().chunks_exact_mut(columns.max(1)) {
                row[hidden.clone()].fill(value);
            }
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::SpecAugment;
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn bands_are_whole_and_no_wider_than_asked_for() {
        let (rows, columns) = (20, 50);
        let image = Image::new(vec![1.0f32; rows * columns], [1, rows, columns]).unwrap();
        let mut seen = 0;
        for seed in 0..200 {
            let masked = SpecAugment::new(1, 8, 1, 10)
                .value(-1.0)
                .apply(image.clone(), Key::new(seed))
                .unwrap();
            let hidden =
                |row: usize, column: usize| masked.pixels()[row * columns + column] == -1.0;
            let whole_rows = (0..rows).filter(|&row| (0..columns).all(|c| hidden(row, c))).count();
            let whole_columns =
                (0..columns).filter(|&c| (0..rows).all(|row| hidden(row, c))).count();
            assert!(whole_rows < 8 && whole_columns < 10);
            let total = masked.pixels().iter().filter(|&&value| value == -1.0).count();
            let expected = whole_rows * columns + whole_columns * rows - whole_rows * whole_columns;
            assert_eq!(total, expected);
            seen += usize::from(whole_rows > 0 && whole_columns > 0);
        }
        assert!(seen > 100);
        let tiny = Image::new(vec![1.0f32; 2], [1, 1, 2]).unwrap();
        assert!(SpecAugment::new(5, 100, 5, 100).apply(tiny, Key::new(0)).is_ok());
    }
}
