"""Writes autocast.json: the loss and the gradients of a network under torch.autocast on the CPU, and without it.

python make_autocast.py, with PyTorch 2.15. `precision.rs` beside this file compares the same network.
"""

import json
import pathlib

import torch
from torch import nn

torch.manual_seed(3)


class Net(nn.Module):
    """Convolution, batch norm, pooling, attention, layer norm, LSTM, linear."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer_norm = nn.LayerNorm(8)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = nn.functional.max_pool2d(x, 2).flatten(2).transpose(1, 2)
        x = self.layer_norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.head(self.lstm(x)[0].mean(1))


net = Net()
x, y = torch.randn(6, 1, 6, 6), torch.randint(5, (6,))


def run(dtype):
    net.zero_grad()
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        logits = net(x)
        loss = nn.functional.cross_entropy(logits, y)
    loss.backward()
    return {
        "loss": loss.item(),
        "loss_dtype": str(loss.dtype),
        "gradients": {name: weight.grad.flatten().tolist() for name, weight in net.named_parameters()},
    }


def short(value):
    """Floats with the nine digits that f32 has."""
    if isinstance(value, dict):
        return {key: short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [short(inner) for inner in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


golden = {
    "x": x.flatten().tolist(),
    "y": y.tolist(),
    "weights": {
        name: {"shape": list(weight.shape), "values": weight.flatten().tolist()}
        for name, weight in net.named_parameters()
    },
    "full": run(None),
    "bf16": run(torch.bfloat16),
}
path = pathlib.Path(__file__).with_name("autocast.json")
path.write_text(json.dumps(short(golden)) + "\n")
print(path.stat().st_size, golden["full"]["loss"], golden["bf16"]["loss"], golden["bf16"]["loss_dtype"])
