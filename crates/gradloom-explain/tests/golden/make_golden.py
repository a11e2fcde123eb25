"""Writes golden.safetensors: networks, inputs, and what captum 0.9 and scikit-learn say about them.

    pip install torch captum==0.9.0 transformers scikit-learn safetensors
    python make_golden.py

Weights are named `net.NETWORK.PARAMETER`, inputs `in.NAME`, results `out.NETWORK.METHOD`.
"""

import pathlib
import warnings

import torch
from captum import attr, metrics, robust
from captum._utils.models.linear_model import SkLearnLasso
from safetensors.torch import save_file
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.manifold import TSNE, trustworthiness
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

warnings.filterwarnings("ignore")
torch.manual_seed(0)
golden = {}


def out(name, value):
    golden[f"out.{name}"] = value.detach().to(torch.float32).contiguous().clone()


def given(name, value):
    golden[f"in.{name}"] = value.detach().contiguous().clone()
    return value


def network(name, net):
    net.eval()
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            golden[f"net.{name}.{key}"] = value.detach().contiguous().clone()
    return net


def fresh():
    """captum's hooks leave nothing behind, but LRP's rules do: a new network of the same weights."""
    net = cnn_layers()
    net.load_state_dict(cnn.state_dict())
    return net.eval()


def cnn_layers():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 10),
        nn.ReLU(),
        nn.Linear(10, 3),
    )


cnn = cnn_layers()
with torch.no_grad():
    cnn[1].running_mean.normal_(0, 0.2)
    cnn[1].running_var.uniform_(0.5, 1.5)
    cnn[1].weight.uniform_(0.5, 1.5)
    cnn[1].bias.normal_(0, 0.2)
network("cnn", cnn)
x = given("cnn.x", torch.randn(2, 2, 8, 8))
x0 = given("cnn.x0", 0.3 * torch.randn(2, 2, 8, 8))
rows = given("cnn.rows", 0.3 * torch.randn(3, 2, 8, 8))
target = torch.tensor([2, 0])
out("cnn.output", cnn(x))

out("cnn.saliency", attr.Saliency(cnn).attribute(x, target=target))
out("cnn.input_x_gradient", attr.InputXGradient(cnn).attribute(x, target=target))
for method in ["gausslegendre", "riemann_left", "riemann_middle", "riemann_right", "riemann_trapezoid"]:
    value, delta = attr.IntegratedGradients(cnn).attribute(
        x, x0, target=target, method=method, return_convergence_delta=True
    )
    out(f"cnn.integrated_gradients.{method}", value)
    out(f"cnn.integrated_gradients.{method}.delta", delta)
