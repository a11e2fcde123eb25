//! [`Importance`]: how much a model needs a channel.

use super::structure::{ChannelGroup, Structure};
use crate::prune::errors::mismatch;
use gradloom_nn::{Gradients, Module, ModuleExt, Parameter};
use gradloom_tensor::{DType, Key, Result, Tensor, eval};
use rustc_hash::FxHashMap;

/// How much a model needs a channel, by all weights that have it.
#[derive(Clone, Debug)]
pub enum Importance<'a> {
    /// The sum of the weights' absolute values, of matrices and kernels. Li et al., "Pruning filters for efficient
    /// ConvNets", 2017.
    L1,
    /// The root of the sum of the weights' squares, of matrices and kernels.
    L2,
    /// The absolute value of batch norms' factors; channels without one count by [`L1`](Importance::L1) of theirs.
    /// Liu et al., "Learning efficient convolutional networks through network slimming", 2017.
    NormScale,
    /// `|sum of weight * gradient|`: how much the loss would change to first order. The gradients are of a loss on
    /// some batches. Molchanov et al., "Importance estimation for neural network pruning", 2019.
    Taylor(&'a Gradients),
    /// By chance: what the others are compared with.
    Random(Key),
}

/// What is added up of a weight, over all axes but one.
type Sums = FxHashMap<[usize; 2], Vec<f32>>;

impl Structure {
    /// How much each channel of each group is needed, each group's mean at one.
    ///
    /// # Errors
    /// If the model is another one, gradients are missing or of other shapes, or the device cannot compute them.
    pub fn scores(
        &self,
        model: &(impl Module + ?Sized),
        importance: &Importance<'_>,
    ) -> Result<Vec<Vec<f64>>> {
        let raw = match importance {
            Importance::Random(key) => self.by_chance(*key, model)?,
            Importance::NormScale => self.of_norms(model)?,
            Importance::L1 => self.added(&self.sums(model, |_, weight| Ok(weight.abs()))?),
            Importance::L2 => {
                let sums = self.sums(model, |_, weight| Ok(weight.square()))?;
                self.added(&sums)
                    .into_iter()
                    .map(|own| own.into_iter().map(f64::sqrt).collect())
                    .collect()
            }
            Importance::Taylor(gradients) => {
                let sums = self.sums(model, |name, weight| {
                    let gradient = gradients.get(name).filter(|own| own.shape() == weight.shape());
                    let gradient = gradient.ok_or_else(|| {
                        mismatch(format!(
                            "importance: there is no gradient for {name} {}",
                            weight.shape()
                        ))
                    })?;
                    Ok(weight * gradient.wide())
                })?;
                self.added(&sums)
                    .into_iter()
                    .map(|own| own.into_iter().map(f64::abs).collect())
                    .collect()
            }
        };
        Ok(raw.into_iter().map(normalized).collect())
    }

    fn by_chance(&self, key: Key, model: &(impl Module + ?Sized)) -> Result<Vec<Vec<f64>>> {
        let parameters = model.parameters();
        let Some((_, first)) = parameters.first() else { return Ok(Vec::new()) };
        let draw = |(number, group): (usize, &ChannelGroup)| {
            let key = key.fold(number as u32);
            let drawn = Tensor::uniform(key, [group.channels()], 0.0, 1.0, first.device());
            Ok(drawn.to_vec::<f32>()?.into_iter().map(f64::from).collect())
        };
        self.groups().iter().enumerate().map(draw).collect()
    }

    /// By batch norms where a channel has one.
    fn of_norms(&self, model: &(impl Module + ?Sized)) -> Result<Vec<Vec<f64>>> {
        let mut by_size = self.added(&self.sums(model, |_, weight| Ok(weight.abs()))?);
        let mut scales: FxHashMap<usize, Vec<f32>> = FxHashMap::default();
        for (number, own) in self.weights.iter().enumerate() {
            if let Some(layer) = own.name.strip_suffix("weight")
                && let Some(scale) = model.parameter(&own.name)
                && scale.rank() == 1
                && model.parameter(&format!("{layer}running_mean")).is_some()
            {
                scales.insert(number, scale.abs().cast(DType::F32).to_vec::<f32>()?);
            }
        }
        for (group, scores) in self.groups().iter().zip(&mut by_size) {
            let of_norms = group.channels.iter().map(|(_, places)| {
                let own = places
                    .iter()
                    .filter_map(|[weight, _, index]| scales.get(weight).map(|own| own[*index]));
                own.map(f64::from).reduce(|sum, scale| sum + scale)
            });
            if let Some(of_norms) = of_norms.collect::<Option<Vec<f64>>>() {
                *scores = of_norms;
            }
        }
        Ok(by_size)
    }

    /// Sums of something of each weight over all axes but one, for each axis with channels.
    fn sums(
        &self,
        model: &(impl Module + ?Sized),
        of: impl Fn(&str, &Tensor) -> Result<Tensor>,
    ) -> Result<Sums> {
        let parameters = model.parameters();
        let by_name: FxHashMap<&str, &Parameter> =
            parameters.iter().map(|(name, parameter)| (name.as_str(), *parameter)).collect();
        let mut lazy: Vec<([usize; 2], Tensor)> = Vec::new();
        for (number, weight) in self.weights.iter().enumerate() {
            let axes = self.pruned_axes(number);
            if weight.is_state || weight.shape.rank() < 2 || axes.is_empty() {
                continue;
            }
            let parameter =
                by_name.get(weight.name.as_str()).filter(|own| *own.shape() == weight.shape);
            let parameter = parameter.ok_or_else(|| {
                mismatch(format!("importance: {} is not as it was traced", weight.name))
            })?;
            let element = of(&weight.name, &parameter.cast(DType::F32))?;
            for axis in axes {
                let others: Vec<isize> = (0..weight.shape.rank())
                    .filter(|&other| other != axis)
                    .map(|other| other as isize)
                    .collect();
                lazy.push(([number, axis], element.sum(&others[..])));
            }
        }
        eval(lazy.iter().map(|(_, sum)| sum))?;
        lazy.into_iter().map(|(place, sum)| Ok((place, sum.to_vec::<f32>()?))).collect()
    }

    /// Axes of a weight along which channels can be removed.
    fn pruned_axes(&self, weight: usize) -> Vec<usize> {
        let name = &self.weights[weight].name;
        let all = self.groups().iter().flat_map(|group| &group.axes);
        let mut axes: Vec<usize> =
            all.filter(|(own, _)| own == name).map(|&(_, axis)| axis).collect();
        axes.sort_unstable();
        axes.dedup();
        axes
    }

    fn added(&self, sums: &Sums) -> Vec<Vec<f64>> {
        let of_channel = |places: &[[usize; 3]]| {
            let own = places.iter().filter_map(|&[weight, axis, index]| {
                sums.get(&[weight, axis]).map(|sums| f64::from(sums[index]))
            });
            own.sum()
        };
        let of_group = |group: &ChannelGroup| {
            group.channels.iter().map(|(_, places)| of_channel(places)).collect()
        };
        self.groups().iter().map(of_group).collect()
    }
}

fn normalized(scores: Vec<f64>) -> Vec<f64> {
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let divisor = if mean > 0.0 { mean } else { 1.0 };
    scores.into_iter().map(|score| score / divisor).collect()
}
