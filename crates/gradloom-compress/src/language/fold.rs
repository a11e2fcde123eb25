//! [`Fold`]: scales of columns, undone by what makes the inputs.
//!
//! `W x = (W s) (x / s)`: where a norm or a linear layer makes `x`, dividing its weights by `s` costs nothing when the
//! model runs. Where nothing can take them, [`InputScales`] divides the inputs.

use std::sync::Arc;

use super::awq::{self, ScaleSearch};
use super::{Matrix, Scheme, Statistics, smooth};
use gradloom_nn::{Module, ModuleExt, ProductSite, Products};
use gradloom_tensor::{DType, Error, ErrorKind, Result, Tensor};
use rustc_hash::FxHashMap;

/// Weights that read one input, and the parameters that make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// What is divided along its first axis: the weight and bias of a norm, or the rows and biases of a linear layer
    /// `[O, I]`.
    pub makers: Vec<String>,
    /// Matrices `[O, I]` whose columns are multiplied.
    pub weights: Vec<String>,
    /// Whether matrices have their inputs first.
    pub inputs_first: bool,
}

impl Fold {
    /// The folds of a model that names its parts as Llama or GPT-2 do: norms into the projections behind them, and for
    /// Llama the products behind values and gates, where their sizes fit.
    pub fn known(model: &impl Module) -> Vec<Fold> {
        const KNOWN: [(&str, &[&str], bool); 6] = [
            (
                "input_layernorm",
                &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                false,
            ),
            ("self_attn.v_proj", &["self_attn.o_proj"], false),
            ("post_attention_layernorm", &["mlp.gate_proj", "mlp.up_proj"], false),
            ("mlp.up_proj", &["mlp.down_proj"], false),
            ("ln_1", &["attn.c_attn"], true),
            ("ln_2", &["mlp.c_fc"], true),
        ];
        let size = |name: &str, axis: isize| Some(model.parameter(name)?.size(axis));
        let mut folds = Vec::new();
        for (name, _) in model.parameters() {
            for (maker, behind, inputs_first) in KNOWN {
                let Some(prefix) = name.strip_suffix(&format!("{maker}.weight")) else { continue };
                if !(prefix.is_empty() || prefix.ends_with('.')) {
                    continue;
                }
                let weights: Vec<String> =
                    behind.iter().map(|part| format!("{prefix}{part}.weight")).collect();
                let features = size(&name, 0);
                let fits =
                    |weight: &String| size(weight, if inputs_first { 0 } else { 1 }) == features;
                if weights.iter().all(fits) {
                    let bias = format!("{prefix}{maker}.bias");
                    let makers =
                        [name.clone(), bias].into_iter().filter(|name| size(name, 0).is_some());
                    folds.push(Fold { makers: makers.collect(), weights, inputs_first });
                }
            }
        }
        folds
    }

    /// Divides the makers and multiplies the columns.
    ///
    /// # Errors
    /// If a parameter is not there, is not trainable floats of the scales' size, or a scale is not above 0.
    pub fn apply(&self, model: &mut impl Module, scales: &[f32]) -> Result<()> {
        if let Some(scale) = scales.iter().find(|scale| !(scale.is_finite() && **scale > 0.0)) {
            return Err(Error::invalid(format!(
                "fold: a scale of {scale}; scales must be above 0 and finite"
            )));
        }
        for name in self.makers.iter().chain(&self.weights) {
            let axis = if self.makers.contains(name) || self.inputs_first { 0 } else { 1 };
            let parameter = model.parameter(name).ok_or_else(|| missing(name))?;
            let fits = parameter.rank() > axis as usize && parameter.size(axis) == scales.len();
            if !fits || parameter.is_quantized() || parameter.dtype() != DType::F32 {
                let (dtype, shape) = (parameter.dtype(), parameter.shape());
                let message = format!(
                    "fold: {name} is {dtype} {shape}; it must be plain f32 with {} along axis {axis}",
                    scales.len()
                );
                return Err(Error::shape(message));
            }
        }
        let mut outcome = Ok(());
        model.for_each_parameter(|name, parameter| {
            let divides = self.makers.iter().any(|maker| maker == name);
            if outcome.is_err() || !(divides || self.weights.iter().any(|weight| weight == name)) {
                return;
            }
            outcome =
                Tensor::from_slice(scales, [scales.len()], parameter.device()).and_then(|scales| {
                    let first = divides || self.inputs_first;
                    let scales =
                        if first && parameter.rank() == 2 { scales.unsqueeze(1) } else { scales };
                    let value = parameter.detach();
                    let value = if divides { value / scales } else { value * scales };
                    value.eval()?;
                    parameter.set(&value.detach());
                    Ok(())
                });
        });
        outcome.map_err(|error: Error| error.context("fold"))
    }

