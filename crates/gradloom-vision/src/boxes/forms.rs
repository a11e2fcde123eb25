//! Forms of boxes, their areas, and what of them lies in a picture.

use crate::boxes::columns::columns;
use gradloom_tensor::{Called, Tensor};

/// How the four numbers of a box are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxForm {
    /// Left, top, right, bottom. torchvision: `xyxy`.
    Corners,
    /// Left, top, width, height, as COCO has them. torchvision: `xywh`.
    LeftTopSize,
    /// Middle and size, as YOLO has them. torchvision: `cxcywh`.
    CentreSize,
}

/// Boxes `[.., 4]` of one form in another. torchvision: `box_convert`.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_vision::boxes::{BoxForm, convert_boxes};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let boxes = Tensor::new([[10.0f32, 20.0, 30.0, 60.0]], &device)?;
/// let centred = convert_boxes(&boxes, BoxForm::Corners, BoxForm::CentreSize);
/// assert_eq!(centred.to_vec::<f32>()?, [20.0, 40.0, 20.0, 40.0]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the last axis is not four long or the dtype is no float.
#[track_caller]
#[must_use]
pub fn convert_boxes(boxes: &Tensor, from: BoxForm, to: BoxForm) -> Tensor {
    let _called = Called::op("convert_boxes");
    if from == to {
        return boxes.clone();
    }
    let [a, b, c, d] = columns("convert_boxes", boxes);
    let [left, top, right, bottom] = match from {
        BoxForm::Corners => [a, b, c, d],
        BoxForm::LeftTopSize => [a.clone(), b.clone(), a + c, b + d],
        BoxForm::CentreSize => {
            let (half_width, half_height) = (c * 0.5, d * 0.5);
            [&a - &half_width, &b - &half_height, a + half_width, b + half_height]
        }
    };
    let parts = match to {
        BoxForm::Corners => [left, top, right, bottom],
        BoxForm::LeftTopSize => [left.clone(), top.clone(), right - left, bottom - top],
        BoxForm::CentreSize => {
            let centre = [(&left + &right) * 0.5, (&top + &bottom) * 0.5];
            let [x, y] = centre;
            [x, y, right - left, bottom - top]
        }
    };
    Tensor::stack(&parts, -1)
}

/// Areas of boxes `[.., 4]`: `[..]`. Below zero where one side is inverted. torchvision: `box_area`.
///
/// # Panics
/// If the last axis is not four long or the dtype is no float.
#[track_caller]
#[must_use]
pub fn box_area(boxes: &Tensor) -> Tensor {
    let _called = Called::op("box_area");
    let [left, top, right, bottom] = columns("box_area", boxes);
    (right - left) * (bottom - top)
}

/// What lies in a picture of this height and width of boxes `[.., 4]`. torchvision: `clip_boxes_to_image`.
///
/// # Panics
/// If the last axis is not four long or the dtype is no float.
#[track_caller]
#[must_use]
pub fn clip_boxes(boxes: &Tensor, [height, width]: [usize; 2]) -> Tensor {
    let _called = Called::op("clip_boxes");
    let [left, top, right, bottom] = columns("clip_boxes", boxes);
    let across = |x: Tensor| x.clamp(0.0, width as f64);
    let down = |y: Tensor| y.clamp(0.0, height as f64);
    Tensor::stack(&[across(left), down(top), across(right), down(bottom)], -1)
}
