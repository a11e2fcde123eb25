//! Networks of files for TensorFlow.js against TensorFlow.js: `golden/tfjs/make.mjs` computed what they put out with
//! weights made of their names, and with published weights on real photos. `cargo xtask assets NAME` gets those;
//! without them, a test says so and passes.

mod support;

use gradloom_data::{Image, format::picture::PictureReader};
use gradloom_nn::{Context, Layer, StateDict};
use gradloom_tensor::{Device, Shape, Tensor};
use gradloom_vision::faces::{
    Expression, FaceDescriptor, FaceDetection, FaceExpressions, FaceLandmarks, FaceLandmarksConfig,
    SsdFaceDetector, TinyFaceDetector,
};
use gradloom_vision::{
    Classifier, InceptionV3, InceptionV3Config, MobileNetV2, MobileNetV2Config, Pretrained,
    ResidualDense, ResidualDenseConfig, TensorFlowPreprocessing,
};
use serde_json::Value;
use support::{asset, filled};

fn golden(file: &str) -> Value {
    let path = format!("{}/tests/golden/tfjs/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(json: &Value) -> Vec<f64> {
    serde_json::from_value(json.clone()).unwrap()
}

/// `valueOf` of `make.mjs`: the value of a weight, in TensorFlow's layout.
fn value_of(name: &str, shape: &Shape, device: &Device) -> Tensor {
    let last = name.rsplit('/').next().unwrap();
    let grows =
        last == "moving_variance" || shape.rank() == 1 && matches!(last, "gamma" | "weights");
    let fan_in = match shape.rank() {
        2 => shape[0],
        4 if last.starts_with("depthwise") => shape[0] * shape[1],
        4 => shape[0] * shape[1] * shape[2],
        _ => 0,
    };
    let (scale, shift) = match fan_in {
        0 if grows => (0.25, 1.0),
        0 => (0.1, 0.0),
        fan_in => ((6.0 / fan_in as f64).sqrt(), 0.0),
    };
    filled(name, shape, scale, shift, device)
}

/// What `make.mjs` computed with filled weights.
struct Case {
    name: &'static str,
    json: Value,
    device: Device,
}

impl Case {
    fn open(name: &'static str) -> Case {
        let json = golden("filled")[name].clone();
        Case { name, json, device: gradloom_cpu::device() }
    }

    fn weights(&self) -> StateDict {
        let weights: Vec<(String, Vec<usize>)> =
            serde_json::from_value(self.json["weights"].clone()).unwrap();
        let weights = weights.into_iter().map(|(name, shape)| {
            let value = value_of(&name, &Shape::new(&shape), &self.device);
            (name, value)
        });
        weights.collect()
    }

    /// Pictures in `shift + scale * [-1, 1)`.
    fn pictures(&self, scale: f64, shift: f64) -> Tensor {
        let [n, h, w] = serde_json::from_value(self.json["input"].clone()).unwrap();
        filled("pictures", &Shape::new(&[n, 3, h, w]), scale, shift, &self.device)
    }

    #[track_caller]
    fn check(&self, output: &Tensor) {
        compare(self.name, &self.json["output"], output);
    }
}

/// Compares every so many-th number, to a part of the largest.
#[track_caller]
fn compare(name: &str, expected: &Value, output: &Tensor) {
    let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
    assert_eq!(output.count(), shape.iter().product::<usize>(), "{name}: {}", output.shape());
    let stride = expected["stride"].as_u64().unwrap() as usize;
    let output = output.to_vec::<f32>().unwrap();
    let actual: Vec<f64> = output.into_iter().step_by(stride).map(f64::from).collect();
    let expected = numbers(&expected["values"]);
    assert_eq!(actual.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0.0f64, |max, value| max.max(value.abs()));
    let pairs = actual.iter().zip(&expected);
    let error = pairs.map(|(a, e)| (a - e).abs()).fold(0.0f64, f64::max) / largest;
    println!("{name}: {} numbers, largest error {error:.1e} of the largest", expected.len());
    assert!(error <= 1e-4, "{name}: {error:.1e} of the largest number");
}

#[test]
fn networks_of_keras_are_those_of_tensorflow_js() {
    let case = Case::open("mobilenet_v2_keras");
    let config = MobileNetV2Config::new().keras().hidden(&[256, 128]).classes(5);
    let model = MobileNetV2::from_weights(&config, &case.weights(), &case.device).unwrap();
    case.check(&model.forward(&case.pictures(1.0, 0.0), &mut Context::eval()).softmax(-1));

    let case = Case::open("inception_v3_keras");
    let config = InceptionV3Config::keras().hidden(&[256, 128]).classes(5);
    let mut model = InceptionV3::from_weights(&config, &case.weights(), &case.device).unwrap();
    case.check(&model.forward(&case.pictures(1.0, 0.0), &mut Context::eval()).softmax(-1));

    // A new head takes what the last hidden layer gives.
    let init = &mut gradloom_nn::Init::new(gradloom_tensor::Key::new(0), &case.device);
    model.replace_head(3, init).unwrap();
    let logits = model.forward(&case.pictures(1.0, 0.0), &mut Context::eval());
    assert_eq!(logits.shape(), &[1, 3]);
}

#[test]
fn super_resolution_is_that_of_tensorflow_js() {
    let case = Case::open("esrgan_slim");
    let config = ResidualDenseConfig::slim(2);
    let model = ResidualDense::from_weights(&config, &case.weights(), &case.device).unwrap();
    case.check(&model.forward(&case.pictures(1.0, 0.0), &mut Context::eval()));
    for wrong in [
        ResidualDenseConfig { scale: 0, ..config },
        ResidualDenseConfig { scale: 17, ..config },
        ResidualDenseConfig { layers: 0, ..config },
    ] {
        let error = ResidualDense::from_weights(&wrong, &case.weights(), &case.device);
        assert!(error.unwrap_err().to_string().contains("configuration"));
    }
    let three = ResidualDenseConfig::slim(3);
    let error = ResidualDense::from_weights(&three, &case.weights(), &case.device).unwrap_err();
    assert!(error.is_weights(), "{error}");
}

#[test]
fn networks_of_faces_are_those_of_face_api() {
    let case = Case::open("face_descriptor");
    let model = FaceDescriptor::from_weights(&(), &case.weights(), &case.device).unwrap();
    case.check(&model.forward(&case.pictures(120.0, 128.0), &mut Context::eval()));

    for (name, config) in [
        ("face_landmarks", FaceLandmarksConfig::full()),
        ("face_landmarks_tiny", FaceLandmarksConfig::tiny()),
    ] {
        let case = Case::open(name);
        let model = FaceLandmarks::from_weights(&config, &case.weights(), &case.device).unwrap();
        case.check(&model.forward(&case.pictures(120.0, 128.0), &mut Context::eval()));
    }

    let case = Case::open("face_expression");
    let model = FaceExpressions::from_weights(&(), &case.weights(), &case.device).unwrap();
    let logits = model.forward(&case.pictures(120.0, 128.0), &mut Context::eval());
    case.check(&logits);
}

#[test]
fn detectors_of_faces_are_those_of_face_api() {
    let case = Case::open("tiny_face_detector");
    let model = TinyFaceDetector::from_weights(&(), &case.weights(), &case.device).unwrap();
    case.check(&model.forward(&case.pictures(120.0, 128.0), &mut Context::eval()));
    let picture = Image::new(vec![9; 3 * 40 * 30], [3, 40, 30]).unwrap();
    for size in [0, 100] {
        assert!(model.detect(&picture, size, 0.5).unwrap_err().to_string().contains("multiple"));
    }

    let case = Case::open("ssd_face_detector");
    let model = SsdFaceDetector::from_weights(&(), &case.weights(), &case.device).unwrap();
    case.check(&model.forward(&case.pictures(120.0, 128.0), &mut Context::eval()));
}

#[test]
#[should_panic(expected = "512 x 512")]
fn anchors_are_of_one_size() {
    let device = gradloom_cpu::device();
    let init = &mut gradloom_nn::Init::new(gradloom_tensor::Key::new(0), &device);
    let model = SsdFaceDetector::new(&(), init).unwrap();
    let picture = Tensor::zeros([1, 3, 256, 256], gradloom_tensor::DType::F32, &device);
    let _ = model.forward(&picture, &mut Context::eval());
}

fn photo(file: &str) -> Option<Image> {
    Some(PictureReader::new().read(asset("photos", file)?).unwrap())
}

/// A window `[top, left, height, width]`.
fn cut(image: &Image, [top, left, height, width]: [usize; 4]) -> Image {
    gradloom_vision::tile(image, [left, top, left + width, top + height]).unwrap()
}

/// The astronaut's face.
const FACE: [usize; 4] = [45, 165, 180, 130];

#[test]
fn published_super_resolution_enlarges_a_photo() {
    let device = gradloom_cpu::device();
    let Some(astronaut) = photo("astronaut.png") else { return };
    for scale in [2, 4] {
        let file = format!("x{scale}/model.json");
        let Some(path) = asset("esrgan-slim", &file) else { return };
        let config = ResidualDenseConfig::slim(scale);
        let model = ResidualDense::from_file(&config, path, &device).unwrap();
        let picture = cut(&astronaut, [60, 180, 64, 80]);
        let levels: Vec<f32> = picture.pixels().iter().map(|&level| f32::from(level)).collect();
        let x = Tensor::from_vec(levels, [1, 3, 64, 80], &device).unwrap();
        let expected = &golden("published")["esrgan_slim"][scale.to_string()];
        let output = model.forward(&x, &mut Context::eval());
        compare(&format!("esrgan_slim {scale}"), expected, &output);
        let larger = model.enlarge(&picture).unwrap();
        assert_eq!(larger.size(), [3, 64 * scale, 80 * scale]);
        // Nearer to the photo than repeated pixels are, of which it was made by means.
        if scale == 2 {
            let (small, whole) = (halved(&astronaut), &astronaut);
            let enlarged = model.enlarge(&small).unwrap();
            let [ours, repeated] = [&enlarged, &repeated(&small)].map(|image| psnr(image, whole));
            println!("PSNR {ours:.2} dB, repeated pixels {repeated:.2} dB");
            assert!(ours > repeated + 1.0);
        }
    }
}

/// Means of two by two pixels.
fn halved(image: &Image) -> Image {
    let [_, height, width] = image.size();
    let at = |channel, y, x| u32::from(image.pixels()[(channel * height + y) * width + x]);
    let mut pixels = Vec::new();
    for (channel, y, x) in places(height / 2, width / 2) {
        let [y, x] = [2 * y, 2 * x];
        let sum = at(channel, y, x) + at(channel, y + 1, x) + at(channel, y, x + 1);
        pixels.push(((sum + at(channel, y + 1, x + 1) + 2) / 4) as u8);
    }
    Image::new(pixels, [3, height / 2, width / 2]).unwrap()
}

fn repeated(image: &Image) -> Image {
    let [_, height, width] = image.size();
    let at = |channel, y, x| image.pixels()[(channel * height + y) * width + x];
    let pixels = places(2 * height, 2 * width).map(|(channel, y, x)| at(channel, y / 2, x / 2));
    Image::new(pixels.collect(), [3, 2 * height, 2 * width]).unwrap()
}

fn places(height: usize, width: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..3 * height * width).map(move |i| (i / (height * width), i / width % height, i % width))
}

