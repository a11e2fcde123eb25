"""Which learning rates fastai 2.8.12 suggests for the network and data of `fashion.rs`.

python fastai_rate.py FOLDER, with PyTorch 2.15 and the files of Fashion-MNIST in FOLDER. The rules `valley` and
`steep`, the smoothing and the end of the test are those of fastai's `callback/schedule.py` and `learner.py`.
"""

import gzip
import pathlib
import statistics
import sys

import numpy as np
import torch
from torch import nn

LOW, HIGH, STEPS, BETA = 1e-7, 10.0, 100, 0.98


def idx(path, header):
    return np.frombuffer(gzip.open(path).read(), np.uint8, offset=header)


folder = pathlib.Path(sys.argv[1])
pixels = idx(folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
x = (torch.from_numpy(pixels.copy()).float() / 255 - 0.2860) / 0.3530
y = torch.from_numpy(idx(folder / "train-labels-idx1-ubyte.gz", 8).copy()).long()


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 64), nn.ReLU(), nn.Linear(64, 10),
    )


def curve(seed):
    torch.manual_seed(seed)
    net = network()
    optimizer = torch.optim.AdamW(net.parameters(), lr=LOW, betas=(0.9, 0.99), eps=1e-5, weight_decay=0.01)
    mean, best, rates, losses = 0.0, float("inf"), [], []
    for step, rows in enumerate(torch.randperm(len(x)).split(64)):
        if step == STEPS:
            break
        rate = LOW * (HIGH / LOW) ** (step / STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        mean = BETA * mean + (1 - BETA) * loss.item()
        smooth = mean / (1 - BETA ** (step + 1))
        rates.append(rate)
        losses.append(smooth)
        best = min(best, smooth)
        if smooth > 4 * best:
            break
    return rates[STEPS // 10:-5], losses[STEPS // 10:-5]


def valley(rates, losses):
    longest, start, end = [1] * len(losses), 0, 0
    for i in range(1, len(losses)):
        for j in range(i):
            if losses[i] < losses[j] and longest[i] < longest[j] + 1:
                longest[i] = longest[j] + 1
            if longest[end] < longest[i]:
                end = i
                start = end - longest[end]
    sections = (end - start) / 3
    return rates[start + int(sections) + int(sections / 2)]


def steep(rates, losses):
    slopes = np.diff(losses) / np.diff(np.log(rates))
    return rates[int(slopes.argmin())]


found = [(valley(*c), steep(*c)) for c in map(curve, range(5))]
for seed, (of_valley, of_steep) in enumerate(found):
    print(f"seed {seed}: valley {of_valley:.2e}, steep {of_steep:.2e}")
for name, rates in zip(("valley", "steep"), zip(*found)):
    print(f"median {name} {statistics.median(rates):.2e}")
