//! How much boxes overlap: intersection over union and its kin, of all pairs and as losses of matched boxes.
//!
//! Letters: N boxes, M other boxes. Formulas and epsilons are torchvision's, and so are the gradients.

use std::f64::consts::PI;

use crate::boxes::columns::columns;
use gradloom_tensor::{Called, Tensor, demand};

const EPSILON: f64 = 1e-7;

/// Boxes against each other, with what all measures need.
struct Pairs {
    a: [Tensor; 4],
    b: [Tensor; 4],
    intersection: Tensor,
    union: Tensor,
}

impl Pairs {
    /// Columns that broadcast against each other.
    #[track_caller]
    fn new(a: [Tensor; 4], b: [Tensor; 4]) -> Pairs {
        let area = |[left, top, right, bottom]: &[Tensor; 4]| (right - left) * (bottom - top);
        let width = a[2].minimum(&b[2]) - a[0].maximum(&b[0]);
        let height = a[3].minimum(&b[3]) - a[1].maximum(&b[1]);
        let side = |x: Tensor| x.clamp(0.0, f64::INFINITY);
        let intersection = side(width) * side(height);
        let union = area(&a) + area(&b) - &intersection;
        Pairs { a, b, intersection, union }
    }

    /// All pairs of `[N, 4]` and `[M, 4]`.
    #[track_caller]
    fn all(op: &str, a: &Tensor, b: &Tensor) -> Pairs {
        demand!(
            a.rank() == 2 && b.rank() == 2,
            "{op}: needs boxes [N, 4] and [M, 4], got {} and {}",
            a.shape(),
            b.shape()
        );
        let rows = columns(op, a).map(|column| column.unsqueeze(1));
        Pairs::new(rows, columns(op, b).map(|column| column.unsqueeze(0)))
    }

    /// Each box with the one in its place.
    #[track_caller]
    fn matched(op: &str, a: &Tensor, b: &Tensor) -> Pairs {
        demand!(
            a.shape() == b.shape(),
            "{op}: needs as many boxes as targets, got {} and {}",
            a.shape(),
            b.shape()
        );
        Pairs::new(columns(op, a), columns(op, b))
    }

    /// Width and height of the smallest box around both.
    fn hull(&self) -> [Tensor; 2] {
        [0, 1].map(|axis| {
            self.a[2 + axis].maximum(&self.b[2 + axis]) - self.a[axis].minimum(&self.b[axis])
        })
    }

    /// The squared distance of the middles over the squared diagonal of the hull.
    fn distance(&self) -> Tensor {
        let [width, height] = self.hull();
        let diagonal = width.square() + height.square() + EPSILON;
        let apart = [0, 1].map(|axis| {
            let middle = |sides: &[Tensor; 4]| (&sides[axis] + &sides[2 + axis]) * 0.5;
            (middle(&self.a) - middle(&self.b)).square()
        });
        let [x, y] = apart;
        (x + y) / diagonal
    }

    /// How much the shapes differ, times its weight, which has no gradient.
    fn shape(&self, iou: &Tensor) -> Tensor {
        let angle =
            |[left, top, right, bottom]: &[Tensor; 4]| ((right - left) / (bottom - top)).atan();
        let v = (angle(&self.b) - angle(&self.a)).square() * (4.0 / (PI * PI));
        let alpha = &v / ((iou * -1.0 + 1.0) + &v + EPSILON);
        v * alpha.detach()
    }
}

/// Intersection over union of all pairs: `[N, 4]` and `[M, 4]` -> `[N, M]`. NaN where both boxes are empty.
/// torchvision: `box_iou`.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_vision::boxes::iou;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let a = Tensor::new([[0.0f32, 0.0, 2.0, 2.0]], &device)?;
/// let b = Tensor::new([[1.0f32, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]], &device)?;
/// assert_eq!(iou(&a, &b).to_vec::<f32>()?, [1.0 / 3.0, 0.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If shapes or dtypes do not suit.
#[track_caller]
#[must_use]
pub fn iou(a: &Tensor, b: &Tensor) -> Tensor {
    let _called = Called::op("iou");
    let pairs = Pairs::all("iou", a, b);
    pairs.intersection / pairs.union
}

