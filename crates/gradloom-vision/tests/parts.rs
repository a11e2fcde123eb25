//! Parts of detection against torchvision's operators, of which `golden/make_parts.py` wrote values and gradients; and
//! their edges: empty, inverted and wrong boxes.

mod support;

use gradloom_autodiff::grad;
use gradloom_data::Image;
use gradloom_tensor::{Device, Shape, Tensor};
use gradloom_vision::boxes::{
    AnchorGenerator, BoxCoder, BoxForm, SoftSuppression, batched_nms, box_area, clip_boxes,
    complete_iou, complete_iou_loss, convert_boxes, distance_iou, distance_iou_loss,
    generalized_iou, generalized_iou_loss, iou, nms, soft_nms,
};
use gradloom_vision::drawing::{draw_boxes, draw_mask};
use gradloom_vision::losses::{dice_loss, sigmoid_focal_loss};
use gradloom_vision::roi::{RoiAlign, RoiPool};
use gradloom_vision::{Letterbox, tile, tiles};
use serde_json::Value;
use support::{fill, filled};

fn expected() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/parts.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// `boxes` of `make_parts.py`.
fn boxes(name: &str, count: usize, extent: f64, size: f64) -> Vec<[f32; 4]> {
    let corners = fill(&format!("{name}.corner"), 2 * count, extent / 2.0, extent / 2.0 - 2.0);
    let sides = fill(&format!("{name}.sides"), 2 * count, size - 0.2, size);
    let pairs = corners.chunks(2).zip(sides.chunks(2));
    let boxes = pairs.map(|(corner, side)| {
        let far = |axis: usize| (f64::from(corner[axis]) + f64::from(side[axis])) as f32;
        [corner[0], corner[1], far(0), far(1)]
    });
    boxes.collect()
}

fn tensor(boxes: &[[f32; 4]], device: &Device) -> Tensor {
    Tensor::from_vec(boxes.concat(), [boxes.len(), 4], device).unwrap().tracked()
}

#[track_caller]
fn close(what: &str, actual: &Tensor, expected: &Value, relative: f64) {
    let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
    let actual = actual.to_vec::<f32>().unwrap();
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        let error = (f64::from(*actual) - expected).abs();
        let bound = 1e-5 + relative * expected.abs();
        assert!(error <= bound, "{what}: element {index} is {actual}, Python's is {expected}");
    }
}

#[track_caller]
fn check(what: &str, y: &Tensor, inputs: &[&Tensor], expected: &Value) {
    close(what, y, &expected["value"], 2e-5);
    let cotangent = filled("cotangent", y.shape(), 1.0, 0.0, y.device());
    let gradients = grad(&(y * cotangent).sum(..), inputs);
    for (index, gradient) in gradients.iter().enumerate() {
        close(&format!("{what}: gradient"), gradient, &expected["gradients"][index], 1e-4);
    }
}

fn each_device(test: impl Fn(&Device)) {
    for device in [gradloom_testkit::reference::device(), gradloom_cpu::device()] {
        test(&device);
    }
}

#[test]
fn overlaps_are_torchvisions() {
    let expected = expected();
    let expected = &expected["overlaps"];
    each_device(|device| {
        let (a, b) =
            (tensor(&boxes("a", 6, 20.0, 8.0), device), tensor(&boxes("b", 5, 20.0, 8.0), device));
        let pairs: [(&str, fn(&Tensor, &Tensor) -> Tensor); 4] = [
            ("iou", iou),
            ("generalized", generalized_iou),
            ("distance", distance_iou),
            ("complete", complete_iou),
        ];
        for (name, function) in pairs {
            check(name, &function(&a, &b), &[&a, &b], &expected[name]);
        }
        let a = tensor(&boxes("matched", 7, 20.0, 8.0), device);
        let b = tensor(&boxes("targets", 7, 20.0, 8.0), device);
        let losses: [(&str, fn(&Tensor, &Tensor) -> Tensor); 3] = [
            ("generalized_loss", generalized_iou_loss),
            ("distance_loss", distance_iou_loss),
            ("complete_loss", complete_iou_loss),
        ];
        for (name, function) in losses {
            check(name, &function(&a, &b), &[&a, &b], &expected[name]);
        }
    });
}

