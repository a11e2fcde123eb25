"""Writes quantization.safetensors: rounding and its gradients as PyTorch computes them.

`python make_quantization.py`, with torch 2.15 and safetensors.
"""

import torch
from safetensors.torch import save_file

torch.manual_seed(0)
out = {}


def keep(name, tensor):
    out[name] = tensor.detach().float().contiguous().clone()


# Rounding with a straight-through gradient, with ties and numbers beyond both bounds.
x = torch.randn(6, 10) * 2
x[0, :6] = torch.tensor([0.125, 0.375, -0.125, -0.375, 100.0, -100.0])
keep("x", x)
upstream = torch.randn(6, 10)
keep("upstream", upstream)
for name, scale, zero_point, low, high in [
    ("affine", 0.25, 3, 0, 15),
    ("symmetric", 0.25, 0, -8, 7),
    ("odd", 0.017, 131, 0, 255),
]:
    leaf = x.clone().requires_grad_()
    y = torch.fake_quantize_per_tensor_affine(leaf, scale, zero_point, low, high)
    y.backward(upstream)
    keep(f"{name}.y", y)
    keep(f"{name}.gradient", leaf.grad)

scales = torch.tensor([0.25, 0.1, 0.05, 0.5, 0.01, 0.3])
keep("scales", scales)
leaf = x.clone().requires_grad_()
zero_points = torch.tensor([0, 1, -2, 3, 0, -1], dtype=torch.int32)
keep("zero_points", zero_points)
y = torch.fake_quantize_per_channel_affine(leaf, scales, zero_points, 0, -8, 7)
y.backward(upstream)
keep("channel.y", y)
keep("channel.gradient", leaf.grad)


# Learned step size quantization, from the equations 1 to 3 and section 2.2 of the paper.
class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def learned(v, s, low, high):
    factor = 1 / ((v.numel() / s.numel()) * high) ** 0.5
    s = Scaled.apply(s, factor)
    return Rounded.apply((v / s).clamp(low, high)) * s


for name, low, high in [("signed", -8, 7), ("unsigned", 0, 15)]:
    leaf = x.clone().requires_grad_()
    step = (2 * x.abs().mean() / high**0.5).reshape(1).requires_grad_()
    y = learned(leaf, step, low, high)
    y.backward(upstream)
    for what, tensor in [("step", step), ("y", y), ("gradient", leaf.grad), ("step_gradient", step.grad)]:
        keep(f"learned.{name}.{what}", tensor)

leaf = x.clone().requires_grad_()
steps = scales.reshape(6, 1).clone().requires_grad_()
y = learned(leaf, steps, -8, 7)
y.backward(upstream)
keep("learned.channel.y", y)
keep("learned.channel.gradient", leaf.grad)
keep("learned.channel.step_gradient", steps.grad.reshape(6))

# PyTorch's own learnable quantizer. Its gradients also pass from what lies up to half a step beyond a bound.
step, zero = torch.tensor([0.3]), torch.tensor([0.0])
keep("learnable.y", torch._fake_quantize_learnable_per_tensor_affine(x, step, zero, -8, 7, 1.0))

# Observers over batches.
from torch.ao.quantization import MinMaxObserver, MovingAverageMinMaxObserver

batches = torch.randn(5, 40) * torch.arange(1, 6).reshape(5, 1)
keep("batches", batches)
for name, observer in [
    ("min_max", MinMaxObserver(dtype=torch.quint8)),
    ("moving", MovingAverageMinMaxObserver(averaging_constant=0.1, dtype=torch.quint8)),
]:
    for batch in batches:
        observer(batch)
    scale, zero_point = observer.calculate_qparams()
    keep(f"{name}.range", torch.stack([observer.min_val, observer.max_val]))
    keep(f"{name}.scale", scale)
    keep(f"{name}.zero_point", zero_point)

# A step of training with fake quantization, by hand: two layers and a loss.
inputs = torch.rand(16, 8)
target = torch.randn(16, 3)
first, second = torch.randn(12, 8) * 0.4, torch.randn(3, 12) * 0.4
# Without a bias sums of integers are often exactly zero, where rounding decides on ReLU's slope.
bias = torch.rand(12) * 0.2 - 0.1
keep("net.bias", bias)
keep("net.inputs", inputs)
keep("net.target", target)
keep("net.first", first)
keep("net.second", second)
first.requires_grad_()
second.requires_grad_()
steps = {}
for name, tensor in [("first", first), ("second", second)]:
    steps[name] = (2 * tensor.detach().abs().mean() / 7**0.5).reshape(1).requires_grad_()
with torch.no_grad():
    plain = torch.relu(inputs @ first.t() + bias)
steps["inputs"] = (2 * inputs.abs().mean() / 15**0.5).reshape(1).requires_grad_()
steps["hidden"] = (2 * plain.abs().mean() / 15**0.5).reshape(1).requires_grad_()
hidden = learned(inputs, steps["inputs"], 0, 15) @ learned(first, steps["first"], -8, 7).t()
hidden = torch.relu(hidden + bias)
y = learned(hidden, steps["hidden"], 0, 15) @ learned(second, steps["second"], -8, 7).t()
loss = (y - target).square().mean()
loss.backward()
keep("net.loss", loss.reshape(1))
keep("net.first.gradient", first.grad)
keep("net.second.gradient", second.grad)
for name, step in steps.items():
    keep(f"net.{name}.step", step)
    keep(f"net.{name}.step_gradient", step.grad)

save_file(out, "quantization.safetensors")
