//! Pictures resized, turned, coloured and filtered against Pillow and torchvision
//! (`golden/make_images.py`).

use std::io::Read;

use gradloom_data::transform::{
    Affine, CenterCrop, Interpolation, adjust_brightness, adjust_contrast, adjust_hue,
    adjust_saturation, adjust_sharpness, affine, autocontrast, equalize, gaussian_blur, greyscale,
    perspective, posterize, resize, rotate, solarize,
};
use gradloom_data::{Image, Transform};
use gradloom_tensor::Key;
use serde_json::Value;

fn golden() -> Value {
    let packed = &include_bytes!("golden/images.json.gz")[..];
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn image(value: &Value) -> Image {
    let hex = value["pixels"].as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let pixels = (0..hex.len()).step_by(2).map(byte).collect();
    Image::new(pixels, size(value)).unwrap()
}

fn size(value: &Value) -> [usize; 3] {
    [0, 1, 2].map(|axis| value["size"][axis].as_u64().unwrap() as usize)
}

fn filter(value: &Value) -> Interpolation {
    match value["filter"].as_str().unwrap() {
        "Nearest" => Interpolation::Nearest,
        "Box" => Interpolation::Box,
        "Bilinear" => Interpolation::Bilinear,
        "Hamming" => Interpolation::Hamming,
        "Bicubic" => Interpolation::Bicubic,
        "Lanczos" => Interpolation::Lanczos,
        other => panic!("{other}"),
    }
}

/// How many bytes differ, and by how much at most.
fn difference(got: &Image, expected: &Image) -> (usize, u8) {
    assert_eq!(got.size(), expected.size());
    let pairs = got.pixels().iter().zip(expected.pixels());
    let differences: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).filter(|&d| d > 0).collect();
    (differences.len(), differences.iter().max().copied().unwrap_or(0))
}

#[test]
fn resized_bytes_are_those_of_pillow() {
    let golden = golden();
    let source = image(&golden["image"]);
    for case in golden["resize"].as_array().unwrap() {
        let expected = image(case);
        let [_, height, width] = expected.size();
        let got = resize(&source, height, width, filter(case)).unwrap();
        let (count, most) = difference(&got, &expected);
        assert_eq!(count, 0, "{:?} to {height} x {width}: by {most}", filter(case));
    }
}

#[test]
fn resized_floats_are_those_of_pillow() {
    let golden = golden();
    let source = image(&golden["image"]);
    let plane = 23 * 31;
    let blue = source.pixels()[2 * plane..].iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    let blue = Image::new(blue, [1, 23, 31]).unwrap();
    for case in golden["resize_floats"].as_array().unwrap() {
        let [_, height, width] = size(case);
        let got = resize(&blue, height, width, filter(case)).unwrap();
        let expected =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32);
        assert!(got.pixels().iter().copied().eq(expected), "{:?}", filter(case));
    }
}

#[test]
fn turned_bytes_are_those_of_torchvision_on_pillow() {
    let golden = golden();
    let source = image(&golden["image"]);
    let number = |value: &Value| value.as_f64().unwrap();
    let pair = |value: &Value| (number(&value[0]), number(&value[1]));
    for case in golden["warp"].as_array().unwrap() {
        let filter = filter(case);
        let corners = |name: &str| [0, 1, 2, 3].map(|corner| pair(&case[name][corner]));
        let got = match case["op"].as_str().unwrap() {
            "rotate" => rotate(&source, number(&case["degrees"]), filter, 0),
            "affine" => {
                let map = Affine {
                    degrees: number(&case["degrees"]),
                    translate: pair(&case["translate"]),
                    scale: number(&case["scale"]),
                    shear: pair(&case["shear"]),
                    centre: (!case["centre"].is_null()).then(|| pair(&case["centre"])),
                };
                affine(&source, &map, filter, 0)
            }
            _ => perspective(&source, corners("from"), corners("to"), filter, 0),
        };
        let (count, most) = difference(&got.unwrap(), &image(case));
        let mut shown = case.clone();
        shown["pixels"] = Value::Null;
        assert_eq!(count, 0, "by {most}: {shown}");
    }
}

#[test]
fn colours_are_those_of_torchvision_on_tensors() {
    let golden = golden();
    let source = image(&golden["image"]);
    let dull = source.pixels().iter().map(|&pixel| (f32::from(pixel) * 0.5 + 30.0) as u8).collect();
    let dull = Image::new(dull, source.size()).unwrap();
    for case in golden["colour"].as_array().unwrap() {
        let factor = case["factor"].as_f64().unwrap();
        let op = case["op"].as_str().unwrap();
        let got = match op {
            "adjust_brightness" => adjust_brightness(&source, factor).unwrap(),
            "adjust_contrast" => adjust_contrast(&source, factor).unwrap(),
            "adjust_saturation" => adjust_saturation(&source, factor).unwrap(),
            "adjust_hue" => adjust_hue(&source, factor).unwrap(),
            "adjust_sharpness" => adjust_sharpness(&source, factor).unwrap(),
            "posterize" => posterize(&source, factor as u32),
            "solarize" => solarize(&source, factor as f32),
            "autocontrast" => autocontrast(&dull),
            "equalize" => equalize(&dull),
            "greyscale" => greyscale(&source, 3).unwrap(),
            "gaussian_blur" => {
                let kernel = case["kernel"].as_u64().unwrap() as usize;
                gaussian_blur(&source, kernel, factor).unwrap()
            }
            other => panic!("{other}"),
        };
        let (count, most) = difference(&got, &image(case));
        // torchvision sums a blur's products in f32, in an order that its library chooses.
        let allowed = if op == "gaussian_blur" { (2, 1) } else { (0, 0) };
        assert!(count <= allowed.0 && most <= allowed.1, "{op} {factor}: {count} bytes by {most}");
    }
}

#[test]
fn centre_crops_are_those_of_torchvision() {
    let golden = golden();
    let source = image(&golden["image"]);
    for case in golden["centre_crop"].as_array().unwrap() {
        let expected = image(case);
        let crop = CenterCrop::new(expected.height(), expected.width());
        assert_eq!(crop.apply(source.clone(), Key::new(0)).unwrap(), expected);
    }
}