# captum's DeepLIFT does not keep the sum where max-pooling stands beside another nonlinear layer.
value, delta = attr.DeepLift(cnn).attribute(x, x0, target=target, return_convergence_delta=True)
print("captum, max-pooling after ReLU: delta", delta.tolist(), "of", value.abs().max().item())
out("cnn.deep_lift.delta", delta)
plain = network(
    "plain",
    nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(27, 10),
        nn.ReLU(),
        nn.Linear(10, 3),
    ),
)
out("plain.deep_lift", attr.DeepLift(plain).attribute(x, x0, target=target))
out("plain.deep_lift_shap", attr.DeepLiftShap(plain).attribute(x, rows, target=target))
out("plain.neuron_deep_lift", attr.NeuronDeepLift(plain, plain[6]).attribute(x, 4, x0))
pooled = network(
    "pooled", nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3))
)
out("pooled.deep_lift", attr.DeepLift(pooled).attribute(x, x0, target=target))
out("cnn.guided_backprop", attr.GuidedBackprop(cnn).attribute(x, target=target))
out("cnn.deconvolution", attr.Deconvolution(cnn).attribute(x, target=target))
cam = attr.LayerGradCam(cnn, cnn[4]).attribute(x, target=target)
out("cnn.grad_cam", cam)
out("cnn.grad_cam.bilinear", attr.LayerAttribution.interpolate(cam, (8, 8), "bilinear"))
out("cnn.guided_grad_cam", attr.GuidedGradCam(cnn, cnn[4]).attribute(x, target=target))
out("cnn.occlusion", attr.Occlusion(cnn).attribute(x, (2, 3, 3), (1, 2, 2), target=target, baselines=x0))
mask = torch.arange(16).reshape(4, 4).repeat_interleave(2, 0).repeat_interleave(2, 1).expand(1, 2, 8, 8)
out("cnn.feature_ablation", attr.FeatureAblation(cnn).attribute(x, x0, target=target, feature_mask=mask))
permutation = attr.FeaturePermutation(cnn, perm_func=lambda x, m: torch.where(m, x.roll(-1, 0), x))
out("cnn.feature_permutation", permutation.attribute(x, target=target, feature_mask=mask))
out("cnn.layer_conductance", attr.LayerConductance(cnn, cnn[5]).attribute(x, x0, target=target))
out("cnn.internal_influence", attr.InternalInfluence(cnn, cnn[5]).attribute(x, x0, target=target))
out("cnn.layer_activation", attr.LayerActivation(cnn, cnn[5]).attribute(x))
out("cnn.layer_gradient_x_activation", attr.LayerGradientXActivation(cnn, cnn[4]).attribute(x, target=target))
out("cnn.layer_integrated_gradients", attr.LayerIntegratedGradients(cnn, cnn[5]).attribute(x, x0, target=target))
out("cnn.layer_deep_lift", attr.LayerDeepLift(cnn, cnn[4]).attribute(x, x0, target=target))
out("cnn.layer_feature_ablation", attr.LayerFeatureAblation(cnn, cnn[8]).attribute(x, target=target))
out("cnn.neuron_gradient", attr.NeuronGradient(cnn, cnn[7]).attribute(x, 4))
out("cnn.neuron_integrated_gradients", attr.NeuronIntegratedGradients(cnn, cnn[7]).attribute(x, 4, x0))
out("cnn.neuron_guided_backprop", attr.NeuronGuidedBackprop(cnn, cnn[7]).attribute(x, 4))
out("cnn.neuron_conductance", attr.NeuronConductance(cnn, cnn[7]).attribute(x, 4, x0, target=target))

# captum's Flatten has no rule of its own; the identity on values is what it is.
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule


class Reshaped(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.features = net[:6]
        self.head = net[7:]

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def lrp(name, rule):
    net = Reshaped(fresh())
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.rule = rule()
    value, delta = attr.LRP(net).attribute(x, target=target, return_convergence_delta=True)
    out(f"cnn.lrp.{name}", value)
    out(f"cnn.lrp.{name}.delta", delta)


lrp("epsilon", lambda: EpsilonRule(1e-9))
lrp("epsilon_large", lambda: EpsilonRule(0.25))
lrp("gamma", lambda: GammaRule(0.25))
lrp("gamma_without_bias", lambda: GammaRule(0.25, set_bias_to_zero=True))
lrp("alpha1_beta0", lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True))

noise = given("cnn.noise", 0.1 * torch.randn(10, 2, 2, 8, 8))
signed = attr.Saliency(cnn).attribute(x, target=target, abs=False)


def perturb(inputs):
    # captum repeats each sample for its perturbations one after another.
    own = noise.transpose(0, 1).reshape(-1, 2, 8, 8)
    return own, inputs - own


for normalize in [False, True]:
    value = metrics.infidelity(cnn, perturb, x, signed, target=target, normalize=normalize)
    out(f"cnn.infidelity.{'normalized' if normalize else 'plain'}", value)
value = metrics.sensitivity_max(
    attr.Saliency(cnn).attribute,
    x,
    perturb_func=lambda inputs, radius: inputs + noise.transpose(0, 1).reshape(-1, 2, 8, 8),
    target=target,
)
out("cnn.sensitivity_max", value)

