//! [`RandomCrop`]: a window of a zero-padded image at a random place.

use crate::random::RandomStream;
use crate::transform::described;
use crate::{Error, Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// A window of `height` x `width` at a random place of the image padded with zeros on every side.
///
/// PyTorch: `torchvision.transforms.RandomCrop((height, width), padding=padding)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomCrop {
    height: usize,
    width: usize,
    padding: usize,
}

impl RandomCrop {
    /// A crop to `height` x `width` after `padding` zeros on every side.
    ///
    /// # Panics
    /// If the window is empty.
    #[track_caller]
    pub fn new(height: usize, width: usize, padding: usize) -> Self {
        assert!(height > 0 && width > 0, "random crop: the window {height} x {width} is empty");
        RandomCrop { height, width, padding }
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomCrop {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        let [channels, height, width] = image.size();
        let padding = self.padding;
        let room = |size: usize, window: usize| {
            size.checked_add(padding.checked_mul(2)?)?.checked_sub(window)
        };
        let (Some(rows), Some(columns)) = (room(height, self.height), room(width, self.width))
        else {
            return Err(Error::invalid(format!(
                "random crop: an image of {height} x {width} with padding {padding} is smaller than \
                 the window {} x {}",
                self.height, self.width
            )));
        };
        let mut stream = RandomStream::new(key);
        let (top, left) = (stream.below(rows + 1), stream.below(columns + 1));
        let mut pixels = vec![T::default(); channels * self.height * self.width];
        // The columns of the window that lie on the image, in the window's own counting.
        let first = padding.saturating_sub(left).min(self.width);
        let past = (padding + width).saturating_sub(left).min(self.width);
        for (line, target) in pixels.chunks_exact_mut(self.width).enumerate() {
            let (channel, row) = (line / self.height, line % self.height + top);
            if row < padding || row >= padding + height || past <= first {
                continue;
            }
            let start = (channel * height + row - padding) * width + left + first - padding;
            let source = &image.pixels()[start..start + past - first];
            target[first..past].copy_from_slice(source);
        }
        Image::new(pixels, [channels, self.height, self.width])
    }
}

#[cfg(test)]
mod tests {
    use super::RandomCrop;
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn a_crop_is_a_window_of_the_padded_image() {
        let (height, width, padding) = (3usize, 5usize, 2usize);
        let image = Image::new((1..=30).collect::<Vec<u8>>(), [2, height, width]).unwrap();
        let padded = |channel: usize, row: usize, column: usize| -> u8 {
            match (row.checked_sub(padding), column.checked_sub(padding)) {
                (Some(r), Some(c)) if r < height && c < width => {
                    image.pixels()[(channel * height + r) * width + c]
                }
                _ => 0,
            }
        };
        let mut places = std::collections::BTreeSet::new();
        for (window_height, window_width) in [(3, 5), (1, 1), (7, 9), (2, 6)] {
            for seed in 0..200 {
                let crop = RandomCrop::new(window_height, window_width, padding);
                let window = crop.apply(image.clone(), Key::new(seed)).unwrap();
                assert_eq!(window.size(), [2, window_height, window_width]);
                let rows = height + 2 * padding - window_height;
                let columns = width + 2 * padding - window_width;
                let found = (0..=rows).flat_map(|top| (0..=columns).map(move |left| (top, left)));
                let place = found.into_iter().find(|&(top, left)| {
                    window.pixels().iter().enumerate().all(|(index, &pixel)| {
                        let (line, column) = (index / window_width, index % window_width);
                        let (channel, row) = (line / window_height, line % window_height);
                        pixel == padded(channel, row + top, column + left)
                    })
                });
                places.insert((window_height, place.expect("no window of the image equals it")));
            }
        }
        assert!(places.len() > 40, "only {} places", places.len());
    }

    #[test]
    fn a_window_larger_than_the_padded_image_is_an_error() {
        let image = Image::new(vec![0u8; 12], [1, 3, 4]).unwrap();
        let message = RandomCrop::new(6, 4, 1).apply(image, Key::new(0)).unwrap_err().to_string();
        assert!(message.contains("3 x 4") && message.contains("6 x 4"), "{message}");
    }
}
