//! Pixels changed by their neighbours or by how often they occur: blur, sharpness, posterize, solarize,
//! automatic contrast, equalize.

use super::colour::blend;
use crate::random::RandomStream;
use crate::transform::described;
use crate::{Error, Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// A picture whose pixels are means of their neighbours under a Gaussian; the border is mirrored.
/// torchvision: `functional.gaussian_blur(image, kernel_size, sigma)` of tensors; its sum of products is
/// in another order, so a byte may differ by one where a sum lies between two.
///
/// # Errors
/// If the size of the kernel is even, or more than the picture can mirror, or sigma is not positive.
pub fn gaussian_blur<T: Pixel>(
    image: &Image<T>,
    kernel_size: usize,
    sigma: f64,
) -> Result<Image<T>> {
    let [_, height, width] = image.size();
    let half = kernel_size / 2;
    let fits = kernel_size % 2 == 1 && half < height && half < width;
    if !(fits && sigma > 0.0 && sigma.is_finite()) {
        return Err(Error::invalid(format!(
            "gaussian blur: a kernel of {kernel_size} and sigma {sigma} for {height} x {width} pixels; \
             the kernel is odd and smaller than twice the picture"
        )));
    }
    let weight = |place: usize| (-0.5 * ((place as f64 - half as f64) / sigma).powi(2)).exp();
    let mut kernel: Vec<f64> = (0..kernel_size).map(weight).collect();
    let total: f64 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= total);
    // Places count from `half` before the picture. The border pixel is not repeated: 2 1 | 0 1 2.
    let mirrored = |place: usize, len: usize| {
        let place = place.abs_diff(half);
        if place < len { place } else { 2 * (len - 1) - place }
    };
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for plane in image.pixels().chunks_exact(image.plane_len()) {
        let mut rows = Vec::with_capacity(plane.len());
        for row in plane.chunks_exact(width) {
            rows.extend((0..width).map(|column| {
                let term = |(place, weight): (usize, &f64)| {
                    weight * f64::from(row[mirrored(column + place, width)].to_f32())
                };
                kernel.iter().enumerate().map(term).sum::<f64>()
            }));
        }
        for index in 0..plane.len() {
            let (row, column) = (index / width, index % width);
            let term = |(place, weight): (usize, &f64)| {
                weight * rows[mirrored(row + place, height) * width + column]
            };
            let sum: f64 = kernel.iter().enumerate().map(term).sum();
            pixels.push(T::from_f32(sum as f32));
        }
    }
    Image::new(pixels, image.size())
}

/// Blurs with a random sigma. torchvision: `GaussianBlur(kernel_size, sigma)`.
#[derive(Clone, Copy, Debug)]
pub struct GaussianBlur {
    kernel_size: usize,
    sigma: (f32, f32),
}

impl GaussianBlur {
    /// A kernel of this odd size, and sigma between two numbers.
    ///
    /// # Panics
    /// If the size is even, or the numbers are not positive and in order.
    #[track_caller]
    pub fn new(kernel_size: usize, sigma_min: f32, sigma_max: f32) -> Self {
        let fits = 0.0 < sigma_min && sigma_min <= sigma_max && sigma_max.is_finite();
        assert!(
            kernel_size % 2 == 1 && fits,
            "gaussian blur: a kernel of {kernel_size}, sigma {sigma_min} to {sigma_max}"
        );
        GaussianBlur { kernel_size, sigma: (sigma_min, sigma_max) }
    }
}

impl<T: Pixel> Transform<Image<T>> for GaussianBlur {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        let sigma = RandomStream::new(key).uniform(self.sigma.0, self.sigma.1);
        gaussian_blur(&image, self.kernel_size, f64::from(sigma))
    }
}

/// Towards a smoothed picture below 1, away from it above. torchvision: `functional.adjust_sharpness`.
///
/// # Errors
/// None; a picture of two rows or columns stays as it is.
pub fn adjust_sharpness<T: Pixel>(image: &Image<T>, factor: f64) -> Result<Image<T>> {
    let [_, height, width] = image.size();
    if height <= 2 || width <= 2 {
        return Ok(image.clone());
    }
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for plane in image.pixels().chunks_exact(height * width) {
        for index in 0..plane.len() {
            let (row, column) = (index / width, index % width);
            let inner = (1..height - 1).contains(&row) && (1..width - 1).contains(&column);
            let smooth = if inner {
                let mut sum = 0.0f32;
                for (place, (y, x)) in (0..3).flat_map(|y| (0..3).map(move |x| (y, x))).enumerate()
                {
                    let weight: f32 = if place == 4 { 5.0 / 13.0 } else { 1.0 / 13.0 };
                    sum += weight * plane[(row + y - 1) * width + column + x - 1].to_f32();
                }
                T::from_f32(sum).to_f32()
            } else {
                plane[index].to_f32()
            };
            pixels.push(blend(plane[index], smooth, factor));
        }
    }
    Image::new(pixels, image.size())
}

