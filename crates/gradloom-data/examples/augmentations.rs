//! Draws a sheet of what each augmentation makes of a picture, to look at before training with it.
//!
//! `cargo run --package gradloom-data --example augmentations --features pictures -- photo.jpg sheet.png`
//! takes a second. A row is one transform with eight keys.

use gradloom_data::transform::{
    ColorJitter, Cutout, GaussianBlur, Grayscale, Interpolation, RandAugment, RandomAffine,
    RandomCrop, RandomErasing, RandomFlip, RandomPerspective, RandomResizedCrop, RandomRotation,
    RandomVerticalFlip, Resize, SpecAugment,
};
use gradloom_data::{Image, Result, Transform};
use gradloom_tensor::Key;

/// Sides of a picture on the sheet, with a border around it.
const SIDE: usize = 96;
const BORDER: usize = 4;
const COLUMNS: usize = 8;

type Augmentation = Box<dyn Transform<Image, Output = Image>>;

fn rows() -> Vec<(&'static str, Augmentation)> {
    vec![
        ("resized crop", Box::new(RandomResizedCrop::new(SIDE, SIDE))),
        ("padded crop", Box::new(RandomCrop::new(SIDE, SIDE, 12))),
        ("flips", Box::new((RandomFlip::default(), RandomVerticalFlip::default()))),
        ("rotation, bilinear", Box::new(RandomRotation::degrees(30.0))),
        (
            "affine",
            Box::new(RandomAffine::new(15.0).translate(0.2, 0.2).scale(0.7, 1.3).shear(20.0)),
        ),
        ("perspective", Box::new(RandomPerspective::new(0.6, 1.0))),
        ("colour jitter", Box::new(ColorJitter::new(0.4, 0.4, 0.6, 0.0))),
        ("hue", Box::new(ColorJitter::new(0.0, 0.0, 0.0, 0.5))),
        ("grey and blur", Box::new((Grayscale::random(0.5), GaussianBlur::new(9, 0.1, 4.0)))),
        ("erasing", Box::new(RandomErasing::new(1.0))),
        ("cutout", Box::new(Cutout::new(40))),
        ("bands of a spectrogram", Box::new(SpecAugment::new(2, 20, 2, 20))),
        ("rand augment", Box::new(RandAugment::default())),
        ("rand augment, strong", Box::new(RandAugment::new(3, 25))),
    ]
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &arguments[..] else {
        eprintln!("usage: augmentations PICTURE SHEET.png");
        std::process::exit(2);
    };
    let small = Resize::new(SIDE, SIDE).interpolation(Interpolation::Lanczos);
    let picture = small.apply(Image::open(input)?, Key::new(0))?;
    let rows = rows();
    let step = SIDE + BORDER;
    let (height, width) = (rows.len() * step + BORDER, COLUMNS * step + BORDER);
    let mut sheet = Image::new(vec![255u8; 3 * height * width], [3, height, width])?;
    for (row, (name, augmentation)) in rows.iter().enumerate() {
        println!("row {}: {name}", row + 1);
        for column in 0..COLUMNS {
            let key = Key::new(row as u64).fold(column as u32);
            let made = augmentation.apply(picture.clone(), key)?;
            for (line, pixels) in made.pixels().chunks_exact(SIDE).enumerate() {
                let (channel, y) = (line / SIDE, line % SIDE + row * step + BORDER);
                let start = (channel * height + y) * width + column * step + BORDER;
                sheet.pixels_mut()[start..start + SIDE].copy_from_slice(pixels);
            }
        }
    }
    sheet.save_png(output)
}