#[test]
fn regions_are_torchvisions() {
    let expected = expected();
    let expected = &expected["regions"];
    let regions = [boxes("regions.0", 4, 40.0, 14.0), boxes("regions.1", 3, 40.0, 14.0)];
    each_device(|device| {
        let features = filled("features", &Shape::new(&[2, 3, 9, 11]), 1.0, 0.0, device).tracked();
        let align = RoiAlign::new([3, 2], 0.25);
        let cases = [
            ("align", align.samples(2)),
            ("align_adaptive", align),
            ("align_aligned", align.samples(3).aligned()),
            ("align_aligned_adaptive", align.aligned()),
        ];
        for (name, align) in cases {
            let y = align.forward(&features, &regions).unwrap();
            check(name, &y, &[&features], &expected[name]);
        }
        let y = RoiPool::new([3, 2], 0.25).forward(&features, &regions).unwrap();
        check("pool", &y, &[&features], &expected["pool"]);
    });
}

#[test]
fn regions_of_nothing_and_wrong_regions() {
    let device = gradloom_cpu::device();
    let features = filled("features", &Shape::new(&[2, 3, 9, 11]), 1.0, 0.0, &device);
    let align = RoiAlign::new([2, 2], 1.0);
    let none = align.forward(&features, &[vec![], vec![]]).unwrap();
    assert_eq!(none.shape(), &[0, 3, 2, 2]);
    // Empty, inverted and far away.
    let odd = vec![[3.0, 3.0, 3.0, 3.0], [5.0, 5.0, 2.0, 1.0], [500.0, 500.0, 600.0, 600.0]];
    for align in [align, align.aligned(), align.samples(2)] {
        let y = align.forward(&features, &[odd.clone(), vec![]]).unwrap();
        assert!(y.to_vec::<f32>().unwrap().iter().all(|value| value.is_finite()));
    }
    let y = RoiPool::new([2, 2], 1.0).forward(&features, &[odd, vec![]]).unwrap();
    assert!(y.to_vec::<f32>().unwrap()[24..].iter().all(|&value| value == 0.0));
    let message =
        |boxes: &[Vec<[f32; 4]>]| align.forward(&features, boxes).unwrap_err().to_string();
    assert!(message(&[vec![]]).starts_with("roi_align: boxes of 1 pictures"));
    assert!(message(&[vec![[0.0, f32::NAN, 1.0, 1.0]], vec![]]).contains("not finite"));
    assert!(message(&[vec![[0.0, 0.0, 1e9, 1e9]], vec![]]).contains("clip the boxes"));
}

#[test]
fn suppression_is_torchvisions() {
    let expected = expected();
    let expected = &expected["suppression"];
    let many = boxes("many", 400, 100.0, 12.0);
    let rounded = |value: f32| (value * 50.0).round_ties_even() / 50.0;
    let scores: Vec<f32> = fill("scores", 400, 0.5, 0.5).into_iter().map(rounded).collect();
    let named = |name: &str| serde_json::from_value::<Vec<usize>>(expected[name].clone()).unwrap();
    for (name, threshold) in [("nms_0.3", 0.3), ("nms_0.7", 0.7), ("nms_0.0", 0.0)] {
        assert_eq!(nms(&many, &scores, threshold).unwrap(), named(name), "{name}");
    }
    let classes = fill("classes", 400, 1.5, 1.5);
    let classes: Vec<usize> = classes.into_iter().map(|class| class as usize).collect();
    assert_eq!(batched_nms(&many, &scores, &classes, 0.4).unwrap(), named("batched_0.4"));
}

/// Suppression by its definition.
fn plain_nms(boxes: &[[f32; 4]], scores: &[f32], threshold: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        let b = boxes[index];
        let meets = |&other: &usize| {
            let a = boxes[other];
            let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
            let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
            let both = width * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
            f64::from(both / (area(a) + area(b) - both)) > threshold
        };
        if !kept.iter().any(meets) {
            kept.push(index);
        }
    }
    kept
}

#[test]
fn suppression_keeps_its_definition_whatever_the_boxes() {
    for (case, extent, size) in [("small", 1000.0, 3.0), ("large", 20.0, 60.0), ("line", 0.0, 5.0)]
    {
        let mut some = boxes(case, 700, extent, size);
        // Mixed sizes, inverted and empty ones, and some far away.
        for (index, bounds) in some.iter_mut().enumerate() {
            match index % 9 {
                0 => bounds[2] += 400.0,
                1 => bounds.swap(0, 2),
                2 => bounds[3] = bounds[1],
                3 if index % 2 == 0 => *bounds = bounds.map(|side| side * 1e6),
                _ => {}
            }
        }
        let scores = fill("scores", 700, 0.5, 0.5);
        for threshold in [0.0, 0.2, 0.5, 1.0] {
            let expected = plain_nms(&some, &scores, threshold);
            assert_eq!(nms(&some, &scores, threshold).unwrap(), expected, "{case} {threshold}");
        }
    }
    assert!(nms(&[], &[], 0.5).unwrap().is_empty());
    let wrong = |boxes: &[[f32; 4]], scores: &[f32], threshold| {
        nms(boxes, scores, threshold).unwrap_err().to_string()
    };
    assert_eq!(wrong(&[[0.0; 4]], &[], 0.5), "nms: 0 scores for 1 boxes");
    assert!(wrong(&[[f32::INFINITY; 4]], &[1.0], 0.5).contains("not finite"));
    assert!(wrong(&[[0.0; 4]], &[f32::NAN], 0.5).contains("NaN"));
    assert!(wrong(&[[0.0; 4]], &[1.0], 1.5).contains("0..=1"));
}