entropy = nn.CrossEntropyLoss(reduction="none")
fgsm = robust.FGSM(cnn, entropy, -1.0, 1.0)
out("cnn.fgsm", fgsm.perturb(x, 0.1, target))
out("cnn.fgsm.targeted", fgsm.perturb(x, 0.1, torch.tensor([1, 1]), targeted=True))
pgd = robust.PGD(cnn, entropy, -2.0, 2.0)
out("cnn.pgd", pgd.perturb(x, 0.2, 0.05, 7, target))
out("cnn.pgd.l2", pgd.perturb(x, 0.5, 0.05, 7, target, norm="L2"))


class Mlp(nn.Module):
    """One layer of each activation that captum's DeepLift knows."""

    def __init__(self):
        super().__init__()
        sizes = [10, 16, 12, 12, 12, 12, 12]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.activations = nn.ModuleList(
            [nn.ELU(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.ReLU()]
        )
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        for layer, activation in zip(self.layers, self.activations):
            x = activation(layer(x))
        return self.head(x)


mlp = network("mlp", Mlp())
with torch.no_grad():
    for layer in [*mlp.layers, mlp.head]:
        layer.weight.mul_(2.0)
        golden.update({f"net.mlp.{k}": v.detach().clone() for k, v in mlp.state_dict().items()})
x = given("mlp.x", torch.randn(3, 10))
x0 = given("mlp.x0", torch.randn(1, 10))
out("mlp.output", mlp(x))
value, delta = attr.DeepLift(mlp).attribute(x, x0, target=1, return_convergence_delta=True)
out("mlp.deep_lift", value)
out("mlp.deep_lift.delta", delta)
out("mlp.integrated_gradients", attr.IntegratedGradients(mlp).attribute(x, x0, target=1))
out("mlp.saliency", attr.Saliency(mlp).attribute(x, target=1))
# All orders of 10 features are 3628800; of 6 groups, 720.
mask = torch.tensor([[0, 0, 1, 1, 2, 2, 3, 3, 4, 5]])
out("mlp.shapley_values", attr.ShapleyValues(mlp).attribute(x, x0, target=1, feature_mask=mask, perturbations_per_eval=64))
coalitions = given("mlp.coalitions", torch.cat([torch.ones(1, 10), torch.zeros(1, 10), (torch.rand(60, 10) < 0.5).float()]))


def drawn(inputs, **kwargs):
    for row in coalitions:
        yield row.long().unsqueeze(0)


lime = attr.Lime(mlp, interpretable_model=SkLearnLasso(alpha=0.01, tol=1e-10, max_iter=100000), perturb_func=drawn)
out("mlp.lime", torch.cat([lime.attribute(x[i : i + 1], x0, target=1, n_samples=62) for i in range(3)]))
shap = attr.KernelShap(mlp)
shap.perturb_func = drawn
out("mlp.kernel_shap", torch.cat([shap.attribute(x[i : i + 1], x0, target=1, n_samples=62) for i in range(3)]))


class Reused(nn.Module):
    """One ReLU that runs twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.second = nn.Linear(8, 3)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))


reused = network("reused", Reused())
x = given("reused.x", 2 * torch.randn(4, 6))
out("reused.output", reused(x))
try:
    value = attr.DeepLift(reused).attribute(x, target=1)
    reached = reused(x)[:, 1] - reused(torch.zeros_like(x))[:, 1]
    print("captum, ReLU used twice: sum", value.sum(1).tolist(), "instead of", reached.tolist())
except Exception as error:  # noqa: BLE001
    print("captum, ReLU used twice:", type(error).__name__, str(error)[:200])

config = BertConfig(
    vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=16, type_vocab_size=2, num_labels=3, attn_implementation="eager",
    initializer_range=0.3,
)
bert = network("bert", BertForSequenceClassification(config))
tokens = given("bert.tokens", torch.tensor([[2, 7, 21, 9, 3], [2, 15, 3, 0, 0]], dtype=torch.int32))
kept = given("bert.mask", torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.int32))
reference = given("bert.reference", torch.tensor([[2, 0, 0, 0, 3], [2, 0, 3, 0, 0]], dtype=torch.int32))


def run(tokens, mask):
    return bert(input_ids=tokens, attention_mask=mask).logits


out("bert.output", run(tokens.long(), kept))
layer = attr.LayerIntegratedGradients(run, bert.bert.embeddings)
value, delta = layer.attribute(
    tokens.long(), reference.long(), target=1, additional_forward_args=(kept,), return_convergence_delta=True
)
out("bert.layer_integrated_gradients", value)
out("bert.layer_integrated_gradients.delta", delta)
value = attr.LayerGradientXActivation(run, bert.bert.embeddings).attribute(
    tokens.long(), target=1, additional_forward_args=(kept,)
)
out("bert.layer_gradient_x_activation", value)
for number, weights in enumerate(bert(input_ids=tokens.long(), attention_mask=kept, output_attentions=True).attentions):
    out(f"bert.attention.{number}", weights)

# Tables and maps, against scikit-learn.
digits = load_digits()
points = given("digits", torch.tensor(digits.data[:400], dtype=torch.uint8))
points = points.double().numpy()
pca = PCA(3).fit(points)
out("digits.pca.explained", torch.tensor(pca.explained_variance_ratio_))
out("digits.pca.projected", torch.tensor(pca.transform(points)).abs())
flat = pca.transform(points)[:, :2]
out("digits.pca.trustworthiness", torch.tensor([trustworthiness(points, flat, n_neighbors=k) for k in (5, 12)]))
tsne = TSNE(method="exact", init="pca", random_state=0).fit_transform(points)
out("digits.tsne.trustworthiness", torch.tensor([trustworthiness(points, tsne, n_neighbors=k) for k in (5, 12)]))

table = given("table", torch.randn(400, 10))
# Centred, so that the network does not give all rows one answer.
centre = given("table.centre", mlp(table).mean(0))
answers = (mlp(table) - centre).argmax(1).numpy()
assert min((answers == c).sum() for c in range(4)) >= 8
fidelity = []
for depth, leaf, cost in [(3, 1, 0.0), (5, 5, 0.0), (8, 1, 0.004), (20, 1, 0.0)]:
    tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=leaf, ccp_alpha=cost, random_state=0)
    tree.fit(table.double().numpy(), answers)
    fidelity.append([tree.score(table.double().numpy(), answers), tree.get_n_leaves()])
out("table.trees", torch.tensor(fidelity))


class Column(RegressorMixin, BaseEstimator):
    """One logit of the network."""

    def fit(self, x, y):
        self.fitted_ = True
        return self

    def predict(self, x):
        with torch.no_grad():
            return mlp(torch.tensor(x, dtype=torch.float32))[:, 1].numpy()


column = Column().fit(None, None)
found = partial_dependence(column, table.numpy(), [2], kind="both", grid_resolution=12, method="brute")
out("table.dependence.grid", torch.tensor(found["grid_values"][0]))
out("table.dependence.mean", torch.tensor(found["average"][0]))
out("table.dependence.each", torch.tensor(found["individual"][0]))
truth = given("table.truth", mlp(table)[:, 1] + 0.05 * torch.randn(400))
found = permutation_importance(
    column, table.numpy(), truth.detach().numpy(), scoring="neg_mean_squared_error", n_repeats=200, random_state=0
)
out("table.importance", torch.tensor(found.importances_mean))
out("table.importance.deviation", torch.tensor(found.importances_std))

path = pathlib.Path(__file__).parent / "golden.safetensors"
golden = {name: value.to(torch.float32) if value.is_floating_point() else value for name, value in golden.items()}
save_file(golden, path)
print(path.stat().st_size, "bytes,", len(golden), "tensors")
