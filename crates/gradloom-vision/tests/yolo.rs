//! YOLO networks against PyTorch: `golden/make_yolo.py` wrote outputs, who learns what, losses, gradients and kept boxes;
//! and that they learn to find things.

mod support;

use gradloom_data::Image;
use gradloom_data::random::RandomStream;
use gradloom_nn::{AdamW, Context, Init, Optimizer, StateDict, gradients};
use gradloom_tensor::{DType, Device, Key, Result, Shape, Tensor, commit, eval};
use gradloom_vision::detection::yolo::{DetectOptions, TaskAlignedAssigner};
use gradloom_vision::detection::{Detections, ObjectBoxes};
use gradloom_vision::{
    AuxiliaryLogits, Classifier, YoloV3Tiny, YoloV3TinyConfig, YoloV8, YoloV8Config,
};
use serde_json::Value;
use support::{Golden, filled_f64};

const CLASSES: usize = 7;

fn v8() -> YoloV8Config {
    YoloV8Config { width: 0.125, ..YoloV8Config::yolov8n().classes(CLASSES) }
}

fn v3_tiny() -> YoloV3TinyConfig {
    YoloV3TinyConfig { width: 0.25, ..YoloV3TinyConfig::new().classes(CLASSES) }
}

/// With an axis more, so that every 97th number is compared, as of pixels.
fn flat<M: Classifier>(model: &M, x: &Tensor, ctx: &mut Context) -> AuxiliaryLogits {
    AuxiliaryLogits { logits: model.forward(x, ctx).unsqueeze(-1), auxiliary: Vec::new() }
}

#[test]
fn outputs_and_gradients_are_pytorchs() {
    Golden::open("yolo_v8").check::<YoloV8>(&v8(), flat);
    Golden::open("yolo_v3_tiny").check::<YoloV3Tiny>(&v3_tiny(), flat);
}

#[test]
fn published_sizes_and_names_are_read() {
    let device = gradloom_cpu::device();
    let init = || Init::new(Key::new(0), &device);
    let count = |config: YoloV8Config| {
        use gradloom_nn::ModuleExt;
        YoloV8::new(&config, &mut init()).unwrap().parameter_count()
    };
    // With the sixteen numbers of the bins, which stand among the weights there: 3,157,200 and so on.
    assert_eq!(count(YoloV8Config::yolov8n()), 3_157_184);
    assert_eq!(count(YoloV8Config::yolov8s()), 11_166_544);
    assert_eq!(count(YoloV8Config::yolov8m()), 25_902_624);
    assert_eq!(count(YoloV8Config::yolov8l()), 43_691_504);
    assert_eq!(count(YoloV8Config::yolov8x()), 68_229_632);

    let golden = Golden::open("yolo_v8");
    let mut weights: StateDict = golden.weights::<YoloV8>(&v8(), &device);
    let bins = Tensor::arange(16, &device).cast(DType::F64).reshape([1, 16, 1, 1]);
    weights.insert("model.22.dfl.conv.weight", bins);
    YoloV8::from_weights(&v8(), &weights, &device).unwrap();
    let error = YoloV8::from_weights(&YoloV8Config::yolov8n(), &weights, &device).unwrap_err();
    assert!(error.to_string().contains("loading yolo_v8"), "{error}");

    let golden = Golden::open("yolo_v3_tiny");
    let mut weights: StateDict = golden.weights::<YoloV3Tiny>(&v3_tiny(), &device);
    weights.insert("model.20.anchors", Tensor::zeros([2, 3, 2], DType::F32, &device));
    YoloV3Tiny::from_weights(&v3_tiny(), &weights, &device).unwrap();
}

struct Losses {
    json: Value,
    pictures: Tensor,
    targets: Vec<ObjectBoxes>,
}

impl Losses {
    fn open(device: &Device) -> Losses {
        let json = Golden::open("yolo_losses").json;
        let rows: Vec<Vec<Vec<f32>>> = serde_json::from_value(json["targets"].clone()).unwrap();
        let targets = rows.iter().map(|rows| ObjectBoxes {
            boxes: rows.iter().map(|row| [row[0], row[1], row[2], row[3]]).collect(),
            labels: rows.iter().map(|row| row[4] as usize).collect(),
        });
        let shape = Shape::new(&[3, 3, 160, 160]);
        let pictures = filled_f64("pictures", &shape, 0.5, 0.5, device);
        Losses { targets: targets.collect(), pictures, json }
    }

