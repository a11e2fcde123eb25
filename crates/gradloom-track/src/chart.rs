//! [`Curve`]: a chart as SVG: axes with names and ticks, lines with a legend.

use std::fmt::Write;

use crate::html::escaped;

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 320.0;
/// Left, right, top and bottom of the plot itself.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 605.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 268.0;
/// Told apart by people who see no red or green too (Okabe and Ito).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// A chart of lines: losses of training and validation over epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What it shows.
    pub title: String,
    /// Name of the horizontal axis.
    pub x: String,
    /// Name of the vertical axis.
    pub y: String,
    /// Lines by name. Points that are not finite are gaps.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// The numbers of an axis and where they lie.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn over(numbers: impl Iterator<Item = f64> + Clone) -> Axis {
        let finite = numbers.filter(|number| number.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = match low < high {
            true => (low, high),
            // One number or none: a range around it.
            false if low.is_finite() => {
                (low - low.abs().max(1.0) / 2.0, low + low.abs().max(1.0) / 2.0)
            }
            false => (0.0, 1.0),
        };
        let step = round_step((high - low) / 5.0);
        let first = (low / step).ceil();
        let count = ((high / step).floor() - first).clamp(0.0, 12.0) as usize;
        Axis { low, high, ticks: (0..=count).map(|at| (first + at as f64) * step).collect() }
    }

    fn place(&self, number: f64, from: f64, to: f64) -> f64 {
        from + (number - self.low) / (self.high - self.low) * (to - from)
    }

    fn label(&self, tick: f64) -> String {
        let step = round_step((self.high - self.low) / 5.0);
        let large = self.low.abs().max(self.high.abs());
        if large >= 1e6 || step < 1e-5 {
            return format!("{tick:.1e}");
        }
        let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
        format!("{:.digits$}", tick + 0.0)
    }
}

/// 1, 2 or 5 times a power of ten, at least as large.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = step / power;
    power * [1.0, 2.0, 5.0].into_iter().find(|&round| factor <= round).unwrap_or(10.0)
}

impl Curve {
    /// The chart as SVG, to be put in a page.
    pub fn svg(&self) -> String {
        svg(self)
    }
}

fn svg(curve: &Curve) -> String {
    let points = || curve.lines.iter().flat_map(|(_, points)| points.iter());
    let x = Axis::over(points().map(|point| point.0));
    let y = Axis::over(points().map(|point| point.1));
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n",
        escaped(&curve.title)
    );
    for &tick in &x.ticks {
        let (at, label) = (x.place(tick, LEFT, RIGHT), x.label(tick));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            BOTTOM + 16.0
        );
    }
    for &tick in &y.ticks {
        let (at, label) = (y.place(tick, BOTTOM, TOP), y.label(tick));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    let (middle, centre) = ((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0);
    let _ = writeln!(
        svg,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\
         <text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text transform=\"translate(16 {centre}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        BOTTOM + 34.0,
        escaped(&curve.x),
        escaped(&curve.y)
    );
    for (index, (name, points)) in curve.lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        line(&mut svg, points, &x, &y, colour);
        let at = LEFT + 150.0 * (index % 3) as f64;
        let row = 14.0 + 14.0 * (index / 3) as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{at} {row}h22\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            at + 28.0,
            row + 4.0,
            escaped(name)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Broken where a number is NaN or infinite; a point alone is a dot.
fn line(svg: &mut String, points: &[(f64, f64)], x: &Axis, y: &Axis, colour: &str) {
    let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
    for part in points.split(|point| !finite(point)).filter(|part| !part.is_empty()) {
        let at =
            |point: &(f64, f64)| (x.place(point.0, LEFT, RIGHT), y.place(point.1, BOTTOM, TOP));
        if let [point] = part {
            let (x, y) = at(point);
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            continue;
        }
        let path: Vec<String> =
            part.iter().map(|point| format!("{:.1} {:.1}", at(point).0, at(point).1)).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
    }
}
