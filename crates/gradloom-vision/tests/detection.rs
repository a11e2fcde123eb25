//! Detectors against torchvision's: `golden/make_detection.py` wrote losses, gradients, proposals and detections.
//!
//! In f64, but boxes on the host are f32: what depends on them agrees to about a millionth.

mod support;

use gradloom_nn::{Context, Init, LoadOptions, StateDict, gradients};
use gradloom_tensor::{DType, Device, Key, Shape, Tensor, commit, eval};
use gradloom_vision::ResNetConfig;
use gradloom_vision::detection::{
    BackboneConfig, Detections, Detector, FasterRcnn, FasterRcnnConfig, ObjectBoxes, RetinaNet,
    RetinaNetConfig, Ssd, SsdConfig,
};
use serde_json::Value;
use support::{check_summary, filled_f64, value_of};

const CLASSES: usize = 5;
const SIZES: [[usize; 2]; 3] = [[48, 60], [80, 70], [64, 64]];

fn objects() -> Vec<ObjectBoxes> {
    let boxes = vec![[3.0, 4.0, 30.0, 40.0], [20.0, 10.0, 55.0, 30.5], [-4.0, 30.0, 12.0, 47.0]];
    let first = ObjectBoxes { boxes, labels: vec![1, 4, 2] };
    let boxes = vec![[10.0, 12.0, 50.0, 70.0], [40.0, 40.0, 64.0, 60.0]];
    vec![first, ObjectBoxes { boxes, labels: vec![3, 1] }, ObjectBoxes::default()]
}

fn pictures(dtype: DType, device: &Device) -> Vec<Tensor> {
    let pictures = SIZES.iter().enumerate().map(|(index, [height, width])| {
        let shape = Shape::new(&[3, *height, *width]);
        filled_f64(&format!("picture.{index}"), &shape, 0.5, 0.5, device).cast(dtype)
    });
    pictures.collect()
}

fn backbone(config: &BackboneConfig) -> BackboneConfig {
    let body = ResNetConfig {
        frozen_norms: true,
        norm_epsilon: 1e-5,
        ..ResNetConfig::new(false, [1, 1, 1, 1])
    };
    BackboneConfig { body, channels: 16, trainable_layers: 5, ..config.clone() }
}

fn retinanet(config: RetinaNetConfig) -> RetinaNetConfig {
    let sizes = [[16.0, 20.0], [24.0, 30.0], [32.0, 40.0], [48.0, 56.0], [64.0, 80.0]];
    RetinaNetConfig {
        backbone: backbone(&config.backbone),
        anchor_sizes: sizes.map(|sizes| sizes.to_vec()).to_vec(),
        ..config.size(64, 96).classes(CLASSES)
    }
}

fn faster_rcnn() -> FasterRcnnConfig {
    let mut config = FasterRcnnConfig::resnet50_fpn().size(64, 96).classes(CLASSES);
    config.backbone = backbone(&config.backbone);
    let proposals = &mut config.proposals;
    proposals.anchor_sizes = [16.0, 24.0, 32.0, 48.0, 64.0].map(|size| vec![size]).to_vec();
    (proposals.candidates_max, proposals.proposals_max) = ([60, 60], [40, 30]);
    // So large that nothing is drawn.
    proposals.sampler.count = 1_000_000;
    config.regions.sampler.count = 1_000_000;
    (config.regions.hidden, config.regions.canonical_side) = (32, 32.0);
    config
}

fn ssd() -> SsdConfig {
    let stages = [vec![8], vec![16], vec![32], vec![32, 512], vec![512]];
    SsdConfig { stages, ..SsdConfig::ssd300_vgg16().classes(CLASSES) }
}

