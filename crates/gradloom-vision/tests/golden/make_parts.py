"""Writes what torchvision's operators give, in parts.json: values and gradients in f64 of inputs that `fill` makes.

    pip install torch torchvision
    python make_parts.py
"""

import json
import pathlib

import torch
import torchvision.ops as ops
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from make import fill

HERE = pathlib.Path(__file__).parent


def boxes(name, count, extent=20.0, size=8.0):
    """Boxes of sides between 0.2 and twice `size`, some over the edges of `extent`."""
    corner = fill(name + ".corner", (count, 2), extent / 2, extent / 2 - 2)
    sides = fill(name + ".sides", (count, 2), size - 0.2, size)
    return torch.cat([corner, corner + sides], 1).float().double()


def numbers(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().double().flatten().tolist()]


def with_gradients(function, *inputs):
    inputs = [value.clone().requires_grad_() for value in inputs]
    y = function(*inputs)
    (y * fill("cotangent", tuple(y.shape))).sum().backward()
    return {"value": numbers(y), "gradients": [numbers(value.grad) for value in inputs]}


def overlaps():
    a, b = boxes("a", 6), boxes("b", 5)
    matched, targets = boxes("matched", 7), boxes("targets", 7)
    pairs = {"iou": ops.box_iou, "generalized": ops.generalized_box_iou, "distance": ops.distance_box_iou,
             "complete": ops.complete_box_iou}
    losses = {"generalized_loss": ops.generalized_box_iou_loss, "distance_loss": ops.distance_box_iou_loss,
              "complete_loss": ops.complete_box_iou_loss}
    result = {name: with_gradients(function, a, b) for name, function in pairs.items()}
    return result | {name: with_gradients(function, matched, targets) for name, function in losses.items()}


def regions():
    features = fill("features", (2, 3, 9, 11))
    of_pictures = [boxes("regions.0", 4, 40.0, 14.0), boxes("regions.1", 3, 40.0, 14.0)]
    result = {}
    for name, samples, aligned in [("align", 2, False), ("align_adaptive", -1, False), ("align_aligned", 3, True),
                                   ("align_aligned_adaptive", -1, True)]:
        align = lambda x: ops.roi_align(x, of_pictures, (3, 2), 0.25, samples, aligned)
        result[name] = with_gradients(align, features)
    result["pool"] = with_gradients(lambda x: ops.roi_pool(x, of_pictures, (3, 2), 0.25), features)
    return result


def suppression():
    many = boxes("many", 400, 100.0, 12.0).float()
    scores = fill("scores", (400,), 0.5, 0.5).float()
    # Equal scores keep their order.
    scores = (scores * 50).round() / 50
    classes = (fill("classes", (400,), 1.5, 1.5)).floor().long()
    apart = many.clone()
    kept = torch.cat([
        torch.where(classes == c)[0][ops.nms(apart[classes == c], scores[classes == c], 0.4)] for c in range(3)
    ])
    kept = sorted(kept.tolist(), key=lambda i: (-scores[i].item(), i))
    return {"nms_0.3": ops.nms(many, scores, 0.3).tolist(), "nms_0.7": ops.nms(many, scores, 0.7).tolist(),
            "nms_0.0": ops.nms(many, scores, 0.0).tolist(), "batched_0.4": kept}


def codes():
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    a, b = boxes("matched", 7), boxes("targets", 7)
    return {
        "encode": with_gradients(coder.encode_single, b, a),
        "decode": with_gradients(coder.decode_single, fill("codes", (7, 4), 30.0), a),
    }


def anchors():
    generator = AnchorGenerator(((32,), (64, 100)), ((0.5, 1.0, 2.0), (1.0, 1.7)))
    maps = [torch.zeros(1, 1, 5, 7), torch.zeros(1, 1, 2, 3)]
    found = generator(ImageList(torch.zeros(1, 3, 85, 130), [(85, 130)]), maps)
    return numbers(found[0])


def focal():
    logits, targets = fill("logits", (4, 5), 4.0), (fill("hits", (4, 5)) > 0.3).double()
    smooth = fill("soft", (4, 5), 0.5, 0.5)
    return {
        "usual": with_gradients(lambda x: ops.sigmoid_focal_loss(x, targets), logits),
        "plain": with_gradients(lambda x: ops.sigmoid_focal_loss(x, targets, alpha=-1, gamma=1.5), logits),
        "soft": with_gradients(lambda x: ops.sigmoid_focal_loss(x, smooth, alpha=0.4, gamma=3), logits),
    }


if __name__ == "__main__":
    result = {"overlaps": overlaps(), "regions": regions(), "suppression": suppression(), "codes": codes(),
              "anchors": anchors(), "focal": focal()}
    text = json.dumps(result, separators=(",", ":")).replace('},"', '},\n"')
    (HERE / "parts.json").write_text(text + "\n")
    print(len(text), "bytes")
