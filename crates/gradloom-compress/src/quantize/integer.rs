//! [`Int8Model`]: a model whose products are those of 8-bit integers.

use std::collections::BTreeMap;

use gradloom_nn::module::for_each_tensor;
use gradloom_nn::{Context, Layer, Module, ModuleExt, Parameter, Path, Role};
use gradloom_tensor::{DType, Op, Result, Tensor, Tensors};
use rustc_hash::FxHashSet;

use super::activation::Activation;
use super::calibrate::Calibrator;
use super::fusion::{Fusion, Kind, Product, Step};
use super::integer_layer::IntegerLayer;
use super::lowering::Lowering;
use super::parameters::QuantizationParameters;
use super::quantizers::Quantizers;
use super::recipe::{Recipe, mismatch};
use super::scheme::Granularity;
use crate::graph::Graph;

/// A model whose products with weights are those of 8-bit integers (or fewer bits, in 8). Weights are `i8` with a scale
/// for each output.
///
/// - **Static** ([`convert`](Int8Model::convert)): activations are `u8` from layer to layer. Batch norms, biases and
///   ReLU are part of the product before them, wherever they stand in the model's code, because the graph of the run
///   says so; maxima of windows, sums of residual branches and flattening keep integers. All else is computed in f32.
/// - **Dynamic** ([`dynamic`](Int8Model::dynamic)): each row of an input is rounded as it comes, which needs no data:
///   for encoders of language.
///
/// The model itself builds the graph at each call, so it may be any Rust code, and batches may have any size. The f32
/// weights that integers stand for are given up. It is for use, not for training.
///
/// PyTorch: `torch.ao.quantization.convert`, `quantize_dynamic`.
///
/// ```
/// use gradloom_compress::quantize::{Int8Model, Recipe};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Activation, Context, Init, Layer, Sequential};
/// use gradloom_tensor::{Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let model = Sequential::new()
///     .with(Linear::new(8, 16, init))
///     .with(Activation::Relu)
///     .with(Linear::new(16, 2, init));
/// let batches = [0, 1].map(|seed| Tensor::uniform(Key::new(seed), [8, 8], -1.0, 1.0, &device));
/// let int8 = Int8Model::of_layer(model, &Recipe::int8(), &batches)?;
/// let y = int8.forward(&batches[0], &mut Context::eval());
/// assert_eq!(y.shape(), &[8, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Int8Model<M> {
    model: M,
    pub(super) layers: BTreeMap<String, IntegerLayer>,
    /// Empty if inputs are rounded as they come.
    pub(super) activations: BTreeMap<String, Activation>,
    skipped: Vec<(String, String)>,
    bytes_before: usize,
}

impl<M: Module> Int8Model<M> {
    /// Of scales that calibration or training found. `run` runs the model on some input, which says what follows each
    /// product.
    ///
    /// # Errors
    /// If no weight of the quantizers is multiplied in the run, or a device fails. Weights that integers cannot stand
    /// for are left as they are: see [`skipped`](Int8Model::skipped).
    pub fn convert(
        model: M,
        quantizers: &Quantizers,
        inputs: &[&Tensor],
        run: impl FnOnce(&M, &mut Context) -> Tensor,
    ) -> Result<Self> {
        let activations = quantizers.activations.iter();
        let activations = activations.map(|(name, own)| (name.clone(), Activation::of(own)));
        Int8Model::build(model, quantizers, activations.collect(), inputs, run)
    }

    /// Of weights alone; inputs of linear layers are rounded as they come, row by row.
    ///
    /// # Errors
    /// As [`convert`](Int8Model::convert), and as [`Quantizers::of_weights`].
    pub fn dynamic(
        model: M,
        recipe: &Recipe,
        inputs: &[&Tensor],
        run: impl FnOnce(&M, &mut Context) -> Tensor,
    ) -> Result<Self> {
        let quantizers = Quantizers::of_weights(&model, recipe)?;
        Int8Model::build(model, &quantizers, BTreeMap::new(), inputs, run)
    }

