//! Makes a photo two, three, four or eight times as large by a published network, beside what repeated pixels look like.
//!
//! `cargo xtask assets esrgan-slim photos`, then
//! `cargo run --release -p vision-examples --example 29-super-resolution`
//!
//! A part of the photo is made smaller and enlarged again, so that the truth is known: prints how near the network and
//! bicubic resizing come to it (PSNR), and writes the three side by side into `out/29-super-resolution`. A photo of
//! yours is enlarged as it is.
#![forbid(unsafe_code)]

use std::path::Path;

use examples::Failure;
use examples::options::{Arguments, DEVICE, TINY};
use gradloom::data::transform::{Interpolation, Resize};
use gradloom::data::{Image, Transform};
use gradloom::explain::report::Page;
use gradloom::prelude::*;
use gradloom::vision::*;
use vision_examples::photos::{asset, drawn, read, shown};

const PHOTO: (&str, &str) = ("--photo FILE", "a photo of yours, PNG or JPEG (an astronaut)");
const SCALE: (&str, &str) = ("--scale N", "how many times as large: 2, 3, 4 or 8 (2)");

fn main() -> Result<(), Failure> {
    let source = include_str!("29-super-resolution.rs");
    let arguments = Arguments::read(source, &[DEVICE, TINY, PHOTO, SCALE])?;
    let device = arguments.device()?;
    let scale: usize = arguments.number("--scale", 2)?;
    let config = ResidualDenseConfig::slim(scale);
    let model = match arguments.tiny() {
        // First values know nothing of pictures; what is compared is compared all the same.
        true => {
            let mut model = ResidualDense::new(&config, &mut Init::new(Key::new(0), &device))?;
            commit(&mut model)?;
            model
        }
        false => {
            let weights = asset("esrgan-slim", &format!("x{scale}/model.json"))?;
            ResidualDense::from_file(&config, weights, &device)?
        }
    };
    let out = Path::new("out/29-super-resolution");
    std::fs::create_dir_all(out)?;
    let mut page = Page::new(&format!("{scale} times as large"));
    let (small, truth) = match (arguments.text("--photo"), arguments.tiny()) {
        (Some(path), _) => (read(Path::new(path))?, None),
        (None, tiny) => {
            let truth = if tiny { drawn(16 * scale)? } else { portrait(scale)? };
            let small = resized(&truth, truth.height() / scale, Interpolation::Bicubic)?;
            (small, Some(truth))
        }
    };
    let height = small.height() * scale;
    let ours = model.enlarge(&small)?;
    let bicubic = resized(&small, height, Interpolation::Bicubic)?;
    let repeated = resized(&small, height, Interpolation::Nearest)?;
    let mut shown_pictures = Vec::new();
    for (name, picture) in
        [("repeated pixels", &repeated), ("bicubic", &bicubic), ("network", &ours)]
    {
        let near = truth.as_ref().map_or_else(String::new, |truth| {
            format!(", PSNR {:.2} dB", signal_to_noise(picture, truth))
        });
        println!("{name}{near}");
        shown_pictures.push((format!("{name}{near}"), shown(picture)?));
    }
    if let Some(truth) = &truth {
        shown_pictures.push(("the photo".to_owned(), shown(truth)?));
    }
    page.pictures(&shown_pictures)?;
    std::fs::write(out.join("report.html"), page.html())?;
    std::fs::write(out.join("result.png"), shown(&beside(&[&repeated, &bicubic, &ours])?)?.png()?)?;
    println!("wrote {}", out.display());
    Ok(())
}

/// A part of the astronaut's portrait, of a size that the scale divides.
fn portrait(scale: usize) -> Result<Image, Failure> {
    let photo = read(&asset("photos", "astronaut.png")?)?;
    let side = 256 / scale * scale;
    Ok(tile(&photo, [110, 20, 110 + side, 20 + side])?)
}

/// In another height, with the width in proportion.
fn resized(image: &Image, height: usize, filter: Interpolation) -> Result<Image, Failure> {
    let width = image.width() * height / image.height().max(1);
    Ok(Resize::new(height, width).interpolation(filter).apply(image.clone(), Key::new(0))?)
}

/// The ratio of the largest possible signal to the mean squared difference, in decibels.
fn signal_to_noise(image: &Image, truth: &Image) -> f64 {
    let pairs = image.pixels().iter().zip(truth.pixels());
    let squares = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
    20.0 * 255f64.log10() - 10.0 * (squares / truth.pixels().len() as f64).log10()
}

/// Pictures of one height in a row.
fn beside(images: &[&Image]) -> Result<Image, Failure> {
    let [channels, height, _] = images.first().map_or([0; 3], |image| image.size());
    let mut pixels = Vec::new();
    for row in 0..channels * height {
        for image in images {
            pixels.extend_from_slice(&image.pixels()[row * image.width()..][..image.width()]);
        }
    }
    let width = images.iter().map(|image| image.width()).sum();
    Ok(Image::new(pixels, [channels, height, width])?)
}
