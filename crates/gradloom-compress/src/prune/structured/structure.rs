//! [`Structure`]: which channels a model has, and what each costs.

use std::collections::BTreeMap;

use super::atoms::Axis;
use super::trace::{Factor, Trace};
use gradloom_nn::{Context, Module};
use gradloom_tensor::{Shape, Tensor};

/// The channels of a model that can be removed, and what keeps the others.
///
/// ```
/// use gradloom_compress::prune::structured::Structure;
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Activation, Init, Layer, Sequential};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let model = Sequential::new()
///     .with(Linear::new(4, 16, init))
///     .with(Activation::Relu)
///     .with(Linear::new(16, 3, init));
/// let x = Tensor::ones([1, 4], DType::F32, &device);
/// let structure = Structure::of(&model, &[&x], |model, ctx| model.forward(&x, ctx));
/// let hidden = &structure.groups()[0];
/// assert_eq!(hidden.channels(), 16);
/// let weights: Vec<(&str, usize)> = hidden.weights().collect();
/// assert_eq!(weights, [("0.weight", 0), ("0.bias", 0), ("2.weight", 1)]);
/// assert!(structure.kept().any(|kept| kept.weight == "2.weight" && kept.reason.contains("output")));
/// ```
pub struct Structure {
    pub(super) weights: Vec<WeightAxes>,
    groups: Vec<ChannelGroup>,
    kept: Vec<Kept>,
    /// Multiplications and additions of each op.
    costs: Vec<Cost>,
    pub(super) steps: Vec<Expected>,
    atoms: usize,
}

/// A weight with the channels that its axes have.
pub(super) struct WeightAxes {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) is_state: bool,
    /// Of each index of each axis its channel's number; no axes of a weight that took no part.
    pub(super) axes: Vec<Vec<u32>>,
}

struct Cost {
    factor: f64,
    channels: Vec<Vec<u32>>,
}

/// A node of the run: its op, and of each axis the channels it has, or its size, or none if any size will do.
pub(super) struct Expected {
    pub(super) op: &'static str,
    pub(super) axes: Vec<ExpectedAxis>,
}

pub(super) enum ExpectedAxis {
    Any,
    Size(usize),
    Channels(Vec<u32>),
}

/// Channels that the same weights have along the same axes.
#[derive(Clone, Debug)]
pub struct ChannelGroup {
    pub(super) axes: Vec<(String, usize)>,
    /// Of each channel: its number, and its places in weights: weight, axis and index.
    pub(super) channels: Vec<(u32, Vec<[usize; 3]>)>,
}

impl ChannelGroup {
    /// Number of channels. A head of attention counts as one, and so does a group of a convolution.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The weights that have the channels, and along which axis.
    pub fn weights(&self) -> impl Iterator<Item = (&str, usize)> {
        self.axes.iter().map(|(name, axis)| (name.as_str(), *axis))
    }
}

/// An axis of a weight whose size stays, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The weight's name.
    pub weight: String,
    /// The axis.
    pub axis: usize,
    /// What keeps it, as the end of a sentence whose subject it is.
    pub reason: String,
}

/// Channels that are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// By the channel's number.
    pub(super) removed: Vec<bool>,
}

impl Removal {
    pub(super) fn keeps(&self, channel: u32) -> bool {
        !self.removed[channel as usize]
    }

    fn count(&self, channels: &[u32]) -> usize {
        channels.iter().filter(|&&channel| self.keeps(channel)).count()
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.removed.iter().filter(|&&removed| removed).count()
    }
}

impl Structure {
    /// Of a model by one run with dropout off. The inputs are those tensors whose sizes are the user's; of the
    /// run nothing is computed, so one small sample is enough.
    ///
    /// What is made inside of a loop (recurrent layers), by ops of other crates or by quantized weights is
    /// [kept](Structure::kept).
    pub fn of<M: Module + ?Sized>(
        model: &M,
        inputs: &[&Tensor],
        run: impl FnOnce(&M, &mut Context) -> Tensor,
    ) -> Structure {
        Structure::of_outputs(model, inputs, |model, ctx| vec![run(model, ctx)])
    }

    /// As [`of`](Structure::of), of a model with several outputs.
    pub fn of_outputs<M: Module + ?Sized>(
        model: &M,
        inputs: &[&Tensor],
        run: impl FnOnce(&M, &mut Context) -> Vec<Tensor>,
    ) -> Structure {
        let outputs = run(model, &mut Context::eval());
        Structure::read(Trace::of(model, inputs, &outputs))
    }

