//! Trains a small RetinaNet on scenes of handwritten digits and finds the digits in scenes that it has not seen.
//!
//! `cargo run --release -p vision-examples --example 22-detect`
//!
//! Prints losses and the mean average precision by COCO's protocol; writes the weights, a page, and a picture with
//! what was found in eight scenes into `out/22-detect`: green boxes are right, red ones are wrong, white ones were
//! missed.
#![forbid(unsafe_code)]

use std::time::Instant;

use examples::Failure;
use examples::options::{Options, Program};
use gradloom::data::random::{RandomStream, sample_key};
use gradloom::data::transform::{Interpolation, resize};
use gradloom::data::{Dataset, Image, Labelled, mnist};
use gradloom::metrics::{Accumulator, Detection, GroundTruth, MeanAveragePrecision};
use gradloom::prelude::*;
use gradloom::track::{Curve, Picture, Report};
use gradloom::train::{Outcome, TrainStep};
use gradloom::vision::detection::{
    BackboneConfig, Detections, Detector, ExtraLevels, ObjectBoxes, RetinaNet, RetinaNetConfig,
};
use gradloom::vision::drawing::draw_boxes;
use gradloom::vision::{ResNetConfig, boxes::nms};

/// Pixels along a side of a scene.
const SIDE: usize = 128;
/// Digits of a scene, at most.
const DIGITS_MAX: usize = 5;
/// Steps of an epoch.
const STEPS: usize = 100;
/// Pixels of the picture for each of a scene.
const SCALE: usize = 2;

/// A picture and what is in it.
struct Scene {
    picture: Image<f32>,
    objects: ObjectBoxes,
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "22-detect",
        source: include_str!("22-detect.rs"),
        epochs: 12,
        epoch: "hundreds of steps",
        batch_size: 16,
        data: "",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    let (train, test) = mnist::embedded_split()?;
    let key = Key::new(options.seed);
    let mut model = RetinaNet::new(&config(), &mut Init::new(key.fold(0), &device))?;
    println!("{} parameters, on {}", model.parameter_count(), device.name());

    let steps = if options.tiny { 2 } else { options.epochs as usize * STEPS };
    let batch_size = if options.tiny { 2 } else { options.batch_size };
    let start = Instant::now();
    let losses = learn(&mut model, &train, steps, batch_size, key.fold(1), &device)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("trained in {seconds:.1} s");

    let scenes = (0..if options.tiny { 8 } else { 200 })
        .map(|index| scene(&test, sample_key(key.fold(2), index)))
        .collect::<Result<Vec<Scene>, Failure>>()?;
    let mut precision = MeanAveragePrecision::default();
    let mut drawn = Vec::new();
    for some in scenes.chunks(8) {
        let pictures = some.iter().map(|scene| tensor(scene, &device));
        let found = model.detect(&pictures.collect::<Result<Vec<Tensor>>>()?)?;
        for (scene, found) in some.iter().zip(&found) {
            measure(&mut precision, scene, found)?;
        }
        if drawn.is_empty() {
            let pairs = some.iter().zip(&found);
            drawn = pairs.map(|(scene, found)| draw(scene, found)).collect::<Result<_, _>>()?;
        }
    }
    let summary = precision.value()?;
    let (half, all) = (summary.ap_50.unwrap_or(0.0), summary.ap.unwrap_or(0.0));
    println!("{} unseen scenes: mAP at 0.5 {half:.3}, at 0.5 to 0.95 {all:.3}", scenes.len());

    let picture = options.out.join("result.png");
    std::fs::write(&picture, together(&drawn)?.png()?)?;
    let page = Report {
        title: options.name.clone(),
        figures: vec![
            ("mAP at an overlap of 0.5".into(), format!("{half:.3}")),
            ("mAP at 0.5 to 0.95".into(), format!("{all:.3}")),
            ("unseen scenes".into(), scenes.len().to_string()),
            ("time of training".into(), format!("{seconds:.1} s, {steps} steps")),
        ],
        curves: vec![losses],
        ..Report::default()
    };
    page.save(options.out.join("report.html"))?;
    model.save(options.out.join("model.safetensors"))?;
    println!("wrote {}, report.html and model.safetensors beside it", picture.display());
    Ok(())
}

/// A residual network of 16 channels, a pyramid of three levels, heads of two blocks.
fn config() -> RetinaNetConfig {
    let mut config = RetinaNetConfig::resnet50_fpn().classes(10).size(SIDE, SIDE);
    let body = ResNetConfig { width: 16, ..ResNetConfig::new(false, [1; 4]) };
    let resnet = BackboneConfig::resnet50(1, ExtraLevels::None);
    config.backbone = BackboneConfig { body, channels: 48, trainable_layers: 5, ..resnet };
    config.anchor_sizes = vec![vec![16.0, 22.0], vec![28.0, 36.0], vec![44.0, 56.0]];
    config.anchor_ratios = vec![1.0, 1.6, 3.0];
    config.head_depth = 2;
    config.detections_max = 30;
    config
}

