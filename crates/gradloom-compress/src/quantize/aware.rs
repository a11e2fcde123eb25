//! [`FakeQuantized`]: a model whose products read rounded operands, and which learns so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use gradloom_nn::module::for_each_tensor;
use gradloom_nn::{Context, Layer, Module, ModuleExt, Parameter, Path, ProductSite, Products};
use gradloom_tensor::{DType, Result, Tensor, Tensors};
use rustc_hash::FxHashMap;

use super::calibrate::Calibration;
use super::fake::{fake_quantize, initial_step, learned_step_quantize};
use super::observer::Observer;
use super::parameters::QuantizationParameters;
use super::quantizers::Quantizers;
use super::recipe::{Recipe, mismatch};
use super::scheme::{Granularity, Range, Scheme};
use super::weights::round_weights;

/// How scales come about in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scales {
    /// They are learnt (LSQ). Zero points are 0: inputs that were never negative are unsigned.
    Learned,
    /// Those of weights follow the weights; those of inputs follow running least and largest values, which each
    /// batch moves by this share of the way.
    Moving(f64),
    /// They stay as they are.
    Fixed,
}

/// A quantizer of a weight or of its input.
#[derive(Clone, Debug)]
struct Quantizer {
    scheme: Scheme,
    /// `[scales]`, or `[2]` least and largest where these move.
    scale: Parameter,
    /// `[scales]`, where scales are fixed.
    zero_point: Option<Parameter>,
    scales: Scales,
}

/// A model whose products read weights and inputs rounded to a few bits, forward and backward: quantization-aware
/// training. It is a layer if the model is, so it trains as any other.
///
/// Names of the model's parameters stay; beside `0.weight` are `0.weight_scale` and `0.input_scale`. Without training it
/// says what post-training quantization would answer.
///
/// PyTorch: `torch.ao.quantization.prepare_qat`, `FakeQuantize`. Esser et al., "Learned step size quantization", 2020.
///
/// ```
/// use gradloom_compress::quantize::{Calibrator, FakeQuantized, LayerScheme, Recipe, Scales};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, ModuleExt};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let model = Linear::new(3, 2, &mut Init::new(Key::new(0), &device));
/// let x = Tensor::uniform(Key::new(1), [8, 3], -1.0, 1.0, &device);
/// let recipe = Recipe::new(LayerScheme::bits(4, 4));
/// let mut calibrator = Calibrator::new(&model, &recipe)?;
/// calibrator.batch(&[&x], |model, ctx| model.forward(&x, ctx))?;
/// let calibration = calibrator.finish()?;
/// let aware = FakeQuantized::new(model, &recipe, &calibration, Scales::Learned)?;
/// let names: Vec<String> = aware.trainable().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["weight", "bias", "weight_scale", "input_scale"]);
/// let y = aware.forward(&x, &mut Context::eval());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FakeQuantized<M> {
    /// The model, with full weights.
    pub model: M,
    weights: BTreeMap<String, Quantizer>,
    inputs: BTreeMap<String, Quantizer>,
    /// Of results between layers, for the conversion.
    between: BTreeMap<String, QuantizationParameters>,
}

