//! [`summary`]: the layers of a model, what comes out of each, and what they cost.

use std::collections::{BTreeMap, BTreeSet};

use gradloom_nn::{Context, Layer, LayerRun, LayerSource, Module, ModuleExt};
use gradloom_tensor::{DType, Tensor};

/// A layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSummary {
    /// Its place in the model: `encoder.0`.
    pub name: String,
    /// What it is: `Conv2d`.
    pub kind: String,
    /// Shape of its output.
    pub output: Vec<usize>,
    /// Dtype of its output.
    pub dtype: DType,
    /// What it reads, through ops that have no weights.
    pub sources: Vec<LayerSource>,
    /// Numbers in its parameters, without those of layers inside it and without running statistics.
    pub parameters: usize,
    /// Of them, those that are learnt.
    pub trainable: usize,
    /// Multiplications with additions of one pass, as `torchinfo` counts them: each parameter of a layer as
    /// often as it meets an input, which is once a sample, position of a convolution or step of a recurrent
    /// layer. Products of activations (attention) are not counted, nor are further axes of a linear layer.
    pub mult_adds: u64,
    /// True if the layer ran before: its parameters count once.
    pub repeated: bool,
}

/// The layers of a model that have weights, in the order in which they run, and sums. As `torchinfo.summary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The layers.
    pub layers: Vec<LayerSummary>,
    /// Numbers in all parameters, without running statistics.
    pub parameters: usize,
    /// Of them, those that are learnt.
    pub trainable: usize,
    /// Of all layers.
    pub mult_adds: u64,
    /// Bytes of the input.
    pub input_bytes: u64,
    /// Bytes of the outputs of all layers and of their gradients.
    pub activation_bytes: u64,
    /// Bytes of all parameters.
    pub parameter_bytes: u64,
}

/// Runs a model on an input, without computing anything, and tells what happened.
///
/// PyTorch: `torchinfo.summary(model, input_data=x)`.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Activation, Init, Sequential};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let model = Sequential::new()
///     .with(Linear::new(784, 128, init))
///     .with(Activation::Relu)
///     .with(Linear::new(128, 10, init));
/// let summary = gradloom_track::summary(&model, &Tensor::zeros([32, 784], DType::F32, &device));
/// assert_eq!(summary.parameters, 101_770);
/// assert_eq!(summary.layers[1].output, [32, 10]);
/// println!("{summary}");
/// ```
///
/// # Panics
/// If the model cannot take the input.
#[track_caller]
pub fn summary(model: &(impl Layer + ?Sized), input: &Tensor) -> Summary {
    let bytes = (input.count() * input.dtype().size()) as u64;
    Summary::of_run(model, bytes, |ctx| {
        model.forward(input, ctx);
    })
}

impl Summary {
    /// Of a model that takes something else than one tensor: `run` runs it with the context it is given.
    pub fn of_run(
        model: &(impl Module + ?Sized),
        input_bytes: u64,
        run: impl FnOnce(&mut Context),
    ) -> Summary {
        let mut ctx = Context::eval().with_layer_runs();
        run(&mut ctx);
        let parameters = Parameters::of(model);
        let runs = ctx.layer_runs(model);
        let owners = owners(&runs);
        let mut seen = BTreeSet::new();
        let mut activation_bytes = 0;
        let mut layers = Vec::new();
        for run in &runs {
            let own =
                run.parameters.iter().filter(|name| owners.get(name.as_str()) == Some(&run.name));
            let own: Vec<&String> = own.collect();
            let sizes = own.iter().map(|name| parameters.sizes[name.as_str()]);
            let trainable = sizes.clone().filter(|size| size.trainable).map(|size| size.count);
            activation_bytes += 2 * (run.output.count() * run.dtype.size()) as u64;
            layers.push(LayerSummary {
                name: run.name.clone(),
                kind: run.kind.to_owned(),
                output: run.output.to_vec(),
                dtype: run.dtype,
                sources: run.sources.clone(),
                parameters: sizes.clone().map(|size| size.count).sum(),
                trainable: trainable.sum(),
                mult_adds: own
                    .iter()
                    .map(|name| {
                        let count = parameters.sizes[name.as_str()].count as u64;
                        count * times(run.kind, name, &run.output)
                    })
                    .sum(),
                repeated: !seen.insert(run.name.clone()),
            });
        }
        let all = parameters.sizes.values();
        Summary {
            mult_adds: layers.iter().map(|layer| layer.mult_adds).sum(),
            layers,
            parameters: all.clone().map(|size| size.count).sum(),
            trainable: all.clone().filter(|size| size.trainable).map(|size| size.count).sum(),
            input_bytes,
            activation_bytes,
            parameter_bytes: all.map(|size| size.bytes).sum(),
        }
    }

