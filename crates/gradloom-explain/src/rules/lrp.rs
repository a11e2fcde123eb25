//! [`Lrp`]: relevance, handed from the output back to the features and conserved on the way.
//!
//! What is passed is relevance per unit of a node's value. With it a linear op hands on what its derivative
//! does, whatever views and sums it is made of, and an activation hands on all that it gets: `y / x`.

use std::sync::Arc;

use gradloom_tensor::op::{Binary, Reduction, Unary};
use gradloom_tensor::{Error, Op, Result, Tensor};

use super::graph::{Graph, Parts, pulled_back};
use super::lrp_layers::{LrpLayer, LrpRule, Placed};
use super::sources::Sources;
use crate::gradients::total;
use crate::{Attribution, Forward, Inputs, Method, Target};

/// How rules are chosen.
type Choice = dyn Fn(&LrpLayer) -> Result<LrpRule> + Send + Sync;

/// Layer-wise relevance propagation. Attributions of a sample sum to its output, less what biases and small
/// numbers in denominators keep.
///
/// For networks of linear layers, convolutions, pooling, norms with fixed statistics, elementwise
/// activations and sums of branches: those where relevance has a meaning. Elementwise activations hand on
/// all they get, as in captum. A product of two activations (attention, gates) is an error.
///
/// Bach et al., "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
/// propagation", 2015. As `captum.attr.LRP`.
///
/// ```
/// use gradloom_explain::{Forward, Lrp, LrpRule, Method, Target};
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let weights = Tensor::new([[1f32, -1.0], [2.0, 1.0]], &device)?;
/// let forward = Forward::new(move |x, _| x[0].matmul(&weights).relu().sum(1));
/// let x = Tensor::new([[1f32, 2.0]], &device)?;
/// let attribution = Lrp::default().attribute(&forward, &(&x).into(), &Target::Output)?;
/// let values = attribution.first().to_vec::<f32>()?;
/// assert!(values[0].abs() < 1e-6 && (values[1] - 6.0).abs() < 1e-6);
///
/// let positive = Lrp::uniform(LrpRule::Alpha1Beta0 { bias: true });
/// let attribution = positive.attribute(&forward, &(&x).into(), &Target::Output)?;
/// assert_eq!(attribution.first().to_vec::<f32>()?, [1.0, 5.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lrp {
    choose: Arc<Choice>,
}

impl Default for Lrp {
    fn default() -> Self {
        Lrp::uniform(LrpRule::default())
    }
}

impl std::fmt::Debug for Lrp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lrp").finish_non_exhaustive()
    }
}

impl Lrp {
    /// One rule for all layers.
    pub fn uniform(rule: LrpRule) -> Self {
        Lrp::chosen(move |_| rule)
    }

    /// A rule for each layer: gamma for the lower, epsilon for the upper ones, as Montavon et al. advise.
    pub fn chosen(choose: impl Fn(&LrpLayer) -> LrpRule + Send + Sync + 'static) -> Self {
        let checked = move |layer: &LrpLayer| {
            let rule = choose(layer);
            let number = match rule {
                LrpRule::Epsilon { epsilon } => epsilon,
                LrpRule::Gamma { gamma, .. } => gamma,
                LrpRule::Alpha1Beta0 { .. } => 0.0,
            };
            if !(number >= 0.0 && number.is_finite()) {
                let index = layer.index;
                return Err(Error::invalid(format!("lrp: {rule:?} for layer {index}")));
            }
            Ok(rule)
        };
        Lrp { choose: Arc::new(checked) }
    }
}

impl Method for Lrp {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        inputs.check("lrp")?;
        let leaves: Vec<Tensor> = inputs.features.iter().map(Tensor::detach).collect();
        let run = forward.run_tapped(&inputs.with_features(leaves.clone()).all())?;
        let selected = target.select(&run.output, inputs.batch())?;
        let graph = Graph::between(&leaves, &selected, true);
        let sources = Sources::of(&graph, &leaves);
        let placed = Placed::new(&graph, &*self.choose)?;
        let mut rule = |node: &Tensor, multiplier: &Tensor| {
            let multiplier = placed.at_output(node, multiplier);
            parts(&graph, &sources, &placed, node, &multiplier)
        };
        let relevance = graph.pass(&selected, selected.ones_like(), &leaves, &mut rule)?;
        let features: Vec<Tensor> =
            leaves.iter().zip(&relevance).map(|(x, relevance)| x.mul(relevance)).collect();
        let delta = Some(selected.sub(total(&features)));
        Ok(Attribution { features, delta })
    }
}

/// What a node hands on, per unit of the operands' values.
fn parts(
    graph: &Graph,
    sources: &Sources,
    placed: &Placed,
    node: &Tensor,
    multiplier: &Tensor,
) -> Result<Parts> {
    if graph.same_as(node).is_some() {
        return Ok(graph.derivative(node, multiplier));
    }
    let operands = node.inputs();
    let varies = |place: usize| operands.get(place).is_some_and(|x| graph.varies(x));
    match node.op() {
        Op::Unary(Unary::Neg)
        | Op::Binary(Binary::Add | Binary::Sub)
        | Op::Reduce(Reduction::Sum, _)
        | Op::Scan { .. }
        | Op::Concat { .. }
        | Op::Transfer
        | Op::PoolSum(_)
        | Op::PoolSumScatter(_)
        | Op::PoolMax(_) => Ok(graph.derivative(node, multiplier)),
        view if view.is_view() => Ok(graph.derivative(node, multiplier)),
        Op::Cast if operands[0].dtype().is_float() => Ok(graph.derivative(node, multiplier)),
        Op::Binary(Binary::Mul) if !(varies(0) && varies(1)) => {
            Ok(graph.derivative(node, multiplier))
        }
        Op::Binary(Binary::Div) if !varies(1) => Ok(graph.derivative(node, multiplier)),
        Op::Select if !varies(0) => Ok(graph.derivative(node, multiplier)),
        Op::Gather { .. } if !varies(1) => Ok(graph.derivative(node, multiplier)),
        Op::Matmul | Op::Convolution(..) | Op::ConvolutionInput(..)
            if !(varies(0) && varies(1)) =>
        {
            Ok(pulled_back(placed.product(node), multiplier, graph.receivers(node)))
        }
        _ => match sources.source(node) {
            Some(source) => Ok(vec![handed_on(node, multiplier, source)]),
            None => Err(Error::unsupported(format!(
                "lrp: {} made at {} is no linear layer, pooling or activation, and relevance has no rule for \
                 it; use DeepLift or IntegratedGradients",
                node.op().name(),
                node.location()
            ))),
        },
    }
}

/// All relevance of an elementwise function to its source: `m y = (m y / x) x`.
fn handed_on(node: &Tensor, multiplier: &Tensor, source: Tensor) -> (Tensor, Tensor) {
    let (_, slope) = pulled_back(node, multiplier, vec![source.clone()]).remove(0);
    let nothing = source.eq(source.constant_like(0.0));
    let divisor = nothing.select(source.constant_like(1.0), &source);
    let part = multiplier.mul(node).cast(source.dtype()).div(divisor);
    let part = nothing.select(slope, part);
    (source, part)
}
