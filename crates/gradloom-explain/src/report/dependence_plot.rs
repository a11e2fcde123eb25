//! [`dependence_plot`]: what a column does, for all rows and for each.

use std::fmt::Write;

use gradloom_tensor::{Error, Result};
use gradloom_track::html::escaped;

use crate::PartialDependence;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 28.0;
const BOTTOM: f64 = 206.0;

/// Partial dependence as a thick line over the thin lines of single rows, at most `most` of them, which are taken
/// evenly from all. Where they cross, the column does not do the same to all rows.
///
/// # Errors
/// If the grid has fewer than two values, a curve has other places than the grid, or a number is not finite.
pub fn dependence_plot(
    column: &str,
    target: &str,
    dependence: &PartialDependence,
    most: usize,
) -> Result<String> {
    let PartialDependence { grid, mean, each } = dependence;
    let step = each.len().div_ceil(most.max(1)).max(1);
    let shown: Vec<&Vec<f64>> = each.iter().step_by(step).take(most).collect();
    let curves = shown.iter().copied().chain([mean]);
    let fits = grid.len() > 1 && curves.clone().all(|curve| curve.len() == grid.len());
    let finite = curves.clone().flatten().chain(grid).all(|number| number.is_finite());
    if !fits || !finite {
        return Err(Error::invalid(format!(
            "dependence_plot: {} values of {column:?}; it needs two or more, and a finite number at each for \
             the mean and for every row",
            grid.len()
        )));
    }
    let bounds = |numbers: &mut dyn Iterator<Item = f64>| {
        let (low, high) =
            numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if high > low { (low, high) } else { (low - 0.5, high + 0.5) }
    };
    let across = bounds(&mut grid.iter().copied());
    let up = bounds(&mut curves.flatten().copied());
    let x = |at: f64| LEFT + (at - across.0) / (across.1 - across.0) * (RIGHT - LEFT);
    let y = |at: f64| BOTTOM - (at - up.0) / (up.1 - up.0) * (BOTTOM - 10.0);
    let line = |curve: &[f64]| {
        let points =
            grid.iter().zip(curve).map(|(&at, &value)| format!("{:.1},{:.1}", x(at), y(value)));
        points.collect::<Vec<_>>().join(" ")
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"dependence\" \
         style=\"max-width:{WIDTH}px\" xmlns=\"http://www.w3.org/2000/svg\">\n"
    );
    for curve in shown {
        let points = line(curve);
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"#56b4e9\" stroke-opacity=\"0.35\"/>"
        );
    }
    let points = line(mean);
    let _ = writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"#d55e00\" stroke-width=\"3\"/>"
    );
    let _ = writeln!(svg, "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} 6V{BOTTOM}H{RIGHT}\"/>");
    let middle = (LEFT + RIGHT) / 2.0;
    let mut label = |x: f64, y: f64, anchor: &str, text: &str| {
        let text = escaped(text);
        let _ =
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    };
    for at in [across.0, (across.0 + across.1) / 2.0, across.1] {
        label(x(at), BOTTOM + 16.0, "middle", &short(at));
    }
    for at in [up.0, (up.0 + up.1) / 2.0, up.1] {
        label(LEFT - 5.0, y(at) + 4.0, "end", &short(at));
    }
    label(middle, HEIGHT - 8.0, "middle", &format!("{column}: {target}"));
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// With about three digits.
fn short(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