    /// The table as Markdown that keeps its lines: for [`Tracker::text`](crate::Tracker::text). The layers as a picture
    /// are for [`Tracker::graph`](crate::Tracker::graph).
    pub fn markdown(&self) -> String {
        self.to_string().lines().map(|line| format!("    {line}\n")).collect()
    }
}

/// How often a parameter meets an input.
fn times(kind: &str, parameter: &str, output: &[usize]) -> u64 {
    let product = |sizes: &[usize]| sizes.iter().map(|&size| size as u64).product::<u64>();
    let own = parameter.rsplit('.').next().unwrap_or(parameter);
    match own {
        "weight" | "bias" if kind.starts_with("Conv") && output.len() > 2 => {
            product(&output[..1]) * product(&output[2..])
        }
        "weight" | "bias" => product(&output[..output.len().min(1)]),
        _ if own.contains("weight") || own.contains("bias") => {
            product(&output[..output.len().min(2)])
        }
        _ => 0,
    }
}

/// Of each parameter the innermost layer that has it.
fn owners(runs: &[LayerRun]) -> BTreeMap<&str, String> {
    let mut owners: BTreeMap<&str, String> = BTreeMap::new();
    for run in runs {
        for parameter in &run.parameters {
            let owner = owners.entry(parameter).or_insert_with(|| run.name.clone());
            if run.name.len() > owner.len() {
                owner.clone_from(&run.name);
            }
        }
    }
    owners
}

#[derive(Clone, Copy)]
struct Size {
    count: usize,
    bytes: u64,
    trainable: bool,
}

struct Parameters {
    sizes: BTreeMap<String, Size>,
}

impl Parameters {
    fn of(model: &(impl Module + ?Sized)) -> Self {
        let mut sizes = BTreeMap::new();
        for (name, parameter) in model.parameters() {
            if parameter.role() != gradloom_nn::Role::State {
                let count = parameter.count();
                let bytes = (count * parameter.dtype().size()) as u64;
                let trainable = parameter.is_trainable();
                sizes.insert(name, Size { count, bytes, trainable });
            }
        }
        Parameters { sizes }
    }
}

/// Three digits and three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table.
impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let title = |layer: &LayerSummary| match layer.name.as_str() {
            "" => layer.kind.clone(),
            name => format!("{} ({name})", layer.kind),
        };
        let widest = self.layers.iter().map(|layer| title(layer).chars().count()).max();
        let width = widest.unwrap_or(0).max(24);
        let line = "-".repeat(width + 56);
        let (name, shape) = ("layer", "output shape");
        let (parameters, mult_adds) = ("parameters", "mult-adds");
        writeln!(formatter, "{name:<width$}  {shape:<22}{parameters:>14}{mult_adds:>18}\n{line}")?;
        for layer in &self.layers {
            let title = title(layer);
            let shape = format!("{:?}", layer.output);
            let parameters = match (layer.repeated, layer.trainable) {
                (true, _) => "(again)".to_owned(),
                (_, 0) => format!("({})", grouped(layer.parameters as u64)),
                _ => grouped(layer.parameters as u64),
            };
            let mult_adds = grouped(layer.mult_adds);
            writeln!(formatter, "{title:<width$}  {shape:<22}{parameters:>14}{mult_adds:>18}")?;
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        writeln!(formatter, "{line}")?;
        writeln!(formatter, "parameters          {}", grouped(self.parameters as u64))?;
        writeln!(formatter, "trainable           {}", grouped(self.trainable as u64))?;
        writeln!(formatter, "mult-adds           {}", grouped(self.mult_adds))?;
        writeln!(formatter, "input               {:.2} MB", megabytes(self.input_bytes))?;
        writeln!(formatter, "forward, backward   {:.2} MB", megabytes(self.activation_bytes))?;
        write!(formatter, "weights             {:.2} MB", megabytes(self.parameter_bytes))
    }
}