fn psnr(a: &Image, b: &Image) -> f64 {
    let pairs = a.pixels().iter().zip(b.pixels());
    let squares = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
    20.0 * 255f64.log10() - 10.0 * (squares / a.pixels().len() as f64).log10()
}

#[test]
fn published_networks_of_keras_see_what_tensorflow_js_sees() {
    let device = gradloom_cpu::device();
    let check = |name: &str, size: usize, model: &dyn Layer| {
        for (file, expected) in golden("published")[name].as_object().unwrap() {
            let Some(picture) = photo(file) else { return };
            let x = TensorFlowPreprocessing::new(size).tensor(&[picture], &device).unwrap();
            let output = model.forward(&x, &mut Context::eval()).softmax(-1).to_vec::<f32>();
            for (actual, expected) in output.unwrap().iter().zip(numbers(expected)) {
                let error = (f64::from(*actual) - expected).abs();
                assert!(error < 1e-4, "{name} {file}: {actual}, TensorFlow.js: {expected}");
            }
            println!("{name} {file}: as TensorFlow.js");
        }
    };
    let config = MobileNetV2Config::new().keras().hidden(&[256, 128]).classes(5);
    if let Some(path) = asset("nsfwjs", "mobilenet_v2/model.json") {
        let model = MobileNetV2::from_file(&config, path, &device).unwrap();
        check("mobilenet_v2_keras", 224, &model);
    }
    let config = InceptionV3Config::keras().hidden(&[256, 128]).classes(5);
    if let Some(path) = asset("nsfwjs", "inception_v3/model.json") {
        let model = InceptionV3::from_file(&config, path, &device).unwrap();
        check("inception_v3_keras", 299, &model);
    }
}

