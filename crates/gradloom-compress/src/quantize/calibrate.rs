//! [`Calibrator`]: runs a model over batches and sees how far the numbers reach that its weights are multiplied with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gradloom_nn::{Context, Module, ProductSite, Products};
use gradloom_tensor::{Result, Tensor, eval};
use rustc_hash::FxHashMap;

use super::fusion::between_products;
use super::observer::Statistics;
use super::recipe::{Recipe, check_recipe, mismatch, obstacle, weights};
use super::scheme::{Range, Scheme};
use crate::graph::Graph;

/// How far the inputs of products reach, by the names of the weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    ranges: BTreeMap<String, Range>,
    magnitudes: BTreeMap<String, f64>,
    skipped: Vec<(String, String)>,
}

impl Calibration {
    /// The range of what a weight is multiplied with.
    pub fn range(&self, weight: &str) -> Option<Range> {
        self.ranges.get(weight).copied()
    }

    /// All ranges by the names of weights. Names with a colon are of results between layers.
    pub fn ranges(&self) -> &BTreeMap<String, Range> {
        &self.ranges
    }

    /// The mean magnitude of what a weight is multiplied with.
    pub fn mean_magnitude(&self, weight: &str) -> Option<f64> {
        self.magnitudes.get(weight).copied()
    }

    /// The weights that are not quantized although the recipe says so, and why.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }
}

/// Runs a model over batches, without dropout and with its running statistics, and notes how far the numbers reach
/// that its weights are multiplied with.
///
/// PyTorch: `torch.ao.quantization.prepare` and the runs after it.
///
/// ```
/// use gradloom_compress::quantize::{Calibrator, Recipe};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Init, Layer};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let model = Linear::new(3, 2, &mut Init::new(Key::new(0), &device));
/// let mut calibrator = Calibrator::new(&model, &Recipe::int8())?;
/// for seed in 0..4 {
///     let x = Tensor::uniform(Key::new(seed), [8, 3], -1.0, 1.0, &device);
///     calibrator.batch(&[&x], |model, ctx| model.forward(&x, ctx))?;
/// }
/// let range = calibrator.finish()?.range("weight").unwrap();
/// assert!(range.low < -0.8 && range.high > 0.8);
/// # Ok(())
/// # }
/// ```
pub struct Calibrator<'m, M: ?Sized> {
    model: &'m M,
    recipe: Recipe,
    names: FxHashMap<u64, String>,
    statistics: BTreeMap<String, (Statistics, Scheme)>,
    in_loops: Vec<String>,
    batches: usize,
}

impl<'m, M: Module + ?Sized> Calibrator<'m, M> {
    /// Of nothing yet.
    ///
    /// # Errors
    /// If the recipe names a part that the model does not have, or a layer that cannot be quantized.
    pub fn new(model: &'m M, recipe: &Recipe) -> Result<Self> {
        check_recipe(model, recipe)?;
        let names = weights(model).into_iter();
        let names = names.map(|(name, parameter)| (parameter.identity(), name)).collect();
        Ok(Calibrator {
            model,
            recipe: recipe.clone(),
            names,
            statistics: BTreeMap::new(),
            in_loops: Vec::new(),
            batches: 0,
        })
    }

    /// Runs a batch. `inputs` are the tensors that change from batch to batch.
    ///
    /// # Errors
    /// If the batch is empty, a number is not finite (the weight is named), or a device fails.
    ///
    /// # Panics
    /// As the model does on a batch of another shape.
    pub fn batch(
        &mut self,
        inputs: &[&Tensor],
        run: impl FnOnce(&M, &mut Context) -> Tensor,
    ) -> Result<()> {
        if let Some(empty) = inputs.iter().find(|input| input.count() == 0) {
            return Err(mismatch(format!("calibrate: an empty batch, {}", empty.shape())));
        }
        let watch = Arc::new(Watch::default());
        let output = Context::eval().with_products(watch.clone(), |ctx| run(self.model, ctx));
        let mut seen = self.seen(&watch);
        let inputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        let graph = Graph::of(self.model, &inputs, &output);
        for (name, tensor) in between_products(&graph) {
            let scheme = Scheme::affine(8);
            seen.push((name, tensor, scheme));
        }
        eval(seen.iter().map(|(_, tensor, _)| tensor))?;
        for (name, tensor, scheme) in seen {
            let observer = self.recipe.activation_observer();
            let entry = self.statistics.entry(name.clone());
            let (statistics, _) = entry.or_insert_with(|| (Statistics::new(observer), scheme));
            let values = tensor.to_vec::<f32>()?;
            statistics
                .observe(&values)
                .map_err(|error| error.context(format!("calibrate: {name}")))?;
        }
        self.batches += 1;
        Ok(())
    }

    /// What was multiplied with the weights that the recipe quantizes.
    fn seen(&mut self, watch: &Watch) -> Vec<(String, Tensor, Scheme)> {
        let sites = std::mem::take(&mut *watch.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut seen = Vec::new();
        for (identity, tensor) in sites {
            let Some(name) = self.names.get(&identity) else { continue };
            let Some(scheme) = self.recipe.scheme(name) else { continue };
            match tensor {
                Some(tensor) => {
                    let scheme = scheme.activations.unwrap_or(Scheme::affine(8));
                    seen.push((name.clone(), tensor, scheme));
                }
                None if self.in_loops.contains(name) => {}
                None => self.in_loops.push(name.clone()),
            }
        }
        seen
    }

    /// The ranges.
    ///
    /// # Errors
    /// If there were no batches, no weight of the recipe was reached, or one that the recipe names was not.
    pub fn finish(self) -> Result<Calibration> {
        if self.batches == 0 {
            return Err(mismatch(
                "calibrate: no batches; run some, a few hundred samples are enough",
            ));
        }
        let mut calibration = Calibration::default();
        for (name, (statistics, scheme)) in &self.statistics {
            calibration.ranges.insert(name.clone(), statistics.range(scheme)?);
            calibration.magnitudes.insert(name.clone(), statistics.mean_magnitude());
        }
        for (name, parameter) in weights(self.model) {
            if self.recipe.scheme(&name).is_none() || self.statistics.contains_key(&name) {
                continue;
            }
            let why = match obstacle(parameter) {
                Some(why) => why,
                None if self.in_loops.contains(&name) => {
                    "it is multiplied in a loop, where its inputs cannot be seen"
                }
                None => {
                    "nothing was multiplied with it, as with a table or a layer that did not run"
                }
            };
            if self.recipe.names(&name) {
                return Err(mismatch(format!("calibrate: {name} cannot be quantized: {why}")));
            }
            calibration.skipped.push((name, why.to_owned()));
        }
        if calibration.ranges.is_empty() {
            let listed = calibration.skipped.iter().map(|(name, why)| format!("{name}: {why}"));
            let listed: Vec<String> = listed.collect();
            return Err(mismatch(format!(
                "calibrate: no weight of the recipe was multiplied; {}",
                listed.join("; ")
            )));
        }
        Ok(calibration)
    }
}

/// Keeps the inputs of products, none where they are placeholders of a loop's body.
#[derive(Default)]
struct Watch(Mutex<Vec<(u64, Option<Tensor>)>>);

impl Products for Watch {
    fn operands(&self, site: ProductSite<'_>, [x, weight]: [&Tensor; 2]) -> [Tensor; 2] {
        let seen = (!site.in_loop).then(|| x.clone());
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites.push((site.parameter.identity(), seen));
        [x.clone(), weight.clone()]
    }
}
