//! Pictures turned, sheared, moved and seen askew: each pixel of the result looks up where it comes from.
//!
//! The bytes are Pillow's (`Image.rotate`, `Image.transform`), which torchvision calls on its images:
//! nearest pixels in 16 bits after the point, bilinear ones in f64, cut to bytes.

use crate::interpolation::Interpolation;
use crate::{Error, Image, Pixel, Result};

/// Where `(x, y)` of the result is in the source: `(a x + b y + c, d x + e y + f)`.
type Matrix = [f64; 6];

fn transform([a, b, c, d, e, f]: Matrix, x: f64, y: f64) -> (f64, f64) {
    (a * x + b * y + c, d * x + e * y + f)
}

/// How a picture is moved; the parameters of torchvision's `functional.affine`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Turns clockwise by this many degrees.
    pub degrees: f64,
    /// Moves right and down by these many pixels.
    pub translate: (f64, f64),
    /// Makes larger by this factor.
    pub scale: f64,
    /// Shears along x and y by these many degrees.
    pub shear: (f64, f64),
    /// Around this point, from the left and from the top; without, the middle.
    pub centre: Option<(f64, f64)>,
}

impl Default for Affine {
    /// Changes nothing.
    fn default() -> Self {
        Affine { degrees: 0.0, translate: (0.0, 0.0), scale: 1.0, shear: (0.0, 0.0), centre: None }
    }
}

impl Affine {
    /// From the result to the source.
    fn inverse(&self, height: usize, width: usize) -> Matrix {
        let (cx, cy) = self.centre.unwrap_or((width as f64 * 0.5, height as f64 * 0.5));
        let (turn, sx, sy) =
            (self.degrees.to_radians(), self.shear.0.to_radians(), self.shear.1.to_radians());
        let a = (turn - sy).cos() / sy.cos();
        let b = -(turn - sy).cos() * sx.tan() / sy.cos() - turn.sin();
        let c = (turn - sy).sin() / sy.cos();
        let d = -(turn - sy).sin() * sx.tan() / sy.cos() + turn.cos();
        let mut matrix = [d, -b, 0.0, -c, a, 0.0].map(|value| value / self.scale);
        let (x, y) = (-cx - self.translate.0, -cy - self.translate.1);
        matrix[2] += matrix[0] * x + matrix[1] * y;
        matrix[5] += matrix[3] * x + matrix[4] * y;
        matrix[2] += cx;
        matrix[5] += cy;
        matrix
    }
}

/// A picture moved as `affine` says; `fill` where nothing was. torchvision:
/// `functional.affine(image, ...)` of an image of Pillow.
///
/// # Errors
/// If the scale is not positive, a parameter is not finite, or the interpolation is neither nearest nor
/// bilinear.
pub fn affine<T: Pixel>(
    image: &Image<T>,
    affine: &Affine,
    interpolation: Interpolation,
    fill: T,
) -> Result<Image<T>> {
    let matrix = affine.inverse(image.height(), image.width());
    if !(affine.scale > 0.0 && matrix.iter().all(|value| value.is_finite())) {
        return Err(Error::invalid(format!("affine: {affine:?} is no map")));
    }
    warp(image, matrix, interpolation, fill)
}

/// A picture turned counter-clockwise around its middle; `fill` where nothing was. Pillow:
/// `image.rotate(degrees, resample, fillcolor=fill)`; torchvision: `functional.rotate`.
///
/// # Errors
/// If the angle is not finite, or the interpolation is neither nearest nor bilinear.
pub fn rotate<T: Pixel>(
    image: &Image<T>,
    degrees: f64,
    interpolation: Interpolation,
    fill: T,
) -> Result<Image<T>> {
    let [_, height, width] = image.size();
    let degrees = degrees.rem_euclid(360.0);
    if !degrees.is_finite() {
        return Err(Error::invalid(format!("rotate: {degrees} degrees")));
    }
    // Quarter turns move pixels and mix none.
    let quarter = match degrees {
        0.0 => return Ok(image.clone()),
        180.0 => Some(2),
        90.0 if height == width => Some(1),
        270.0 if height == width => Some(3),
        _ => None,
    };
    if let Some(quarter) = quarter {
        let mut pixels = Vec::with_capacity(image.pixels().len());
        for plane in image.pixels().chunks_exact(image.plane_len()) {
            for index in 0..plane.len() {
                let (row, column) = (index / width, index % width);
                pixels.push(match quarter {
                    1 => plane[column * width + width - 1 - row],
                    2 => plane[plane.len() - 1 - index],
                    _ => plane[(height - 1 - column) * width + row],
                });
            }
        }
        return Image::new(pixels, image.size());
    }
    let turn = -degrees.to_radians();
    // Pillow rounds to 15 decimals, so that the cosine of a right angle is 0.
    let rounded = |value: f64| format!("{value:.15}").parse().unwrap_or(value);
    let (cosine, sine): (f64, f64) = (rounded(turn.cos()), rounded(turn.sin()));
    let mut matrix = [cosine, sine, 0.0, rounded(-turn.sin()), cosine, 0.0];
    let (cx, cy) = (width as f64 / 2.0, height as f64 / 2.0);
    (matrix[2], matrix[5]) = transform(matrix, -cx, -cy);
    matrix[2] += cx;
    matrix[5] += cy;
    warp(image, matrix, interpolation, fill)
}

