//! Layers as relevance sees them: products with weights, and the bias that is added after.

use gradloom_tensor::op::Binary;
use gradloom_tensor::{Op, Result, Tensor};
use rustc_hash::FxHashMap;

use super::deep_lift_rules::remade;
use super::graph::Graph;

/// How a layer hands relevance to its inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LrpRule {
    /// As much as each input contributes to the output; `epsilon` takes from it where outputs are small.
    /// Bach et al., 2015.
    Epsilon {
        /// Added to the size of the output.
        epsilon: f64,
    },
    /// Positive weights count `1 + gamma` times. Montavon et al., 2019.
    Gamma {
        /// What is added.
        gamma: f64,
        /// Whether the bias takes its part.
        bias: bool,
    },
    /// Only positive weights count, the rule of Deep Taylor decomposition (`z+`).
    Alpha1Beta0 {
        /// Whether the bias takes its part.
        bias: bool,
    },
}

impl Default for LrpRule {
    fn default() -> Self {
        LrpRule::Epsilon { epsilon: 1e-9 }
    }
}

impl LrpRule {
    /// What is added to the size of an output.
    fn epsilon(self) -> f64 {
        match self {
            LrpRule::Epsilon { epsilon } => epsilon,
            LrpRule::Gamma { .. } | LrpRule::Alpha1Beta0 { .. } => 1e-9,
        }
    }

    fn weights(self, weights: &Tensor) -> Option<Tensor> {
        match self {
            LrpRule::Epsilon { .. } => None,
            LrpRule::Gamma { gamma, .. } => Some(weights.add(weights.relu().mul(gamma))),
            LrpRule::Alpha1Beta0 { .. } => Some(weights.relu()),
        }
    }

    fn keeps_bias(self) -> bool {
        match self {
            LrpRule::Epsilon { .. } => true,
            LrpRule::Gamma { bias, .. } | LrpRule::Alpha1Beta0 { bias } => bias,
        }
    }
}

/// A layer with weights, for whoever chooses its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LrpLayer<'n> {
    /// How many layers run before it.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    /// The op: `matmul`, `convolution` or `convolution_input` (a transposed convolution).
    pub op: &'n str,
    /// Number of axes of its weights.
    pub rank: usize,
}

/// The rule of a layer where it is applied.
pub(crate) struct Placed {
    /// The product with other weights, in place of the product of this number.
    products: FxHashMap<u64, Tensor>,
    /// By the number of the node that ends a layer: its output as the rule has it, and what is added.
    outputs: FxHashMap<u64, (Tensor, f64)>,
}

impl Placed {
    pub(crate) fn new(
        graph: &Graph,
        choose: &(dyn Fn(&LrpLayer) -> Result<LrpRule> + Send + Sync),
    ) -> Result<Placed> {
        let is_layer = |node: &&Tensor| {
            let products =
                matches!(node.op(), Op::Matmul | Op::Convolution(..) | Op::ConvolutionInput(..));
            products && graph.varying_operands(node).len() == 1
        };
        let layers: Vec<&Tensor> = graph.nodes.iter().filter(is_layer).collect();
        let mut users: FxHashMap<u64, Vec<&Tensor>> = FxHashMap::default();
        for node in &graph.nodes {
            for operand in graph.varying_operands(node) {
                users.entry(operand.id()).or_default().push(node);
            }
        }
        let mut placed = Placed { products: FxHashMap::default(), outputs: FxHashMap::default() };
        for (index, &layer) in layers.iter().enumerate() {
            let (count, op) = (layers.len(), layer.op().name());
            let weights = layer.inputs().iter().find(|operand| !graph.varies(operand));
            let rank = weights.map_or(0, Tensor::rank);
            let rule = choose(&LrpLayer { index, count, op, rank })?;
            placed.place(graph, layer, rule, &users);
        }
        Ok(placed)
    }

    fn place(
        &mut self,
        graph: &Graph,
        layer: &Tensor,
        rule: LrpRule,
        users: &FxHashMap<u64, Vec<&Tensor>>,
    ) {
        let mut changed = layer.clone();
        let operands = layer.inputs().iter().map(|operand| match graph.varies(operand) {
            true => operand.clone(),
            false => rule.weights(operand).unwrap_or_else(|| operand.clone()),
        });
        if !matches!(rule, LrpRule::Epsilon { .. }) {
            changed = remade(layer, operands.collect());
            self.products.insert(layer.id(), changed.clone());
        }
        let bare = (layer.clone(), changed.clone());
        let mut end = layer.clone();
        // Through views to the bias, as long as nobody else reads what lies between.
        let (end, output) = loop {
            let [user] = users.get(&end.id()).map_or(&[][..], Vec::as_slice) else { break bare };
            let one =
                |operand: &Tensor| if graph.varies(operand) { &changed } else { operand }.clone();
            if user.op().is_view() {
                changed = remade(user, vec![changed.clone()]);
                end = (*user).clone();
                continue;
            }
            let adds = matches!(user.op(), Op::Binary(Binary::Add));
            if !adds || graph.varying_operands(user).len() != 1 {
                break bare;
            }
            let output = match rule.keeps_bias() {
                true => remade(user, user.inputs().iter().map(one).collect()),
                false => changed.clone(),
            };
            break ((*user).clone(), output);
        };
        self.outputs.insert(end.id(), (output, rule.epsilon()));
    }

    /// What stands at a node, per unit of its value, after the rule of the layer that it ends.
    pub(crate) fn at_output(&self, node: &Tensor, multiplier: &Tensor) -> Tensor {
        let Some((output, epsilon)) = self.outputs.get(&node.id()) else {
            return multiplier.clone();
        };
        let zero = output.constant_like(0.0);
        let added =
            output.lt(&zero).select(output.constant_like(-epsilon), output.constant_like(*epsilon));
        multiplier.mul(node).div(output.add(added))
    }

    /// The product that a node stands for.
    pub(crate) fn product<'p>(&'p self, node: &'p Tensor) -> &'p Tensor {
        self.products.get(&node.id()).unwrap_or(node)
    }
}