fn mapped(image: &Image, map: impl Fn(u8) -> u8) -> Image {
    let mut image = image.clone();
    image.pixels_mut().iter_mut().for_each(|pixel| *pixel = map(*pixel));
    image
}

/// Keeps the highest `bits` of every pixel. torchvision: `functional.posterize`.
pub fn posterize(image: &Image, bits: u32) -> Image {
    let mask = !(u8::MAX.checked_shr(bits).unwrap_or(0));
    mapped(image, |pixel| pixel & mask)
}

/// Turns pixels of `threshold` and above to their negative. torchvision: `functional.solarize`.
pub fn solarize(image: &Image, threshold: f32) -> Image {
    mapped(image, |pixel| if f32::from(pixel) >= threshold { 255 - pixel } else { pixel })
}

/// Stretches each channel from black to white. torchvision: `functional.autocontrast`.
pub fn autocontrast(image: &Image) -> Image {
    per_channel(image, |plane| {
        let (least, most) = (plane.iter().min(), plane.iter().max());
        let (Some(&least), Some(&most)) = (least, most) else { return };
        if least < most {
            let scale = 255.0 / f32::from(most - least);
            plane.iter_mut().for_each(|pixel| *pixel = (f32::from(*pixel - least) * scale) as u8);
        }
    })
}

/// Makes all brightnesses of each channel about as frequent. torchvision: `functional.equalize`.
pub fn equalize(image: &Image) -> Image {
    per_channel(image, |plane| {
        let mut counts = [0usize; 256];
        plane.iter().for_each(|&pixel| counts[usize::from(pixel)] += 1);
        let last = counts.iter().rev().find(|count| **count > 0).copied().unwrap_or(0);
        let step = (plane.len() - last) / 255;
        if step == 0 {
            return;
        }
        let mut below = 0;
        let map = counts.map(|count| {
            let value = (below + step / 2) / step;
            below += count;
            value.min(255) as u8
        });
        plane.iter_mut().for_each(|pixel| *pixel = map[usize::from(*pixel)]);
    })
}

fn per_channel(image: &Image, change: impl Fn(&mut [u8])) -> Image {
    let mut image = image.clone();
    let plane = image.plane_len();
    image.pixels_mut().chunks_exact_mut(plane).for_each(change);
    image
}

#[cfg(test)]
mod tests {
    use super::{adjust_sharpness, autocontrast, equalize, gaussian_blur, posterize, solarize};
    use crate::Image;

    #[test]
    fn flat_pictures_stay_flat() {
        let flat = Image::new(vec![77u8; 60], [2, 5, 6]).unwrap();
        assert_eq!(gaussian_blur(&flat, 5, 1.3).unwrap(), flat);
        assert_eq!(adjust_sharpness(&flat, 3.0).unwrap(), flat);
        assert_eq!((autocontrast(&flat), equalize(&flat)), (flat.clone(), flat.clone()));
        assert_eq!(posterize(&flat, 8), flat);
        assert!(posterize(&flat, 0).pixels().iter().all(|&pixel| pixel == 0));
        assert!(posterize(&flat, 99) == flat);
        assert!(solarize(&flat, 77.0).pixels().iter().all(|&pixel| pixel == 178));
        let empty = Image::<u8>::new(vec![], [2, 0, 6]).unwrap();
        assert_eq!((autocontrast(&empty), equalize(&empty)), (empty.clone(), empty.clone()));
    }

    #[test]
    fn kernels_that_do_not_fit_are_refused() {
        let image = Image::new(vec![0.5f32; 12], [1, 3, 4]).unwrap();
        assert!(gaussian_blur(&image, 5, 1.0).is_ok());
        assert!(gaussian_blur(&image, 7, 1.0).unwrap_err().to_string().contains("kernel of 7"));
        assert!(gaussian_blur(&image, 2, 1.0).is_err());
        assert!(gaussian_blur(&image, 3, 0.0).is_err());
        assert!(gaussian_blur(&image, 3, f64::NAN).is_err());
    }
}