/// Learns from new scenes at every step, and gives the curve of losses.
fn learn(
    model: &mut RetinaNet,
    digits: &impl Dataset<Item = Labelled<Image>>,
    steps: usize,
    batch_size: usize,
    key: Key,
    device: &Device,
) -> Result<Curve, Failure> {
    let mut optimizer = AdamW::new(1e-3);
    let schedule = Schedule::one_cycle(4e-3, steps as u64);
    let mut step = TrainStep::new().clip_norm(5.0);
    let mut ctx = Context::train(key.fold(0));
    let (mut points, mut sum) = (Vec::new(), 0.0);
    for index in 0..steps {
        let scenes = (0..batch_size)
            .map(|place| scene(digits, sample_key(key.fold(1), index * batch_size + place)))
            .collect::<Result<Vec<Scene>, Failure>>()?;
        let pictures = scenes.iter().map(|scene| tensor(scene, device));
        let pictures = pictures.collect::<Result<Vec<Tensor>>>()?;
        let objects: Vec<ObjectBoxes> = scenes.into_iter().map(|scene| scene.objects).collect();
        optimizer.set_learning_rate(schedule.at(index as u64));
        let report = step.run(model, &mut optimizer, &mut ctx, |model, ctx| {
            let losses = model.losses(&pictures, &objects, ctx)?;
            Ok(Outcome::new(losses.total().clone(), objects.len()))
        })?;
        points.push(((index + 1) as f64, report.loss));
        sum += report.loss;
        if (index + 1) % STEPS == 0 {
            println!("step {:>5}  loss {:.3}", index + 1, sum / STEPS as f64);
            sum = 0.0;
        }
    }
    Ok(Curve {
        title: "loss of steps".into(),
        x: "step".into(),
        y: "loss".into(),
        lines: vec![("each step".into(), points)],
    })
}

/// Digits of several sizes and colours that hardly overlap, on an uneven and noisy ground.
fn scene(digits: &impl Dataset<Item = Labelled<Image>>, key: Key) -> Result<Scene, Failure> {
    let mut random = RandomStream::new(key);
    let plane = SIDE * SIDE;
    let ground: [f32; 3] = std::array::from_fn(|_| random.uniform(0.0, 0.3));
    let slope = [random.uniform(-0.15, 0.15), random.uniform(-0.15, 0.15)];
    let mut pixels = vec![0.0f32; 3 * plane];
    for (place, pixel) in pixels.iter_mut().enumerate() {
        let (row, column) = (place % plane / SIDE, place % SIDE);
        let share = |at: usize| at as f32 / SIDE as f32 - 0.5;
        let level = ground[place / plane] + slope[0] * share(row) + slope[1] * share(column);
        *pixel = (level + 0.02 * random.normal()).clamp(0.0, 1.0);
    }
    let mut objects = ObjectBoxes::default();
    for _ in 0..1 + random.below(DIGITS_MAX) {
        let Labelled { input, label } = digits.get(random.below(digits.len()))?;
        let side = 28 + random.below(29);
        let digit = resize(&input, side, side, Interpolation::Bilinear)?;
        let corner = [random.below(SIDE - side), random.below(SIDE - side)];
        let Some(bounds) = around(&digit, corner) else { continue };
        // What suppression would take for the same object is left out.
        let mut boxes = objects.boxes.clone();
        boxes.push(bounds);
        if nms(&boxes, &vec![1.0; boxes.len()], 0.05)?.len() < boxes.len() {
            continue;
        }
        let colour: [f32; 3] = std::array::from_fn(|_| random.uniform(0.5, 1.0));
        for (at, level) in digit.pixels().iter().enumerate() {
            let level = f32::from(*level) / 255.0;
            let place = (corner[0] + at / side) * SIDE + corner[1] + at % side;
            for (channel, colour) in colour.iter().enumerate() {
                let pixel = &mut pixels[channel * plane + place];
                *pixel += (colour - *pixel) * level;
            }
        }
        objects.boxes.push(bounds);
        objects.labels.push(label as usize);
    }
    Ok(Scene { picture: Image::new(pixels, [3, SIDE, SIDE])?, objects })
}

/// The box around what is bright of a digit whose corner lies there, by row and column.
fn around(digit: &Image, [top, left]: [usize; 2]) -> Option<[f32; 4]> {
    let side = digit.width();
    let bright = |line: usize, across: bool| {
        (0..side)
            .any(|at| digit.pixels()[if across { line * side + at } else { at * side + line }] > 60)
    };
    let ends = |across: bool| {
        let mut lines = (0..side).filter(|&line| bright(line, across));
        let first = lines.next()?;
        Some((first, lines.next_back().unwrap_or(first) + 1))
    };
    let ((top_end, bottom), (left_end, right)) = (ends(true)?, ends(false)?);
    Some([left + left_end, top + top_end, left + right, top + bottom].map(|side| side as f32))
}

