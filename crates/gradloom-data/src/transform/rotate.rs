//! [`RandomRotation`]: a small turn around the centre.

use crate::random::RandomStream;
use crate::{Image, Pixel, Result, Transform};
use gradloom_tensor::Key;

/// Turns an image around its centre by a random angle; bilinear, zeros where nothing was.
///
/// PyTorch: `torchvision.transforms.RandomRotation(degrees, InterpolationMode.BILINEAR)`.
#[derive(Clone, Copy, Debug)]
pub struct RandomRotation {
    degrees_max: f32,
}

impl RandomRotation {
    /// Angles between `-degrees_max` and `degrees_max`, each equally likely.
    ///
    /// # Panics
    /// If it is negative or not finite.
    #[track_caller]
    pub fn degrees(degrees_max: f32) -> Self {
        let fits = degrees_max >= 0.0 && degrees_max.is_finite();
        assert!(fits, "random rotation: {degrees_max} degrees");
        RandomRotation { degrees_max }
    }
}

impl<T: Pixel> Transform<Image<T>> for RandomRotation {
    type Output = Image<T>;

    fn apply(&self, image: Image<T>, key: Key) -> Result<Image<T>> {
        let degrees = RandomStream::new(key).uniform(-self.degrees_max, self.degrees_max);
        rotate(&image, degrees)
    }
}

/// Turns counter-clockwise by `degrees`.
fn rotate<T: Pixel>(image: &Image<T>, degrees: f32) -> Result<Image<T>> {
    let [_, height, width] = image.size();
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let centre = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for plane in image.pixels().chunks_exact((height * width).max(1)) {
        let at = |row: f32, column: f32| -> f32 {
            let inside =
                row >= 0.0 && column >= 0.0 && row < height as f32 && column < width as f32;
            if inside { plane[row as usize * width + column as usize].to_f32() } else { 0.0 }
        };
        for index in 0..plane.len() {
            let (y, x) = ((index / width) as f32 - centre.0, (index % width) as f32 - centre.1);
            let row = centre.0 + y * cosine + x * sine;
            let column = centre.1 - y * sine + x * cosine;
            let (top, left) = (row.floor(), column.floor());
            let (down, right) = (row - top, column - left);
            let upper = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right;
            let lower = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right;
            pixels.push(T::from_f32(upper * (1.0 - down) + lower * down));
        }
    }
    Image::new(pixels, image.size())
}

#[cfg(test)]
mod tests {
    use super::rotate;
    use crate::Image;

    #[test]
    fn no_angle_changes_nothing_and_quarter_turns_move_corners() {
        let image = Image::new((1..=9).map(|v| v as f32).collect::<Vec<f32>>(), [1, 3, 3]).unwrap();
        assert_eq!(rotate(&image, 0.0).unwrap(), image);
        let turned = rotate(&image, 90.0).unwrap();
        // Counter-clockwise: the right column becomes the top row.
        let expected = [3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0];
        for (got, want) in turned.pixels().iter().zip(expected) {
            assert!((got - want).abs() < 1e-4, "{:?}", turned.pixels());
        }
    }

    #[test]
    fn bytes_are_rounded_and_corners_become_empty() {
        let image = Image::new(vec![200u8; 25], [1, 5, 5]).unwrap();
        let turned = rotate(&image, 45.0).unwrap();
        assert_eq!(turned.pixels()[12], 200);
        assert!(turned.pixels()[0] < 100);
    }
}
