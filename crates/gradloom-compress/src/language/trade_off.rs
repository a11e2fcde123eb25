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

impl TradeOff {
    /// A table of sizes, perplexities and divergences.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<24} {:>10} {:>11} {:>9} {:>9} {:>11}\n",
            "", "kB", "perplexity", "KL", "same top", "worst layer"
        );
        for variant in &self.variants {
            let (quality, kilobytes) = (variant.quality, variant.bytes as f64 / 1e3);
            let worst = variant.layers.iter().max_by(|a, b| a.1.total_cmp(b.1));
            let worst = worst.map_or(String::new(), |(name, error)| {
                format!("{error:.4} {}", name.strip_suffix(".weight").unwrap_or(name))
            });
            let _ = writeln!(
                text,
                "{:<24} {kilobytes:>10.1} {:>11.3} {:>9.5} {:>8.1}% {worst}",
                variant.name,
                quality.perplexity(),
                quality.divergence(),
                100.0 * quality.agreement(),
            );
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
        for variant in shown {
            let (x, y) = (x(kilobytes(variant)), y(power(variant)));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#3366aa\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 7.0,
                y + 4.0,
                escaped(&variant.name)
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

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
