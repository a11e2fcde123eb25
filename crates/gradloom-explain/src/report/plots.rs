//! Plots as SVG: forces, summaries, matrices, maps of points.

use std::fmt::Write;

use gradloom_tensor::{Error, Result};
use gradloom_track::html::escaped;

use super::colour::{ColourMap, clip};

const WIDTH: f64 = 820.0;
/// Where names end and plots begin.
const LEFT: f64 = 210.0;
const ROW: f64 = 24.0;

fn finite(op: &str, mut numbers: impl Iterator<Item = f64>) -> Result<()> {
    match numbers.find(|number| !number.is_finite()) {
        Some(number) => Err(Error::invalid(format!("{op}: {number} cannot be drawn"))),
        None => Ok(()),
    }
}

fn open(height: f64, what: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n",
        escaped(what)
    )
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// How features push an output from its value at the baseline to where it is, as steps: those that push most
/// first, at most `most` of them, the rest together.
///
/// # Errors
/// If there is not one finite attribution for each name, or there are none.
pub fn force_plot(base: f64, names: &[&str], attributions: &[f64], most: usize) -> Result<String> {
    let op = "force_plot";
    if names.len() != attributions.len() || names.is_empty() || most == 0 {
        let (names, numbers) = (names.len(), attributions.len());
        return Err(Error::invalid(format!(
            "{op}: {numbers} attributions for {names} names, {most} shown"
        )));
    }
    finite(op, attributions.iter().copied().chain([base]))?;
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| attributions[b].abs().total_cmp(&attributions[a].abs()));
    let mut steps: Vec<(String, f64)> =
        order.iter().take(most).map(|&at| (names[at].to_owned(), attributions[at])).collect();
    if order.len() > most {
        let rest = order[most..].iter().map(|&at| attributions[at]).sum();
        steps.push((format!("{} others", order.len() - most), rest));
    }
    let mut places = vec![base];
    steps.iter().for_each(|(_, step)| places.push(places[places.len() - 1] + step));
    let low = places.iter().copied().fold(f64::INFINITY, f64::min);
    let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    let x = |place: f64| LEFT + 46.0 + (place - low) / range * (WIDTH - LEFT - 136.0);
    let height = ROW * (steps.len() + 2) as f64;
    let mut svg = open(height, "forces");
    label(&mut svg, LEFT, ROW * 0.7, "end", "baseline");
    label(&mut svg, x(base), ROW * 0.7, "middle", &format!("{base:.3}"));
    for (at, (name, step)) in steps.iter().enumerate() {
        let (y, from, to) = (ROW * (at + 1) as f64, x(places[at]), x(places[at + 1]));
        let colour = ColourMap::Coolwarm.hex(if *step < 0.0 { 0.08 } else { 0.92 });
        label(&mut svg, LEFT, y + ROW * 0.7, "end", name);
        let (start, width) = (from.min(to), (to - from).abs().max(0.5));
        let _ = writeln!(
            svg,
            "<rect x=\"{start:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
             <path class=\"grid\" d=\"M{to:.1} {:.1}v{ROW}\"/>",
            y + 3.0,
            ROW - 6.0,
            y + ROW - 3.0
        );
        label(&mut svg, from.max(to) + 6.0, y + ROW * 0.7, "start", &format!("{step:+.3}"));
    }
    let output = places[places.len() - 1];
    label(&mut svg, LEFT, height - ROW * 0.3, "end", "output");
    label(&mut svg, x(output), height - ROW * 0.3, "middle", &format!("{output:.3}"));
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// The attributions of all samples, a row of dots for each feature, those that matter most first and at most
/// `most` of them. Colours are the features' own values, from the lowest to the highest.
///
/// # Errors
/// If there is not a finite attribution and value for each sample and name, or there are none.
pub fn summary_plot(
    names: &[&str],
    attributions: &[Vec<f64>],
    values: &[Vec<f64>],
    most: usize,
) -> Result<String> {
    let op = "summary_plot";
    let rows = attributions.iter().chain(values);
    let fits = rows.clone().all(|row| row.len() == names.len());
    if !fits || attributions.len() != values.len() || attributions.is_empty() || names.is_empty() {
        return Err(Error::invalid(format!(
            "{op}: {} samples of attributions, {} of values, {} names; all samples have one of both for each \
             name",
            attributions.len(),
            values.len(),
            names.len()
        )));
    }
    finite(op, rows.flatten().copied())?;
    let size = |column: usize| attributions.iter().map(|row| row[column].abs()).sum::<f64>();
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
    order.truncate(most.max(1));
    let largest = attributions.iter().flatten().fold(1e-12_f64, |a, b| a.max(b.abs()));
    let middle = (LEFT + WIDTH) / 2.0;
    let x = |number: f64| middle + number / largest * (WIDTH - LEFT - 60.0) / 2.0;
    let height = ROW * (order.len() + 2) as f64;
    let mut svg = open(height, "summary");
    let bottom = height - 2.0 * ROW + 6.0;
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{middle:.1} 0V{bottom:.1}\"/>");
    for (place, &column) in order.iter().enumerate() {
        let y = ROW * (place as f64 + 0.5);
        label(&mut svg, LEFT, y + 4.0, "end", names[column]);
        let own = values.iter().map(|row| row[column]);
        let low = own.clone().fold(f64::INFINITY, f64::min);
        let high = own.fold(f64::NEG_INFINITY, f64::max);
        let range = if high > low { high - low } else { 1.0 };
        // Dots of one place stand above and below each other.
        let mut taken = std::collections::BTreeMap::<i64, u32>::new();
        for (row, value) in attributions.iter().zip(values) {
            let at = x(row[column]);
            let level = taken.entry((at / 4.0).round() as i64).or_insert(0);
            let side = if level.is_multiple_of(2) { 1.0 } else { -1.0 };
            let offset = (side * f64::from(level.div_ceil(2)) * 2.2).clamp(-9.0, 9.0);
            *level += 1;
            let colour = ColourMap::Coolwarm.hex((value[column] - low) / range);
            let _ = writeln!(
                svg,
                "<circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"2.4\" fill=\"{colour}\"/>",
                y + offset
            );
        }
    }
    for share in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        let number = share * largest;
        label(&mut svg, x(number), height - ROW * 0.9, "middle", &format!("{number:.2}"));
    }
    let axis = "attribution; blue: low value of the feature, red: high";
    label(&mut svg, middle, height - 4.0, "middle", axis);
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// A matrix of numbers of one sign, such as attention: rows look at columns.
///
/// # Errors
/// If there is not a row of finite numbers for each row name, with one for each column name.
pub fn matrix_plot(rows: &[&str], columns: &[&str], values: &[Vec<f64>]) -> Result<String> {
    let op = "matrix_plot";
    let fits = values.len() == rows.len() && values.iter().all(|row| row.len() == columns.len());
    if !fits || rows.is_empty() || columns.is_empty() {
        let (rows, columns, given) = (rows.len(), columns.len(), values.len());
        return Err(Error::invalid(format!(
            "{op}: {given} rows of numbers for {rows} x {columns} names"
        )));
    }
    let all: Vec<f64> = values.iter().flatten().copied().collect();
    finite(op, all.iter().copied())?;
    let largest = clip(&all, 1.0);
    let cell = (560.0 / columns.len() as f64).clamp(6.0, 26.0);
    let top = 90.0;
    let mut svg = open(top + cell * rows.len() as f64 + 8.0, "matrix");
    for (at, name) in columns.iter().enumerate() {
        let x = LEFT + cell * (at as f64 + 0.65);
        let _ = writeln!(
            svg,
            "<text transform=\"translate({x:.1} {:.1}) rotate(-55)\">{}</text>",
            top - 5.0,
            escaped(name)
        );
    }
    for (row, name) in rows.iter().enumerate() {
        let y = top + cell * row as f64;
        label(&mut svg, LEFT - 6.0, y + cell * 0.5 + 4.0, "end", name);
        for (column, number) in values[row].iter().enumerate() {
            let colour = ColourMap::Viridis.hex(number.abs() / largest);
            let x = LEFT + cell * column as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" fill=\"{colour}\">\
                 <title>{number:.3}</title></rect>"
            );
        }
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Colours of classes that people who see no red or green tell apart too (Okabe and Ito), then others.
const CLASSES: [&str; 12] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#f0e442",
    "#7f7f7f", "#8c564b", "#6a3d9a", "#b15928",
];

