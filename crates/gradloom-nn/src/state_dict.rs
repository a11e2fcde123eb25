//! [`StateDict`]: tensors by name, and how a model takes them over.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Module, Parameter, Path, Result, Role, error};
use gradloom_tensor::Tensor;

/// Tensors by name, in alphabetical order: the weights of a model, or the state of an optimizer.
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    tensors: BTreeMap<String, Tensor>,
}

impl StateDict {
    /// Without tensors.
    pub fn new() -> Self {
        StateDict::default()
    }

    /// Adds a tensor, and gives back the one that had the name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        self.tensors.insert(name.into(), tensor)
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Takes the tensor with this name out.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.tensors.remove(name)
    }

    /// All names and tensors.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// True without tensors.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The same tensors under names that `rename` gives; those it gives none are left out.
    ///
    /// `dict.rename(|name| name.strip_prefix("bert.").map(str::to_owned))` is what a model that is the
    /// encoder of a larger one can load.
    #[must_use]
    pub fn rename(&self, rename: impl Fn(&str) -> Option<String>) -> StateDict {
        self.iter().filter_map(|(name, tensor)| Some((rename(name)?, tensor.clone()))).collect()
    }
}

impl<S: Into<String>> FromIterator<(S, Tensor)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (S, Tensor)>>(tensors: I) -> Self {
        StateDict {
            tensors: tensors.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect(),
        }
    }
}

impl IntoIterator for StateDict {
    type Item = (String, Tensor);
    type IntoIter = std::collections::btree_map::IntoIter<String, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

/// What a model may overlook when it takes over a dictionary. Shapes must fit unless they may be
/// [resized](LoadOptions::resized).
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    lenient: bool,
    cast: bool,
    resized: bool,
}

impl LoadOptions {
    /// Names and dtypes must fit exactly.
    pub fn strict() -> Self {
        LoadOptions::default()
    }

    /// Missing and unexpected names are only reported.
    pub fn lenient() -> Self {
        LoadOptions { lenient: true, ..LoadOptions::default() }
    }

    /// Floats of another dtype are converted to the parameter's.
    #[must_use]
    pub fn cast(mut self) -> Self {
        self.cast = true;
        self
    }

    /// The model takes the sizes of its axes from the dictionary: of a model that was pruned since. The number of
    /// axes must fit, and whether the sizes fit each other shows when the model runs.
    ///
    /// ```
    /// use gradloom_nn::layers::Linear;
    /// use gradloom_nn::{Init, LoadOptions, ModuleExt};
    /// use gradloom_tensor::Key;
    ///
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let init = &mut Init::new(Key::new(0), &device);
    /// let (small, mut large) = (Linear::new(3, 2, init), Linear::new(3, 8, init));
    /// large.load_state_dict(&small.state_dict(), &LoadOptions::strict().resized())?;
    /// assert_eq!(large.outputs(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn resized(mut self) -> Self {
        self.resized = true;
        self
    }
}

/// What a lenient load overlooked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that the dictionary does not have; they keep their values.
    pub missing: Vec<String>,
    /// Names in the dictionary that the model does not have.
    pub unexpected: Vec<String>,
}

pub(crate) fn load(
    module: &mut dyn Module,
    dict: &StateDict,
    options: &LoadOptions,
) -> Result<LoadReport> {
    let (mut names, mut report) = (BTreeSet::new(), LoadReport::default());
    let mut problems = Vec::new();
    module.visit(&mut Path::root(), &mut |name, parameter| {
        match dict.get(name) {
            None => report.missing.push(name.to_owned()),
            Some(tensor) => problems.extend(misfit(name, parameter, tensor, options)),
        }
        names.insert(name.to_owned());
    });
    let unexpected = dict.iter().map(|(name, _)| name).filter(|name| !names.contains(*name));
    report.unexpected = unexpected.filter(|name| !is_counter(name)).map(str::to_owned).collect();
    if !options.lenient {
        problems.extend(listed("missing from the file", &report.missing));
        problems.extend(listed("not in the model", &report.unexpected));
    }
    if !problems.is_empty() {
        let advice = if options.lenient { "" } else { "; LoadOptions::lenient overlooks names" };
        return Err(error::mismatch(format!("load: {}{advice}", problems.join("; "))));
    }
    module.visit_mut(&mut Path::root(), &mut |name, parameter| {
        if let Some(tensor) = dict.get(name) {
            parameter.resize(&fitted(tensor, parameter));
        }
    });
    Ok(report)
}

/// True for the counters that PyTorch's batch norms save and never read by default.
fn is_counter(name: &str) -> bool {
    name == "num_batches_tracked" || name.ends_with(".num_batches_tracked")
}

/// What keeps a tensor from being the new value of a parameter.
fn misfit(
    name: &str,
    parameter: &Parameter,
    tensor: &Tensor,
    options: &LoadOptions,
) -> Option<String> {
    let resizable = options.resized && tensor.rank() == parameter.rank();
    if tensor.shape() != parameter.shape() && !resizable {
        let (found, expected) = (tensor.shape(), parameter.shape());
        return Some(format!("{name} has shape {found}, the model's has {expected}"));
    }
    if tensor.device() != parameter.device() {
        let (found, expected) = (tensor.device().name(), parameter.device().name());
        return Some(format!("{name} is on {found}, the model on {expected}"));
    }
    let (found, expected) = (tensor.dtype(), parameter.dtype());
    let floats = found.is_float() && expected.is_float();
    // Statistics of a model in halves are wider than in files of other libraries.
    let widens = parameter.role() == Role::State && found.compute() == expected;
    let convertible = floats && (options.cast || widens);
    (found != expected && !convertible).then(|| {
        let advice = if floats { " (LoadOptions::cast converts floats)" } else { "" };
        format!("{name} is {found}, the model's is {expected}{advice}")
    })
}

fn fitted(tensor: &Tensor, parameter: &Parameter) -> Tensor {
    if tensor.dtype() == parameter.dtype() {
        return tensor.clone();
    }
    Tensor::from_op(
        gradloom_tensor::Op::Cast,
        vec![tensor.clone()],
        *tensor.shape(),
        parameter.dtype(),
        tensor.device(),
    )
}

/// `3 names missing from the file: a, b, c`, at most eight of them.
fn listed(what: &str, names: &[String]) -> Option<String> {
    const SHOWN_MAX: usize = 8;
    let shown = names.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match names.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| format!("{} names are {what}: {shown}{more}", names.len()))
}
