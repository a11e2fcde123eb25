"""Tells what torchinfo says of five nets, which `summary.rs` builds too.

    pip install torch torchinfo==1.8.0
    python make_summary_golden.py
"""

import json
import math
import pathlib

import torch
import torchinfo
from torch import nn


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(20, 32, bias=False)
        self.shared = nn.Linear(32, 32)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 3)
        self.inner.requires_grad_(False)

    def forward(self, x):
        x = torch.relu(self.inner(x))
        x = self.shared(torch.relu(self.shared(x)))
        return self.head(self.norm(x))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.lstm = nn.LSTM(16, 24, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, 2)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0][:, -1])


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride) if stride > 1 else None

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList([Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2)])
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(32)
        self.query = nn.Linear(32, 32)
        self.key = nn.Linear(32, 32)
        self.value = nn.Linear(32, 32)
        self.output = nn.Linear(32, 32)
        self.norm2 = nn.LayerNorm(32)
        self.up = nn.Linear(32, 64)
        self.down = nn.Linear(64, 32)

    def forward(self, x):
        y = self.norm1(x)
        q, k, v = self.query(y), self.key(y), self.value(y)
        x = x + self.output(torch.softmax(q @ k.transpose(1, 2) / math.sqrt(32), -1) @ v)
        return x + self.down(torch.relu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.layers = nn.ModuleList([Encoder(), Encoder()])
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = self.embedding(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


NETS = {
    "convolutional": (Convolutional(), torch.zeros(4, 1, 28, 28)),
    "perceptron": (Perceptron(), torch.zeros(5, 20)),
    "recurrent": (Recurrent(), torch.zeros(3, 7, dtype=torch.int32)),
    "residual": (Residual(), torch.zeros(2, 3, 16, 16)),
    "transformer": (Transformer(), torch.zeros(2, 9, dtype=torch.int32)),
}

golden = {"torch": torch.__version__, "torchinfo": torchinfo.__version__, "nets": {}}
for name, (net, x) in NETS.items():
    told = torchinfo.summary(net, input_data=x, verbose=0, depth=9)
    places = {id(module): place for place, module in net.named_modules()}
    layers = [{"name": places[id(layer.module)], "kind": layer.class_name, "output": layer.output_size,
               "parameters": layer.num_params, "trainable": layer.trainable_params, "mult_adds": layer.macs,
               "repeated": layer.is_recursive}
              for layer in told.summary_list if layer.is_leaf_layer and layer.num_params > 0]
    golden["nets"][name] = {
        "layers": layers, "parameters": told.total_params, "trainable": told.trainable_params,
        # torchinfo counts Python's own bytes of the input's storage too.
        "mult_adds": told.total_mult_adds, "input_bytes": x.nelement() * x.element_size(),
        "activation_bytes": told.total_output_bytes, "parameter_bytes": told.total_param_bytes,
    }
path = pathlib.Path(__file__).with_name("summary.json")
path.write_text(json.dumps(golden, indent=1) + "\n")
print(f"{path.stat().st_size} bytes")