#[test]
fn soft_suppression_lowers_scores() {
    let some = [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0], [20.0, 0.0, 30.0, 10.0]];
    let scores = [0.9, 0.8, 0.7];
    let taken = soft_nms(&some, &scores, SoftSuppression::Linear(0.3), 0.0).unwrap();
    assert_eq!(taken, [(0, 0.9), (2, 0.7), (1, 0.8 * 0.5)]);
    let taken = soft_nms(&some, &scores, SoftSuppression::Gaussian(0.5), 0.5).unwrap();
    // 0.8 exp(-0.25 / 0.5) = 0.485
    assert_eq!(taken, [(0, 0.9), (2, 0.7)]);
    assert!(soft_nms(&some, &scores, SoftSuppression::Gaussian(0.0), 0.5).is_err());
}

#[test]
fn codes_and_anchors_are_torchvisions() {
    let expected = expected();
    each_device(|device| {
        let a = tensor(&boxes("matched", 7, 20.0, 8.0), device);
        let b = tensor(&boxes("targets", 7, 20.0, 8.0), device);
        let coder = BoxCoder::new([10.0, 10.0, 5.0, 5.0]);
        let y = coder.encode(&b, &a);
        check("encode", &y, &[&b, &a], &expected["codes"]["encode"]);
        let codes = filled("codes", &Shape::new(&[7, 4]), 30.0, 0.0, device).tracked();
        let y = coder.decode(&codes, &a);
        check("decode", &y, &[&codes, &a], &expected["codes"]["decode"]);
        let back = coder.decode(&coder.encode(&b, &a), &a);
        assert!((back - &b).abs().max(..).item().unwrap() < 1e-4);
    });
    let sizes = [vec![32.0], vec![64.0, 100.0]];
    let ratios = [vec![0.5, 1.0, 2.0], vec![1.0, 1.7]];
    let generator = AnchorGenerator::new(&sizes, &ratios).unwrap();
    assert_eq!(generator.per_place(), [3, 4]);
    let anchors = generator.boxes([85, 130], &[[5, 7], [2, 3]]).unwrap().concat();
    let named: Vec<f32> = serde_json::from_value(expected["anchors"].clone()).unwrap();
    assert_eq!(anchors, named);
    assert!(AnchorGenerator::new(&sizes, &ratios[..1]).is_err());
    assert!(AnchorGenerator::new(&[vec![0.0]], &ratios[..1]).is_err());
    assert!(generator.boxes([85, 130], &[[5, 7]]).is_err());
}

#[test]
fn focal_loss_is_torchvisions() {
    let expected = expected();
    let expected = &expected["focal"];
    each_device(|device| {
        let shape = Shape::new(&[4, 5]);
        let logits = filled("logits", &shape, 4.0, 0.0, device).tracked();
        let hits = filled("hits", &shape, 1.0, 0.0, device).gt(0.3).cast(logits.dtype());
        let soft = filled("soft", &shape, 0.5, 0.5, device);
        let cases = [
            ("usual", &hits, Some(0.25), 2.0),
            ("plain", &hits, None, 1.5),
            ("soft", &soft, Some(0.4), 3.0),
        ];
        for (name, targets, alpha, gamma) in cases {
            let y = sigmoid_focal_loss(&logits, targets, alpha, gamma);
            check(name, &y, &[&logits], &expected[name]);
        }
    });
}

#[test]
fn dice_loss_of_masks() {
    let device = gradloom_cpu::device();
    let p = Tensor::new([[[1.0f32, 1.0, 0.0, 0.0], [0.0; 4]]], &device).unwrap();
    let t = Tensor::new([[[1.0f32, 0.0, 0.0, 0.0], [0.0; 4]]], &device).unwrap();
    // 1 - (2 + 1) / (3 + 1), and nothing against nothing.
    assert_eq!(dice_loss(&p, &t, 1.0).to_vec::<f32>().unwrap(), [0.25, 0.0]);
}