fn warp<T: Pixel>(
    image: &Image<T>,
    matrix: Matrix,
    interpolation: Interpolation,
    fill: T,
) -> Result<Image<T>> {
    match interpolation {
        Interpolation::Nearest if matrix[1] == 0.0 && matrix[3] == 0.0 => {
            straight(image, matrix, fill)
        }
        Interpolation::Nearest if fits_fixed(image, matrix) => fixed(image, matrix, fill),
        _ => sampled(image, |x, y| transform(matrix, x, y), interpolation, fill),
    }
}

/// Without turning: rows and columns move on their own.
fn straight<T: Pixel>(image: &Image<T>, matrix: Matrix, fill: T) -> Result<Image<T>> {
    let [_, height, width] = image.size();
    let places = |start: f64, step: f64, len: usize| -> Vec<Option<usize>> {
        let mut place = start + step * 0.5;
        let mut next = || {
            let inside = place >= 0.0 && place < len as f64;
            let found = inside.then_some(place as usize);
            place += step;
            found
        };
        (0..len).map(|_| next()).collect()
    };
    let columns = places(matrix[2], matrix[0], width);
    let rows = places(matrix[5], matrix[4], height);
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for plane in image.pixels().chunks_exact(image.plane_len()) {
        for row in &rows {
            pixels.extend(columns.iter().map(|column| match (row, column) {
                (Some(row), Some(column)) => plane[row * width + column],
                _ => fill,
            }));
        }
    }
    Image::new(pixels, image.size())
}

/// True if 16 bits before the point hold every place that is looked up.
fn fits_fixed<T>(image: &Image<T>, matrix: Matrix) -> bool {
    let (height, width) = (image.height() as f64, image.width() as f64);
    [(0.0, 0.0), (0.0, height), (width, 0.0), (width, height)].iter().all(|&(x, y)| {
        let (x, y) = transform(matrix, x, y);
        x.abs() < 32768.0 && y.abs() < 32768.0
    })
}

fn fixed<T: Pixel>(image: &Image<T>, matrix: Matrix, fill: T) -> Result<Image<T>> {
    let [_, height, width] = image.size();
    let fix = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
    let [a, b, _, d, e, _] = matrix.map(fix);
    let mut start = (
        fix(matrix[2] + matrix[0] * 0.5 + matrix[1] * 0.5),
        fix(matrix[5] + matrix[3] * 0.5 + matrix[4] * 0.5),
    );
    let mut places = Vec::with_capacity(height * width);
    for _ in 0..height {
        let (mut x, mut y) = start;
        for _ in 0..width {
            let (column, row) = (x >> 16, y >> 16);
            let inside = (0..width as i64).contains(&column) && (0..height as i64).contains(&row);
            places.push(inside.then(|| row as usize * width + column as usize));
            x += a;
            y += d;
        }
        start.0 += b;
        start.1 += e;
    }
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for plane in image.pixels().chunks_exact(image.plane_len()) {
        pixels.extend(places.iter().map(|place| place.map_or(fill, |place| plane[place])));
    }
    Image::new(pixels, image.size())
}

/// Each pixel from the place that `source` says, for the middle of the pixel.
fn sampled<T: Pixel>(
    image: &Image<T>,
    source: impl Fn(f64, f64) -> (f64, f64),
    interpolation: Interpolation,
    fill: T,
) -> Result<Image<T>> {
    let [_, height, width] = image.size();
    let bilinear = match interpolation {
        Interpolation::Nearest => false,
        Interpolation::Bilinear => true,
        other => {
            let message = format!("warp: {other:?}; turned pictures are Nearest or Bilinear");
            return Err(Error::invalid(message));
        }
    };
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for plane in image.pixels().chunks_exact(image.plane_len()) {
        for index in 0..plane.len() {
            let (x, y) = source((index % width) as f64 + 0.5, (index / width) as f64 + 0.5);
            let inside = x >= 0.0 && x < width as f64 && y >= 0.0 && y < height as f64;
            pixels.push(match (inside, bilinear) {
                (false, _) => fill,
                (true, false) => plane[y as usize * width + x as usize],
                (true, true) => between(plane, width, x - 0.5, y - 0.5),
            });
        }
    }
    Image::new(pixels, image.size())
}

