//! Published weights on real photos against Python: `cargo xtask assets NAME` gets them. Without them, a test says so
//! and passes.

mod support;

use gradloom_data::format::picture::PictureReader;
use gradloom_nn::{Context, Layer};
use gradloom_vision::{
    Classifier, Craft, CraftConfig, EfficientNet, EfficientNetConfig, MobileNetV2,
    MobileNetV2Config, Preprocessing,
};
use serde_json::Value;
use support::{asset, fill};

fn check<M: Classifier>(
    case: &str,
    [name, file]: [&str; 2],
    config: &M::Config,
    preprocessing: Preprocessing,
) {
    let device = gradloom_cpu::device();
    let Some(path) = asset(name, file) else { return };
    let model = M::from_file(config, path, &device).unwrap();
    let expected = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/published.json");
    let expected: Value = serde_json::from_slice(&std::fs::read(expected).unwrap()).unwrap();
    for (photo, expected) in expected[case].as_object().unwrap() {
        let Some(path) = asset("photos", photo) else { return };
        let image = PictureReader::new().read(&path).unwrap();
        let pictures = preprocessing.tensor(&[image], &device).unwrap();
        let pixels = pictures.to_vec::<f32>().unwrap();
        let probe = fill("probe.picture", pixels.len(), 1.0, 0.0);
        let pairs = pixels.iter().zip(&probe);
        let sum: f64 = pairs.map(|(pixel, probe)| f64::from(*pixel) * f64::from(*probe)).sum();
        // One byte of one pixel moves it by about 0.02.
        let python = expected["picture"].as_f64().unwrap();
        assert!(
            (sum - python).abs() < 2e-3,
            "{case} {photo}: {sum} of a picture, Python's {python}"
        );

        let logits = model.forward(&pictures, &mut Context::eval()).flatten(1, -1);
        let probabilities = logits.softmax(-1).to_vec::<f32>().unwrap();
        let logits = logits.to_vec::<f32>().unwrap();
        let stride = (logits.len() / 40).max(25);
        let expected_logits = expected["logits"].as_array().unwrap();
        assert_eq!(logits.len().div_ceil(stride), expected_logits.len(), "{case} {photo}");
        for (place, value) in expected_logits.iter().enumerate() {
            let (actual, python) = (logits[stride * place], value.as_f64().unwrap());
            let error = (f64::from(actual) - python).abs();
            assert!(error < 1e-3, "{case} {photo}: logit {actual}, Python's is {python}");
        }
        if logits.len() != 1000 {
            println!("{case} {photo}: {} scores", logits.len());
            continue;
        }
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let classes: Vec<usize> = serde_json::from_value(expected["classes"].clone()).unwrap();
        assert_eq!(order[..5], classes, "{case} {photo}");
        for (class, python) in classes.iter().zip(expected["probabilities"].as_array().unwrap()) {
            let error = f64::from(probabilities[*class]) - python.as_f64().unwrap();
            assert!(error.abs() < 1e-4, "{case} {photo}: {class}");
        }
        println!("{case} {photo}: classes {classes:?}");
    }
}

#[test]
fn efficientnet_lite0_sees_what_python_sees() {
    check::<EfficientNet>(
        "efficientnet_lite0",
        ["efficientnet-lite0", "efficientnet-lite0-57934424.pth"],
        &EfficientNetConfig::tensorflow_lite0(),
        Preprocessing::tensorflow_lite0(),
    );
}

#[test]
fn mobilenet_v2_sees_what_python_sees() {
    check::<MobileNetV2>(
        "mobilenet_v2",
        ["mobilenet-v2", "mobilenet_v2-b0353104.pth"],
        &MobileNetV2Config::new(),
        Preprocessing::imagenet(256, 224),
    );
}

#[test]
fn craft_sees_what_python_sees() {
    check::<Craft>(
        "craft",
        ["craft", "craft_mlt_25k.pth"],
        &CraftConfig::default(),
        Preprocessing::imagenet(256, 224),
    );
}

#[test]
fn efficientnet_lite0_sees_a_flower_on_a_photo_in_jpeg() {
    let device = gradloom_cpu::device();
    let Some(weights) = asset("efficientnet-lite0", "efficientnet-lite0-57934424.pth") else {
        return;
    };
    let Some(photo) = asset("scenes", "flower.jpg") else { return };
    let config = EfficientNetConfig::tensorflow_lite0();
    let model = EfficientNet::from_file(&config, weights, &device).unwrap();
    let image = PictureReader::new().read(&photo).unwrap();
    let pictures = Preprocessing::tensorflow_lite0().tensor(&[image], &device).unwrap();
    let logits = model.forward(&pictures, &mut Context::eval());
    // A daisy, the nearest of ImageNet's classes to a dahlia.
    assert_eq!(logits.argmax(1).to_vec::<i32>().unwrap(), [985]);
}

#[test]
fn weights_of_another_variant_are_refused_by_name() {
    let device = gradloom_cpu::device();
    let Some(path) = asset("mobilenet-v2", "mobilenet_v2-b0353104.pth") else { return };
    let narrow = MobileNetV2Config { width: 0.5, ..MobileNetV2Config::new() };
    let error = MobileNetV2::from_file(&narrow, &path, &device).unwrap_err();
    assert!(error.is_weights(), "{error}");
    let ten = MobileNetV2Config::new().classes(10);
    let message = format!("{:?}", MobileNetV2::from_file(&ten, &path, &device).unwrap_err());
    assert!(message.contains("classifier.1.weight"), "{message}");
    let message = format!(
        "{:?}",
        EfficientNet::from_file(&EfficientNetConfig::lite0(), &path, &device).unwrap_err()
    );
    assert!(message.contains("missing"), "{message}");
}