/// [`iou`] less the share of the hull that neither box covers: in `-1..=1`. torchvision: `generalized_box_iou`.
/// Rezatofighi et al., "Generalized intersection over union", 2019.
///
/// # Panics
/// If shapes or dtypes do not suit.
#[track_caller]
#[must_use]
pub fn generalized_iou(a: &Tensor, b: &Tensor) -> Tensor {
    let _called = Called::op("generalized_iou");
    let pairs = Pairs::all("generalized_iou", a, b);
    let [width, height] = pairs.hull();
    let hull = width.clamp(0.0, f64::INFINITY) * height.clamp(0.0, f64::INFINITY);
    pairs.intersection / &pairs.union - (&hull - &pairs.union) / &hull
}

/// [`iou`] less the distance of the middles. torchvision: `distance_box_iou`. Zheng et al., "Distance-IoU loss",
/// 2020.
///
/// # Panics
/// If shapes or dtypes do not suit.
#[track_caller]
#[must_use]
pub fn distance_iou(a: &Tensor, b: &Tensor) -> Tensor {
    let _called = Called::op("distance_iou");
    let pairs = Pairs::all("distance_iou", a, b);
    &pairs.intersection / &pairs.union - pairs.distance()
}

/// [`distance_iou`] less how much the shapes differ. torchvision: `complete_box_iou`. Zheng et al., 2020.
///
/// # Panics
/// If shapes or dtypes do not suit.
#[track_caller]
#[must_use]
pub fn complete_iou(a: &Tensor, b: &Tensor) -> Tensor {
    let _called = Called::op("complete_iou");
    let pairs = Pairs::all("complete_iou", a, b);
    let iou = &pairs.intersection / &pairs.union;
    &iou - pairs.distance() - pairs.shape(&iou)
}

/// `1 - ` the generalized IoU of each box `[N, 4]` with its target `[N, 4]`: `[N]`. torchvision:
/// `generalized_box_iou_loss`.
///
/// # Panics
/// If shapes or dtypes do not suit.
#[track_caller]
#[must_use]
pub fn generalized_iou_loss(boxes: &Tensor, targets: &Tensor) -> Tensor {
    let _called = Called::op("generalized_iou_loss");
    let pairs = Pairs::matched("generalized_iou_loss", boxes, targets);
    let [width, height] = pairs.hull();
    let hull = width * height;
    let iou = &pairs.intersection / (&pairs.union + EPSILON);
    (&hull - &pairs.union) / (&hull + EPSILON) - iou + 1.0
}

/// `1 - ` the distance IoU of each box `[N, 4]` with its target `[N, 4]`: `[N]`. torchvision:
/// `distance_box_iou_loss`.
///
/// # Panics
/// If shapes or dtypes do not suit.
#[track_caller]
#[must_use]
pub fn distance_iou_loss(boxes: &Tensor, targets: &Tensor) -> Tensor {
    let _called = Called::op("distance_iou_loss");
    let pairs = Pairs::matched("distance_iou_loss", boxes, targets);
    let iou = &pairs.intersection / (&pairs.union + EPSILON);
    pairs.distance() - iou + 1.0
}

/// `1 - ` the complete IoU of each box `[N, 4]` with its target `[N, 4]`: `[N]`. torchvision:
/// `complete_box_iou_loss`.
///
/// # Panics
/// If shapes or dtypes do not suit.
#[track_caller]
#[must_use]
pub fn complete_iou_loss(boxes: &Tensor, targets: &Tensor) -> Tensor {
    let _called = Called::op("complete_iou_loss");
    let pairs = Pairs::matched("complete_iou_loss", boxes, targets);
    let iou = &pairs.intersection / (&pairs.union + EPSILON);
    pairs.distance() + pairs.shape(&iou) - iou + 1.0
}
