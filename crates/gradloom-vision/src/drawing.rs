//! Boxes and masks drawn on pictures of bytes.

use crate::{Error, Result};
use gradloom_data::Image;

/// Draws the outlines of boxes `[left, top, right, bottom]`, `thickness` pixels inwards. What is outside the picture is
/// left out; empty and inverted boxes draw nothing.
///
/// # Errors
/// If the picture has not three channels, or a box is not finite.
pub fn draw_boxes(
    image: &mut Image,
    boxes: &[[f32; 4]],
    colour: [u8; 3],
    thickness: usize,
) -> Result<()> {
    const OP: &str = "draw_boxes";
    let [height, width] = coloured(OP, image)?;
    if let Some(bounds) = boxes.iter().find(|bounds| bounds.iter().any(|side| !side.is_finite())) {
        return Err(Error::invalid(format!("{OP}: a box is {bounds:?}, which is not finite")));
    }
    for bounds in boxes {
        // Pixels from the first to the one after the last, which may lie outside.
        let [left, top, right, bottom] = bounds.map(|side| side.round() as i64);
        let thickness = thickness as i64;
        let inside = |place: i64, size: usize| place.clamp(0, size as i64) as usize;
        for row in inside(top, height)..inside(bottom, height) {
            for column in inside(left, width)..inside(right, width) {
                let (x, y) = (column as i64, row as i64);
                let across = x.saturating_sub(left).min(right - 1 - x);
                let depth = across.min(y.saturating_sub(top)).min(bottom - 1 - y);
                if depth < thickness {
                    paint(image, [height, width], row * width + column, |channel, _| {
                        colour[channel]
                    });
                }
            }
        }
    }
    Ok(())
}

/// Blends a colour into the pixels where a mask `[H * W]` is true; `opacity` is the colour's share.
///
/// # Errors
/// If the picture has not three channels, the mask another size, or the opacity is not in `0..=1`.
pub fn draw_mask(image: &mut Image, mask: &[bool], colour: [u8; 3], opacity: f32) -> Result<()> {
    const OP: &str = "draw_mask";
    let [height, width] = coloured(OP, image)?;
    if mask.len() != height * width || !(0.0..=1.0).contains(&opacity) {
        let count = mask.len();
        let message = format!("{OP}: a mask of {count} for {height} x {width}, opacity {opacity}");
        return Err(Error::invalid(message));
    }
    for (place, _) in mask.iter().enumerate().filter(|(_, inside)| **inside) {
        paint(image, [height, width], place, |channel, old| {
            let (old, new) = (f32::from(old), f32::from(colour[channel]));
            (old + (new - old) * opacity).round() as u8
        });
    }
    Ok(())
}

fn coloured(op: &str, image: &Image) -> Result<[usize; 2]> {
    match image.size() {
        [3, height, width] => Ok([height, width]),
        [channels, ..] => {
            let message = format!("{op}: a picture of {channels} channels; make it three");
            Err(Error::invalid(message))
        }
    }
}

fn paint(
    image: &mut Image,
    [height, width]: [usize; 2],
    place: usize,
    colour: impl Fn(usize, u8) -> u8,
) {
    for channel in 0..3 {
        let pixel = &mut image.pixels_mut()[channel * height * width + place];
        *pixel = colour(channel, *pixel);
    }
}