/// A map of points in the plane, coloured by their classes, with a legend.
///
/// # Errors
/// If there is not a class with a name for each point, a place is not finite, or there are no points or more
/// classes than twelve.
pub fn scatter_plot(points: &[[f64; 2]], classes: &[usize], names: &[&str]) -> Result<String> {
    let op = "scatter_plot";
    let known = names.len() <= CLASSES.len() && classes.iter().all(|&class| class < names.len());
    if points.is_empty() || points.len() != classes.len() || !known {
        let (points, given, names) = (points.len(), classes.len(), names.len());
        return Err(Error::invalid(format!(
            "{op}: {given} classes of {names} names for {points} points"
        )));
    }
    finite(op, points.iter().flatten().copied())?;
    let range = |axis: usize| {
        let numbers = points.iter().map(|point| point[axis]);
        let low = numbers.clone().fold(f64::INFINITY, f64::min);
        let high = numbers.fold(f64::NEG_INFINITY, f64::max);
        (low, if high > low { high - low } else { 1.0 })
    };
    let (across, down) = (range(0), range(1));
    let size = 640.0;
    let mut svg = open(size + 20.0, "map");
    for (point, &class) in points.iter().zip(classes) {
        let x = 10.0 + (point[0] - across.0) / across.1 * size;
        let y = 10.0 + (point[1] - down.0) / down.1 * size;
        let colour = CLASSES[class];
        let _ = writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\" fill-opacity=\"0.75\"/>"
        );
    }
    for (class, name) in names.iter().enumerate() {
        let y = 24.0 + 20.0 * class as f64;
        let colour = CLASSES[class];
        let _ =
            writeln!(svg, "<circle cx=\"680\" cy=\"{:.1}\" r=\"6\" fill=\"{colour}\"/>", y - 4.0);
        label(&mut svg, 694.0, y, "start", name);
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
