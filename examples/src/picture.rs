//! Pictures of what was trained: curves, confusion matrix, surest mistakes.

use std::path::Path;

use gradloom::metrics::ConfusionMatrix;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::Failure;
use crate::evaluation::{Evaluation, Mistake};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 900;

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// An image classifier's losses, confusion matrix and surest mistakes.
///
/// # Errors
/// If drawing fails or the file cannot be written.
pub fn draw(
    path: &Path,
    losses: &[f64],
    evaluation: &Evaluation,
    classes: &[String],
) -> Result<(), Failure> {
    write(path, HEIGHT, |root| {
        let (top, bottom) = root.split_vertically(500);
        let (left, right) = top.split_horizontally(WIDTH / 2);
        draw_losses(&left, "training loss", losses)?;
        draw_confusion(&right, &evaluation.confusion, classes)?;
        draw_mistakes(&bottom, evaluation, classes)
    })
}

/// A classifier's losses and confusion matrix.
///
/// # Errors
/// If drawing fails or the file cannot be written.
pub fn losses_and_confusion(
    path: &Path,
    losses: &[f64],
    confusion: &ConfusionMatrix,
    classes: &[String],
) -> Result<(), Failure> {
    write(path, 500, |root| {
        let (left, right) = root.split_horizontally(WIDTH / 2);
        draw_losses(&left, "training loss", losses)?;
        draw_confusion(&right, confusion, classes)
    })
}

/// Losses of each step under captions, one curve beside the other.
///
/// # Errors
/// If drawing fails or the file cannot be written.
pub fn curves(path: &Path, curves: &[(&str, &[f64])]) -> Result<(), Failure> {
    write(path, 500, |root| {
        let areas = root.split_evenly((1, curves.len().max(1)));
        areas
            .iter()
            .zip(curves)
            .try_for_each(|(area, (caption, losses))| draw_losses(area, caption, losses))
    })
}

