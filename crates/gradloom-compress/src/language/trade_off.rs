//! [`TradeOff`]: sizes against quality, as text and as a picture.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::{Matrix, Quality, QuantizedWeights, Statistics};
use gradloom_nn::{Module, ModuleExt};
use gradloom_tensor::Result;

/// One way to compress a model, and what became of it.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What was done: `GPTQ int4`.
    pub name: String,
    /// Bytes of all weights.
    pub bytes: usize,
    /// Measured on unseen text, against the whole model.
    pub quality: Quality,
    /// The error of each layer, by the weight's name, as a part of its output's mean square.
    pub layers: BTreeMap<String, f64>,
    /// What it took to run it, if it was run.
    pub running: Option<Running>,
}

/// What a model takes where it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Running {
    /// Bytes of its weights as products read them: see [`bytes_held`].
    pub bytes: usize,
    /// Tokens of one text, one after the other.
    pub tokens_per_second: f64,
}

/// Ways to compress a model, beside each other.
#[derive(Clone, Debug, Default)]
pub struct TradeOff {
    /// In the order in which they were tried; the whole model first.
    pub variants: Vec<Variant>,
}

/// The error of each quantized layer: the mean square of `(W - Q) x` as a part of that of `W x`.
///
/// # Errors
/// If a weight is not in the model or the statistics.
pub fn layer_errors(
    model: &impl Module,
    weights: &QuantizedWeights,
    statistics: &Statistics,
) -> Result<BTreeMap<String, f64>> {
    let mut errors = BTreeMap::new();
    for (name, quantized) in weights.iter() {
        let Some(parameter) = model.parameter(name) else { continue };
        let inputs = statistics.of(name)?;
        let weight = Matrix::of(parameter, weights.is_inputs_first(name))
            .map_err(|error| error.context(name))?;
        let zero =
            Matrix::new([weight.outputs(), weight.inputs()], vec![0.0; weight.values().len()]);
        let whole = inputs.error(&weight, &zero);
        let error = inputs.error(&weight, &quantized.dequantize());
        errors.insert(name.to_owned(), if whole > 0.0 { error / whole } else { 0.0 });
    }
    Ok(errors)
}

/// Bytes of a model whose matrices are quantized; what is not is counted as it is.
pub fn bytes_with(model: &impl Module, weights: &QuantizedWeights) -> usize {
    let plain = |(name, parameter): &(String, &gradloom_nn::Parameter)| match weights.get(name) {
        Some(_) => 0,
        None => parameter.count() * parameter.dtype().size(),
    };
    model.parameters().iter().map(plain).sum::<usize>() + weights.byte_count()
}

/// Bytes of a model's weights as they lie on the device: blocks as blocks.
pub fn bytes_held(model: &impl Module) -> usize {
    let held = |(_, parameter): &(String, &gradloom_nn::Parameter)| match parameter.block_format() {
        Some(format) => parameter.count() / format.elements() * format.bytes(),
        None => parameter.count() * parameter.dtype().size(),
    };
    model.parameters().iter().map(held).sum()
}

