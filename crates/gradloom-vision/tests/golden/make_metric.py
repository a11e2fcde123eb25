"""Writes what heads and losses of metric learning give, in metric.json: the formulas of the papers written down with
angles in PyTorch, values and gradients in f64.

    pip install torch torchvision timm
    python make_metric.py
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

from make import fill
from make_parts import with_gradients

HERE = pathlib.Path(__file__).parent
# The second row points away from its class, beyond a half turn with the margin.
CLASSES = torch.tensor([2, 0, 1, 2, 0])


def angles(x, w):
    return torch.acos(F.normalize(x) @ F.normalize(w).t())


def arc_face(x, w, scale, margin):
    angle = angles(x, w)
    past = torch.cos(angle) - margin * math.sin(margin)
    own = torch.where(angle + margin < math.pi, torch.cos(angle + margin), past)
    return scale * torch.where(F.one_hot(CLASSES, 3).bool(), own, torch.cos(angle))


def cos_face(x, w, scale, margin):
    return scale * (torch.cos(angles(x, w)) - margin * F.one_hot(CLASSES, 3))


def contrastive(left, right, alike, margin):
    d = F.pairwise_distance(left, right)
    return (alike * d**2 / 2 + (1 - alike) * (margin - d).clamp(min=0) ** 2 / 2).mean()


if __name__ == "__main__":
    w = fill("w", (3, 4))
    x = fill("x", (5, 4))
    x[1] = -w[0] * 3 + 0.05 * x[1]
    x = x.float().double()
    left, right = fill("left", (5, 4)), fill("right", (5, 4))
    alike = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]).double()
    result = {"x": x.flatten().tolist()}
    for name, head, margin in [("arc_face", arc_face, 0.5), ("cos_face", cos_face, 0.35)]:
        result[name] = with_gradients(lambda x, w: head(x, w, 8.0, margin), x, w)
        result[name + "_loss"] = with_gradients(lambda x, w: F.cross_entropy(head(x, w, 8.0, margin), CLASSES), x, w)
    result["contrastive"] = with_gradients(lambda a, b: contrastive(a, b, alike, 1.5), left, right)
    result["triplet"] = with_gradients(lambda a, p, n: F.triplet_margin_loss(a, p, n, 0.4), left, right, x)
    (HERE / "metric.json").write_text(json.dumps(result, separators=(",", ":")).replace('},"', '},\n"') + "\n")