#[test]
fn forms_of_boxes() {
    let device = gradloom_cpu::device();
    let some = boxes("forms", 9, 20.0, 8.0);
    let x = tensor(&some, &device);
    for form in [BoxForm::LeftTopSize, BoxForm::CentreSize] {
        let back =
            convert_boxes(&convert_boxes(&x, BoxForm::Corners, form), form, BoxForm::Corners);
        assert!((back - &x).abs().max(..).item().unwrap() < 1e-5);
    }
    let x = Tensor::new([[-3.0f32, 2.0, 5.0, 40.0]], &device).unwrap();
    assert_eq!(clip_boxes(&x, [30, 4]).to_vec::<f32>().unwrap(), [0.0, 2.0, 4.0, 30.0]);
    assert_eq!(box_area(&x).to_vec::<f32>().unwrap(), [8.0 * 38.0]);
}

#[test]
fn tiles_cover_a_picture_and_overlap() {
    for (height, width, size, overlap) in
        [(10, 25, 8, 3), (8, 8, 8, 0), (3, 5, 8, 2), (40, 1, 7, 6)]
    {
        let found = tiles([height, width], size, overlap).unwrap();
        let mut covered = vec![false; height * width];
        for &[left, top, right, bottom] in &found {
            assert_eq!((right - left, bottom - top), (size.min(width), size.min(height)));
            for row in top..bottom {
                covered[row * width + left..row * width + right].fill(true);
            }
        }
        assert!(covered.iter().all(|&covered| covered), "{height} x {width}");
        for pair in found.windows(2).filter(|pair| pair[0][1] == pair[1][1]) {
            assert!(pair[0][2] >= pair[1][0] + overlap);
        }
    }
    assert!(tiles([4, 4], 0, 0).is_err() && tiles([4, 4], 3, 3).is_err());
    assert!(tiles([0, 4], 3, 1).unwrap().is_empty());
    let image = Image::new((0..24).collect::<Vec<u8>>(), [2, 3, 4]).unwrap();
    assert_eq!(tile(&image, [1, 1, 3, 3]).unwrap().pixels(), [5, 6, 9, 10, 17, 18, 21, 22]);
    assert!(tile(&image, [1, 1, 5, 3]).is_err());
}

#[test]
fn drawing_keeps_inside_the_picture() {
    let black = || Image::new(vec![0u8; 3 * 5 * 6], [3, 5, 6]).unwrap();
    let mut image = black();
    draw_boxes(&mut image, &[[1.0, 1.0, 5.0, 4.0], [-9.0, -9.0, 1.0, 1.0]], [9, 0, 7], 1).unwrap();
    let red =
        [9, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0];
    // Of the second box the corner is inside the picture.
    assert_eq!(image.pixels()[..30], red);
    assert_eq!(image.pixels()[30..60], [0; 30]);
    let mut image = black();
    draw_boxes(&mut image, &[[4.0, 4.0, 2.0, 2.0], [1e30, 0.0, 2e30, 9.0]], [9; 3], 2).unwrap();
    assert_eq!(image, black());
    assert!(draw_boxes(&mut image, &[[f32::NAN; 4]], [9; 3], 2).is_err());
    let mut mask = vec![false; 30];
    mask[7] = true;
    draw_mask(&mut image, &mask, [100, 200, 0], 0.5).unwrap();
    assert_eq!([image.pixels()[7], image.pixels()[37], image.pixels()[67]], [50, 100, 0]);
    assert!(draw_mask(&mut image, &mask[1..], [0; 3], 0.5).is_err());
    let mut grey = Image::new(vec![0u8; 4], [1, 2, 2]).unwrap();
    assert!(draw_boxes(&mut grey, &[], [0; 3], 1).is_err());
}

#[test]
fn a_letterbox_keeps_proportions() {
    let image = Image::new(vec![200u8; 3 * 30 * 10], [3, 30, 10]).unwrap();
    let (framed, place) = Letterbox::new(16, 16).fill(7).apply(&image).unwrap();
    // 16 x 5 in the middle.
    let row: Vec<u8> = framed.pixels()[..16].to_vec();
    assert_eq!(row, [7, 7, 7, 7, 7, 200, 200, 200, 200, 200, 7, 7, 7, 7, 7, 7]);
    let there = place.to_frame([2.0, 3.0, 8.0, 30.0]);
    let back = place.to_picture(there);
    assert!(back.iter().zip([2.0, 3.0, 8.0, 30.0]).all(|(a, b)| (a - b).abs() < 1e-4), "{back:?}");
    let (framed, _) = Letterbox::new(64, 64).only_reduce().apply(&image).unwrap();
    assert_eq!(framed.pixels().iter().filter(|&&pixel| pixel == 200).count(), 3 * 30 * 10);
    assert!(Letterbox::new(0, 16).apply(&image).is_err());
}
