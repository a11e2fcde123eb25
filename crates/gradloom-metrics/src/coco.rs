//! [`CocoSummary`]: precision and recall of matched detections, averaged as COCO does.

use std::collections::{BTreeMap, BTreeSet};

use crate::boxes::{Image, Matched, Verdict, matched};

/// Recalls at which precision is read: 0, 0.01 .. 1.
const RECALLS: usize = 101;
/// Areas in pixels: all, small, medium, large.
const AREAS: [(f64, f64); 4] = [(0.0, 1e10), (0.0, 1024.0), (1024.0, 9216.0), (9216.0, 1e10)];
/// Detections of an image and class that count.
const LIMITS: [usize; 3] = [1, 10, 100];

/// The twelve figures of COCO, and the average precision of each class. `None` where no object counts.
#[derive(Clone, Debug, PartialEq)]
pub struct CocoSummary {
    /// Average precision over all overlaps, 0.5 to 0.95.
    pub ap: Option<f64>,
    /// At an overlap of 0.5.
    pub ap_50: Option<f64>,
    /// At an overlap of 0.75.
    pub ap_75: Option<f64>,
    /// Of objects below 32 x 32 pixels.
    pub ap_small: Option<f64>,
    /// Of objects between.
    pub ap_medium: Option<f64>,
    /// Of objects above 96 x 96 pixels.
    pub ap_large: Option<f64>,
    /// Recall with one detection of a class in an image.
    pub recall_1: Option<f64>,
    /// With ten.
    pub recall_10: Option<f64>,
    /// With a hundred.
    pub recall_100: Option<f64>,
    /// Of small objects, with a hundred.
    pub recall_small: Option<f64>,
    /// Of medium objects, with a hundred.
    pub recall_medium: Option<f64>,
    /// Of large objects, with a hundred.
    pub recall_large: Option<f64>,
    /// Average precision of each class that has objects.
    pub classes: BTreeMap<usize, f64>,
}

/// Of one class, at one overlap: precision at each recall, and the highest recall.
struct Curve {
    precision: Vec<f64>,
    recall: f64,
}

/// Curves of all classes that have objects, each of ten overlaps.
type Curves = BTreeMap<usize, Vec<Curve>>;

pub(crate) fn summarize(images: &[Image]) -> CocoSummary {
    let thresholds: Vec<f64> = spaced(0.5, 0.95, 10);
    let mut of_areas: Vec<Curves> = Vec::new();
    let mut of_limits: Vec<Curves> = Vec::new();
    for (place, areas) in AREAS.into_iter().enumerate() {
        let matches = matches(images, areas, &thresholds);
        of_areas.push(curves(&matches, LIMITS[2], thresholds.len()));
        if place == 0 {
            let limits = &LIMITS[..2];
            of_limits =
                limits.iter().map(|&limit| curves(&matches, limit, thresholds.len())).collect();
        }
    }
    let all = &of_areas[0];
    let classes = all.iter().map(|(&class, curves)| {
        let precisions = curves.iter().flat_map(|curve| curve.precision.iter().copied());
        (class, mean(precisions).unwrap_or(0.0))
    });
    CocoSummary {
        ap: precision(all, None),
        ap_50: precision(all, Some(0)),
        ap_75: precision(all, Some(5)),
        ap_small: precision(&of_areas[1], None),
        ap_medium: precision(&of_areas[2], None),
        ap_large: precision(&of_areas[3], None),
        recall_1: recall(&of_limits[0]),
        recall_10: recall(&of_limits[1]),
        recall_100: recall(all),
        recall_small: recall(&of_areas[1]),
        recall_medium: recall(&of_areas[2]),
        recall_large: recall(&of_areas[3]),
        classes: classes.collect(),
    }
}

/// As `numpy.linspace`, whose rounding decides about overlaps that lie on a threshold.
fn spaced(from: f64, to: f64, count: usize) -> Vec<f64> {
    let step = (to - from) / (count - 1) as f64;
    let mut numbers: Vec<f64> = (0..count).map(|at| at as f64 * step + from).collect();
    numbers[count - 1] = to;
    numbers
}

fn matches(
    images: &[Image],
    areas: (f64, f64),
    thresholds: &[f64],
) -> BTreeMap<usize, Vec<Matched>> {
    let truths = images.iter().flat_map(|image| &image.truths);
    let classes: BTreeSet<usize> = truths.map(|truth| truth.class).collect();
    let of_class = |class: usize| {
        let each = images.iter().filter_map(|image| matched(image, class, areas, thresholds));
        (class, each.collect())
    };
    classes.into_iter().map(of_class).collect()
}

fn curves(matches: &BTreeMap<usize, Vec<Matched>>, limit: usize, thresholds: usize) -> Curves {
    let of_class = |(&class, images): (&usize, &Vec<Matched>)| {
        let wanted: usize = images.iter().map(|image| image.wanted).sum();
        if wanted == 0 {
            return None;
        }
        let mut order = Vec::new();
        for (image, matched) in images.iter().enumerate() {
            let scores = matched.scores.iter().take(limit).enumerate();
            order.extend(scores.map(|(place, &score)| (score + 0.0, image, place)));
        }
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let curve = |threshold: usize| {
            let verdicts =
                order.iter().map(|&(_, image, place)| images[image].verdicts[threshold][place]);
            curve(verdicts, wanted as f64)
        };
        Some((class, (0..thresholds).map(curve).collect()))
    };
    matches.iter().filter_map(of_class).collect()
}

fn curve(verdicts: impl Iterator<Item = Verdict>, wanted: f64) -> Curve {
    let (mut right, mut wrong) = (0.0, 0.0);
    let (mut recalls, mut precisions) = (Vec::new(), Vec::new());
    for verdict in verdicts {
        match verdict {
            Verdict::Right => right += 1.0,
            Verdict::Wrong => wrong += 1.0,
            Verdict::Ignored => {}
        }
        recalls.push(right / wanted);
        precisions.push(right / (wrong + right + f64::EPSILON));
    }
    // The best precision at this recall or any higher one.
    for place in (1..precisions.len()).rev() {
        precisions[place - 1] = precisions[place - 1].max(precisions[place]);
    }
    let read = |recall: f64| {
        let place = recalls.partition_point(|&reached| reached < recall);
        precisions.get(place).copied().unwrap_or(0.0)
    };
    Curve {
        precision: spaced(0.0, 1.0, RECALLS).into_iter().map(read).collect(),
        recall: recalls.last().copied().unwrap_or(0.0),
    }
}

fn precision(curves: &Curves, threshold: Option<usize>) -> Option<f64> {
    let each = curves.values().flat_map(|curves| curves.iter().enumerate());
    let chosen = each.filter(|(place, _)| threshold.is_none_or(|threshold| threshold == *place));
    mean(chosen.flat_map(|(_, curve)| curve.precision.iter().copied()))
}

fn recall(curves: &Curves) -> Option<f64> {
    mean(curves.values().flatten().map(|curve| curve.recall))
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    (count > 0.0).then(|| sum / count)
}
