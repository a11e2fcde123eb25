"""Writes prune.json: what PyTorch's pruning and the papers' algorithms make of small matrices.

python crates/gradloom-compress/tests/golden/prune.py
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn.utils import prune


def flat(tensor):
    return [round(value, 9) for value in tensor.double().flatten().tolist()]


def magnitude(weights):
    layers = [nn.Linear(weight.shape[1], weight.shape[0], bias=False) for weight in weights]
    for layer, weight in zip(layers, weights):
        layer.weight.data.copy_(weight)
        prune.l1_unstructured(layer, "weight", amount=0.35)
    local = [layer.weight_mask.bool() for layer in layers]
    for layer in layers:
        prune.remove(layer, "weight")
    for layer, weight in zip(layers, weights):
        layer.weight.data.copy_(weight)
    pairs = [(layer, "weight") for layer in layers]
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=0.35)
    return {"local": [flat(mask) for mask in local],
            "global": [flat(layer.weight_mask) for layer in layers]}


def wanda(weight, x, sparsity, pattern):
    """https://arxiv.org/abs/2306.11695, algorithm 1."""
    metric = weight.abs() * x.pow(2).sum(0).sqrt()
    mask = torch.ones_like(weight, dtype=torch.bool)
    if pattern:
        n, m = pattern
        for first in range(0, weight.shape[1], m):
            least = metric[:, first:first + m].topk(m - n, dim=1, largest=False)[1]
            mask.scatter_(1, first + least, False)
    else:
        order = metric.sort(dim=1, stable=True)[1]
        mask.scatter_(1, order[:, :int(weight.shape[1] * sparsity)], False)
    return mask


def sparse_gpt(weight, x, sparsity, pattern, block=16, damping=0.01):
    """https://arxiv.org/abs/2301.00774, algorithm 1; exactly the asked number of each block goes."""
    weight, x = weight.double().clone(), x.double()
    hessian = 2.0 / len(x) * x.T @ x
    dead = hessian.diag() == 0
    hessian[dead, dead] = 1
    weight[:, dead] = 0
    hessian += damping * hessian.diag().mean() * torch.eye(len(hessian), dtype=torch.float64)
    upper = torch.linalg.cholesky(torch.linalg.inv(hessian), upper=True)
    mask = torch.ones_like(weight, dtype=torch.bool)
    columns = weight.shape[1]
    for first in range(0, columns, block):
        last = min(first + block, columns)
        saliency = (weight[:, first:last] / upper.diag()[first:last]) ** 2
        if not pattern:
            least = saliency.flatten().sort(stable=True)[1][:int(saliency.numel() * sparsity)]
            part = torch.ones(saliency.numel(), dtype=torch.bool)
            part[least] = False
            mask[:, first:last] = part.view_as(saliency)
        errors = torch.zeros(len(weight), last - first, dtype=torch.float64)
        for column in range(first, last):
            if pattern and (column - first) % pattern[1] == 0:
                n, m = pattern
                own = (weight[:, column:column + m] / upper.diag()[column:column + m]) ** 2
                mask.scatter_(1, column + own.topk(m - n, dim=1, largest=False)[1], False)
            kept = torch.where(mask[:, column], weight[:, column], 0)
            error = (weight[:, column] - kept) / upper[column, column]
            weight[:, column:last] -= error[:, None] * upper[column, column:last]
            weight[:, column] = kept
            errors[:, column - first] = error
        weight[:, last:] -= errors @ upper[first:last, last:]
    return torch.where(mask, weight, 0)


def main():
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in [(5, 7), (6, 40)]]
    mixing = torch.randn(40, 40, generator=generator)
    x = torch.randn(50, 40, generator=generator) @ mixing
    x[:, 11] = 0
    golden = {
        "weights": [flat(weight) for weight in weights],
        "shapes": [list(weight.shape) for weight in weights],
        "x": flat(x),
        "magnitude": magnitude(weights),
        "wanda": [flat(wanda(weights[1], x, 0.55, None)), flat(wanda(weights[1], x, None, (2, 4)))],
        "sparse_gpt": [flat(sparse_gpt(weights[1], x, 0.5, None)),
                       flat(sparse_gpt(weights[1], x, None, (2, 4)))],
    }
    path = pathlib.Path(__file__).with_name("prune.json")
    path.write_text(json.dumps(golden) + "\n")


main()