    fn build(
        model: M,
        quantizers: &Quantizers,
        activations: BTreeMap<String, Activation>,
        inputs: &[&Tensor],
        run: impl FnOnce(&M, &mut Context) -> Tensor,
    ) -> Result<Self> {
        let bytes_before = bytes(&model);
        let mut int8 = Int8Model {
            model,
            layers: BTreeMap::new(),
            activations,
            skipped: Vec::new(),
            bytes_before,
        };
        let output = run(&int8.model, &mut Context::eval());
        let inputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        let graph = Graph::of(&int8.model, &inputs, &output);
        let fusion = Fusion::of(&graph, &|name| quantizers.weights.contains_key(name));
        let mut reached = FxHashSet::default();
        for node in &graph.nodes {
            let Some(Step::Product(product)) = fusion.step(node) else { continue };
            reached.insert(product.weight.clone());
            let parameters = &quantizers.weights[&product.weight];
            match int8.obstacle(product, parameters) {
                None => {
                    let weight = int8.model.parameter(&product.weight).map(|own| own.detach());
                    let Some(weight) = weight else { continue };
                    let own = int8.activations.get(&product.weight);
                    let scale = own.map_or(1.0, |activation| activation.scale);
                    let layer = IntegerLayer::new(&weight, product, parameters, scale)?;
                    int8.layers.insert(product.name.clone(), layer);
                }
                Some(why) => int8.skipped.push((product.name.clone(), why.to_owned())),
            }
        }
        let names = quantizers.weights.keys().filter(|name| !reached.contains(*name));
        let unseen = names.map(|name| {
            (name.clone(), "no product with it alone is in the run, as of a table".to_owned())
        });
        int8.skipped.extend(unseen);
        if int8.layers.is_empty() {
            let listed: Vec<String> =
                int8.skipped.iter().map(|(name, why)| format!("{name}: {why}")).collect();
            return Err(mismatch(format!(
                "int8: no product of the run can be one of integers; {}",
                listed.join("; ")
            )));
        }
        let elsewhere = read_elsewhere(&graph, &fusion, &output);
        int8.give_up(|name| elsewhere.contains(name));
        Ok(int8)
    }

    /// Why a product cannot be one of integers, if so.
    fn obstacle(
        &self,
        product: &Product,
        parameters: &QuantizationParameters,
    ) -> Option<&'static str> {
        let scheme = parameters.scheme();
        if !scheme.is_symmetric() || matches!(scheme.granularity(), Granularity::Group(_)) {
            return Some("its integers need one scale for each output, with the zero point 0");
        }
        match (self.is_dynamic(), product.kind) {
            (true, Kind::Convolution(..)) => {
                Some("inputs of convolutions have no rows to be rounded by; calibrate instead")
            }
            (_, Kind::Convolution(window, _)) if window.axes > 2 => {
                Some("there are no convolutions of integers over volumes")
            }
            _ if product_length(&self.model, &product.weight) > SUM_MAX => {
                Some("sums of more than 65,536 products may not fit into 32 bits")
            }
            (false, _) if !self.activations.contains_key(&product.weight) => {
                Some("the range of its input is not known")
            }
            _ => None,
        }
    }

    /// Weights that integers stand for are no longer held: they are NaN, and what would read them after all is refused.
    fn give_up(&mut self, is_kept: impl Fn(&str) -> bool) {
        let given_up = self.given_up();
        self.model.for_each_parameter(|name, parameter| {
            if given_up.contains(name) && !is_kept(name) {
                parameter.set_trainable(false);
                parameter.replace(&parameter.constant_like(f64::NAN));
            }
        });
    }

    /// The weights that integers stand for.
    fn given_up(&self) -> FxHashSet<String> {
        let names =
            self.layers.keys().map(|name| name.split('#').next().unwrap_or(name).to_owned());
        names.collect()
    }

    /// Whether inputs are rounded as they come.
    pub fn is_dynamic(&self) -> bool {
        self.activations.is_empty()
    }

    /// The weights whose products are still of f32, and why.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// The weights whose products are of integers.
    pub fn quantized(&self) -> Vec<&str> {
        self.layers.keys().map(String::as_str).collect()
    }

    /// Bytes of the weights before and now.
    pub fn bytes(&self) -> [usize; 2] {
        [self.bytes_before, bytes(self)]
    }

    /// Runs the model: `run` says how, and `inputs` are the tensors that change from call to call.
    ///
    /// # Panics
    /// In a context of training, or if weights are read otherwise than in the run that the model was converted by, as
    /// where the output depends on none of the inputs.
    #[track_caller]
    pub fn run(
        &self,
        ctx: &mut Context,
        inputs: &[&Tensor],
        run: impl FnOnce(&M, &mut Context) -> Tensor,
    ) -> Tensor {
        assert!(
            !ctx.is_training(),
            "int8: a model of integers does not learn; give Context::eval(), or train FakeQuantized"
        );
        let output = run(&self.model, ctx);
        let inputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone()).collect();
        let graph = Graph::of(&self.model, &inputs, &output);
        let given_up = self.given_up();
        let fusion = Fusion::of(&graph, &|name| given_up.contains(name));
        for name in read_elsewhere(&graph, &fusion, &output) {
            assert!(
                !given_up.contains(&name) || !self.model.parameter(&name).is_some_and(is_given_up),
                "int8: {name} is no longer held, but is read otherwise than in the run that the model was converted \
                 by; give every tensor that changes from call to call as an input"
            );
        }
        Lowering::new(&self.layers, &self.activations, &graph, &fusion).run(&output)
    }
}

