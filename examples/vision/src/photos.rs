//! Photos as examples show them.

use std::path::{Path, PathBuf};

use examples::Failure;
use gradloom::data::Image;
use gradloom::data::format::picture::PictureReader;
use gradloom::track::Picture;

/// A file of the folder `assets`.
///
/// # Errors
/// If it is missing; the message has the command that fetches it.
pub fn asset(name: &str, file: &str) -> Result<PathBuf, Failure> {
    let path = Path::new("assets").join(name).join(file);
    match path.is_file() {
        true => Ok(path),
        false => {
            Err(format!("{} is missing; `cargo xtask assets {name}` gets it", path.display())
                .into())
        }
    }
}

/// A photo of three channels, turned as its camera was held.
///
/// # Errors
/// If the file is missing or is no picture.
pub fn read(path: &Path) -> Result<Image, Failure> {
    Ok(PictureReader::new().read(path)?)
}

/// The photo as a page or a PNG file shows it.
///
/// # Errors
/// If it has other than one, three or four channels.
pub fn shown(image: &Image) -> Result<Picture, Failure> {
    let [channels, height, width] = image.size();
    let plane = height * width;
    let pixels = (0..plane).flat_map(|at| (0..channels).map(move |c| c * plane + at));
    let pixels = pixels.map(|at| image.pixels()[at]).collect();
    Ok(Picture::new(width as u32, height as u32, channels as u8, pixels)?)
}

/// A drawn picture for runs without photos: a red disc on a ground whose light falls off to the right.
///
/// # Errors
/// If the size is zero.
pub fn drawn(size: usize) -> Result<Image, Failure> {
    let mut pixels = Vec::with_capacity(3 * size * size);
    for channel in 0..3 {
        for at in 0..size * size {
            let (y, x) = (at / size, at % size);
            let offset = |place: usize, middle: f64| (place as f64 / size as f64 - middle).powi(2);
            let inside = offset(y, 0.5) + offset(x, 0.4) < 0.05;
            let level = match (inside, channel) {
                (true, 0) => 230,
                (true, _) => 40,
                (false, _) => 200 - 120 * x / size,
            };
            pixels.push(level as u8);
        }
    }
    Ok(Image::new(pixels, [3, size, size])?)
}
