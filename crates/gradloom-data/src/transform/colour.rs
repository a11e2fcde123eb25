//! Brightness, contrast, saturation, hue and grey, as torchvision computes them on tensors: in f32, cut and
//! not rounded to bytes.

use crate::random::RandomStream;
use crate::transform::described;
use crate::{Error, Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// `factor * a + (1 - factor) * b`, cut to a pixel.
pub(super) fn blend<T: Pixel>(a: T, b: f32, factor: f64) -> T {
    T::cut(factor as f32 * a.to_f32() + (1.0 - factor) as f32 * b)
}

/// The brightness that eyes see of three channels.
fn grey<T: Pixel>(red: T, green: T, blue: T) -> T {
    T::cut(0.2989 * red.to_f32() + 0.587 * green.to_f32() + 0.114 * blue.to_f32())
}

fn planes<'a, T: Pixel>(op: &str, image: &'a Image<T>) -> Result<[&'a [T]; 3]> {
    let plane = image.height() * image.width();
    match image.channels() {
        3 => {
            let (red, rest) = image.pixels().split_at(plane);
            let (green, blue) = rest.split_at(plane);
            Ok([red, green, blue])
        }
        channels => Err(Error::invalid(format!("{op}: {channels} channels; colours are three"))),
    }
}

fn mapped<T: Pixel>(image: &Image<T>, map: impl Fn(T) -> T) -> Result<Image<T>> {
    Image::new(image.pixels().iter().map(|&pixel| map(pixel)).collect(), image.size())
}

/// One channel of grey, or several equal ones. torchvision: `functional.rgb_to_grayscale`.
///
/// # Errors
/// If there are neither one nor three channels.
pub fn greyscale<T: Pixel>(image: &Image<T>, channels: usize) -> Result<Image<T>> {
    let plane: Vec<T> = if image.channels() == 1 {
        image.pixels().to_vec()
    } else {
        let [red, green, blue] = planes("greyscale", image)?;
        red.iter().zip(green).zip(blue).map(|((&r, &g), &b)| grey(r, g, b)).collect()
    };
    Image::new(plane.repeat(channels), [channels, image.height(), image.width()])
}

/// Darker below 1 (0 is black), brighter above. torchvision: `functional.adjust_brightness`.
///
/// # Errors
/// None for a factor that is a number; it is clamped to what pixels hold.
pub fn adjust_brightness<T: Pixel>(image: &Image<T>, factor: f64) -> Result<Image<T>> {
    mapped(image, |pixel| blend(pixel, 0.0, factor))
}

/// Towards the mean grey below 1, away from it above. torchvision: `functional.adjust_contrast`.
///
/// # Errors
/// If there are neither one nor three channels.
pub fn adjust_contrast<T: Pixel>(image: &Image<T>, factor: f64) -> Result<Image<T>> {
    let grey = greyscale(image, 1)?;
    let sum: f64 = grey.pixels().iter().map(|pixel| f64::from(pixel.to_f32())).sum();
    let mean = (sum / grey.pixels().len().max(1) as f64) as f32;
    mapped(image, |pixel| blend(pixel, mean, factor))
}

/// Towards grey below 1, away from it above. torchvision: `functional.adjust_saturation`.
///
/// # Errors
/// If there are neither one nor three channels.
pub fn adjust_saturation<T: Pixel>(image: &Image<T>, factor: f64) -> Result<Image<T>> {
    if image.channels() == 1 {
        return Ok(image.clone());
    }
    let grey = greyscale(image, 1)?;
    let plane = image.plane_len();
    let pixels = image.pixels().iter().enumerate();
    let blended = pixels.map(|(index, &a)| blend(a, grey.pixels()[index % plane].to_f32(), factor));
    Image::new(blended.collect(), image.size())
}

/// Moves along the circle of colours by `shift` of it, from -0.5 to 0.5. torchvision:
/// `functional.adjust_hue`.
///
/// # Errors
/// If there are neither one nor three channels, or the shift is outside its range.
pub fn adjust_hue<T: Pixel>(image: &Image<T>, shift: f64) -> Result<Image<T>> {
    if !(-0.5..=0.5).contains(&shift) {
        return Err(Error::invalid(format!("adjust hue: by {shift}; shifts are -0.5 to 0.5")));
    }
    if image.channels() == 1 {
        return Ok(image.clone());
    }
    let [red, green, blue] = planes("adjust hue", image)?;
    let mut pixels = vec![T::default(); image.pixels().len()];
    for index in 0..red.len() {
        let rgb = [red[index], green[index], blue[index]].map(|pixel| pixel.to_f32() / T::WHITE);
        let [hue, saturation, value] = to_hsv(rgb);
        let hue = (hue + shift as f32).rem_euclid(1.0);
        let turned = from_hsv([hue, saturation, value]);
        for (channel, value) in turned.into_iter().enumerate() {
            // The largest fraction that is cut to white, not beyond it, as torchvision has it.
            let scale = if T::WHITE == 1.0 { 1.0 } else { T::WHITE + 1.0 - 1e-3 };
            pixels[channel * red.len() + index] = T::cut(value * scale);
        }
    }
    Image::new(pixels, image.size())
}

fn to_hsv([r, g, b]: [f32; 3]) -> [f32; 3] {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let range = most - least;
    if range == 0.0 {
        return [0.0, 0.0, most];
    }
    let saturation = range / most;
    let [rc, gc, bc] = [r, g, b].map(|channel| (most - channel) / range);
    let sextant = if most == r {
        bc - gc
    } else if most == g {
        2.0 + rc - bc
    } else {
        4.0 + gc - rc
    };
    [(sextant / 6.0 + 1.0) % 1.0, saturation, most]
}

