//! What happens to pictures of all kinds on the way from a file to a classifier: the good ones become what Pillow and
//! torchvision make of them (`golden/make_pictures.py`), the bad ones clear errors, before memory is taken.

use std::time::Instant;

use gradloom_data::format::picture::PictureReader;
use gradloom_data::{Image, Source};
use gradloom_nn::{Context, Init, Layer};
use gradloom_tensor::Key;
use gradloom_vision::{Classifier, MobileNetV2, MobileNetV2Config, Preprocessing};
use serde_json::Value;

fn cases() -> Vec<(String, Vec<u8>, Option<Vec<f64>>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pictures.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let case = |case: Value| {
        let hex = case["file"].as_str().unwrap();
        let bytes = (0..hex.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let pixels = serde_json::from_value(case["pixels"].clone()).unwrap();
        (case["name"].as_str().unwrap().to_owned(), bytes, pixels)
    };
    cases.into_iter().map(case).collect()
}

fn read(bytes: &[u8]) -> gradloom_data::Result<Image> {
    PictureReader::new().read(Source::from_bytes("photo", bytes))
}

#[test]
fn good_pictures_reach_a_classifier_as_torchvision_has_them() {
    let device = gradloom_cpu::device();
    let config = MobileNetV2Config::new().classes(5);
    let model = MobileNetV2::new(&config, &mut Init::new(Key::new(0), &device)).unwrap();
    let preprocessing = Preprocessing::imagenet(18, 16);
    let mut images = Vec::new();
    for (name, bytes, pixels) in cases() {
        let Some(expected) = pixels else { continue };
        let image = read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let prepared = preprocessing.image(&image).unwrap();
        assert_eq!(prepared.size(), [3, 16, 16], "{name}");
        // A level of 255 is about 0.0175; decoders of JPEG differ by a few of them.
        let jpeg = bytes.starts_with(&[0xff, 0xd8]);
        let bound = if name == "cmyk" {
            0.11
        } else if jpeg {
            0.06
        } else {
            1e-4
        };
        let actual = prepared.pixels().iter().step_by(7).map(|&value| f64::from(value));
        for (index, (actual, expected)) in actual.zip(&expected).enumerate() {
            let near = (actual - expected).abs() <= bound;
            assert!(near, "{name}: number {index} is {actual}, Python's is {expected}");
        }
        images.push(image);
    }
    assert_eq!(images.len(), 16);
    // Sizes and channels differ, and still they are one batch.
    let pictures = preprocessing.tensor(&images, &device).unwrap();
    let logits = model.forward(&pictures, &mut Context::eval());
    assert_eq!(logits.shape(), &[16, 5]);
    assert!(logits.to_vec::<f32>().unwrap().iter().all(|logit| logit.is_finite()));
}

#[test]
fn bad_pictures_are_clear_errors() {
    let said = [
        ("empty", "a picture is expected"),
        ("no picture", "neither a PNG nor a JPEG"),
        ("gif", "neither a PNG nor a JPEG"),
        ("half a png", "PNG"),
        ("half a jpeg", "JPEG"),
        ("damaged png", "a damaged PNG"),
        ("claims to be huge", "20000 x 20000 pixels, more than the limit of 100000000"),
        ("claims to be large", "8000 x 8000 pixels cannot be in"),
        ("claims to be huge.jpg", "20000 x 20000 pixels, more than the limit of 100000000"),
        ("no pixels", "PNG"),
    ];
    let bad: Vec<_> = cases().into_iter().filter(|(_, _, pixels)| pixels.is_none()).collect();
    assert_eq!(bad.len(), said.len());
    for (name, bytes, _) in bad {
        let (_, message) = said.iter().find(|(known, _)| *known == name).unwrap();
        let start = Instant::now();
        let error = read(&bytes).expect_err(&name).to_string();
        let seconds = start.elapsed().as_secs_f64();
        assert!(error.contains("photo") && error.contains(message), "{name}: {error}");
        println!("{name}: {error} ({seconds:.4} s)");
    }
    // A trusted file may be larger if somebody says so, and is still held against its bytes.
    let (_, huge, _) = cases().into_iter().find(|(name, ..)| name == "claims to be huge").unwrap();
    let reader = PictureReader::new().pixels_max(1 << 40);
    let error = reader.read(Source::from_bytes("photo", &huge)).unwrap_err().to_string();
    assert!(error.contains("cannot be in"), "{error}");
}

#[test]
fn pictures_without_pixels_or_with_other_channels_are_refused_before_a_network() {
    let preprocessing = Preprocessing::imagenet(18, 16);
    let none = Image::new(Vec::new(), [3, 0, 5]).unwrap();
    assert!(preprocessing.image(&none).is_err());
    let many = Image::new(vec![0; 5 * 4], [5, 2, 2]).unwrap();
    let error = preprocessing.image(&many).unwrap_err().to_string();
    assert!(error.contains("5 channels"), "{error}");
    // A line so long that its shorter side at 18 pixels would fill memory.
    let line = Image::new(vec![0; 3 * 50_000_000], [3, 1, 50_000_000]).unwrap();
    let error = preprocessing.image(&line).unwrap_err().to_string();
    assert!(error.contains("resize"), "{error}");
}