impl<M: Module> FakeQuantized<M> {
    /// Scales begin as calibration and the weights say; those that are learnt at `2 mean(|x|) / sqrt(largest)`.
    ///
    /// # Errors
    /// If a weight is not finite, groups do not divide one, learnt scales are asked for groups or affine weights, or a
    /// device fails.
    pub fn new(
        model: M,
        recipe: &Recipe,
        calibration: &Calibration,
        scales: Scales,
    ) -> Result<Self> {
        let quantizers = Quantizers::new(&model, recipe, calibration)?;
        let mut fake = FakeQuantized::fixed(model, &quantizers)?;
        if scales == Scales::Fixed {
            return Ok(fake);
        }
        for (name, quantizer) in &mut fake.weights {
            let Some(weight) = fake.model.parameter(name) else { continue };
            let scheme = quantizer.scheme;
            let suits =
                scheme.is_symmetric() && !matches!(scheme.granularity(), Granularity::Group(_));
            if !suits {
                return Err(mismatch(format!(
                    "quantize: {name}: scales that follow training are for symmetric weights, one for all or one \
                     for each output, not {scheme}"
                )));
            }
            quantizer.zero_point = None;
            quantizer.scales = scales;
            quantizer.scale = match scales {
                Scales::Learned => {
                    let step = initial_step(&weight.reshape([weight.count()]), scheme.bounds());
                    let count = quantizer.scale.count();
                    Parameter::new(step.reshape([1]).broadcast_to([count]))
                }
                _ => Parameter::state(quantizer.scale.tensor().clone()),
            };
        }
        for (name, quantizer) in &mut fake.inputs {
            let Some(range) = calibration.range(name) else { continue };
            let device = quantizer.scale.device().clone();
            quantizer.zero_point = None;
            quantizer.scales = scales;
            quantizer.scale = if scales == Scales::Learned {
                let bits = quantizer.scheme.bits();
                let unsigned = range.low >= 0.0;
                quantizer.scheme =
                    if unsigned { Scheme::affine(bits) } else { Scheme::symmetric(bits) };
                let [_, high] = quantizer.scheme.bounds();
                let mean = calibration.mean_magnitude(name).unwrap_or_default();
                let step = (2.0 * mean / f64::from(high).sqrt()).max(1e-6);
                Parameter::new(Tensor::from_slice(&[step as f32], [1], &device)?)
            } else {
                Parameter::state(Tensor::from_slice(&[range.low, range.high], [2], &device)?)
            };
        }
        Ok(fake)
    }

    /// Of scales that stay: what post-training quantization answers.
    ///
    /// # Errors
    /// If there is a scale of a weight that the model does not have, or a device fails.
    pub fn fixed(model: M, quantizers: &Quantizers) -> Result<Self> {
        let quantizer = |parameters: &QuantizationParameters, name: &str| -> Result<Quantizer> {
            let Some(weight) = model.parameter(name) else {
                return Err(mismatch(format!("quantize: the model has no weight {name}")));
            };
            let device = weight.device();
            let zeros: Vec<f32> =
                parameters.zero_points().iter().map(|&zero| zero as f32).collect();
            let count = zeros.len();
            Ok(Quantizer {
                scheme: parameters.scheme(),
                scale: Parameter::state(Tensor::from_slice(parameters.scales(), [count], device)?),
                zero_point: Some(Parameter::state(Tensor::from_slice(&zeros, [count], device)?)),
                scales: Scales::Fixed,
            })
        };
        let (mut weights, mut inputs) = (BTreeMap::new(), BTreeMap::new());
        for (name, parameters) in &quantizers.weights {
            weights.insert(name.clone(), quantizer(parameters, name)?);
        }
        let mut between = BTreeMap::new();
        for (name, parameters) in &quantizers.activations {
            if name.contains(':') {
                between.insert(name.clone(), parameters.clone());
            } else {
                inputs.insert(name.clone(), quantizer(parameters, name)?);
            }
        }
        Ok(FakeQuantized { model, weights, inputs, between })
    }

    /// Runs the model, or a part of it, with rounded operands.
    pub fn run<R>(&self, ctx: &mut Context, run: impl FnOnce(&M, &mut Context) -> R) -> R {
        let mut hooked = FxHashMap::default();
        self.model.visit(&mut Path::root(), &mut |name, parameter| {
            let pair = (self.weights.get(name).cloned(), self.inputs.get(name).cloned());
            if pair.0.is_some() || pair.1.is_some() {
                hooked.insert(parameter.identity(), pair);
            }
        });
        let hook = Arc::new(Rounding {
            quantizers: hooked,
            training: ctx.is_training(),
            moved: Mutex::new(Vec::new()),
        });
        let result = ctx.with_products(hook.clone(), |ctx| run(&self.model, ctx));
        let moved = std::mem::take(&mut *hook.moved.lock().unwrap_or_else(PoisonError::into_inner));
        for (range, value) in moved {
            ctx.record(&range, value);
        }
        result
    }