fn tensor(scene: &Scene, device: &Device) -> Result<Tensor> {
    Tensor::from_slice(scene.picture.pixels(), [3, SIDE, SIDE], device)
}

/// Left, top, width and height.
fn sides([left, top, right, bottom]: [f32; 4]) -> [f64; 4] {
    [left, top, right - left, bottom - top].map(f64::from)
}

fn measure(
    precision: &mut MeanAveragePrecision,
    scene: &Scene,
    found: &Detections,
) -> Result<(), Failure> {
    let detections = (0..found.boxes.len()).map(|at| Detection {
        class: found.labels[at],
        score: f64::from(found.scores[at]),
        bounds: sides(found.boxes[at]),
    });
    let truths = scene.objects.boxes.iter().zip(&scene.objects.labels);
    let truths = truths.map(|(bounds, label)| GroundTruth::new(*label, sides(*bounds)));
    precision.update(&detections.collect::<Vec<_>>(), &truths.collect::<Vec<_>>())?;
    Ok(())
}

/// A scene, larger, with what was found in it.
fn draw(scene: &Scene, found: &Detections) -> Result<Image, Failure> {
    let side = SIDE * SCALE;
    let bytes = scene.picture.pixels().iter().map(|level| (level * 255.0) as u8).collect();
    let picture = Image::<u8>::new(bytes, [3, SIDE, SIDE])?;
    let mut picture = resize(&picture, side, side, Interpolation::Bilinear)?;
    let scaled = |bounds: &[f32; 4]| bounds.map(|side| side * SCALE as f32);
    let mut missed = vec![true; scene.objects.boxes.len()];
    for (at, bounds) in found.boxes.iter().enumerate() {
        if found.scores[at] < 0.5 {
            continue;
        }
        let same = (0..missed.len()).find(|&object| {
            let overlap =
                gradloom::metrics::box_iou(sides(*bounds), sides(scene.objects.boxes[object]));
            missed[object] && overlap >= 0.5 && scene.objects.labels[object] == found.labels[at]
        });
        if let Some(object) = same {
            missed[object] = false;
        }
        let colour = if same.is_some() { [60, 220, 60] } else { [255, 60, 60] };
        let bounds = scaled(bounds);
        draw_boxes(&mut picture, &[bounds], colour, 2)?;
        write_digit(&mut picture, found.labels[at], [bounds[0], bounds[1]], colour)?;
    }
    let missed = scene.objects.boxes.iter().zip(&missed).filter(|(_, missed)| **missed);
    let missed: Vec<[f32; 4]> = missed.map(|(bounds, _)| scaled(bounds)).collect();
    draw_boxes(&mut picture, &missed, [255; 3], 1)?;
    draw_boxes(&mut picture, &[[0.0, 0.0, side as f32, side as f32]], [90; 3], 1)?;
    Ok(picture)
}

/// Rows of three pixels of each digit, the left one the highest bit.
const GLYPHS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// A digit on a ground of this colour above a corner, or below it at the upper edge.
fn write_digit(
    picture: &mut Image,
    digit: usize,
    [left, top]: [f32; 2],
    colour: [u8; 3],
) -> Result<(), Failure> {
    let top = if top >= 14.0 { top - 14.0 } else { top };
    draw_boxes(picture, &[[left, top, left + 10.0, top + 14.0]], colour, 7)?;
    for (row, bits) in GLYPHS[digit % 10].iter().enumerate() {
        for column in (0..3).filter(|column| (bits >> (2 - column)) & 1 == 1) {
            let (x, y) = (left + 2.0 + 2.0 * column as f32, top + 2.0 + 2.0 * row as f32);
            draw_boxes(picture, &[[x, y, x + 2.0, y + 2.0]], [0; 3], 1)?;
        }
    }
    Ok(())
}

/// Pictures of one size in rows of four.
fn together(pictures: &[Image]) -> Result<Picture> {
    let side = SIDE * SCALE;
    let (columns, rows) = (pictures.len().clamp(1, 4), pictures.len().div_ceil(4).max(1));
    let mut bytes = vec![0; rows * columns * side * side * 3];
    for (index, picture) in pictures.iter().enumerate() {
        for (place, level) in picture.pixels().iter().enumerate() {
            let (channel, row, column) = (place / (side * side), place / side % side, place % side);
            let (row, column) = (index / 4 * side + row, index % 4 * side + column);
            bytes[(row * columns * side + column) * 3 + channel] = *level;
        }
    }
    Picture::new((columns * side) as u32, (rows * side) as u32, 3, bytes)
}
