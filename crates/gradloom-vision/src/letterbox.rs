//! [`Letterbox`]: pictures at one size without other proportions, and boxes there and back.

use crate::{Error, Result};
use gradloom_data::transform::{Interpolation, resize};
use gradloom_data::{Image, Pixel};

/// Scales pictures until they fit a frame, and fills what is left on both sides evenly: what YOLO detectors read.
///
/// ```
/// use gradloom_data::Image;
/// use gradloom_vision::Letterbox;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// let photo = Image::new(vec![200u8; 3 * 20 * 40], [3, 20, 40])?;
/// let (framed, place) = Letterbox::new(32, 32).apply(&photo)?;
/// assert_eq!(framed.size(), [3, 32, 32]);
/// assert_eq!(place.to_frame([0.0, 0.0, 40.0, 20.0]), [0.0, 8.0, 32.0, 24.0]);
/// assert_eq!(place.to_picture([0.0, 8.0, 32.0, 24.0]), [0.0, 0.0, 40.0, 20.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Letterbox {
    height: usize,
    width: usize,
    fill: u8,
    enlarge: bool,
}

/// Where a picture lies in its frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LetterboxPlace {
    /// What a pixel of the picture is wide in the frame, across and down.
    scale: [f32; 2],
    /// The picture's corner in the frame, from the left and from the top.
    corner: [f32; 2],
    /// Width and height of the picture.
    picture: [f32; 2],
}

impl Letterbox {
    /// A frame of this height and width, filled with grey of level 114.
    pub fn new(height: usize, width: usize) -> Self {
        Letterbox { height, width, fill: 114, enlarge: true }
    }

    /// Sets the level of what is filled.
    #[must_use]
    pub fn fill(self, fill: u8) -> Self {
        Letterbox { fill, ..self }
    }

    /// Leaves pictures that fit as large as they are.
    #[must_use]
    pub fn only_reduce(self) -> Self {
        Letterbox { enlarge: false, ..self }
    }

    /// The framed picture, and where it lies.
    ///
    /// # Errors
    /// If the picture or the frame has no pixels.
    pub fn apply(&self, image: &Image) -> Result<(Image, LetterboxPlace)> {
        let [channels, height, width] = image.size();
        if [channels, height, width, self.height, self.width].contains(&0) {
            let message =
                format!("letterbox: {height} x {width} in {} x {}", self.height, self.width);
            return Err(Error::invalid(message));
        }
        let fits = (self.height as f64 / height as f64).min(self.width as f64 / width as f64);
        let scale = if self.enlarge { fits } else { fits.min(1.0) };
        let side = |length: usize, limit: usize| {
            ((length as f64 * scale).round() as usize).clamp(1, limit)
        };
        let (inner_height, inner_width) = (side(height, self.height), side(width, self.width));
        let inner = resize(image, inner_height, inner_width, Interpolation::Bilinear)?;
        let (top, left) = ((self.height - inner_height) / 2, (self.width - inner_width) / 2);
        let mut pixels = vec![self.fill; channels * self.height * self.width];
        for (line, row) in inner.pixels().chunks_exact(inner_width).enumerate() {
            let (channel, line) = (line / inner_height, line % inner_height);
            let start = (channel * self.height + top + line) * self.width + left;
            pixels[start..start + inner_width].copy_from_slice(row);
        }
        let place = LetterboxPlace {
            scale: [inner_width as f32 / width as f32, inner_height as f32 / height as f32],
            corner: [left as f32, top as f32],
            picture: [width as f32, height as f32],
        };
        Ok((Image::new(pixels, [channels, self.height, self.width])?, place))
    }
}

impl LetterboxPlace {
    /// A box of the picture in the frame.
    pub fn to_frame(&self, bounds: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|side| bounds[side] * self.scale[side % 2] + self.corner[side % 2])
    }

    /// A box of the frame in the picture, without what lies outside that.
    pub fn to_picture(&self, bounds: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|side| {
            let axis = side % 2;
            let place = (bounds[side] - self.corner[axis]) / self.scale[axis];
            place.clamp(0.0, self.picture[axis])
        })
    }
}

/// Windows of a large picture that overlap and cover all of it: `[left, top, right, bottom]` each, row by row. Each
/// is `size` wide and high, or as large as the picture, and two that are side by side share `overlap` pixels or more.
///
/// # Errors
/// If the size is zero, or not larger than the overlap.
pub fn tiles([height, width]: [usize; 2], size: usize, overlap: usize) -> Result<Vec<[usize; 4]>> {
    if size == 0 || overlap >= size {
        return Err(Error::invalid(format!("tiles: of {size} pixels that share {overlap}")));
    }
    let starts = |length: usize| -> Vec<usize> {
        let mut starts = Vec::new();
        let mut start = 0;
        while start + size < length {
            starts.push(start);
            start += size - overlap;
        }
        if length > 0 {
            starts.push(length.saturating_sub(size));
        }
        starts
    };
    let (rows, columns) = (starts(height), starts(width));
    let tiles = rows.iter().flat_map(|&top| {
        columns
            .iter()
            .map(move |&left| [left, top, (left + size).min(width), (top + size).min(height)])
    });
    Ok(tiles.collect())
}

/// One of [`tiles`] of a picture.
///
/// # Errors
/// If it is not inside.
pub fn tile<T: Pixel>(
    image: &Image<T>,
    [left, top, right, bottom]: [usize; 4],
) -> Result<Image<T>> {
    let [channels, height, width] = image.size();
    if left >= right || top >= bottom || right > width || bottom > height {
        let bounds = [left, top, right, bottom];
        return Err(Error::invalid(format!("tile: {bounds:?} of {height} x {width} pixels")));
    }
    let mut pixels = Vec::with_capacity(channels * (bottom - top) * (right - left));
    for channel in 0..channels {
        for row in top..bottom {
            let start = (channel * height + row) * width;
            pixels.extend_from_slice(&image.pixels()[start + left..start + right]);
        }
    }
    Image::new(pixels, [channels, bottom - top, right - left])
}