/// Bilinear, with the pixels at the border going on beyond it.
fn between<T: Pixel>(plane: &[T], width: usize, x: f64, y: f64) -> T {
    let height = plane.len() / width;
    let (left, top) = (x.floor(), y.floor());
    let (right_share, down_share) = (x - left, y - top);
    // A cast from float takes what is negative to zero.
    let column = |x: f64| (x as usize).min(width - 1);
    let line = |row: usize| {
        let pixel = |x: f64| f64::from(plane[row * width + column(x)].to_f32());
        let (a, b) = (pixel(left), pixel(left + 1.0));
        a + (b - a) * right_share
    };
    let upper = line((top as usize).min(height - 1));
    let lower = if top + 1.0 < height as f64 { line((top + 1.0) as usize) } else { upper };
    T::towards_zero(upper + (lower - upper) * down_share)
}

/// A picture whose four corners (left top, right top, right bottom, left bottom, as `(x, y)`) move to
/// others. torchvision: `functional.perspective(image, from, to)` of an image of Pillow.
///
/// # Errors
/// If three corners lie on a line, or the interpolation is neither nearest nor bilinear.
pub fn perspective<T: Pixel>(
    image: &Image<T>,
    from: [(f64, f64); 4],
    to: [(f64, f64); 4],
    interpolation: Interpolation,
    fill: T,
) -> Result<Image<T>> {
    let [a, b, c, d, e, f, g, h] = perspective_coefficients(from, to)?;
    let source = |x: f64, y: f64| {
        let depth = g * x + h * y + 1.0;
        ((a * x + b * y + c) / depth, (d * x + e * y + f) / depth)
    };
    sampled(image, source, interpolation, fill)
}

/// Solves the eight equations that say where each corner of the result comes from, by elimination with
/// pivots. torchvision rounds the solution to f32.
fn perspective_coefficients(from: [(f64, f64); 4], to: [(f64, f64); 4]) -> Result<[f64; 8]> {
    let mut rows = [[0.0f64; 9]; 8];
    for (corner, ((sx, sy), (x, y))) in from.into_iter().zip(to).enumerate() {
        rows[2 * corner] = [x, y, 1.0, 0.0, 0.0, 0.0, -sx * x, -sx * y, sx];
        rows[2 * corner + 1] = [0.0, 0.0, 0.0, x, y, 1.0, -sy * x, -sy * y, sy];
    }
    for column in 0..8 {
        let largest =
            (column..8).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()));
        rows.swap(column, largest.unwrap_or(column));
        let pivot = rows[column];
        if pivot[column].is_nan() || pivot[column].abs() <= 1e-9 {
            return Err(Error::invalid(format!(
                "perspective: the corners {from:?} and {to:?} have three on a line"
            )));
        }
        for row in 0..8 {
            if row != column {
                let factor = rows[row][column] / pivot[column];
                rows[row].iter_mut().zip(pivot).for_each(|(value, other)| *value -= factor * other);
            }
        }
    }
    let mut solution = [0.0; 8];
    for (index, value) in solution.iter_mut().enumerate() {
        *value = f64::from((rows[index][8] / rows[index][index]) as f32);
    }
    Ok(solution)
}

#[cfg(test)]
mod tests {
    use super::{Affine, affine, perspective, rotate};
    use crate::Image;
    use crate::transform::Interpolation::{Bicubic, Bilinear, Nearest};

    #[test]
    fn quarter_turns_move_corners() {
        let image = Image::new((1..=9).collect::<Vec<u8>>(), [1, 3, 3]).unwrap();
        // Counter-clockwise: the right column becomes the top row.
        let turned = rotate(&image, 90.0, Bilinear, 0).unwrap();
        assert_eq!(turned.pixels(), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        let back = rotate(&turned, -90.0, Nearest, 0).unwrap();
        assert_eq!(back, image);
        assert_eq!(rotate(&image, 720.0, Nearest, 0).unwrap(), image);
        assert!(rotate(&image, f64::NAN, Nearest, 0).is_err());
        assert!(rotate(&image, 10.0, Bicubic, 0).is_err());
    }

    #[test]
    fn a_map_that_changes_nothing_changes_nothing() {
        let image = Image::new((0..30).map(|v| v * 8).collect::<Vec<u8>>(), [2, 3, 5]).unwrap();
        for interpolation in [Nearest, Bilinear] {
            assert_eq!(affine(&image, &Affine::default(), interpolation, 0).unwrap(), image);
            let corners = [(0.0, 0.0), (4.0, 0.0), (4.0, 2.0), (0.0, 2.0)];
            assert_eq!(perspective(&image, corners, corners, interpolation, 0).unwrap(), image);
        }
        let moved = Affine { translate: (1.0, 0.0), ..Affine::default() };
        let moved = affine(&image, &moved, Nearest, 7).unwrap();
        assert_eq!(&moved.pixels()[..5], [7, 0, 8, 16, 24]);
        let flat = Affine { scale: 0.0, ..Affine::default() };
        assert!(affine(&image, &flat, Nearest, 0).is_err());
        let line = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 2.0)];
        assert!(perspective(&image, line, line, Nearest, 0).is_err());
    }
}