fn face_api<M: Pretrained>(config: &M::Config, name: &str, device: &Device) -> Option<M> {
    let path = asset("face-api", &format!("model/{name}-weights_manifest.json"))?;
    Some(M::from_file(config, path, device).unwrap())
}

#[track_caller]
fn near(name: &str, actual: impl IntoIterator<Item = f32>, expected: &Value, error_max: f64) {
    let expected = numbers(expected);
    let actual: Vec<f64> = actual.into_iter().map(f64::from).collect();
    assert_eq!(actual.len(), expected.len(), "{name}");
    let pairs = actual.iter().zip(&expected);
    let error = pairs.map(|(a, e)| (a - e).abs()).fold(0.0f64, f64::max);
    println!("{name}: largest error {error:.1e}");
    assert!(error < error_max, "{name}: {actual:?}, face-api: {expected:?}");
}

#[test]
fn published_networks_describe_a_face_as_face_api_does() {
    let device = gradloom_cpu::device();
    let published = golden("published");
    let Some(astronaut) = photo("astronaut.png") else { return };
    let face = cut(&astronaut, FACE);

    let Some(model) = face_api::<FaceDescriptor>(&(), "face_recognition_model", &device) else {
        return;
    };
    let describe = |face: &Image| FaceDescriptor::describe(&model, face).unwrap();
    let descriptor = describe(&face);
    near("face_descriptor", descriptor.clone(), &published["face_descriptor"], 1e-4);
    // The same face in other pictures, and another one.
    let [_, height, width] = face.size();
    let mirrored = places(height, width)
        .map(|(c, y, x)| face.pixels()[(c * height + y) * width + (width - 1 - x)]);
    let mirrored = Image::new(mirrored.collect(), face.size()).unwrap();
    for (what, other) in [
        ("mirrored", mirrored),
        ("with more around", cut(&astronaut, [35, 155, 200, 150])),
        ("smaller", halved(&face)),
    ] {
        let distance = FaceDescriptor::distance(&descriptor, &describe(&other));
        println!("the same face {what}: {distance:.3}");
        assert!(distance < FaceDescriptor::SAME_PERSON, "{what}: {distance}");
    }
    if let Some(camera) = photo("camera.png") {
        let other = describe(&cut(&camera, [60, 190, 110, 90]));
        let distance = FaceDescriptor::distance(&descriptor, &other);
        println!("another man: {distance:.3}");
        assert!(distance > FaceDescriptor::SAME_PERSON, "{distance}");
    }

    for (name, file, config) in [
        ("face_landmarks", "face_landmark_68_model", FaceLandmarksConfig::full()),
        ("face_landmarks_tiny", "face_landmark_68_tiny_model", FaceLandmarksConfig::tiny()),
    ] {
        let Some(model) = face_api::<FaceLandmarks>(&config, file, &device) else { return };
        let points = model.points(&face).unwrap();
        let parts = points.iter().flat_map(|[x, y]| [x / width as f32, y / height as f32]);
        near(name, parts, &published[name], 1e-4);
        // The chin is below the nose, and that below the eyes.
        let [chin, nose, eye] = [8, 30, 36].map(|index| points[index][1]);
        assert!(chin > nose && nose > eye, "{name}: {chin}, {nose}, {eye}");
    }

    let Some(model) = face_api::<FaceExpressions>(&(), "face_expression_model", &device) else {
        return;
    };
    let probabilities = model.probabilities(&face).unwrap();
    near("face_expression", probabilities.map(|(_, p)| p), &published["face_expression"], 1e-4);
    let best = probabilities.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(best.0, Expression::Happy);
}

