//! [`ModuleExt`]: what every [`Module`] can do by its visits.

use crate::{LoadOptions, LoadReport, Module, Parameter, Path, Result, Role, StateDict};
use gradloom_tensor::{Device, Tensor};

/// What every module can do. Names are dotted: `encoder.layer.0.weight`.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Init, LoadOptions, ModuleExt};
/// use gradloom_tensor::Key;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let mut model = Linear::new(3, 8, init);
/// assert_eq!((model.parameter_count(), &model.parameters()[0].0[..]), (32, "weight"));
/// model.set_trainable(false, |name| name == "bias");
/// assert_eq!(model.trainable().len(), 1);
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.safetensors");
/// model.save(&path)?;
/// model.load(&path, &LoadOptions::strict())?;
/// # Ok(())
/// # }
/// ```
pub trait ModuleExt: Module {
    /// All parameters with their names, in the order of the fields.
    fn parameters(&self) -> Vec<(String, &Parameter)> {
        let mut parameters = Vec::new();
        self.visit(&mut Path::root(), &mut |name, parameter| {
            parameters.push((name.to_owned(), parameter));
        });
        parameters
    }

    /// The parameters that optimizers change.
    fn trainable(&self) -> Vec<(String, &Parameter)> {
        let mut parameters = self.parameters();
        parameters.retain(|(_, parameter)| parameter.is_trainable());
        parameters
    }

    /// The parameter with this name.
    fn parameter(&self, name: &str) -> Option<&Parameter> {
        let mut found = None;
        self.visit(&mut Path::root(), &mut |candidate, parameter| {
            if candidate == name {
                found = Some(parameter);
            }
        });
        found
    }

    /// Number of learnt elements, frozen ones included, running statistics not.
    fn parameter_count(&self) -> usize {
        let mut count = 0;
        self.visit(&mut Path::root(), &mut |_, parameter| {
            if parameter.role() != Role::State {
                count += parameter.count();
            }
        });
        count
    }

    /// Calls `change` with every parameter.
    fn for_each_parameter(&mut self, mut change: impl FnMut(&str, &mut Parameter)) {
        self.visit_mut(&mut Path::root(), &mut change);
    }

    /// Freezes all weights: they get no gradients and optimizers leave them alone.
    fn freeze(&mut self) {
        self.set_trainable(false, |_| true);
    }

    /// Makes all frozen weights trainable.
    fn unfreeze(&mut self) {
        self.set_trainable(true, |_| true);
    }

    /// Freezes or unfreezes the weights whose names `choose` is true for. Returns their number.
    ///
    /// `model.set_trainable(false, |name| !name.starts_with("head."))` leaves only the head to learn.
    fn set_trainable(&mut self, trainable: bool, choose: impl Fn(&str) -> bool) -> usize {
        let mut chosen = 0;
        self.for_each_parameter(|name, parameter| {
            if parameter.role() != Role::State && choose(name) {
                parameter.set_trainable(trainable);
                chosen += 1;
            }
        });
        chosen
    }

    /// Leaves the weights whose names `choose` is true for out of mixed precision, or lets them take part: their
    /// layers multiply in f32. Returns their number.
    ///
    /// `model.set_full_precision(true, |name| name.starts_with("head."))` keeps the head in f32. PyTorch:
    /// `autocast(enabled=False)` around a layer.
    fn set_full_precision(&mut self, full: bool, choose: impl Fn(&str) -> bool) -> usize {
        let mut chosen = 0;
        self.for_each_parameter(|name, parameter| {
            if choose(name) {
                parameter.set_full_precision(full);
                chosen += 1;
            }
        });
        chosen
    }

    /// All parameters by name, without histories.
    fn state_dict(&self) -> StateDict {
        let mut dict = StateDict::new();
        self.visit(&mut Path::root(), &mut |name, parameter| {
            dict.insert(name, parameter.tensor().detach());
        });
        dict
    }

    /// Takes over the values of a dictionary. On an error the model is as before.
    ///
    /// # Errors
    /// If a shape or dtype differs or, unless `options` are lenient, a name is missing or unexpected.
    fn load_state_dict(&mut self, dict: &StateDict, options: &LoadOptions) -> Result<LoadReport>
    where
        Self: Sized,
    {
        crate::state_dict::load(self, dict, options)
    }

    /// Saves all parameters in a safetensors file; see [`weights::save`](crate::weights::save).
    ///
    /// # Errors
    /// If a parameter cannot be computed or the file cannot be written.
    fn save(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        crate::weights::save(path, &self.state_dict())
    }

    /// Takes over the values of a safetensors file. On an error the model is as before.
    ///
    /// # Errors
    /// As [`load_state_dict`](ModuleExt::load_state_dict), and if the file is missing or damaged.
    fn load(
        &mut self,
        path: impl AsRef<std::path::Path>,
        options: &LoadOptions,
    ) -> Result<LoadReport>
    where
        Self: Sized,
    {
        let path = path.as_ref();
        let device = self.parameters().first().map(|(_, parameter)| parameter.device().clone());
        let Some(device) = device else { return Ok(LoadReport::default()) };
        let dict = crate::weights::load(path, &device)?;
        let loaded = self.load_state_dict(&dict, options);
        loaded.map_err(|error| error.context(path.display().to_string()))
    }

    /// Moves every parameter to another device.
    ///
    /// # Errors
    /// If a parameter cannot be computed or copied.
    fn to_device(&mut self, device: &Device) -> Result<()> {
        let mut result = Ok(());
        self.visit_mut(&mut Path::root(), &mut |name, parameter| {
            if result.is_err() || parameter.device() == device {
                return;
            }
            match copy(parameter, device) {
                Ok(tensor) => parameter.replace(&tensor),
                Err(error) => {
                    result = Err(error.context(format!("to_device: {name}")));
                }
            }
        });
        result
    }
}

impl<M: Module + ?Sized> ModuleExt for M {}

/// A leaf on another device; a matrix in blocks stays one.
fn copy(tensor: &Tensor, device: &Device) -> gradloom_tensor::Result<Tensor> {
    if let (Some(format), Some(blocks)) = (tensor.block_format(), tensor.to_blocks()?) {
        return Tensor::from_blocks(format, [tensor.size(0), tensor.size(1)], &blocks, device);
    }
    let moved = tensor.to_device(device);
    moved.eval()?;
    Ok(moved.detach())
}