/// Draws and writes a picture as PNG, whole or not at all.
fn write(
    path: &Path,
    height: u32,
    paint: impl FnOnce(&Area) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let font = include_bytes!("../assets/DejaVuSans-ascii.ttf");
    register_font("sans-serif", FontStyle::Normal, font)
        .map_err(|_| "the embedded font is broken")?;
    let mut pixels = vec![0; (WIDTH * height * 3) as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        paint(&root)?;
        root.present()?;
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file.as_file_mut()), WIDTH, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    file.persist(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

/// Every loss, and their running mean.
fn draw_losses(area: &Area, caption: &str, losses: &[f64]) -> Result<(), Failure> {
    let highest = losses.iter().copied().fold(0.1, f64::max).min(10.0);
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(48)
        .build_cartesian_2d(0..losses.len().max(1), 0.0..highest * 1.05)?;
    chart.configure_mesh().x_desc("step").y_desc("loss").light_line_style(WHITE).draw()?;
    let points = losses.iter().copied().enumerate();
    chart.draw_series(LineSeries::new(points, RGBColor(190, 205, 235)))?;
    let mut mean = losses.first().copied().unwrap_or(0.0);
    let smooth: Vec<(usize, f64)> = losses
        .iter()
        .enumerate()
        .map(|(step, loss)| {
            mean += 0.05 * (loss - mean);
            (step, mean)
        })
        .collect();
    chart.draw_series(LineSeries::new(smooth, RGBColor(30, 70, 170).stroke_width(2)))?;
    Ok(())
}

/// Rows are true classes, columns predictions; darker is more.
fn draw_confusion(
    area: &Area,
    matrix: &ConfusionMatrix,
    classes: &[String],
) -> Result<(), Failure> {
    let title = format!("test accuracy {:.2}%", 100.0 * matrix.accuracy());
    area.draw(&Text::new(title, (70, 12), ("sans-serif", 22)))?;
    let count = matrix.classes() as i32;
    let (left, top) = (90, 50);
    let cell = (400 / count.max(1)).min(120);
    for actual in 0..count {
        let name = short(classes, actual as usize);
        area.draw(&Text::new(name, (12, top + actual * cell + cell / 3), ("sans-serif", 13)))?;
        let row: u64 = (0..count).map(|p| matrix.count(actual as usize, p as usize)).sum();
        for predicted in 0..count {
            let value = matrix.count(actual as usize, predicted as usize);
            let share = value as f64 / row.max(1) as f64;
            // Rare confusions would be invisible on a linear scale.
            let shade = share.sqrt();
            let color = if actual == predicted {
                RGBColor(fade(30, shade), fade(90, shade), fade(190, shade))
            } else {
                RGBColor(fade(200, shade), fade(40, shade), fade(40, shade))
            };
            let corner = (left + predicted * cell, top + actual * cell);
            let opposite = (corner.0 + cell - 1, corner.1 + cell - 1);
            area.draw(&Rectangle::new([corner, opposite], color.filled()))?;
            if value > 0 {
                let ink = if shade > 0.6 { WHITE } else { BLACK };
                let style = ("sans-serif", 12).into_font().color(&ink);
                area.draw(&Text::new(
                    value.to_string(),
                    (corner.0 + 5, corner.1 + cell / 3),
                    style,
                ))?;
            }
        }
    }
    for predicted in 0..count {
        let position = (left + predicted * cell + 4, top + count * cell + 6);
        area.draw(&Text::new(short(classes, predicted as usize), position, ("sans-serif", 11)))?;
    }
    Ok(())
}

fn short(classes: &[String], class: usize) -> String {
    classes.get(class).map_or_else(|| class.to_string(), |name| name.chars().take(9).collect())
}

fn fade(full: u8, share: f64) -> u8 {
    (255.0 - (255.0 - f64::from(full)) * share) as u8
}

/// The mistakes that the model was surest of.
fn draw_mistakes(area: &Area, evaluation: &Evaluation, classes: &[String]) -> Result<(), Failure> {
    let title = format!("surest of {} mistakes", evaluation.mistakes.len());
    area.draw(&Text::new(title, (20, 8), ("sans-serif", 22)))?;
    for (position, mistake) in evaluation.mistakes.iter().take(20).enumerate() {
        let (column, row) = (position as i32 % 10, position as i32 / 10);
        let corner = (20 + column * 116, 44 + row * 172);
        draw_image(area, mistake, evaluation.size, corner)?;
        let text = format!(
            "{} for {}",
            short(classes, mistake.predicted as usize),
            short(classes, mistake.actual as usize)
        );
        area.draw(&Text::new(text, (corner.0, corner.1 + 116), ("sans-serif", 13)))?;
        let text = format!("{:.0}% sure", 100.0 * mistake.confidence);
        area.draw(&Text::new(text, (corner.0, corner.1 + 134), ("sans-serif", 12)))?;
    }
    Ok(())
}

/// One image, stretched to the full range of grey or colour.
fn draw_image(
    area: &Area,
    mistake: &Mistake,
    [channels, height, width]: [usize; 3],
    corner: (i32, i32),
) -> Result<(), Failure> {
    let low = mistake.pixels.iter().copied().fold(f32::INFINITY, f32::min);
    let high = mistake.pixels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = (112 / height.max(width).max(1)).max(1) as i32;
    for y in 0..height {
        for x in 0..width {
            let level = |channel: usize| {
                let value = mistake.pixels[(channel % channels * height + y) * width + x];
                (255.0 * (value - low) / (high - low).max(1e-6)) as u8
            };
            let from = (corner.0 + x as i32 * scale, corner.1 + y as i32 * scale);
            let to = (from.0 + scale, from.1 + scale);
            let color = RGBColor(level(0), level(1), level(2));
            area.draw(&Rectangle::new([from, to], color.filled()))?;
        }
    }
    Ok(())
}
