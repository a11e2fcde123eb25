//! [`RandomRotation`], [`RandomAffine`] and [`RandomPerspective`]: pictures turned, moved, sheared and seen
//! askew at random.

use super::warp::{Affine, affine, perspective, rotate};
use crate::interpolation::Interpolation;
use crate::random::RandomStream;
use crate::transform::described;
use crate::{Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// Turns an image around its centre by a random angle; zeros where nothing was.
///
/// torchvision: `RandomRotation(degrees, InterpolationMode.BILINEAR)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomRotation {
    degrees_max: f32,
    interpolation: Interpolation,
}

impl RandomRotation {
    /// Angles between `-degrees_max` and `degrees_max`, each equally likely, bilinear.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[track_caller]
    pub fn degrees(degrees_max: f32) -> Self {
        let fits = degrees_max >= 0.0 && degrees_max.is_finite();
        assert!(fits, "random rotation: {degrees_max} degrees");
        RandomRotation { degrees_max, interpolation: Interpolation::Bilinear }
    }

    /// Nearest or bilinear.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomRotation {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        let degrees = RandomStream::new(key).uniform(-self.degrees_max, self.degrees_max);
        rotate(&image, f64::from(degrees), self.interpolation, T::default())
    }
}

/// Turns, moves, scales and shears at random; zeros where nothing was.
///
/// torchvision: `RandomAffine(degrees, translate, scale, shear)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomAffine {
    degrees: f32,
    translate: (f32, f32),
    scale: (f32, f32),
    shear: f32,
    interpolation: Interpolation,
}

impl RandomAffine {
    /// Turns by up to `degrees` either way, with nearest pixels.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[track_caller]
    pub fn new(degrees: f32) -> Self {
        assert!(degrees >= 0.0 && degrees.is_finite(), "random affine: {degrees} degrees");
        RandomAffine {
            degrees,
            translate: (0.0, 0.0),
            scale: (1.0, 1.0),
            shear: 0.0,
            interpolation: Interpolation::Nearest,
        }
    }

    /// Moves by up to these shares of the width and the height either way.
    ///
    /// # Panics
    /// If a share is not within `0..=1`.
    #[must_use]
    #[track_caller]
    pub fn translate(mut self, width: f32, height: f32) -> Self {
        let fits = (0.0..=1.0).contains(&width) && (0.0..=1.0).contains(&height);
        assert!(fits, "random affine: translations by {width} and {height} of the sides");
        self.translate = (width, height);
        self
    }

    /// Scales by a factor between these two.
    ///
    /// # Panics
    /// If they are not positive and in order.
    #[must_use]
    #[track_caller]
    pub fn scale(mut self, low: f32, high: f32) -> Self {
        assert!(
            0.0 < low && low <= high && high.is_finite(),
            "random affine: scales {low} to {high}"
        );
        self.scale = (low, high);
        self
    }

    /// Shears along x by up to this many degrees either way.
    ///
    /// # Panics
    /// If it is not within `0..90`.
    #[must_use]
    #[track_caller]
    pub fn shear(mut self, degrees: f32) -> Self {
        assert!((0.0..90.0).contains(&degrees), "random affine: shears of {degrees} degrees");
        self.shear = degrees;
        self
    }

    /// Nearest or bilinear.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomAffine {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        let mut stream = RandomStream::new(key);
        let mut within = |most: f32| f64::from(stream.uniform(-most, most));
        let degrees = within(self.degrees);
        let across = within(self.translate.0 * image.width() as f32).round();
        let down = within(self.translate.1 * image.height() as f32).round();
        let shear = within(self.shear);
        let scale = f64::from(stream.uniform(self.scale.0, self.scale.1));
        let map =
            Affine { degrees, translate: (across, down), scale, shear: (shear, 0.0), centre: None };
        affine(&image, &map, self.interpolation, T::default())
    }
}

/// Moves the corners of an image inwards at random; zeros where nothing was.
///
/// torchvision: `RandomPerspective(distortion_scale, p)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomPerspective {
    distortion: f32,
    probability: f32,
}

impl RandomPerspective {
    /// Corners move by up to half of `distortion` of the sides, with some probability.
    ///
    /// # Panics
    /// If a number is not within `0..=1`.
    #[track_caller]
    pub fn new(distortion: f32, probability: f32) -> Self {
        let fits = (0.0..=1.0).contains(&distortion) && (0.0..=1.0).contains(&probability);
        assert!(fits, "random perspective: distortion {distortion}, probability {probability}");
        RandomPerspective { distortion, probability }
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomPerspective {
    type Output = Image<T>;

    described!();

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        let mut stream = RandomStream::new(key);
        let [_, height, width] = image.size();
        if !stream.chance(self.probability) || height < 2 || width < 2 {
            return Ok(image);
        }
        let (right, bottom) = ((width - 1) as f64, (height - 1) as f64);
        let room = |size: usize| (f64::from(self.distortion) * (size / 2) as f64) as usize;
        let mut inwards = |size: usize| stream.below(room(size) + 1) as f64;
        let from = [(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)];
        let to = [
            (inwards(width), inwards(height)),
            (right - inwards(width), inwards(height)),
            (right - inwards(width), bottom - inwards(height)),
            (inwards(width), bottom - inwards(height)),
        ];
        // Corners that meet have no map; the picture stays as it is then.
        match perspective(&image, from, to, Interpolation::Bilinear, T::default()) {
            Ok(image) => Ok(image),
            Err(_) => Ok(image),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RandomAffine, RandomPerspective, RandomRotation};
    use crate::{Image, Transform};
    use gradloom_tensor::Key;

    #[test]
    fn no_room_changes_nothing_and_room_does() {
        let image = Image::new((0..200).collect::<Vec<u8>>(), [2, 10, 10]).unwrap();
        let changed = |transform: &dyn Transform<Image, Output = Image>| {
            (0..50)
                .filter(|&seed| transform.apply(image.clone(), Key::new(seed)).unwrap() != image)
                .count()
        };
        assert_eq!(changed(&RandomRotation::degrees(0.0)), 0);
        assert_eq!(changed(&RandomAffine::new(0.0)), 0);
        assert_eq!(changed(&RandomPerspective::new(0.5, 0.0)), 0);
        assert!(changed(&RandomRotation::degrees(20.0)) > 40);
        let all = RandomAffine::new(20.0).translate(0.2, 0.2).scale(0.7, 1.3).shear(20.0);
        assert!(changed(&all) > 45);
        assert!(changed(&RandomPerspective::new(1.0, 1.0)) > 40);
        let tiny = Image::new(vec![1u8], [1, 1, 1]).unwrap();
        assert_eq!(
            RandomPerspective::new(1.0, 1.0).apply(tiny.clone(), Key::new(0)).unwrap(),
            tiny
        );
    }
}
