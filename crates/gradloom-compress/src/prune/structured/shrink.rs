//! Channels are taken out of a model's weights, or set to zero.

use super::structure::{Removal, Structure, WeightAxes};
use crate::prune::errors::mismatch;
use gradloom_nn::{Module, ModuleExt, Parameter};
use gradloom_tensor::{Device, Result, Tensor, eval};
use rustc_hash::FxHashMap;

impl Structure {
    /// Takes channels out of the weights, which get smaller, and out of running statistics.
    ///
    /// # Errors
    /// If the model is not as it was traced, or the device cannot compute the weights; the model is then as before.
    pub fn shrink(&self, model: &mut (impl Module + ?Sized), removal: &Removal) -> Result<()> {
        let smaller = self.changed(model, |own, parameter| {
            let mut tensor = parameter.tensor().detach();
            for (axis, channels) in own.axes.iter().enumerate() {
                let left: Vec<i32> = (0..channels.len())
                    .filter(|&index| removal.keeps(channels[index]))
                    .map(|index| index as i32)
                    .collect();
                if left.len() < channels.len() {
                    let index = Tensor::from_slice(&left, [left.len()], parameter.device())?;
                    tensor = tensor.index_select(axis as isize, &index);
                }
            }
            Ok((tensor.shape() != parameter.shape()).then_some(tensor))
        })?;
        model.for_each_parameter(|name, parameter| {
            if let Some(tensor) = smaller.get(name) {
                parameter.resize(tensor);
            }
        });
        Ok(())
    }

    /// Sets the weights of channels to zero instead: the model computes what the smaller one does. Running statistics
    /// stay.
    ///
    /// # Errors
    /// As [`shrink`](Structure::shrink).
    pub fn zero(&self, model: &mut (impl Module + ?Sized), removal: &Removal) -> Result<()> {
        let zeroed = self.changed(model, |own, parameter| {
            if own.is_state {
                return Ok(None);
            }
            let mut tensor = parameter.tensor().detach();
            for (axis, channels) in own.axes.iter().enumerate() {
                if channels.iter().any(|&channel| !removal.keeps(channel)) {
                    tensor = &tensor
                        * mask(removal, (axis, channels), own, parameter.device())?
                            .cast(tensor.dtype());
                }
            }
            Ok(Some(tensor))
        })?;
        model.for_each_parameter(|name, parameter| {
            if let Some(tensor) = zeroed.get(name) {
                parameter.set(tensor);
            }
        });
        Ok(())
    }

    /// What a function makes of each weight that took part, computed.
    fn changed(
        &self,
        model: &(impl Module + ?Sized),
        change: impl Fn(&WeightAxes, &Parameter) -> Result<Option<Tensor>>,
    ) -> Result<FxHashMap<String, Tensor>> {
        let parameters = model.parameters();
        let by_name: FxHashMap<&str, &Parameter> =
            parameters.iter().map(|(name, parameter)| (name.as_str(), *parameter)).collect();
        let mut changed = FxHashMap::default();
        for own in self.weights.iter().filter(|own| !own.axes.is_empty()) {
            let found = by_name.get(own.name.as_str()).filter(|found| *found.shape() == own.shape);
            let Some(parameter) = found else {
                return Err(mismatch(format!(
                    "prune: {} is not {} as it was traced",
                    own.name, own.shape
                )));
            };
            if let Some(tensor) = change(own, parameter)? {
                changed.insert(own.name.clone(), tensor);
            }
        }
        eval(changed.values())?;
        Ok(changed)
    }
}

/// Ones and zeros along an axis.
fn mask(
    removal: &Removal,
    (axis, channels): (usize, &[u32]),
    own: &WeightAxes,
    device: &Device,
) -> Result<Tensor> {
    let ones: Vec<f32> =
        channels.iter().map(|&channel| f32::from(u8::from(removal.keeps(channel)))).collect();
    let mut shape = vec![1; own.shape.rank()];
    shape[axis] = ones.len();
    Tensor::from_slice(&ones, &shape[..], device)
}
