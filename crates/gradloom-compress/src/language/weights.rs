//! [`QuantizedWeights`]: the quantized matrices of a model by their names, and how models get them.

use std::collections::{BTreeMap, BTreeSet};

use super::gptq::Gptq;
use super::hqq::Hqq;
use super::{Calibration, Matrix, QuantizedMatrix, Scheme, Statistics, awq, rounding};
use gradloom_nn::{Context, Module, ModuleExt, Parameter, Role};
use gradloom_tensor::{Error, ErrorKind, Result, Tensor};

/// How matrices are quantized.
#[derive(Clone, Copy, Debug)]
pub enum Method {
    /// Round to nearest.
    Nearest(Scheme),
    /// Round to nearest in ranges that are cut for the inputs, AWQ's second half; its scales are applied before, by
    /// [`fold::apply_awq`](super::fold::apply_awq).
    Clipped(Scheme),
    /// GPTQ.
    Gptq(Gptq),
    /// HQQ.
    Hqq(Hqq),
}

impl Method {
    fn needs_inputs(&self) -> bool {
        matches!(self, Method::Clipped(_) | Method::Gptq(_))
    }

    fn quantize(
        &self,
        name: &str,
        weight: &Matrix,
        statistics: Option<&Statistics>,
    ) -> Result<QuantizedMatrix> {
        let inputs = || {
            let missing =
                || Error::invalid("this method needs statistics of inputs; calibrate first");
            statistics.ok_or_else(missing)?.of(name)
        };
        match self {
            Method::Nearest(scheme) => rounding::quantize(weight, *scheme),
            // Scores of attention suffer from cut queries and keys, which no error of a product shows.
            Method::Clipped(scheme) if name.contains("q_proj") || name.contains("k_proj") => {
                rounding::quantize(weight, *scheme)
            }
            Method::Clipped(scheme) => awq::quantize_clipped(weight, inputs()?, *scheme),
            Method::Gptq(gptq) => gptq.quantize(weight, inputs()?),
            Method::Hqq(hqq) => hqq.quantize(weight),
        }
    }
}

/// Which matrices of a model are quantized, and how they lie.
#[derive(Clone, Copy)]
pub struct Selection<'a> {
    choose: &'a dyn Fn(&str) -> bool,
    inputs_first: &'a dyn Fn(&str) -> bool,
}

impl Default for Selection<'_> {
    /// All matrices but tables of tokens and positions and the head of a language model; those that GPT-2 calls
    /// `c_...` have their inputs first.
    fn default() -> Self {
        const LEFT: [&str; 5] = ["embed", "wte", "wpe", "lm_head", "score"];
        Selection {
            choose: &|name| !LEFT.iter().any(|part| name.contains(part)),
            inputs_first: &|name| {
                name.split('.').rev().nth(1).is_some_and(|part| part.starts_with("c_"))
            },
        }
    }
}

impl<'a> Selection<'a> {
    /// Matrices by their names.
    #[must_use]
    pub fn choose(mut self, choose: &'a dyn Fn(&str) -> bool) -> Self {
        self.choose = choose;
        self
    }

    /// Those that lie `[I, O]` instead of `[O, I]`.
    #[must_use]
    pub fn inputs_first(mut self, inputs_first: &'a dyn Fn(&str) -> bool) -> Self {
        self.inputs_first = inputs_first;
        self
    }

    fn names(&self, model: &impl Module) -> Vec<String> {
        let suits = |name: &str, parameter: &Parameter| {
            parameter.role() != Role::State
                && parameter.rank() == 2
                && parameter.dtype().is_float()
                && (self.choose)(name)
        };
        let parameters = model.parameters().into_iter();
        parameters
            .filter(|(name, parameter)| suits(name, parameter))
            .map(|(name, _)| name)
            .collect()
    }
}

/// Quantized matrices by the names of their weights.
#[derive(Clone, Debug, Default)]
pub struct QuantizedWeights {
    pub(super) matrices: BTreeMap<String, QuantizedMatrix>,
    inputs_first: BTreeSet<String>,
}

/// Quantizes the matrices of a model, which stays as it is. With statistics, only those that they know of.
///
/// # Errors
/// If nothing is selected, a method needs statistics that are not there, or a matrix cannot be quantized; the message
/// names it.
pub fn quantize(
    model: &impl Module,
    method: &Method,
    statistics: Option<&Statistics>,
    selection: Selection<'_>,
) -> Result<QuantizedWeights> {
    let mut result = QuantizedWeights::default();
    for name in selection.names(model) {
        let known = statistics.is_some_and(|statistics| statistics.of(&name).is_ok());
        if known || !method.needs_inputs() || statistics.is_none() {
            result.add(model, name, method, statistics, selection)?;
        }
    }
    if result.matrices.is_empty() {
        return Err(Error::invalid(
            "quantize: no matrix of the model is selected, or none was seen in calibration",
        ));
    }
    Ok(result)
}