    /// The scales as they are now, for [`Int8Model::convert`](super::Int8Model::convert).
    ///
    /// # Errors
    /// If a learnt scale is no longer positive, or a device fails.
    pub fn quantizers(&self) -> Result<Quantizers> {
        let mut quantizers =
            Quantizers { activations: self.between.clone(), ..Quantizers::default() };
        for (name, quantizer) in &self.weights {
            let parameters = match (quantizer.scales, self.model.parameter(name)) {
                (Scales::Moving(_), Some(weight)) => {
                    QuantizationParameters::of_weight(quantizer.scheme, weight, Observer::AbsMax)
                }
                _ => quantizer.parameters(),
            };
            let named = |error: gradloom_tensor::Error| error.context(format!("quantize: {name}"));
            quantizers.weights.insert(name.clone(), parameters.map_err(named)?);
        }
        for (name, quantizer) in &self.inputs {
            let named =
                |error: gradloom_tensor::Error| error.context(format!("quantize: input of {name}"));
            quantizers.activations.insert(name.clone(), quantizer.parameters().map_err(named)?);
        }
        Ok(quantizers)
    }

    /// The model with its weights as they are rounded, without quantizers.
    ///
    /// # Errors
    /// As [`quantizers`](FakeQuantized::quantizers).
    pub fn into_rounded(mut self) -> Result<M> {
        let quantizers = self.quantizers()?;
        round_weights(&mut self.model, &quantizers)?;
        Ok(self.model)
    }
}

impl Quantizer {
    fn parameters(&self) -> Result<QuantizationParameters> {
        let values = self.scale.to_vec::<f32>()?;
        match (self.scales, &self.zero_point) {
            (Scales::Moving(_), _) => {
                let range = Range { low: values[0], high: values[1] };
                Ok(QuantizationParameters::of_range(self.scheme, range))
            }
            (_, None) => QuantizationParameters::of_scales(self.scheme, values),
            (_, Some(zero_point)) => {
                let zeros = zero_point.to_vec::<f32>()?.into_iter().map(|zero| zero as i32);
                QuantizationParameters::of_parts(self.scheme, values, zeros.collect())
            }
        }
    }

    /// The value, rounded.
    #[track_caller]
    fn round(&self, x: &Tensor, scale: &Tensor, zero_point: &Tensor) -> Tensor {
        let count = scale.count();
        let rows = x.reshape([count, x.count() / count]);
        let [scale, zero_point] = [scale, zero_point].map(|vector| vector.reshape([count, 1]));
        fake_quantize(&rows, &scale, &zero_point, self.scheme.bounds()).reshape(*x.shape())
    }

    /// A weight, rounded.
    #[track_caller]
    fn weight(&self, weight: &Tensor) -> Tensor {
        match (self.scales, &self.zero_point) {
            (Scales::Learned, _) => {
                learned_step_quantize(weight, &self.scale, self.scheme.bounds())
            }
            (Scales::Fixed, Some(zero_point)) => self.round(weight, &self.scale, zero_point),
            _ => {
                let count = self.scale.count();
                let rows = weight.detach().reshape([count, weight.count() / count]);
                let bound = rows.abs().max(1).maximum(f64::from(f32::MIN_POSITIVE));
                let scale = bound * (1.0 / f64::from(self.scheme.bounds()[1]));
                self.round(weight, &scale, &scale.zeros_like())
            }
        }
    }
}

/// The hook.
struct Rounding {
    quantizers: FxHashMap<u64, (Option<Quantizer>, Option<Quantizer>)>,
    training: bool,
    moved: Mutex<Vec<(Parameter, Tensor)>>,
}

