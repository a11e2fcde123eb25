#!/usr/bin/env python3
"""Writes golden.safetensors: layers, losses and optimizers as PyTorch computes them, in f64.

    python3 -m pip install torch safetensors
    python3 make_golden.py

Names in the file are CASE.ROLE or CASE.ROLE.WEIGHT. Roles: `model` is the state dictionary before,
`after` the one after, `x`, `y`, `target` and so on are inputs and outputs, `grad` are gradients of the
sum of the outputs times `cotangent` (or of the loss).
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
torch.manual_seed(20240601)
GOLDEN = {}


def put(case, **values):
    for role, value in values.items():
        entries = value.items() if isinstance(value, dict) else [("", value)]
        for name, tensor in entries:
            full = ".".join(part for part in (case, role, name) if part)
            tensor = tensor.detach().clone().contiguous()
            GOLDEN[full] = tensor.to(torch.int32) if tensor.dtype == torch.int64 else tensor


def weights(module):
    return {k: v for k, v in module.state_dict().items() if "num_batches_tracked" not in k}


def randomise(module):
    """Gives every parameter a value, so that none is a neutral zero or one."""
    for parameter in module.parameters():
        parameter.data = torch.randn_like(parameter) * 0.5


def layer(case, module, *inputs, call=None, names=("x", "x2", "x3")):
    randomise(module)
    module.zero_grad()
    put(case, model=weights(module))
    inputs = [i.requires_grad_() if i.is_floating_point() else i for i in inputs]
    outputs = (call or module)(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    total = 0
    for index, output in enumerate(outputs):
        cotangent = torch.randn_like(output)
        total = total + (output * cotangent).sum()
        suffix = str(index) if index else ""
        put(case, **{f"y{suffix}": output, f"cotangent{suffix}": cotangent})
    total.backward()
    for name, value in zip(names, inputs):
        put(case, **{name: value})
        if value.grad is not None:
            put(case, **{f"grad_{name}": value.grad})
    put(case, grad={n: p.grad for n, p in module.named_parameters() if p.grad is not None})
    put(case, after=weights(module))


layer("linear", torch.nn.Linear(3, 4), torch.randn(2, 5, 3))
layer("conv1d", torch.nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), torch.randn(2, 4, 7))
layer("conv2d", torch.nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0)), torch.randn(2, 3, 5, 6))
layer(
    "conv_transpose2d",
    torch.nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
    torch.randn(2, 3, 3, 4),
)
layer("batch_norm_2d", torch.nn.BatchNorm2d(3), torch.randn(4, 3, 2, 5) * 2 + 1)
layer("batch_norm_1d", torch.nn.BatchNorm1d(5, momentum=0.3, eps=1e-3), torch.randn(6, 5))
evaluated = torch.nn.BatchNorm2d(3)
evaluated.running_mean.copy_(torch.randn(3))
evaluated.running_var.copy_(torch.rand(3) + 0.5)
layer("batch_norm_eval", evaluated.eval(), torch.randn(2, 3, 2, 2))
layer("layer_norm", torch.nn.LayerNorm([2, 5]), torch.randn(3, 2, 5))
layer("rms_norm", torch.nn.RMSNorm(5, eps=1e-6), torch.randn(3, 2, 5))
layer("group_norm", torch.nn.GroupNorm(2, 6), torch.randn(2, 6, 3))
layer("embedding", torch.nn.Embedding(5, 3), torch.tensor([[0, 4, 4], [2, 1, 0]]))

attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
x = torch.randn(2, 3, 8)
layer("attention_self", attention, x, call=lambda x: attention(x, x, x, need_weights=False)[0])
causal = torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)
layer(
    "attention_causal",
    attention,
    x.detach().clone(),
    call=lambda x: attention(x, x, x, attn_mask=causal, need_weights=False)[0],
)
padding = torch.tensor([[True, True, True, False], [True, False, True, True]])
put("attention_cross", keep=padding)
layer(
    "attention_cross",
    attention,
    torch.randn(2, 3, 8),
    torch.randn(2, 4, 8),
    torch.randn(2, 4, 8),
    call=lambda q, k, v: attention(q, k, v, key_padding_mask=~padding, need_weights=True),
)

lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
layer("lstm", lstm, torch.randn(2, 5, 3), call=lambda x: (lambda y, s: (y, *s))(*lstm(x)))
plain = torch.nn.LSTM(3, 4, bias=False, batch_first=True)
layer(
    "lstm_state",
    plain,
    torch.randn(2, 3, 3),
    torch.randn(1, 2, 4),
    torch.randn(1, 2, 4),
    call=lambda x, h, c: (lambda y, s: (y, *s))(*plain(x, (h, c))),
)
gru = torch.nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True)
layer("gru", gru, torch.randn(2, 5, 3), call=lambda x: gru(x))


def loss(case, call, x, **others):
    x = x.requires_grad_()
    value = call(x)
    value.backward()
    put(case, x=x, loss=value, grad_x=x.grad, **others)


target = torch.rand(4, 3)
positive, weight = torch.tensor([1.0, 2.0, 0.5]), torch.rand(4, 3)
loss(
    "bce",
    lambda x: F.binary_cross_entropy_with_logits(x, target, weight, pos_weight=positive),
    torch.randn(4, 3) * 5,
    target=target,
    weight=weight,
    positive=positive,
)
classes, class_weight = torch.tensor([0, 2, 1, 2]), torch.tensor([1.0, 0.5, 3.0])
loss(
    "weighted_cross_entropy",
    lambda x: F.cross_entropy(x, classes, class_weight),
    torch.randn(4, 3) * 2,
    target=classes,
    weight=class_weight,
)
near, far = torch.randn(4, 6), torch.randn(4, 6)
loss(
    "triplet",
    lambda x: F.triplet_margin_loss(x, near, far, margin=1.5),
    torch.randn(4, 6),
    positive=near,
    negative=far,
)


def optimizer(case, make):
    """Ten steps on a fixed sequence of gradients, with another learning rate from the fifth."""
    torch.manual_seed(7)
    w = torch.nn.Parameter(torch.randn(3, 2))
    put(case, w=w)
    opt = make([w])
    values, grads = [], []
    for step in range(10):
        if step == 5:
            opt.param_groups[0]["lr"] *= 0.3
        w.grad = torch.randn(3, 2)
        grads.append(w.grad.clone())
        opt.step()
        values.append(w.detach().clone())
    put(case, gradients=torch.stack(grads), values=torch.stack(values))


optimizer("sgd", lambda p: torch.optim.SGD(p, 0.1))
optimizer("sgd_momentum", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.2, weight_decay=0.01))
optimizer("sgd_nesterov", lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True))
optimizer("adam", lambda p: torch.optim.Adam(p, 0.05, weight_decay=0.1))
optimizer("adamw", lambda p: torch.optim.AdamW(p, 0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1))
optimizer("rmsprop", lambda p: torch.optim.RMSprop(p, 0.02, weight_decay=0.1))
optimizer("rmsprop_centered", lambda p: torch.optim.RMSprop(p, 0.02, alpha=0.9, momentum=0.5, centered=True))

parameters = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2, 2))]
for index, parameter in enumerate(parameters):
    parameter.grad = torch.randn_like(parameter) * 3
    put("clip", **{f"g{index}": parameter.grad})
put("clip", norm=torch.nn.utils.clip_grad_norm_(parameters, 1.5))
for index, parameter in enumerate(parameters):
    put("clip", **{f"clipped{index}": parameter.grad})


def schedule(case, make, steps):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.5)
    sched, rates = make(opt), []
    for _ in range(steps):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        sched.step()
    put(case, rates=torch.tensor(rates))


S = torch.optim.lr_scheduler
schedule("schedule_step", lambda o: S.StepLR(o, 3, 0.5), 12)
schedule("schedule_milestones", lambda o: S.MultiStepLR(o, [2, 7], 0.1), 12)
schedule("schedule_exponential", lambda o: S.ExponentialLR(o, 0.9), 12)
schedule("schedule_cosine", lambda o: S.CosineAnnealingLR(o, 10, 0.05), 10)
schedule("schedule_linear", lambda o: S.LinearLR(o, 1.0, 0.2, 8), 12)
schedule("schedule_one_cycle", lambda o: S.OneCycleLR(o, 0.5, total_steps=20), 20)

layer(
    "conv3d",
    torch.nn.Conv3d(4, 6, (2, 3, 2), stride=(1, 2, 1), padding=(1, 0, 1), dilation=(1, 1, 2), groups=2),
    torch.randn(2, 4, 3, 5, 4),
)
layer(
    "conv_transpose1d",
    torch.nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    torch.randn(2, 4, 5),
)
layer(
    "conv_transpose3d",
    torch.nn.ConvTranspose3d(3, 2, 2, stride=2, output_padding=(1, 0, 1), dilation=(1, 2, 1)),
    torch.randn(1, 3, 2, 3, 2),
)
# Recurrent layers: projections, padded batches, both orders of axes, and cells.
torch.manual_seed(11)


def padded(module, lengths):
    """A call of a recurrent layer through packed sequences: outputs, then states."""

    def call(x, *state):
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=module.batch_first, enforce_sorted=False
        )
        state = None if not state else state if len(state) > 1 else state[0]
        outputs, state = module(packed, state)
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(
            outputs, batch_first=module.batch_first, total_length=x.shape[int(module.batch_first)]
        )
        return (outputs, *state) if isinstance(state, tuple) else (outputs, state)

    return call


lengths = torch.tensor([3, 5, 1])
put("recurrent_padded", lengths=lengths)
both = dict(num_layers=2, bidirectional=True)
projected = torch.nn.LSTM(3, 4, proj_size=2, **both)
layer("lstm_projected", projected, torch.randn(5, 2, 3), call=lambda x: (lambda y, s: (y, *s))(*projected(x)))
lstm = torch.nn.LSTM(3, 4, batch_first=True, **both)
states = torch.randn(4, 3, 4), torch.randn(4, 3, 4)
layer("lstm_padded", lstm, torch.randn(3, 5, 3), *states, call=padded(lstm, lengths))
gru = torch.nn.GRU(3, 4, **both)
layer("gru_padded", gru, torch.randn(5, 3, 3), torch.randn(4, 3, 4), call=padded(gru, lengths))
rnn = torch.nn.RNN(3, 4, batch_first=True, **both)
layer("rnn", rnn, torch.randn(2, 5, 3), call=lambda x: rnn(x))
relu = torch.nn.RNN(3, 4, nonlinearity="relu", bias=False)
layer("rnn_relu", relu, torch.randn(5, 2, 3), torch.randn(1, 2, 4))
layer("rnn_padded", rnn, torch.randn(3, 5, 3), call=padded(rnn, lengths))
layer("rnn_cell", torch.nn.RNNCell(3, 4), torch.randn(2, 3), torch.randn(2, 4))
cell = torch.nn.LSTMCell(3, 4)
layer("lstm_cell", cell, torch.randn(2, 3), *torch.randn(2, 2, 4), call=lambda x, h, c: cell(x, (h, c)))
layer("gru_cell", torch.nn.GRUCell(3, 4, bias=False), torch.randn(2, 3), torch.randn(2, 4))

# Options of layers.
torch.manual_seed(12)
layer("batch_norm_plain", torch.nn.BatchNorm2d(3, affine=False), torch.randn(4, 3, 2, 5) * 2 + 1)
cumulative = torch.nn.BatchNorm1d(3, momentum=None)
cumulative.train()(torch.randn(5, 3) * 2)
cumulative.num_batches_tracked = cumulative.num_batches_tracked.double()
layer("batch_norm_cumulative", cumulative, torch.randn(6, 3))
put("batch_norm_cumulative", model={"num_batches_tracked": torch.tensor(1.0)})
put("batch_norm_cumulative", after={"num_batches_tracked": torch.tensor(2.0)})
layer("batch_norm_untracked", torch.nn.BatchNorm2d(3, track_running_stats=False).eval(), torch.randn(2, 3, 2, 2))
layer("instance_norm", torch.nn.InstanceNorm1d(3), torch.randn(2, 3, 5) + 1)
layer("instance_norm_affine", torch.nn.InstanceNorm2d(3, affine=True), torch.randn(2, 3, 4, 2) + 1)
tracked = torch.nn.InstanceNorm2d(3, affine=True, track_running_stats=True, momentum=0.2)
layer("instance_norm_tracked", tracked, torch.randn(2, 3, 4, 2) * 2 + 1)
layer("instance_norm_eval", tracked.eval(), torch.randn(2, 3, 4, 2))
layer("layer_norm_plain", torch.nn.LayerNorm([2, 5], elementwise_affine=False), torch.randn(3, 2, 5))
layer("group_norm_plain", torch.nn.GroupNorm(2, 6, affine=False), torch.randn(2, 6, 3))
layer("prelu", torch.nn.PReLU(3), torch.randn(2, 3, 4))
layer("prelu_one", torch.nn.PReLU(), torch.randn(2, 3))
layer("conv_reflect", torch.nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect"), torch.randn(2, 2, 4, 5))
layer("conv_circular", torch.nn.Conv1d(2, 3, 4, padding="same", padding_mode="circular"), torch.randn(2, 2, 5))
layer("conv_replicate", torch.nn.Conv3d(2, 2, 2, padding=1, padding_mode="replicate"), torch.randn(1, 2, 3, 2, 3))
other = torch.nn.MultiheadAttention(8, 2, batch_first=True, kdim=5, vdim=6)
layer(
    "attention_features",
    other,
    torch.randn(2, 3, 8),
    torch.randn(2, 4, 5),
    torch.randn(2, 4, 6),
    call=lambda q, k, v: other(q, k, v, average_attn_weights=False),
)
added = torch.nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True)
last = torch.zeros(3, 4).masked_fill(torch.triu(torch.ones(3, 4, dtype=torch.bool), 2), float("-inf"))
layer(
    "attention_added",
    added,
    torch.randn(2, 3, 8),
    torch.randn(2, 4, 8),
    torch.randn(2, 4, 8),
    call=lambda q, k, v: added(q, k, v, attn_mask=last, average_attn_weights=False),
)
causal = torch.nn.Transformer.generate_square_subsequent_mask(4)
for case, first in (("encoder", False), ("encoder_first", True)):
    one = torch.nn.TransformerEncoderLayer(
        8, 2, 12, dropout=0.0, activation="gelu", norm_first=first, batch_first=True
    )
    encoder = torch.nn.TransformerEncoder(one, 2, torch.nn.LayerNorm(8), enable_nested_tensor=False)
    layer(f"transformer_{case}", encoder, torch.randn(2, 4, 8), call=lambda x: encoder(x, causal))
for case, first in (("decoder", False), ("decoder_first", True)):
    one = torch.nn.TransformerDecoderLayer(8, 2, 12, dropout=0.0, norm_first=first, batch_first=True, bias=False)
    decoder = torch.nn.TransformerDecoder(one, 2)
    layer(
        f"transformer_{case}",
        decoder,
        torch.randn(2, 4, 8),
        torch.randn(2, 3, 8),
        call=lambda x, memory: decoder(x, memory, causal),
    )

skipping = torch.nn.Embedding(5, 3, padding_idx=1)
layer("embedding_padding", skipping, torch.tensor([[0, 4, 4], [1, 1, 0]]))
short = torch.nn.Embedding(5, 3, max_norm=0.5)
layer("embedding_short", short, torch.tensor([[0, 4, 4], [1, 1, 2]]))
GOLDEN = {name: value for name, value in GOLDEN.items() if not name.startswith("embedding_short.after")}

bags = torch.nn.EmbeddingBag(5, 3, mode="max", padding_idx=1)
layer("embedding_bag", bags, torch.tensor([[0, 4, 4], [1, 1, 2]]))
sums = torch.nn.EmbeddingBag(5, 3, mode="sum")
put("embedding_bag_offsets", offsets=torch.tensor([0, 2, 2]))
layer(
    "embedding_bag_offsets",
    sums,
    torch.tensor([0, 4, 4, 1, 2]),
    torch.tensor([0.5, -1.0, 2.0, 1.0, 3.0]).requires_grad_(False),
    call=lambda x, w: sums(x, torch.tensor([0, 2, 2]), w),
)

# Optimizers.
O = torch.optim
optimizer("adam_amsgrad", lambda p: O.Adam(p, 0.05, amsgrad=True))
optimizer("adamw_maximize", lambda p: O.AdamW(p, 0.05, amsgrad=True, maximize=True))
optimizer("adagrad", lambda p: O.Adagrad(p, 0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5))
optimizer("adadelta", lambda p: O.Adadelta(p, 1.0, rho=0.8, weight_decay=0.1))
optimizer("adamax", lambda p: O.Adamax(p, 0.05, weight_decay=0.1))
optimizer("nadam", lambda p: O.NAdam(p, 0.05, weight_decay=0.1))
optimizer("nadam_decoupled", lambda p: O.NAdam(p, 0.05, weight_decay=0.1, decoupled_weight_decay=True))
optimizer("radam", lambda p: O.RAdam(p, 0.05, betas=(0.8, 0.95), weight_decay=0.1))
optimizer("radam_decoupled", lambda p: O.RAdam(p, 0.05, weight_decay=0.1, decoupled_weight_decay=True))
optimizer("rprop", lambda p: O.Rprop(p, 0.05, etas=(0.4, 1.3), step_sizes=(0.02, 0.09)))
optimizer("adafactor", lambda p: O.Adafactor(p, 0.05, weight_decay=0.1))
# In the weights' own dtype, where PyTorch rounds to bf16.
halved, torch.bfloat16 = torch.bfloat16, torch.float64
optimizer("muon", lambda p: O.Muon(p, 0.05))
optimizer("muon_matched", lambda p: O.Muon(p, 0.05, nesterov=False, adjust_lr_fn="match_rms_adamw"))
torch.bfloat16 = halved


class Lion(O.Optimizer):
    """Algorithm 2 of Chen et al., 2023."""

    def __init__(self, p, lr, betas, decay):
        super().__init__(p, dict(lr=lr))
        self.betas, self.decay, self.m = betas, decay, 0

    def step(self):
        [w] = self.param_groups[0]["params"]
        g, lr, (b1, b2) = w.grad, self.param_groups[0]["lr"], self.betas
        c = b1 * self.m + (1 - b1) * g
        w.data = w.data - lr * (torch.sign(c) + self.decay * w.data)
        self.m = b2 * self.m + (1 - b2) * g


class Lamb(O.Optimizer):
    """Algorithm 2 of You et al., 2019, with the identity for phi."""

    def __init__(self, p, lr, decay):
        super().__init__(p, dict(lr=lr))
        self.decay, self.m, self.v, self.t = decay, 0, 0, 0

    def step(self):
        [w] = self.param_groups[0]["params"]
        g, lr = w.grad, self.param_groups[0]["lr"]
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        r = (self.m / (1 - 0.9**self.t)) / (torch.sqrt(self.v / (1 - 0.999**self.t)) + 1e-6)
        u = r + self.decay * w.data
        w.data = w.data - lr * w.data.norm() / u.norm() * u


optimizer("lion", lambda p: Lion(p, 0.05, (0.9, 0.99), 0.1))
optimizer("lamb", lambda p: Lamb(p, 0.05, 0.01))

# Averaged, with one learning rate: PyTorch takes another in a step late.
torch.manual_seed(8)
w = torch.nn.Parameter(torch.randn(3, 2))
put("asgd", w=w)
asgd, values, grads = O.ASGD([w], 0.1, lambd=0.02, alpha=0.6, t0=3, weight_decay=0.1), [], []
for _ in range(10):
    w.grad = torch.randn(3, 2)
    grads.append(w.grad.clone())
    asgd.step()
    values.append(w.detach().clone())
put("asgd", gradients=torch.stack(grads), values=torch.stack(values), mean=asgd.state[w]["ax"])


def lbfgs(case, **options):
    """Rosenbrock's valley in four dimensions, three steps."""
    w = torch.nn.Parameter(torch.tensor([-1.2, 1.0, 0.5, -0.7]))
    put(case, w=w)
    opt, values, losses = O.LBFGS([w], **options), [], []

    def closure():
        opt.zero_grad()
        loss = (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()
        loss.backward()
        return loss

    for _ in range(3):
        losses.append(opt.step(closure).detach())
        values.append(w.detach().clone())
    put(case, values=torch.stack(values), losses=torch.stack(losses))


lbfgs("lbfgs", lr=1e-3, max_iter=4)
lbfgs("lbfgs_wolfe", lr=1.0, max_iter=8, history_size=3, line_search_fn="strong_wolfe")

schedule("schedule_polynomial", lambda o: S.PolynomialLR(o, 8, 2.0), 12)
schedule("schedule_restarts", lambda o: S.CosineAnnealingWarmRestarts(o, 3, 2, 0.05), 25)
schedule("schedule_restarts_equal", lambda o: S.CosineAnnealingWarmRestarts(o, 4), 10)
cycle = dict(step_size_up=3, step_size_down=5, cycle_momentum=False)
schedule("schedule_cyclic", lambda o: S.CyclicLR(o, 0.1, 0.5, **cycle), 20)
schedule("schedule_cyclic_halving", lambda o: S.CyclicLR(o, 0.1, 0.5, mode="triangular2", **cycle), 20)
schedule("schedule_cyclic_falling", lambda o: S.CyclicLR(o, 0.1, 0.5, mode="exp_range", gamma=0.9, **cycle), 20)


def plateau(case, metrics, **options):
    opt = O.SGD([torch.nn.Parameter(torch.zeros(1))], 0.5)
    watch, rates = S.ReduceLROnPlateau(opt, **options), []
    for metric in metrics:
        watch.step(metric)
        rates.append(opt.param_groups[0]["lr"])
    put(case, metrics=torch.tensor(metrics), rates=torch.tensor(rates))


seen = [3.0, 2.0, 2.0, 1.99, 2.1, 2.2, 1.5, 1.5, 1.5, 1.5, 1.5, 1.49, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2, 2.3]
plateau("plateau", seen, factor=0.5, patience=2, cooldown=1, min_lr=0.1)
plateau("plateau_rising", [-x for x in seen], mode="max", patience=1, threshold=0.02, threshold_mode="abs")

save_file(GOLDEN, pathlib.Path(__file__).resolve().parent / "golden.safetensors", {"torch": torch.__version__})
