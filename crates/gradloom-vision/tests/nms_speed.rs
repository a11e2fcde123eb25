//! What suppression of many boxes costs, and that the plain definition gives the same boxes.
//!
//! `cargo test --release -p gradloom-vision --test nms_speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use gradloom_data::random::RandomStream;
use gradloom_tensor::Key;
use gradloom_vision::boxes::{batched_nms, nms};

const WIDTH: f32 = 1280.0;
const HEIGHT: f32 = 800.0;

/// What a detector says before suppression: most boxes lie around few objects, some anywhere.
fn around_objects(count: usize, random: &mut RandomStream) -> Vec<[f32; 4]> {
    let objects: Vec<[f32; 4]> = (0..60).map(|_| anywhere(random)).collect();
    let one = |index: usize| {
        if index.is_multiple_of(5) {
            return anywhere(random);
        }
        let [left, top, right, bottom] = objects[random.below(objects.len())];
        let sides = [right - left, bottom - top];
        let moved =
            |side: f32, size: f32, random: &mut RandomStream| side + 0.1 * size * random.normal();
        let [a, b] = [moved(left, sides[0], random), moved(top, sides[1], random)];
        [
            a,
            b,
            moved(right, sides[0], random).max(a + 1.0),
            moved(bottom, sides[1], random).max(b + 1.0),
        ]
    };
    (0..count).map(one).collect()
}

/// Sides of 8 to 400 pixels, small ones more often.
fn anywhere(random: &mut RandomStream) -> [f32; 4] {
    let [width, height] = [0; 2].map(|_| 8.0 * 50f32.powf(random.unit() * random.unit()));
    let (x, y) = (random.uniform(0.0, WIDTH), random.uniform(0.0, HEIGHT));
    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
}

fn scores(count: usize, random: &mut RandomStream) -> Vec<f32> {
    // Of two decimals, so that some are equal.
    (0..count).map(|_| (random.unit() * 100.0).round() / 100.0).collect()
}

/// All against all.
fn plain(boxes: &[[f32; 4]], scores: &[f32], threshold: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        let a = &boxes[index];
        let meets = |&other: &usize| {
            let b = &boxes[other];
            let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
            let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
            let both = width * height;
            f64::from(both / (area(b) + area(a) - both)) > threshold
        };
        if !kept.iter().any(meets) {
            kept.push(index);
        }
    }
    kept
}

#[test]
fn many_boxes_are_suppressed_as_one_by_one() {
    let random = &mut RandomStream::new(Key::new(3));
    for threshold in [0.3, 0.5, 0.7] {
        for boxes in
            [around_objects(2000, random), (0..2000).map(|_| anywhere(random)).collect::<Vec<_>>()]
        {
            let scores = scores(boxes.len(), random);
            assert_eq!(nms(&boxes, &scores, threshold).unwrap(), plain(&boxes, &scores, threshold));
        }
    }
}

#[test]
#[ignore = "prints times"]
fn ten_thousand_boxes() {
    let random = &mut RandomStream::new(Key::new(4));
    let count = 10_000;
    let near = around_objects(count, random);
    let anywhere: Vec<[f32; 4]> = (0..count).map(|_| anywhere(random)).collect();
    let scores = scores(count, random);
    let classes: Vec<usize> = (0..count).map(|_| random.below(80)).collect();
    let time = |what: &str, run: &dyn Fn() -> usize| {
        let mut best = Duration::MAX;
        let mut kept = 0;
        for _ in 0..20 {
            let start = Instant::now();
            kept = run();
            best = best.min(start.elapsed());
        }
        println!("{what}: {:.2} ms, {kept} kept", best.as_secs_f64() * 1e3);
    };
    for threshold in [0.45, 0.7] {
        println!("threshold {threshold}");
        time("nms around objects", &|| nms(&near, &scores, threshold).unwrap().len());
        time("nms anywhere", &|| nms(&anywhere, &scores, threshold).unwrap().len());
        time("one by one around objects", &|| plain(&near, &scores, threshold).len());
        time("one by one anywhere", &|| plain(&anywhere, &scores, threshold).len());
        time("batched_nms of 80 classes", &|| {
            batched_nms(&near, &scores, &classes, threshold).unwrap().len()
        });
    }
}