fn from_hsv([h, s, v]: [f32; 3]) -> [f32; 3] {
    let sextant = (h * 6.0).floor();
    let f = h * 6.0 - sextant;
    let p = (v * (1.0 - s)).clamp(0.0, 1.0);
    let q = (v * (1.0 - s * f)).clamp(0.0, 1.0);
    let t = (v * (1.0 - s * (1.0 - f))).clamp(0.0, 1.0);
    match sextant as i32 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

/// Changes brightness, contrast, saturation and hue at random, in random order.
///
/// torchvision: `ColorJitter(brightness, contrast, saturation, hue)`.
#[derive(Clone, Copy, Debug)]
pub struct ColorJitter {
    brightness: f32,
    contrast: f32,
    saturation: f32,
    hue: f32,
}

impl ColorJitter {
    /// Factors between `1 - x` (0 at least) and `1 + x` for the first three, shifts between `-hue` and
    /// `hue`.
    ///
    /// # Panics
    /// If a number is negative or not finite, or the hue is above 0.5.
    #[track_caller]
    pub fn new(brightness: f32, contrast: f32, saturation: f32, hue: f32) -> Self {
        let all = [brightness, contrast, saturation, hue];
        let fits = all.iter().all(|value| *value >= 0.0 && value.is_finite()) && hue <= 0.5;
        assert!(fits, "color jitter: brightness, contrast, saturation, hue {all:?}");
        ColorJitter { brightness, contrast, saturation, hue }
    }
}

impl<T: Pixel> Transform<Image<T>> for ColorJitter {
    type Output = Image<T>;

    described!();

    fn apply(&self, mut image: Image<T>, key: Key) -> Result<Image<T>> {
        let mut stream = RandomStream::new(key);
        let mut order = [0, 1, 2, 3];
        stream.shuffle(&mut order);
        let mut factor =
            |range: f32| f64::from(stream.uniform((1.0 - range).max(0.0), 1.0 + range));
        let factors = [factor(self.brightness), factor(self.contrast), factor(self.saturation)];
        let shift = f64::from(stream.uniform(-self.hue, self.hue));
        for step in order {
            image = match step {
                0 if self.brightness > 0.0 => adjust_brightness(&image, factors[0])?,
                1 if self.contrast > 0.0 => adjust_contrast(&image, factors[1])?,
                2 if self.saturation > 0.0 => adjust_saturation(&image, factors[2])?,
                3 if self.hue > 0.0 => adjust_hue(&image, shift)?,
                _ => image,
            };
        }
        Ok(image)
    }
}

/// Takes the colours away with some probability; three channels stay three. torchvision:
/// `RandomGrayscale(p)`; with probability 1 and `channels`, `Grayscale(channels)`.
#[derive(Clone, Copy, Debug)]
pub struct Grayscale {
    channels: Option<usize>,
    probability: f32,
}

impl Grayscale {
    /// Every image to this many equal channels of grey.
    ///
    /// # Panics
    /// If it is zero.
    #[track_caller]
    pub fn channels(channels: usize) -> Self {
        assert!(channels > 0, "grayscale: no channels");
        Grayscale { channels: Some(channels), probability: 1.0 }
    }

    /// Some images, which keep their number of channels.
    ///
    /// # Panics
    /// If the probability is not within `0..=1`.
    #[track_caller]
    pub fn random(probability: f32) -> Self {
        assert!((0.0..=1.0).contains(&probability), "grayscale: probability {probability}");
        Grayscale { channels: None, probability }
    }
}

impl<T: Pixel> Transform<Image<T>> for Grayscale {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        if self.channels.is_none() && !RandomStream::new(key).chance(self.probability) {
            return Ok(image);
        }
        greyscale(&image, self.channels.unwrap_or(image.channels()))
    }
}

#[cfg(test)]
mod tests {
    use super::{ColorJitter, Grayscale, adjust_hue, greyscale};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    fn image() -> Image {
        Image::new((0..48).map(|v| (v * 53 % 256) as u8).collect(), [3, 4, 4]).unwrap()
    }

    #[test]
    fn jitter_of_nothing_changes_nothing_and_greys_stay_grey() {
        let kept = ColorJitter::new(0.0, 0.0, 0.0, 0.0).apply(image(), Key::new(1)).unwrap();
        assert_eq!(kept, image());
        let grey = greyscale(&image(), 3).unwrap();
        let jittered = ColorJitter::new(0.4, 0.4, 0.9, 0.5).apply(grey, Key::new(1)).unwrap();
        let (red, rest) = jittered.pixels().split_at(16);
        assert_eq!((red, red), (&rest[..16], &rest[16..]));
        assert_eq!(Grayscale::random(0.0).apply(image(), Key::new(0)).unwrap(), image());
        assert_eq!(Grayscale::channels(1).apply(image(), Key::new(0)).unwrap().channels(), 1);
    }

    #[test]
    fn two_channels_are_no_colours() {
        let two = Image::new(vec![0u8; 8], [2, 2, 2]).unwrap();
        let message = greyscale(&two, 1).unwrap_err().to_string();
        assert_eq!(message, "greyscale: 2 channels; colours are three");
        assert!(adjust_hue(&two, 0.1).is_err());
        assert!(adjust_hue(&image(), 0.6).is_err());
    }

    #[test]
    fn pictures_without_pixels_stay_so() {
        for size in [[3, 0, 5], [3, 5, 0]] {
            let empty = Image::<u8>::new(Vec::new(), size).unwrap();
            let jitter = ColorJitter::new(0.4, 0.4, 0.9, 0.5);
            assert_eq!(jitter.apply(empty.clone(), Key::new(1)).unwrap(), empty);
            assert_eq!(greyscale(&empty, 1).unwrap().size(), [1, size[1], size[2]]);
        }
    }
}