    /// Compares the parts of a loss, the gradients of its total, and the boxes that are kept.
    #[track_caller]
    fn check<M: Classifier>(
        &self,
        case: &str,
        config: &M::Config,
        parts: impl Fn(&M, &mut Context) -> Result<(Vec<(&'static str, Tensor)>, Tensor)>,
        detect: impl Fn(&M) -> Result<Vec<Detections>>,
    ) {
        let golden = Golden::open(case);
        let device = self.pictures.device().clone();
        let model = golden.filled_model::<M>(config, &device);
        let expected = &self.json[case];
        let (parts, total) = parts(&model, &mut Context::train(Key::new(1))).unwrap();
        let actual = gradients(&total, &model);
        eval(actual.iter().map(|(_, gradient)| gradient)).unwrap();
        for (name, part) in parts {
            let (part, expected) = (part.item().unwrap(), &expected["losses"][name]);
            let expected = expected.as_f64().unwrap();
            let bound = 1e-7 * expected.abs();
            assert!((part - expected).abs() <= bound, "{case}: {name} {part} is {expected}");
        }
        golden.check_summaries::<M>(config, "losses", &expected["gradients"], |own| {
            actual.get(own).cloned()
        });
        let found: Vec<Vec<[f64; 6]>> = serde_json::from_value(expected["found"].clone()).unwrap();
        let detected = detect(&model).unwrap();
        for (expected, found) in found.iter().zip(&detected) {
            assert_eq!(found.boxes.len(), expected.len(), "{case}: {found:?} is {expected:?}");
            for (index, expected) in expected.iter().enumerate() {
                let bounds = found.boxes[index].map(f64::from);
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
                let same = (0..4).all(|side| near(bounds[side], expected[side]));
                let score = near(f64::from(found.scores[index]), expected[4]);
                let class = found.labels[index] as f64 == expected[5];
                assert!(same && score && class, "{case}: {index} of {found:?} is {expected:?}");
            }
        }
    }
}

#[test]
fn losses_of_points_are_pytorchs() {
    let device = gradloom_cpu::device();
    let losses = Losses::open(&device);
    let options = DetectOptions { score_min: 0.53, ..DetectOptions::default() };
    losses.check::<YoloV8>(
        "yolo_v8",
        &v8(),
        |model, ctx| {
            let found = model.losses(&losses.pictures, &losses.targets, ctx)?;
            let total = found.total();
            let parts = [("boxes", found.boxes), ("classes", found.classes)];
            let mut parts = Vec::from(parts);
            parts.push(("distances", found.distances));
            Ok((parts, total))
        },
        |model| model.detect(&losses.pictures, &options),
    );
}

#[test]
fn losses_of_priors_are_pytorchs() {
    let device = gradloom_cpu::device();
    let losses = Losses::open(&device);
    let options = DetectOptions { score_min: 0.8, ..DetectOptions::default() };
    losses.check::<YoloV3Tiny>(
        "yolo_v3_tiny",
        &v3_tiny(),
        |model, ctx| {
            let found = model.losses(&losses.pictures, &losses.targets, ctx)?;
            let total = found.total();
            let parts = [("boxes", found.boxes), ("objectness", found.objectness)];
            let mut parts = Vec::from(parts);
            parts.push(("classes", found.classes));
            Ok((parts, total))
        },
        |model| model.detect(&losses.pictures, &options),
    );
}

#[test]
fn a_point_that_several_objects_want_learns_the_one_that_it_overlaps_most() {
    let centres = [[5.0, 5.0], [15.0, 5.0], [40.0, 40.0]];
    let boxes = [[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0], [30.0, 30.0, 50.0, 50.0]];
    let objects = [[0.0, 0.0, 20.0, 10.0], [0.0, 0.0, 10.0, 11.0]];
    let assigner = TaskAlignedAssigner { candidates: 2, ..TaskAlignedAssigner::default() };
    let assigned = assigner.assign(&centres, &boxes, |_, _| 0.5, &objects, &[0, 1]);
    let pairs: Vec<_> = assigned.iter().map(|own| (own.point, own.object)).collect();
    assert_eq!(pairs, [(0, 1), (1, 0)]);
    // The best point of an object shall say as much as it overlaps it: 10/11 less what the shapes differ by.
    assert!((0.90..0.91).contains(&assigned[0].score), "{assigned:?}");
    // A point without area, or without a score, is no reason to stop.
    let flat = [[5.0; 4], [15.0, 5.0, 15.0, 5.0], [40.0; 4]];
    let assigned = assigner.assign(&centres, &flat, |_, _| 0.0, &objects, &[0, 1]);
    assert!(assigned.iter().all(|own| own.score == 0.0), "{assigned:?}");
    assert!(assigner.assign(&[], &[], |_, _| 0.5, &objects, &[0, 1]).is_empty());
}

#[test]
fn what_does_not_fit_is_refused() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut model = YoloV8::new(&v8(), init).unwrap();
    let tiny = YoloV3Tiny::new(&v3_tiny(), init).unwrap();
    let pictures = |shape: [usize; 4]| Tensor::zeros(shape, DType::F32, &device);
    let good = pictures([1, 3, 64, 64]);
    let of =
        |bounds: [f32; 4], class: usize| ObjectBoxes { boxes: vec![bounds], labels: vec![class] };
    let options = DetectOptions::default();
    for x in [pictures([1, 3, 60, 64]), pictures([1, 1, 64, 64]), pictures([1, 3, 0, 64])] {
        let error = model.detect(&x, &options).unwrap_err().to_string();
        assert!(error.contains("sizes of multiples of 32"), "{error}");
        assert!(tiny.detect(&x, &options).is_err());
    }
    assert!(model.detect(&good.cast(DType::I32), &options).is_err());
    let wrong = [
        (vec![], "targets of 0 pictures for 1"),
        (vec![of([1.0, 1.0, 9.0, 9.0], CLASSES)], "label 0 is 7; labels are 0..7"),
        (vec![of([9.0, 1.0, 9.0, 9.0], 0)], "has no area"),
        (vec![of([f32::NAN, 1.0, 9.0, 9.0], 0)], "is not finite"),
        (vec![of([64.0, 1.0, 90.0, 9.0], 0)], "outside of the 64 x 64 pixels"),
        (
            vec![ObjectBoxes { boxes: vec![[0.0, 0.0, 1.0, 1.0]], labels: vec![] }],
            "1 boxes, 0 labels",
        ),
    ];
    for (targets, message) in wrong {
        let ctx = &mut Context::train(Key::new(0));
        for error in
            [model.losses(&good, &targets, ctx).err(), tiny.losses(&good, &targets, ctx).err()]
        {
            let error = error.unwrap().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
    let grey = Image::new(vec![0; 64], [1, 8, 8]).unwrap();
    assert!(model.find(&[grey], 64, &options).is_err());
    assert!(model.find(&[], 64, &options).unwrap().is_empty());
    assert!(model.find(&[Image::new(vec![0; 192], [3, 8, 8]).unwrap()], 60, &options).is_err());
    assert!(YoloV8::new(&v8().classes(0), init).is_err());
    assert!(YoloV8::new(&YoloV8Config { width: f64::NAN, ..v8() }, init).is_err());
    assert!(YoloV3Tiny::new(&YoloV3TinyConfig { width: 0.0, ..v3_tiny() }, init).is_err());
    let mut anchors = v3_tiny().anchors;
    anchors[0][0][0] = 0.0;
    assert!(YoloV3Tiny::new(&v3_tiny().anchors(anchors), init).is_err());

    model.replace_head(2, init).unwrap();
    let losses = model.losses(&good, &[of([1.0, 1.0, 9.0, 9.0], 1)], &mut Context::eval()).unwrap();
    assert!(losses.total().item().unwrap().is_finite());
    assert!(model.losses(&good, &[of([1.0, 1.0, 9.0, 9.0], 2)], &mut Context::eval()).is_err());
}

const SIDE: usize = 64;

/// A disc (class 0) or the frame of a square (class 1) of any size and colour on noise.
fn scene(random: &mut RandomStream) -> (Image, ObjectBoxes) {
    let mut pixels: Vec<u8> =
        (0..3 * SIDE * SIDE).map(|_| random.uniform(0.0, 90.0) as u8).collect();
    let half = 8 + random.below(9);
    let [x, y] = [0, 1].map(|_| half + random.below(SIDE - 2 * half));
    let class = random.below(2);
    let colour = [0; 3].map(|_: i32| 140 + random.below(116) as u8);
    for row in y - half..y + half {
        for column in x - half..x + half {
            let far = [row.abs_diff(y), column.abs_diff(x)];
            let disc = far[0].pow(2) + far[1].pow(2) < half * half;
            let frame = far[0].max(far[1]) + 4 > half;
            if [disc, frame][class] {
                for channel in 0..3 {
                    pixels[(channel * SIDE + row) * SIDE + column] = colour[channel];
                }
            }
        }
    }
    let bounds = [x - half, y - half, x + half, y + half].map(|side| side as f32);
    let image = Image::new(pixels, [3, SIDE, SIDE]).unwrap();
    (image, ObjectBoxes { boxes: vec![bounds], labels: vec![class] })
}

/// Trains on fresh scenes, and returns the mean losses of the first and last steps and the share of unseen scenes in
/// which the surest box is the object.
fn learnt<M: Classifier>(
    mut model: M,
    steps: usize,
    total: impl Fn(&M, &Tensor, &[ObjectBoxes], &mut Context) -> Result<Tensor>,
    find: impl Fn(&M, &[Image]) -> Result<Vec<Detections>>,
) -> (f64, f64, f64) {
    let device = gradloom_cpu::device();
    let random = &mut RandomStream::new(Key::new(5));
    let mut optimizer = AdamW::new(4e-3);
    commit(&mut model).unwrap();
    let mut losses = Vec::new();
    for step in 0..steps {
        let (images, objects): (Vec<Image>, Vec<ObjectBoxes>) =
            (0..8).map(|_| scene(random)).unzip();
        let pixels = images.iter().flat_map(|image| image.pixels());
        let pixels: Vec<f32> = pixels.map(|&level| f32::from(level) / 255.0).collect();
        let pictures = Tensor::from_vec(pixels, [8, 3, SIDE, SIDE], &device).unwrap();
        // Falling, so that the running statistics of the norms catch up.
        optimizer.set_learning_rate(4e-3 * (1.0 - step as f64 / steps as f64));
        let mut ctx = Context::train(Key::new(step as u64));
        let loss = total(&model, &pictures, &objects, &mut ctx).unwrap();
        optimizer.step(&gradients(&loss, &model).clip_norm(10.0).0, &mut model);
        ctx.apply_updates(&mut model);
        commit((&mut model, &mut optimizer)).unwrap();
        losses.push(loss.item().unwrap());
    }
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (images, objects): (Vec<Image>, Vec<ObjectBoxes>) = (0..40).map(|_| scene(random)).unzip();
    let found = find(&model, &images).unwrap();
    let right = found.iter().zip(&objects).filter(|(found, object)| {
        let Some(bounds) = found.boxes.first() else { return false };
        let truth = object.boxes[0];
        let overlap = |axis: usize| {
            (bounds[2 + axis].min(truth[2 + axis]) - bounds[axis].max(truth[axis])).max(0.0)
        };
        let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
        let both = overlap(0) * overlap(1);
        let iou = both / (area(bounds) + area(&truth) - both);
        iou > 0.5 && found.labels[0] == object.labels[0]
    });
    let share = right.count() as f64 / objects.len() as f64;
    let (first, last) = (mean(&losses[..5]), mean(&losses[steps - 5..]));
    println!("loss {first:.3} to {last:.3}, {share:.3} found");
    (first, last, share)
}

#[test]
fn points_learn_to_find_things() {
    let device = gradloom_cpu::device();
    let config = YoloV8Config { width: 0.125, ..YoloV8Config::yolov8n().classes(2) };
    let model = YoloV8::new(&config, &mut Init::new(Key::new(0), &device)).unwrap();
    let options = DetectOptions { score_min: 0.1, ..DetectOptions::default() };
    let (first, last, share) = learnt(
        model,
        150,
        |model, pictures, objects, ctx| Ok(model.losses(pictures, objects, ctx)?.total()),
        |model, images| model.find(images, SIDE, &options),
    );
    assert!(last < 0.5 * first && share >= 0.7, "{first} to {last}, {share} found");
}

#[test]
fn priors_learn_to_find_things() {
    let device = gradloom_cpu::device();
    // All objects are learnt at stride 16: the other level has priors for what is larger than any.
    let anchors = [
        [[18.0, 18.0], [24.0, 24.0], [30.0, 30.0]],
        [[90.0, 90.0], [120.0, 120.0], [160.0, 160.0]],
    ];
    let config = YoloV3TinyConfig { width: 0.25, ..YoloV3TinyConfig::new().classes(2) };
    let config = config.anchors(anchors);
    let model = YoloV3Tiny::new(&config, &mut Init::new(Key::new(0), &device)).unwrap();
    let options = DetectOptions { score_min: 0.1, ..DetectOptions::default() };
    let (first, last, share) = learnt(
        model,
        150,
        |model, pictures, objects, ctx| Ok(model.losses(pictures, objects, ctx)?.total()),
        |model, images| model.find(images, SIDE, &options),
    );
    assert!(last < 0.5 * first && share >= 0.7, "{first} to {last}, {share} found");
}