impl Rounding {
    #[track_caller]
    fn input(&self, quantizer: &Quantizer, x: &Tensor, in_loop: bool) -> Tensor {
        match (quantizer.scales, &quantizer.zero_point) {
            (Scales::Learned, _) => {
                learned_step_quantize(x, &quantizer.scale, quantizer.scheme.bounds())
            }
            (Scales::Moving(share), _) => {
                let mut range = quantizer.scale.tensor().clone();
                if self.training && !in_loop {
                    let flat = x.detach().reshape([x.count()]);
                    let batch = Tensor::stack(&[&flat.min(0), &flat.max(0)], 0);
                    range = &range + (batch - &range) * share;
                    let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
                    moved.push((quantizer.scale.clone(), range.clone()));
                }
                let (scale, zero_point) = affine_of(&range, quantizer.scheme);
                quantizer.round(x, &scale, &zero_point)
            }
            (Scales::Fixed, Some(zero_point)) => quantizer.round(x, &quantizer.scale, zero_point),
            (Scales::Fixed, None) => x.clone(),
        }
    }
}

/// [`Scheme::of_range`] of a range `[2]` that is not computed yet.
#[track_caller]
fn affine_of(range: &Tensor, scheme: Scheme) -> (Tensor, Tensor) {
    let low = range.narrow(0, 0, 1).minimum(0.0);
    let high = range.narrow(0, 1, 1).maximum(0.0);
    let [least, largest] = scheme.bounds().map(f64::from);
    if scheme.is_symmetric() {
        let bound = high.maximum(-&low).maximum(f64::from(f32::MIN_POSITIVE));
        let scale = bound * (1.0 / largest);
        return (scale.clone(), scale.zeros_like());
    }
    let scale = (&high - &low).maximum(f64::from(f32::MIN_POSITIVE)) * (1.0 / (largest - least));
    let zero_point = ((-low / &scale).round() + least).clamp(least, largest);
    (scale, zero_point)
}

impl Products for Rounding {
    fn operands(&self, site: ProductSite<'_>, [x, weight]: [&Tensor; 2]) -> [Tensor; 2] {
        let found = self.quantizers.get(&site.parameter.identity());
        let (own, input) =
            found.map_or((None, None), |(own, input)| (own.as_ref(), input.as_ref()));
        // Parts of a weight, as of an attention's, have scales of their whole alone.
        let whole = weight.shape() == site.parameter.shape() && weight.dtype() == DType::F32;
        [
            input.map_or_else(|| x.clone(), |input| self.input(input, x, site.in_loop)),
            own.filter(|_| whole).map_or_else(|| weight.clone(), |own| own.weight(weight)),
        ]
    }
}

impl<M: Layer + Clone + 'static> Layer for FakeQuantized<M> {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(ctx, |model, ctx| model.forward(x, ctx))
    }
}

/// `0.weight_scale`, `0.input_scale`.
fn beside(weight: &str, what: &str) -> String {
    let layer = weight.strip_suffix("weight").map(str::to_owned);
    format!("{}{what}", layer.unwrap_or_else(|| format!("{weight}_")))
}

impl<M: Module> Module for FakeQuantized<M> {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        self.model.visit(path, visitor);
        for (kind, quantizers) in [("weight", &self.weights), ("input", &self.inputs)] {
            for (name, quantizer) in quantizers {
                let name = beside(name, kind);
                path.within(&format!("{name}_scale"), |path| {
                    visitor(path.as_str(), &quantizer.scale)
                });
                if let Some(zero_point) = &quantizer.zero_point {
                    path.within(&format!("{name}_zero_point"), |path| {
                        visitor(path.as_str(), zero_point)
                    });
                }
            }
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        self.model.visit_mut(path, visitor);
        for (kind, quantizers) in [("weight", &mut self.weights), ("input", &mut self.inputs)] {
            for (name, quantizer) in quantizers {
                let name = beside(name, kind);
                path.within(&format!("{name}_scale"), |path| {
                    visitor(path.as_str(), &mut quantizer.scale);
                });
                if let Some(zero_point) = &mut quantizer.zero_point {
                    path.within(&format!("{name}_zero_point"), |path| {
                        visitor(path.as_str(), zero_point)
                    });
                }
            }
        }
    }
}

impl<M: Module> Tensors for FakeQuantized<M> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        for_each_tensor(self, visit);
    }
}