/// As [`quantize`], one layer after the other in the order in which the model reads them: statistics of a layer are
/// those of inputs that the quantized layers before it make. The model ends with the numbers that the quantized
/// matrices stand for.
///
/// It runs the batches once for each group of weights that read the same, up to there.
///
/// # Errors
/// As [`quantize`] and [`Calibration::measure`]; layers before the one that failed are then quantized.
pub fn quantize_in_order<M: Module, B: Clone>(
    model: &mut M,
    method: &Method,
    batches: &[B],
    mut run: impl FnMut(&M, B, &mut Context) -> Result<Tensor>,
    selection: Selection<'_>,
) -> Result<QuantizedWeights> {
    let names = selection.names(model);
    let first = batches.first().cloned();
    let order = Calibration::new()
        .only(names.iter().map(String::as_str))
        .measure(model, first, &mut run)?;
    let mut result = QuantizedWeights::default();
    for stage in order.stages() {
        let calibration = Calibration::new().with_hessians().only(stage.iter().map(String::as_str));
        let statistics = calibration.measure(model, batches.iter().cloned(), &mut run)?;
        let mut part = QuantizedWeights::default();
        for name in stage {
            part.add(model, name.clone(), method, Some(&statistics), selection)?;
        }
        part.apply(model)?;
        result.matrices.extend(part.matrices);
        result.inputs_first.extend(part.inputs_first);
    }
    Ok(result)
}

impl QuantizedWeights {
    /// Of matrices by their names, outputs first.
    pub fn from_matrices(matrices: impl IntoIterator<Item = (String, QuantizedMatrix)>) -> Self {
        QuantizedWeights { matrices: matrices.into_iter().collect(), inputs_first: BTreeSet::new() }
    }

    fn add(
        &mut self,
        model: &impl Module,
        name: String,
        method: &Method,
        statistics: Option<&Statistics>,
        selection: Selection<'_>,
    ) -> Result<()> {
        let inputs_first = (selection.inputs_first)(&name);
        let parameter =
            model.parameter(&name).ok_or_else(|| Error::new(ErrorKind::Missing, name.clone()))?;
        let quantized = Matrix::of(parameter, inputs_first)
            .and_then(|weight| method.quantize(&name, &weight, statistics))
            .map_err(|error| error.context(format!("quantize: {name}")))?;
        if inputs_first {
            self.inputs_first.insert(name.clone());
        }
        self.matrices.insert(name, quantized);
        Ok(())
    }

    /// A matrix.
    pub fn get(&self, name: &str) -> Option<&QuantizedMatrix> {
        self.matrices.get(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &QuantizedMatrix)> {
        self.matrices.iter().map(|(name, matrix)| (name.as_str(), matrix))
    }

    /// Whether a weight has its inputs first.
    pub fn is_inputs_first(&self, name: &str) -> bool {
        self.inputs_first.contains(name)
    }

    /// Bytes of all of them.
    pub fn byte_count(&self) -> usize {
        self.matrices.values().map(QuantizedMatrix::byte_count).sum()
    }

    /// Gives the model the numbers that they stand for.
    ///
    /// # Errors
    /// If the model has no such parameter, or one of another shape; it is then unchanged.
    pub fn apply(&self, model: &mut impl Module) -> Result<()> {
        self.put(model, &|name, matrix, parameter| {
            matrix.dequantize().to_tensor(self.is_inputs_first(name), parameter.device())
        })
    }

    /// Gives the model matrices over blocks where a format has the same codes and outputs are first, and the numbers
    /// of the others. Returns how many are blocks.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn apply_blocks(&self, model: &mut impl Module) -> Result<usize> {
        let suits = |name: &str, matrix: &QuantizedMatrix| {
            !self.is_inputs_first(name) && matrix.block_format().is_some()
        };
        self.put(model, &|name, matrix, parameter| match suits(name, matrix) {
            true => matrix.to_blocks(parameter.device()),
            false => matrix.dequantize().to_tensor(self.is_inputs_first(name), parameter.device()),
        })?;
        Ok(self.iter().filter(|(name, matrix)| suits(name, matrix)).count())
    }

    fn put(
        &self,
        model: &mut impl Module,
        tensor: &dyn Fn(&str, &QuantizedMatrix, &Parameter) -> Result<Tensor>,
    ) -> Result<()> {
        let mut tensors = BTreeMap::new();
        for (name, matrix) in &self.matrices {
            let missing = || {
                Error::new(ErrorKind::Mismatch, format!("apply: the model has no parameter {name}"))
            };
            let parameter = model.parameter(name).ok_or_else(missing)?;
            let tensor = tensor(name, matrix, parameter).map_err(|error| error.context(name))?;
            if tensor.shape() != parameter.shape() {
                let (found, expected) = (tensor.shape(), parameter.shape());
                let message =
                    format!("apply: {name} has shape {found}, the model's has {expected}");
                return Err(Error::new(ErrorKind::Mismatch, message));
            }
            tensors.insert(name.as_str(), tensor);
        }
        model.for_each_parameter(|name, parameter| {
            if let Some(tensor) = tensors.get(name) {
                parameter.replace(tensor);
            }
        });
        Ok(())
    }
}
