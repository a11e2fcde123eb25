//! The cascade of face detectors against facenet-pytorch: `golden/make_mtcnn.py` computed what its networks put out with
//! weights made of their names, and what it finds with published weights on real photos.

mod support;

use gradloom_data::{Image, format::picture::PictureReader};
use gradloom_nn::{Context, Init, ModuleExt, StateDict};
use gradloom_tensor::{Device, Key, Shape, Tensor};
use gradloom_vision::Pretrained;
use gradloom_vision::faces::{CascadeOptions, FaceCascade, OutputNet, ProposalNet, RefineNet};
use serde_json::Value;
use support::{Golden, asset, filled, value_of};

fn made<M: Pretrained<Config = ()>>(device: &Device) -> M {
    let shapes = M::new(&(), &mut Init::new(Key::new(0), device)).unwrap();
    let weights: StateDict = shapes
        .parameters()
        .into_iter()
        .map(|(name, parameter)| {
            let value = value_of(&name, parameter.shape(), device);
            (name, value)
        })
        .collect();
    M::from_weights(&(), &weights, device).unwrap()
}

#[track_caller]
fn check(name: &str, json: &Value, run: impl Fn(&Tensor) -> Vec<Tensor>) {
    let device = gradloom_cpu::device();
    let case = &json["filled"][name];
    let size = case["size"].as_u64().unwrap() as usize;
    let x = filled("pictures", &Shape::new(&[2, 3, size, size]), 1.0, 0.0, &device);
    let outputs = run(&x);
    let expected: Vec<Vec<f64>> = serde_json::from_value(case["outputs"].clone()).unwrap();
    assert_eq!(outputs.len(), expected.len());
    for (output, expected) in outputs.iter().zip(&expected) {
        let output = output.to_vec::<f32>().unwrap();
        assert_eq!(output.len(), expected.len(), "{name}");
        let largest = expected.iter().fold(0.0f64, |max, value| max.max(value.abs()));
        for (actual, expected) in output.iter().zip(expected) {
            assert!((f64::from(*actual) - expected).abs() <= 1e-5 * largest, "{name}: {actual}");
        }
    }
}

#[test]
fn networks_are_facenet_pytorchs() {
    let (json, device) = (Golden::open("mtcnn").json, gradloom_cpu::device());
    let eval = || Context::eval();
    let net: ProposalNet = made(&device);
    check("pnet", &json, |x| net.propose(x, &mut eval()).into());
    let net: RefineNet = made(&device);
    check("rnet", &json, |x| net.refine(x, &mut eval()).into());
    let net: OutputNet = made(&device);
    check("onet", &json, |x| net.finish(x, &mut eval()).into());
}

/// A picture and its mirror image side by side.
fn pair(image: &Image) -> Image {
    let rows = image.pixels().chunks_exact(image.width());
    let pixels = rows.flat_map(|row| row.iter().chain(row.iter().rev())).copied().collect();
    Image::new(pixels, [3, image.height(), 2 * image.width()]).unwrap()
}

#[test]
fn published_networks_find_the_faces_that_facenet_pytorch_finds() {
    let (json, device) = (Golden::open("mtcnn").json, gradloom_cpu::device());
    let Some(folder) = asset("mtcnn", "pnet.pt").and_then(|path| Some(path.parent()?.to_owned()))
    else {
        return;
    };
    let cascade = FaceCascade::from_folder(folder, &device).unwrap();
    for (name, expected) in json["photos"].as_object().unwrap() {
        let Some(path) = asset("photos", name.trim_end_matches(" pair")) else { return };
        let mut picture = PictureReader::new().read(path).unwrap();
        if name.ends_with(" pair") {
            picture = pair(&picture);
        }
        let found = cascade.detect(&picture, &CascadeOptions::default()).unwrap();
        let expected = expected.as_array().unwrap();
        println!("{name}: {found:?}");
        assert_eq!(found.len(), expected.len(), "{name}");
        for (face, expected) in found.iter().zip(expected) {
            let score = expected["score"].as_f64().unwrap();
            assert!((f64::from(face.face.score) - score).abs() < 1e-4, "{name}: {face:?}");
            let sides = face.face.bounds.iter().chain(face.points.as_flattened());
            let sides: Vec<f64> = sides.copied().map(f64::from).collect();
            let numbers = ["box", "points"]
                .map(|part| serde_json::from_value::<Vec<f64>>(expected[part].clone()).unwrap());
            for (side, expected) in sides.iter().zip(numbers.concat()) {
                assert!((side - expected).abs() < 0.01, "{name}: {face:?}");
            }
        }
    }
    let options = CascadeOptions { factor: 1.0, ..CascadeOptions::default() };
    let picture = Image::new(vec![0; 3 * 64], [3, 8, 8]).unwrap();
    assert!(cascade.detect(&picture, &options).unwrap_err().to_string().contains("pyramid"));
    // Too small for any window.
    assert_eq!(cascade.detect(&picture, &CascadeOptions::default()).unwrap(), []);
}
