"""Writes golden.json: scales of torch.amp.GradScaler for scripted sequences of overflows.

python make_golden.py, with PyTorch 2.15.
"""

import json
import pathlib
import random

import torch


def trace(overflows, **options):
    """The scale after each step, and which steps were left out."""
    scaler = torch.amp.GradScaler("cpu", **options)
    weight = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scales, skipped = [], []
    for overflow in overflows:
        before = weight.detach().clone()
        optimizer.zero_grad()
        loss = (weight * torch.tensor([1.0, float("inf") if overflow else 1.0, 1.0])).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
        skipped.append(bool(torch.equal(before, weight.detach())))
    return {"options": options, "overflows": overflows, "scales": scales, "skipped": skipped}


random.seed(7)
cases = [
    trace([True, True, False, True] + [False] * 12, init_scale=65536.0, growth_interval=5),
    trace([random.random() < 0.2 for _ in range(200)], init_scale=1024.0, growth_interval=4),
    trace(
        [random.random() < 0.1 for _ in range(200)],
        init_scale=8.0,
        growth_factor=3.0,
        backoff_factor=0.25,
        growth_interval=7,
    ),
    trace([False] * 140, init_scale=2.0**120, growth_interval=10),
    trace([False] * 2001 + [True, False]),
]
cases[-1]["scales"] = cases[-1]["scales"][-5:]
cases[-1]["overflows"] = len(cases[-1]["overflows"])
cases[-1]["skipped"] = cases[-1]["skipped"][-5:]
path = pathlib.Path(__file__).with_name("golden.json")
path.write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")
