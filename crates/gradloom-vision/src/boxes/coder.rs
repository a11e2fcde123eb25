//! [`BoxCoder`]: boxes as what a network has to predict beside an anchor.

use crate::boxes::columns::columns;
use gradloom_tensor::{Called, Tensor, demand};

/// Codes of boxes relative to reference boxes: shifts of the middle in units of the size, and logarithms of the
/// sizes' ratios, each times a weight.
///
/// torchvision: `models.detection._utils.BoxCoder`. Girshick et al., "Rich feature hierarchies", 2014.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoder {
    weights: [f64; 4],
    size_max: f64,
}

impl BoxCoder {
    /// With weights of x, y, width and height; sizes grow by no more than 62.5.
    pub fn new(weights: [f64; 4]) -> Self {
        BoxCoder { weights, size_max: (1000.0f64 / 16.0).ln() }
    }

    /// Codes `[N, 4]` of boxes `[N, 4]` beside references `[N, 4]`.
    ///
    /// # Panics
    /// If shapes or dtypes do not suit.
    #[track_caller]
    #[must_use]
    pub fn encode(&self, boxes: &Tensor, references: &Tensor) -> Tensor {
        const OP: &str = "encode_boxes";
        let _called = Called::op(OP);
        demand!(
            boxes.shape() == references.shape(),
            "{OP}: boxes {} for references {}",
            boxes.shape(),
            references.shape()
        );
        let [x, y, width, height] = centred(OP, boxes);
        let [from_x, from_y, from_width, from_height] = centred(OP, references);
        let [wx, wy, ww, wh] = self.weights;
        let codes = [
            (x - from_x) / &from_width * wx,
            (y - from_y) / &from_height * wy,
            (width / from_width).log() * ww,
            (height / from_height).log() * wh,
        ];
        Tensor::stack(&codes, -1)
    }

    /// Boxes `[N, 4]` of codes `[N, 4]` beside references `[N, 4]`. Further axes before the last broadcast, as
    /// those of classes.
    ///
    /// # Panics
    /// If shapes or dtypes do not suit.
    #[track_caller]
    #[must_use]
    pub fn decode(&self, codes: &Tensor, references: &Tensor) -> Tensor {
        const OP: &str = "decode_boxes";
        let _called = Called::op(OP);
        let [x, y, width, height] = centred(OP, references);
        let [dx, dy, dw, dh] = columns(OP, codes);
        let [wx, wy, ww, wh] = self.weights;
        let size = |code: Tensor, weight: f64| {
            (code * (1.0 / weight)).clamp(f64::NEG_INFINITY, self.size_max).exp()
        };
        let (half_width, half_height) = (size(dw, ww) * &width * 0.5, size(dh, wh) * &height * 0.5);
        let (x, y) = (dx * (1.0 / wx) * width + x, dy * (1.0 / wy) * height + y);
        let corners = [&x - &half_width, &y - &half_height, x + half_width, y + half_height];
        Tensor::stack(&corners, -1)
    }
}

/// Middle, width and height.
#[track_caller]
fn centred(op: &str, boxes: &Tensor) -> [Tensor; 4] {
    let [left, top, right, bottom] = columns(op, boxes);
    let (width, height) = (right - &left, bottom - &top);
    [left + &width * 0.5, top + &height * 0.5, width, height]
}