fn golden(case: &str) -> Value {
    let path = format!("{}/tests/golden/detection_{case}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The filled weights under the names of the original; those of last layers are small.
fn weights(golden: &Value, small: f64, device: &Device) -> StateDict {
    let last = [
        "cls_logits",
        "bbox_reg",
        "bbox_pred",
        "cls_score",
        "ification_head.module_list",
        "ression_head.module_list",
    ];
    let shapes = golden["weights"].as_object().unwrap().iter();
    let weights = shapes.map(|(name, shape)| {
        let shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
        let value = value_of(name, &Shape::new(&shape), device);
        let is_last = shape.len() > 1 && last.iter().any(|part| name.contains(part));
        (name.clone(), if is_last { value * small } else { value })
    });
    weights.collect()
}

#[track_caller]
fn check_detections(case: &str, found: &[Detections], expected: &Value, relative: f64) {
    for (picture, (found, expected)) in found.iter().zip(expected.as_array().unwrap()).enumerate() {
        let what = format!("{case}: picture {picture}");
        assert_eq!(found.boxes.len() as u64, expected["count"].as_u64().unwrap(), "{what}");
        let list =
            |name: &str| -> Vec<f64> { serde_json::from_value(expected[name].clone()).unwrap() };
        let labels: Vec<usize> = list("labels").iter().map(|label| *label as usize).collect();
        assert_eq!(found.labels[..labels.len()], labels, "{what}");
        for (place, (score, expected)) in found.scores.iter().zip(list("scores")).enumerate() {
            let error = (f64::from(*score) - expected).abs();
            assert!(error < relative, "{what}: score {place} is {score}, torchvision's {expected}");
        }
        close(&what, &found.boxes, &list("boxes"), relative);
    }
}

#[track_caller]
fn close(what: &str, boxes: &[[f32; 4]], expected: &[f64], relative: f64) {
    for (place, (side, expected)) in boxes.concat().iter().zip(expected).enumerate() {
        let error = (f64::from(*side) - expected).abs();
        assert!(
            error < 100.0 * relative,
            "{what}: side {place} is {side}, torchvision's {expected}"
        );
    }
}

/// Losses, every gradient, and detections. `relative` is how far they may be off.
#[track_caller]
fn check<M: Detector>(case: &str, config: &M::Config, small: f64, relative: f64) -> (M, Value) {
    let (device, golden) = (gradloom_cpu::device(), golden(case));
    let weights = weights(&golden, small, &device);
    let mut model = M::new(config, &mut Init::new(Key::new(0), &device).dtype(DType::F64)).unwrap();
    model.load_state_dict(&weights.rename(M::rename), &LoadOptions::strict()).unwrap();
    commit(&mut model).unwrap();
    let pictures = |dtype| pictures(dtype, &device);

    let ctx = &mut Context::train(Key::new(1));
    let losses = model.losses(&pictures(DType::F64), &objects(), ctx).unwrap();
    let actual = gradients(losses.total(), &model);
    let roots = losses.iter().map(|(_, loss)| loss);
    eval(roots.chain(actual.iter().map(|(_, gradient)| gradient))).unwrap();
    let expected = golden["losses"].as_object().unwrap();
    assert_eq!(losses.iter().count(), expected.len());
    for (name, expected) in expected {
        let loss = losses.get(name).unwrap().item().unwrap();
        let expected = expected.as_f64().unwrap();
        let error = (loss - expected).abs();
        assert!(error <= relative * expected, "{case}: {name} is {loss}, torchvision's {expected}");
    }
    let expected = golden["gradients"].as_object().unwrap();
    assert_eq!(actual.len(), expected.len(), "{case}: number of gradients");
    let largest = expected.values().fold(0.0f64, |max, value| max.max(value[1].as_f64().unwrap()));
    for (name, value) in expected {
        let gradient = actual.get(&M::rename(name).unwrap()).unwrap();
        let bound = [relative, 1e-3 * relative * largest];
        check_summary(&format!("{case}: {name}"), name, gradient, value, bound);
    }

    let found = model.detect(&pictures(DType::F64)).unwrap();
    check_detections(case, &found, &golden["detections"], 1e-6);
    let loaded = M::from_weights(config, &weights, &device).unwrap();
    // In f32 the order of equals may differ, so the surest of each picture counts.
    let of_f32 = loaded.detect(&pictures(DType::F32)).unwrap();
    for (narrow, wide) in of_f32.iter().zip(&found) {
        assert_eq!(narrow.labels[0], wide.labels[0], "{case}");
        assert!((narrow.scores[0] - wide.scores[0]).abs() < 1e-3, "{case}");
        let wide = wide.boxes[0].map(f64::from);
        close(case, &narrow.boxes[..1], &wide, 1e-3);
    }
    (model, golden)
}

#[test]
fn retinanet_is_torchvisions() {
    check::<RetinaNet>("retinanet", &retinanet(RetinaNetConfig::resnet50_fpn()), 0.05, 1e-7);
}

#[test]
fn retinanet_v2_is_torchvisions() {
    let config = retinanet(RetinaNetConfig::resnet50_fpn_v2());
    let config = RetinaNetConfig { head_groups: 4, ..config };
    check::<RetinaNet>("retinanet_v2", &config, 0.05, 1e-6);
}

#[test]
fn faster_rcnn_is_torchvisions() {
    let (model, golden) = check::<FasterRcnn>("faster_rcnn", &faster_rcnn(), 0.05, 1e-5);
    let proposals = model.proposals(&pictures(DType::F64, &gradloom_cpu::device())).unwrap();
    for (picture, own) in proposals.iter().enumerate() {
        let expected: Vec<f64> =
            serde_json::from_value(golden["proposals"][picture].clone()).unwrap();
        assert_eq!(own.len() * 4, expected.len());
        close(&format!("proposals of picture {picture}"), own, &expected, 1e-6);
    }
}

#[test]
fn ssd_is_torchvisions() {
    check::<Ssd>("ssd", &ssd(), 0.0005, 1e-5);
}