#[track_caller]
fn same_faces(name: &str, found: &[FaceDetection], expected: &Value) {
    let expected: Vec<[f64; 5]> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
    for (face, expected) in found.iter().zip(&expected) {
        assert!((f64::from(face.score) - expected[0]).abs() < 1e-3, "{name}: {face:?}");
        for (side, expected) in face.bounds.iter().zip(&expected[1..]) {
            assert!((f64::from(*side) - expected).abs() < 0.05, "{name}: {face:?}");
        }
        println!("{name}: {face:?}");
    }
}

#[test]
fn published_detectors_find_the_face_that_face_api_finds() {
    let device = gradloom_cpu::device();
    let published = golden("published");
    let (Some(astronaut), Some(coffee)) = (photo("astronaut.png"), photo("coffee.png")) else {
        return;
    };
    let tiny = face_api::<TinyFaceDetector>(&(), "tiny_face_detector_model", &device);
    let ssd = face_api::<SsdFaceDetector>(&(), "ssd_mobilenetv1_model", &device);
    let (Some(tiny), Some(ssd)) = (tiny, ssd) else { return };
    let found = tiny.detect(&astronaut, 416, 0.5).unwrap();
    same_faces("tiny_face_detector", &found, &published["tiny_face_detector"]);
    let found = ssd.detect(&astronaut, 0.5).unwrap();
    same_faces("ssd_face_detector", &found, &published["ssd_face_detector"]);
    // In a picture that is no square, at the same place.
    let wide = cut(&astronaut, [0, 0, 400, 512]);
    let again = ssd.detect(&wide, 0.5).unwrap();
    assert_eq!(again.len(), 1);
    let pairs = again[0].bounds.iter().zip(found[0].bounds);
    assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 4.0), "{again:?} {found:?}");
    assert_eq!(tiny.detect(&coffee, 416, 0.5).unwrap(), []);
    assert_eq!(ssd.detect(&coffee, 0.5).unwrap(), []);
}