impl<M: Layer> Int8Model<M> {
    /// Calibrates a layer on batches and converts it.
    ///
    /// # Errors
    /// As [`Calibrator`] and [`convert`](Int8Model::convert).
    pub fn of_layer(model: M, recipe: &Recipe, batches: &[Tensor]) -> Result<Self> {
        let mut calibrator = Calibrator::new(&model, recipe)?;
        for x in batches {
            calibrator.batch(&[x], |model, ctx| model.forward(x, ctx))?;
        }
        let calibration = calibrator.finish()?;
        let quantizers = Quantizers::new(&model, recipe, &calibration)?;
        let x = &batches[0];
        Int8Model::convert(model, &quantizers, &[x], |model, ctx| model.forward(x, ctx))
    }
}

/// Products that a sum of 32 bits has room for.
const SUM_MAX: usize = 1 << 16;

/// Products of a sum with a weight.
fn product_length(model: &impl Module, weight: &str) -> usize {
    model.parameter(weight).map_or(0, |weight| weight.count() / weight.size(0).max(1))
}

/// Weights that are read otherwise than by products of integers.
fn read_elsewhere(graph: &Graph, fusion: &Fusion, output: &Tensor) -> FxHashSet<String> {
    let mut found = FxHashSet::default();
    let mut stack: Vec<Tensor> = Vec::new();
    if !graph.varies(output) && output.count() > 0 {
        stack.push(output.clone());
    }
    for node in &graph.nodes {
        if fusion.step(node).is_some() || fusion.is_inside(node) {
            continue;
        }
        let operands = graph.operands(node).into_iter();
        stack.extend(operands.filter(|operand| !graph.varies(operand)));
    }
    let mut seen = FxHashSet::default();
    while let Some(node) = stack.pop() {
        if !seen.insert(node.id()) {
            continue;
        }
        match graph.weight(&node) {
            Some(name) => {
                found.insert(name.to_owned());
            }
            None => stack.extend(graph.operands(&node)),
        }
    }
    found
}

/// Bytes of all parameters.
fn bytes(model: &impl Module) -> usize {
    let size = |parameter: &Parameter| match parameter.block_format() {
        Some(format) => parameter.count() / format.elements() * format.bytes(),
        None => parameter.count() * parameter.dtype().size(),
    };
    model.parameters().into_iter().map(|(_, parameter)| size(parameter)).sum()
}

impl<M: Layer + Clone + 'static> Layer for Int8Model<M> {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(ctx, &[x], |model, ctx| model.forward(x, ctx))
    }
}

/// The integers stand under the names of their weights, with `.packed`, `.sums`, `.factor` and `.term`.
impl<M: Module> Module for Int8Model<M> {
    fn visit<'a>(&'a self, path: &mut Path, visitor: &mut dyn FnMut(&str, &'a Parameter)) {
        self.model.visit(path, &mut |name, parameter| {
            if !is_given_up(parameter) {
                visitor(name, parameter);
            }
        });
        for (name, layer) in &self.layers {
            path.within(name, |path| {
                for (part, parameter) in layer.parts() {
                    path.within(part, |path| visitor(path.as_str(), parameter));
                }
            });
        }
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn FnMut(&str, &mut Parameter)) {
        self.model.visit_mut(path, &mut |name, parameter| {
            if !is_given_up(parameter) {
                visitor(name, parameter);
            }
        });
        for (name, layer) in &mut self.layers {
            path.within(name, |path| {
                for (part, parameter) in layer.parts_mut() {
                    path.within(part, |path| visitor(path.as_str(), parameter));
                }
            });
        }
    }
}

/// Whether nothing is held of a weight.
fn is_given_up(parameter: &Parameter) -> bool {
    let constant = |tensor: &Tensor| matches!(tensor.op(), Op::Constant(_));
    let source = match parameter.op() {
        Op::Detach(source) => source.source(),
        _ => None,
    };
    parameter.role() == Role::Frozen
        && parameter.dtype() == DType::F32
        && parameter.value().is_none()
        && (constant(parameter) || source.is_some_and(|source| constant(&source)))
}

impl<M: Module> Tensors for Int8Model<M> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        for_each_tensor(self, visit);
    }
}