    fn read(trace: Trace) -> Structure {
        let atoms = &trace.atoms;
        let roots =
            |own: &[u32]| -> Vec<u32> { own.iter().map(|&atom| atoms.find(atom)).collect() };
        let mut kept = Vec::new();
        let mut places: BTreeMap<u32, Vec<[usize; 3]>> = BTreeMap::new();
        for (number, weight) in trace.weights.iter().enumerate() {
            let mut keep = |axis: usize, reason: &str| {
                let (weight, reason) = (weight.name.clone(), reason.to_owned());
                kept.push(Kept { weight, axis, reason });
            };
            if weight.axes.is_empty() && !weight.shape.is_empty() {
                keep(0, "takes no part in the run");
            }
            for (axis, own) in weight.axes.iter().enumerate() {
                if let Some(reason) = own.iter().find_map(|&atom| atoms.reason(atom)) {
                    keep(axis, reason);
                }
                for (index, &atom) in own.iter().enumerate() {
                    if atoms.reason(atom).is_none() {
                        places.entry(atoms.find(atom)).or_default().push([number, axis, index]);
                    }
                }
            }
        }
        let groups = groups(&trace, places);
        let expected = |axis: &Axis, size: usize| match axis {
            Axis::Free => ExpectedAxis::Any,
            Axis::Fixed => ExpectedAxis::Size(size),
            Axis::Channels(own) => ExpectedAxis::Channels(roots(own)),
        };
        let steps = trace.steps.iter().map(|step| Expected {
            op: step.op,
            axes: step
                .axes
                .iter()
                .zip(step.shape.iter())
                .map(|(axis, &size)| expected(axis, size))
                .collect(),
        });
        let costs = trace.costs.iter().map(|factors| {
            let mut cost = Cost { factor: 1.0, channels: Vec::new() };
            for factor in factors {
                match factor {
                    Factor::Count(count) => cost.factor *= count,
                    Factor::Channels(own) => cost.channels.push(roots(own)),
                }
            }
            cost
        });
        let weights = trace.weights.iter().map(|weight| WeightAxes {
            name: weight.name.clone(),
            shape: weight.shape,
            is_state: weight.is_state,
            axes: weight.axes.iter().map(|own| roots(own)).collect(),
        });
        Structure {
            steps: steps.collect(),
            costs: costs.collect(),
            weights: weights.collect(),
            groups,
            kept,
            atoms: atoms.len(),
        }
    }

    /// The channels that can be removed.
    pub fn groups(&self) -> &[ChannelGroup] {
        &self.groups
    }

    /// The axes of weights whose sizes stay, and why.
    pub fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }

    /// No channel.
    pub fn none(&self) -> Removal {
        Removal { removed: vec![false; self.atoms] }
    }

    /// The channels of these numbers of a group, and no others.
    ///
    /// # Panics
    /// If there is no such group or channel, or all channels of the group would go.
    #[track_caller]
    pub fn removal(&self, group: usize, channels: &[usize]) -> Removal {
        let count = self.groups.len();
        assert!(group < count, "structure: group {group} of {count}");
        let own = &self.groups[group].channels;
        let mut removal = self.none();
        for &channel in channels {
            assert!(channel < own.len(), "structure: channel {channel} of {}", own.len());
            removal.removed[own[channel].0 as usize] = true;
        }
        let left = own.iter().any(|&(channel, _)| removal.keeps(channel));
        assert!(left, "structure: all {} channels of group {group} would go; keep one", own.len());
        removal
    }

    /// Multiplications and additions of the run's products, convolutions and attention, without these channels.
    pub fn flops(&self, removal: &Removal) -> f64 {
        let of = |cost: &Cost| {
            let counts = cost.channels.iter().map(|own| removal.count(own) as f64);
            cost.factor * counts.product::<f64>()
        };
        self.costs.iter().map(of).sum()
    }

    /// Number of weights without these channels; running statistics are not counted.
    pub fn parameters(&self, removal: &Removal) -> usize {
        let of = |weight: &WeightAxes| match weight.axes.is_empty() {
            true => weight.shape.count(),
            false => weight.axes.iter().map(|own| removal.count(own)).product(),
        };
        self.weights.iter().filter(|weight| !weight.is_state).map(of).sum()
    }

    /// Where a run of the smaller model is not what was expected of it.
    pub(super) fn difference(&self, removal: &Removal, smaller: &Structure) -> Option<String> {
        for (own, found) in self.steps.iter().zip(&smaller.steps) {
            if own.op != found.op {
                return Some(format!("{} where {} was", found.op, own.op));
            }
            for (axis, (own_axis, found_axis)) in own.axes.iter().zip(&found.axes).enumerate() {
                let expected = match own_axis {
                    ExpectedAxis::Any => continue,
                    ExpectedAxis::Size(size) => *size,
                    ExpectedAxis::Channels(channels) => removal.count(channels),
                };
                let size = match found_axis {
                    ExpectedAxis::Any => continue,
                    ExpectedAxis::Size(size) => *size,
                    ExpectedAxis::Channels(channels) => channels.len(),
                };
                if size != expected {
                    return Some(format!(
                        "{} with {size} along axis {axis} instead of {expected}",
                        own.op
                    ));
                }
            }
        }
        let (before, after) = (self.steps.len(), smaller.steps.len());
        (before != after).then(|| format!("{after} ops instead of {before}"))
    }
}

impl std::fmt::Debug for Structure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Structure").field("groups", &self.groups).finish_non_exhaustive()
    }
}

/// Channels by the weights and axes that have them.
fn groups(trace: &Trace, places: BTreeMap<u32, Vec<[usize; 3]>>) -> Vec<ChannelGroup> {
    let mut groups: BTreeMap<Vec<[usize; 2]>, ChannelGroup> = BTreeMap::new();
    for (channel, places) in places {
        let mut axes: Vec<[usize; 2]> =
            places.iter().map(|&[weight, axis, _]| [weight, axis]).collect();
        axes.dedup();
        let name = |&[weight, axis]: &[usize; 2]| (trace.weights[weight].name.clone(), axis);
        let new = || ChannelGroup { axes: axes.iter().map(name).collect(), channels: Vec::new() };
        groups.entry(axes.clone()).or_insert_with(new).channels.push((channel, places));
    }
    groups.into_values().collect()
}
