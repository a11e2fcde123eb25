//! [`HeatMap`]: attributions over the picture that they are about.

use gradloom_tensor::{Error, Result, Tensor};
use gradloom_track::Picture;

use super::colour::{ColourMap, clip};
use crate::rows;

/// Pixels between the planes of a sheet.
const GAP: usize = 2;

/// A picture of attributions `[C, H, W]` or `[H, W]`, summed over channels and clipped at a percentile of their
/// sizes, so that a single pixel does not darken all others.
///
/// ```
/// use gradloom_explain::report::HeatMap;
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let attributions = Tensor::new([[1f32, -1.0], [0.0, 0.5]], &device)?;
/// let picture = HeatMap { scale: 4, ..HeatMap::signed() }.over(&attributions, None)?;
/// assert_eq!((picture.width(), picture.height(), picture.channels()), (8, 8, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeatMap {
    /// Colours: [`ColourMap::Coolwarm`] keeps the sign, [`ColourMap::Viridis`] shows sizes.
    pub colours: ColourMap,
    /// The share of sizes that are not clipped.
    pub percentile: f64,
    /// How much of the colours hides the picture below, 0 to 1.
    pub opacity: f64,
    /// Pixels of the picture for each attribution, along both axes.
    pub scale: usize,
}

impl HeatMap {
    /// Both signs, over the picture in grey.
    pub fn signed() -> Self {
        HeatMap { colours: ColourMap::Coolwarm, percentile: 0.99, opacity: 0.7, scale: 1 }
    }

    /// Sizes alone.
    pub fn sizes() -> Self {
        HeatMap { colours: ColourMap::Viridis, ..HeatMap::signed() }
    }

    /// The picture, over another one `[C, H, W]` of numbers whose least is shown black and whose largest white.
    ///
    /// # Errors
    /// If a shape is another, or a number is not finite.
    pub fn over(&self, attributions: &Tensor, picture: Option<&Tensor>) -> Result<Picture> {
        let (numbers, height, width) = plane("heat_map", attributions, true)?;
        let grey = match picture {
            Some(picture) => {
                let (grey, rows, columns) = plane("heat_map", picture, false)?;
                if (rows, columns) != (height, width) {
                    return Err(Error::shape(format!(
                        "heat_map: attributions of {height} x {width} over a picture of {rows} x {columns}"
                    )));
                }
                let low = grey.iter().copied().fold(f64::INFINITY, f64::min);
                let high = grey.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let range = if high > low { high - low } else { 1.0 };
                Some(grey.iter().map(|value| 255.0 * (value - low) / range).collect::<Vec<f64>>())
            }
            None => None,
        };
        let largest = clip(&numbers, self.percentile.clamp(0.0, 1.0));
        let colour = |at: usize| {
            let colour = self.colour(numbers[at] / largest);
            let Some(grey) = &grey else { return colour };
            colour.map(|part| {
                let mixed = self.opacity * f64::from(part) + (1.0 - self.opacity) * grey[at];
                mixed.round().clamp(0.0, 255.0) as u8
            })
        };
        let scale = self.scale.max(1);
        let mut pixels = Vec::with_capacity(3 * height * width * scale * scale);
        for row in 0..height * scale {
            for column in 0..width * scale {
                pixels.extend(colour(row / scale * width + column / scale));
            }
        }
        Picture::new((width * scale) as u32, (height * scale) as u32, 3, pixels)
    }

    /// Planes `[N, H, W]` beside and below each other, `columns` in a row, on one scale: the filters of a layer, the
    /// maps that it gives, their gradients. They are apart by two white pixels.
    ///
    /// # Errors
    /// If the shape is another, there are no planes or columns, or a number is not finite.
    pub fn sheet(&self, planes: &Tensor, columns: usize) -> Result<Picture> {
        let [count, height, width] = planes.shape()[..] else {
            let shape = planes.shape();
            return Err(Error::shape(format!(
                "heat_map: a sheet of {shape}, which is no [N, H, W]"
            )));
        };
        let numbers = rows::numbers(planes)?;
        if numbers.is_empty() || columns == 0 || numbers.iter().any(|number| !number.is_finite()) {
            return Err(Error::invalid(format!(
                "heat_map: a sheet of {columns} columns of {} planes; it needs both, and finite numbers",
                planes.shape()
            )));
        }
        let largest = clip(&numbers, self.percentile.clamp(0.0, 1.0));
        let (scale, columns) = (self.scale.max(1), columns.min(count));
        let (tile_height, tile_width) = (height * scale + GAP, width * scale + GAP);
        let sheet_height = tile_height * count.div_ceil(columns) - GAP;
        let sheet_width = tile_width * columns - GAP;
        let mut pixels = Vec::with_capacity(3 * sheet_height * sheet_width);
        for (row, column) in
            (0..sheet_height * sheet_width).map(|at| (at / sheet_width, at % sheet_width))
        {
            let plane = row / tile_height * columns + column / tile_width;
            let (y, x) = (row % tile_height / scale, column % tile_width / scale);
            let inside = plane < count && y < height && x < width;
            let at = (plane * height + y) * width + x;
            pixels.extend(if inside { self.colour(numbers[at] / largest) } else { [255; 3] });
        }
        Picture::new(sheet_width as u32, sheet_height as u32, 3, pixels)
    }

    fn colour(&self, relative: f64) -> [u8; 3] {
        let relative = relative.clamp(-1.0, 1.0);
        match self.colours {
            ColourMap::Viridis => self.colours.colour(relative.abs()),
            ColourMap::Coolwarm => self.colours.colour(0.5 + relative / 2.0),
        }
    }
}

/// `[C, H, W]` or `[H, W]` as one plane: the sum over channels, or their mean.
fn plane(op: &str, tensor: &Tensor, sum: bool) -> Result<(Vec<f64>, usize, usize)> {
    let flat = match (tensor.rank(), sum) {
        (2, _) => tensor.clone(),
        (3, true) => tensor.sum(0),
        (3, false) => tensor.mean(0),
        _ => {
            let shape = tensor.shape();
            return Err(Error::shape(format!("{op}: {shape} is no [C, H, W] or [H, W]")));
        }
    };
    let numbers = rows::numbers(&flat)?;
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(Error::invalid(format!("{op}: a number that is not finite has no colour")));
    }
    Ok((numbers, flat.shape()[0], flat.shape()[1]))
}