impl TradeOff {
    /// A table of sizes, perplexities, divergences, and what running takes.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<24} {:>10} {:>11} {:>9} {:>9} {:>10} {:>9}  {}\n",
            "", "kB", "perplexity", "KL", "same top", "kB to run", "tokens/s", "worst layer"
        );
        for variant in &self.variants {
            let (quality, kilobytes) = (variant.quality, variant.bytes as f64 / 1e3);
            let [held, speed] = match variant.running {
                Some(Running { bytes, tokens_per_second }) => {
                    [format!("{:.1}", bytes as f64 / 1e3), format!("{tokens_per_second:.1}")]
                }
                None => [String::new(), String::new()],
            };
            let worst = variant.layers.iter().max_by(|a, b| a.1.total_cmp(b.1));
            let worst =
                worst.map_or(String::new(), |(name, error)| format!("{error:.4} {}", short(name)));
            let line = format!(
                "{:<24} {kilobytes:>10.1} {:>11.3} {:>9.5} {:>8.1}% {held:>10} {speed:>9}  {worst}",
                variant.name,
                quality.perplexity(),
                quality.divergence(),
                100.0 * quality.agreement(),
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// A table of the errors of layers in percent of their outputs' mean squares: a line for each layer, those that
    /// suffer the most first, and a column for each variant that has such errors.
    pub fn sensitivity(&self) -> String {
        let variants = || self.variants.iter().filter(|variant| !variant.layers.is_empty());
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, error) in variants().flat_map(|variant| &variant.layers) {
            *sums.entry(name).or_default() += error;
        }
        let mut layers: Vec<(&str, f64)> = sums.into_iter().collect();
        layers.sort_by(|a, b| b.1.total_cmp(&a.1));
        let width = layers.iter().map(|(name, _)| short(name).len()).max().unwrap_or(0);
        let mut text = format!("{:<width$}", "");
        for variant in variants() {
            let _ = write!(text, " {:>14}", variant.name);
        }
        text.push('\n');
        for (name, _) in layers {
            let _ = write!(text, "{:<width$}", short(name));
            for variant in variants() {
                let error = variant.layers.get(name);
                let error = error.map_or(String::new(), |error| format!("{:.3}%", 100.0 * error));
                let _ = write!(text, " {error:>14}");
            }
            text.push('\n');
        }
        text
    }

    /// A picture: bytes to the right, divergence up on a logarithmic axis, a dot with its name for each variant that
    /// differs from the whole model.
    pub fn svg(&self) -> String {
        const WIDTH: f64 = 720.0;
        const HEIGHT: f64 = 420.0;
        const LEFT: f64 = 80.0;
        const TOP: f64 = 30.0;
        let shown: Vec<&Variant> =
            self.variants.iter().filter(|variant| variant.quality.divergence() > 0.0).collect();
        let kilobytes = |variant: &Variant| variant.bytes as f64 / 1e3;
        let power = |variant: &Variant| variant.quality.divergence().log10();
        let range = |of: &dyn Fn(&Variant) -> f64| {
            let low = shown.iter().map(|variant| of(variant)).fold(f64::INFINITY, f64::min);
            let high = shown.iter().map(|variant| of(variant)).fold(f64::NEG_INFINITY, f64::max);
            if high > low { (low, high) } else { (low - 1.0, low + 1.0) }
        };
        let (sizes, powers) = (range(&kilobytes), range(&power));
        let powers = (powers.0.floor(), powers.1.ceil());
        let x = |size: f64| LEFT + (size - sizes.0) / (sizes.1 - sizes.0) * (WIDTH - LEFT - 160.0);
        let y = |power: f64| {
            TOP + (powers.1 - power) / (powers.1 - powers.0).max(1.0) * (HEIGHT - TOP - 50.0)
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        if shown.is_empty() {
            return svg
                + "<text x=\"20\" y=\"40\">no variant differs from the whole model</text></svg>\n";
        }
        for step in 0..=(powers.1 - powers.0) as usize {
            let power = powers.0 + step as f64;
            let (at, right) = (y(power), WIDTH - 20.0);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">1e{power}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        for step in 0..=4 {
            let size = sizes.0 + (sizes.1 - sizes.0) * f64::from(step) / 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{size:.0}</text>",
                x(size),
                HEIGHT - 28.0
            );
        }
        let dots: Vec<[f64; 2]> =
            shown.iter().map(|variant| [x(kilobytes(variant)), y(power(variant))]).collect();
        let names: Vec<&str> = shown.iter().map(|variant| variant.name.as_str()).collect();
        for ((&[x, y], name), [left, middle]) in dots.iter().zip(&names).zip(labels(&dots, &names))
        {
            if middle != y {
                let end = left - 2.0;
                let _ = write!(
                    svg,
                    "<path d=\"M{x:.1} {y:.1}L{end:.1} {middle:.1}\" stroke=\"#aaa\"/>"
                );
            }
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#3366aa\"/><text x=\"{left:.1}\" y=\"{:.1}\">{}</text>",
                middle + 4.0,
                escaped(name)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\">kB of weights</text><text x=\"12\" y=\"18\">KL divergence, nats per token</text></svg>",
            WIDTH / 2.0 - 40.0,
            HEIGHT - 8.0
        );
        svg
    }

    /// Writes the picture.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        gradloom_files::write(path, self.svg().as_bytes())
    }
}

/// Where the names of dots begin, and the middles of their lines: beside the dots, moved up or down until they cover
/// neither another name nor a dot.
fn labels(dots: &[[f64; 2]], names: &[&str]) -> Vec<[f64; 2]> {
    const LINE: f64 = 13.0;
    // Wide letters of the font, and the distance from a dot.
    let box_of = |dot: usize, middle: f64| {
        let left = dots[dot][0] + if middle == dots[dot][1] { 7.0 } else { 14.0 };
        let width = 7.0 * names[dot].chars().count() as f64;
        [left, middle - LINE / 2.0, left + width, middle + LINE / 2.0]
    };
    let meet =
        |a: &[f64; 4], b: &[f64; 4]| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    let mut taken: Vec<[f64; 4]> =
        dots.iter().map(|[x, y]| [x - 4.0, y - 4.0, x + 4.0, y + 4.0]).collect();
    let mut order: Vec<usize> = (0..dots.len()).collect();
    order.sort_by(|&a, &b| dots[a][1].total_cmp(&dots[b][1]));
    let mut found = vec![[0.0; 2]; dots.len()];
    for dot in order {
        let steps = (0..dots.len()).flat_map(|step| [-(step as f64), step as f64]);
        let mut middles = steps.map(|step| dots[dot][1] + step * LINE);
        let free = |middle: &f64| {
            let own = box_of(dot, *middle);
            *middle > LINE && !taken.iter().any(|taken| meet(&own, taken))
        };
        let middle = middles.find(free).unwrap_or(dots[dot][1]);
        let own = box_of(dot, middle);
        taken.push(own);
        found[dot] = [own[0], middle];
    }
    found
}

/// A layer's name by its weight's.
fn short(weight: &str) -> &str {
    weight.strip_suffix(".weight").unwrap_or(weight)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dots_that_lie_close_cover_nothing() {
        let dots = [[100.0, 100.0], [100.0, 103.0], [100.0, 98.0], [150.0, 100.0], [400.0, 20.0]];
        let names = ["nearest int4", "AWQ int4", "GPTQ int4", "Q4_0", "alone"];
        let places = labels(&dots, &names);
        for (at, [left, middle]) in places.iter().enumerate() {
            for (other, [other_left, other_middle]) in places.iter().enumerate().skip(at + 1) {
                let apart = (middle - other_middle).abs() >= 13.0
                    || left + 7.0 * names[at].len() as f64 <= *other_left
                    || other_left + 7.0 * names[other].len() as f64 <= *left;
                assert!(apart, "{} {}", names[at], names[other]);
            }
        }
        assert_eq!(places[4], [407.0, 20.0]);
    }
}
