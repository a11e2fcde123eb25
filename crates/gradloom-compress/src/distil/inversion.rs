//! Inputs made of what a model remembers of its data: of the running statistics of its batch norms.

use crate::graph::Graph;
use gradloom_nn::{Adam, Context, Gradients, Module, Optimizer, Parameter};
use gradloom_tensor::op::Binary;
use gradloom_tensor::{Error, ErrorKind, Op, Result, Tensor, commit};
use rustc_hash::FxHashMap;

/// How [`invert`] goes about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inversion {
    /// Steps of Adam.
    pub steps: usize,
    /// Its learning rate.
    pub learning_rate: f64,
    /// How much the statistics count beside the classes.
    pub statistics: f64,
    /// How much differences between neighbours of pictures `[N, C, H, W]` count.
    pub smoothness: f64,
}

impl Default for Inversion {
    /// 200 steps at 0.05, statistics 1, smoothness 0.001.
    fn default() -> Self {
        Inversion { steps: 200, learning_rate: 0.05, statistics: 1.0, smoothness: 1e-3 }
    }
}

/// Changes inputs so that a model with batch norms finds these classes `[N]` in them, while means and variances before
/// each batch norm are the running ones: data for distillation where none is left. Begin with noise.
///
/// The model is run as in use; it does not change.
///
/// Yin et al., "Dreaming to distill: data-free knowledge transfer via DeepInversion", 2020; without the student's part
/// of the loss and without shifts.
///
/// # Errors
/// If the model has no batch norm with running statistics in this run, a loss is not finite, or the device cannot
/// compute it.
pub fn invert<M: Module>(
    model: &M,
    inputs: &Tensor,
    classes: &Tensor,
    options: &Inversion,
    run: impl Fn(&M, &Tensor, &mut Context) -> Tensor,
) -> Result<Tensor> {
    let mut images = Parameter::new(inputs.clone());
    let mut optimizer = Adam::new(options.learning_rate);
    for _ in 0..options.steps {
        // A node of its own, younger than the model's weights.
        let x = images.tensor() * 1.0;
        let logits = run(model, &x, &mut Context::eval());
        let Some(statistics) = distance(model, &x, &logits) else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "invert: the model has no batch norm with running statistics in this run",
            ));
        };
        let mut loss = logits.cross_entropy(classes) + statistics * options.statistics;
        if x.rank() == 4 && options.smoothness > 0.0 {
            loss = loss + roughness(&x) * options.smoothness;
        }
        let gradients: Gradients = gradloom_nn::gradients(&loss, &images);
        optimizer.step(&gradients, &mut images);
        commit((&mut images, &mut optimizer))?;
        let value = loss.item()?;
        if !value.is_finite() {
            let message = format!("invert: the loss is {value}; lower the learning rate");
            return Err(Error::new(ErrorKind::NotFinite, message));
        }
    }
    Ok(images.tensor().detach())
}

/// The sum over batch norms of the mean squared distances of mean and variance.
fn distance(model: &impl Module, x: &Tensor, logits: &Tensor) -> Option<Tensor> {
    let mut running: FxHashMap<String, Tensor> = FxHashMap::default();
    model.visit(&mut gradloom_nn::Path::root(), &mut |name, parameter| {
        running.insert(name.to_owned(), parameter.tensor().clone());
    });
    let graph = Graph::of(model, std::slice::from_ref(x), logits);
    let mut sum: Option<Tensor> = None;
    for node in &graph.nodes {
        // A batch norm in use subtracts its running mean.
        let (Op::Binary(Binary::Sub), [read, mean]) = (node.op(), node.inputs()) else { continue };
        if graph.varies(mean) || !graph.varies(read) || read.rank() < 2 {
            continue;
        }
        let name = behind(mean).and_then(|weight| graph.weight(&weight).map(str::to_owned));
        let Some(layer) = name.as_deref().and_then(|name| name.strip_suffix("running_mean")) else {
            continue;
        };
        let [Some(mean), Some(variance)] =
            [format!("{layer}running_mean"), format!("{layer}running_var")]
                .map(|name| running.get(&name))
        else {
            continue;
        };
        let axes: Vec<isize> = (0..read.rank() as isize).filter(|&axis| axis != 1).collect();
        let own_mean = read.mean_keepdim(&axes[..]);
        let own_variance = (read - &own_mean).square().mean(&axes[..]);
        let own_mean = own_mean.reshape([mean.count()]);
        let apart =
            (own_mean - mean).square().mean(..) + (own_variance - variance).square().mean(..);
        sum = Some(sum.map_or(apart.clone(), |sum| sum + apart));
    }
    sum
}

/// The weight that a view or cast is of.
fn behind(node: &Tensor) -> Option<Tensor> {
    let mut node = node.clone();
    while let (Op::Reshape | Op::Expand | Op::Cast | Op::Permute(_), [source]) =
        (node.op(), node.inputs())
    {
        node = source.clone();
    }
    Some(node)
}

/// The mean squared difference of neighbours in height and width.
fn roughness(x: &Tensor) -> Tensor {
    let along = |axis: isize| {
        let length = x.size(axis);
        (x.narrow(axis, 1, length - 1) - x.narrow(axis, 0, length - 1)).square().mean(..)
    };
    match (x.size(2), x.size(3)) {
        (0 | 1, _) | (_, 0 | 1) => x.zeros_like().mean(..),
        _ => along(2) + along(3),
    }
}