    /// The matrices whose columns are multiplied.
    ///
    /// # Errors
    /// If one is not there, or cannot be computed.
    pub fn matrices(&self, model: &impl Module) -> Result<Vec<Matrix>> {
        let matrix = |name: &String| {
            let parameter = model.parameter(name).ok_or_else(|| missing(name))?;
            Matrix::of(parameter, self.inputs_first).map_err(|error| error.context(name))
        };
        self.weights.iter().map(matrix).collect()
    }
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::Missing, format!("fold: the model has no parameter {name}"))
}

/// Searches [AWQ's scales](awq::search_scales) for each fold and applies them, one after the other, in the order in
/// which they are given: makers of later folds are then already scaled.
///
/// # Errors
/// If a search or a fold fails.
pub fn apply_awq(
    model: &mut impl Module,
    folds: &[Fold],
    statistics: &Statistics,
    scheme: Scheme,
) -> Result<Vec<ScaleSearch>> {
    let search = |fold: &Fold| {
        let matrices = fold.matrices(model)?;
        let found = awq::search_scales(
            &matrices.iter().collect::<Vec<_>>(),
            inputs_of(fold, statistics)?,
            scheme,
        )
        .map_err(|error| error.context(&fold.weights[0]))?;
        fold.apply(model, &found.scales)?;
        Ok(found)
    };
    folds.iter().map(search).collect()
}

/// Computes [SmoothQuant's scales](smooth::scales) for each fold and applies them.
///
/// # Errors
/// If statistics do not fit or a fold fails.
pub fn apply_smooth(
    model: &mut impl Module,
    folds: &[Fold],
    statistics: &Statistics,
    alpha: f32,
) -> Result<()> {
    for fold in folds {
        let matrices = fold.matrices(model)?;
        let scales = smooth::scales(
            &matrices.iter().collect::<Vec<_>>(),
            inputs_of(fold, statistics)?,
            alpha,
        )
        .map_err(|error| error.context(&fold.weights[0]))?;
        fold.apply(model, &scales)?;
    }
    Ok(())
}

fn inputs_of<'a>(fold: &Fold, statistics: &'a Statistics) -> Result<&'a super::InputStatistics> {
    let first = fold.weights.first().ok_or_else(|| Error::invalid("fold: no weights"))?;
    statistics.of(first)
}

/// Divides the inputs of weights by scales, for weights that were multiplied by them where no layer before could be
/// divided: a hook for [`Context::with_products`](gradloom_nn::Context::with_products).
#[derive(Default)]
pub struct InputScales {
    inverse: FxHashMap<u64, Tensor>,
}

impl InputScales {
    /// Of no weights.
    pub fn new() -> Self {
        InputScales::default()
    }

    /// Also of this weight, whose columns are multiplied.
    ///
    /// # Errors
    /// As [`Fold::apply`].
    pub fn scale(
        &mut self,
        model: &mut impl Module,
        weight: &str,
        inputs_first: bool,
        scales: &[f32],
    ) -> Result<()> {
        let fold = Fold { makers: Vec::new(), weights: vec![weight.to_owned()], inputs_first };
        fold.apply(model, scales)?;
        let parameter = model.parameter(weight).ok_or_else(|| missing(weight))?;
        let inverse: Vec<f32> = scales.iter().map(|scale| scale.recip()).collect();
        let inverse = Tensor::from_slice(&inverse, [inverse.len()], parameter.device())?;
        let both = match self.inverse.remove(&parameter.identity()) {
            Some(earlier) => earlier * inverse,
            None => inverse,
        };
        self.inverse.insert(parameter.identity(), both);
        Ok(())
    }

    /// As a hook.
    pub fn shared(self) -> Arc<dyn Products> {
        Arc::new(self)
    }
}

impl Products for InputScales {
    fn operands(&self, site: ProductSite<'_>, [x, weight]: [&Tensor; 2]) -> [Tensor; 2] {
        let x = match self.inverse.get(&site.parameter.identity()) {
            Some(inverse) => x * inverse,
            None => x.clone(),
        };
        [x, weight.clone()]
    }
}
