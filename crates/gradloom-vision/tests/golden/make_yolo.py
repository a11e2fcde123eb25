"""Writes what YOLO networks compute: yolo_v8.json, yolo_v3_tiny.json (outputs, gradients, running statistics) and
yolo_losses.json (who learns what, losses and their gradients, boxes that are kept).

    pip install torch torchvision timm
    python make_yolo.py
    pip install ultralytics && python make_yolo.py oracle

The networks and losses stand below, written after the papers (YOLOv3; generalized focal loss; TOOD; distance IoU) for
this comparison: everything is batched tensors and masks here, loops over objects on the other side. With `oracle` the
package of Ultralytics (AGPL) is run on the same weights, and its outputs and losses are compared with those of the code
below. It is an oracle of numbers only: nothing of it is copied or needed for the files.
"""

import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
import torchvision.ops as ops
from torch import nn

from make import CLASSES, fill, summary, value_of, write

HERE = pathlib.Path(__file__).parent
SIZE = 160
# Boxes in pixels and classes of three pictures, the last of which is empty.
TARGETS = [
    [([8, 10, 140, 150], 1), ([20, 14, 132, 120], 4), ([70, 64, 92, 90], 0), ([96, 10, 156, 152], 1)],
    [([4, 30, 150, 130], 6), ([40, 100, 60, 124], 2)],
    [],
]
ANCHORS = torch.tensor([[[10, 14], [23, 27], [37, 58]], [[81, 82], [135, 169], [344, 319]]]).double()


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, stride=1, act=nn.SiLU):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act = act()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, channels, add):
        super().__init__()
        self.cv1, self.cv2, self.add = Conv(channels, channels, 3), Conv(channels, channels, 3), add

    def forward(self, x):
        return self.add * x + self.cv2(self.cv1(x))


class C2f(nn.Module):
    def __init__(self, inputs, outputs, repeats, add):
        super().__init__()
        half = outputs // 2
        self.cv1, self.cv2 = Conv(inputs, outputs), Conv((2 + repeats) * half, outputs)
        self.m = nn.ModuleList(Bottleneck(half, add) for _ in range(repeats))

    def forward(self, x):
        parts = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            parts.append(block(parts[-1]))
        return self.cv2(torch.cat(parts, 1))


class Sppf(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.cv1, self.cv2 = Conv(channels, channels // 2), Conv(channels // 2 * 4, channels)

    def forward(self, x):
        x = self.cv1(x)
        # Maxima of 5, 9 and 13 are those of 5 once, twice and three times.
        return self.cv2(torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))], 1))


class Join(nn.Module):
    def __init__(self, other):
        super().__init__()
        self.other = other


class Numbered(nn.Module):
    """Layers one after another; `Join` puts an earlier output beside the last one."""

    def levels(self, x, places, first=None):
        first = first or {}
        outputs = []
        for index, layer in enumerate(self.model[:-1]):
            if index in first:
                x = outputs[first[index]]
            x = torch.cat([x, outputs[layer.other]], 1) if isinstance(layer, Join) else layer(x)
            outputs.append(x)
        return [outputs[place] for place in places]


class V8(Numbered):
    def __init__(self, width, depth, classes, most=1024):
        super().__init__()
        c = [math.ceil(min(full, most) * width / 8) * 8 for full in (64, 128, 256, 512, 1024)]
        n = [max(round(repeats * depth), 1) for repeats in (3, 6)]
        up = nn.Upsample(scale_factor=2)
        head = nn.Module()
        of_box, of_class = max(16, c[2] // 4, 64), max(c[2], min(classes, 100))
        branch = lambda i, h, o: nn.Sequential(Conv(i, h, 3), Conv(h, h, 3), nn.Conv2d(h, o, 1))
        head.cv2 = nn.ModuleList(branch(i, of_box, 64) for i in c[2:])
        head.cv3 = nn.ModuleList(branch(i, of_class, classes) for i in c[2:])
        self.model = nn.ModuleList([
            Conv(3, c[0], 3, 2), Conv(c[0], c[1], 3, 2), C2f(c[1], c[1], n[0], 1), Conv(c[1], c[2], 3, 2),
            C2f(c[2], c[2], n[1], 1), Conv(c[2], c[3], 3, 2), C2f(c[3], c[3], n[1], 1), Conv(c[3], c[4], 3, 2),
            C2f(c[4], c[4], n[0], 1), Sppf(c[4]), up, Join(6), C2f(c[4] + c[3], c[3], n[0], 0), up, Join(4),
            C2f(c[3] + c[2], c[2], n[0], 0), Conv(c[2], c[2], 3, 2), Join(12), C2f(c[2] + c[3], c[3], n[0], 0),
            Conv(c[3], c[3], 3, 2), Join(9), C2f(c[3] + c[4], c[4], n[0], 0), head,
        ])

    def raw(self, x):
        """Logits of distances [N, 4, 16, A] and of classes [N, C, A], centres [2, A], strides [A]."""
        head = self.model[-1]
        levels = self.levels(x, [15, 18, 21])
        sides = torch.cat([cv(y).flatten(2) for cv, y in zip(head.cv2, levels)], 2).unflatten(1, (4, 16))
        classes = torch.cat([cv(y).flatten(2) for cv, y in zip(head.cv3, levels)], 2)
        grids = [torch.meshgrid(torch.arange(y.shape[2]), torch.arange(y.shape[3]), indexing="ij") for y in levels]
        centres = torch.cat([(torch.stack([gx, gy]).flatten(1) + 0.5) * s for (gy, gx), s in zip(grids, (8, 16, 32))], 1)
        strides = torch.cat([torch.full((y.shape[2] * y.shape[3],), s) for y, s in zip(levels, (8, 16, 32))])
        return sides, classes, centres.double(), strides.double()

    def forward(self, x):
        sides, classes, centres, strides = self.raw(x)
        left, top, right, bottom = distances(sides).unbind(1)
        x, y = centres / strides
        middle = [x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom]
        return torch.cat([torch.stack(middle, 1) * strides, classes.sigmoid()], 1).unsqueeze(-1)


def distances(sides):
    return torch.einsum("nsba,b->nsa", sides.softmax(2), torch.arange(16).double())


def corners(sides, centres, strides):
    d = distances(sides) * strides
    return torch.cat([centres - d[:, :2], centres + d[:, 2:]], 1).transpose(1, 2)


def complete_iou(a, b, eps=1e-7):
    """Of boxes that broadcast, [.., 4]; the weight of the shapes has no gradient."""
    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    both = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    iou = both / (size_a.prod(-1) + size_b.prod(-1) - both + eps)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2).square().sum(-1)
    angle = lambda size: torch.atan(size[..., 0] / size[..., 1])
    v = 4 / math.pi**2 * (angle(size_a) - angle(size_b)).square()
    return iou - apart / (hull.square().sum(-1) + eps) - v * (v / (1 - iou + v + eps)).detach()


def padded(targets):
    most = max(len(of_picture) for of_picture in targets)
    boxes, labels = torch.zeros(len(targets), most, 4).double(), torch.zeros(len(targets), most).long()
    there = torch.zeros(len(targets), most).bool()
    for n, of_picture in enumerate(targets):
        for g, (box, label) in enumerate(of_picture):
            boxes[n, g], labels[n, g], there[n, g] = torch.tensor(box).double(), label, True
    return boxes, labels, there


@torch.no_grad()
def aligned(scores, said, centres, boxes, labels, there, most=10, alpha=0.5, beta=6.0):
    """TOOD's assignment: object of each point [N, A] or -1, and what the point shall say of its class."""
    place = centres.t()[None, None]
    inside = ((place - boxes[:, :, None, :2]).amin(-1) > 0) & ((boxes[:, :, None, 2:] - place).amin(-1) > 0)
    inside &= there[..., None]
    overlap = torch.where(inside, complete_iou(said[:, None], boxes[:, :, None]).clamp(min=0), 0)
    own = torch.gather(scores, 1, labels[..., None].expand(-1, -1, scores.shape[2]))
    alignment = own**alpha * overlap**beta * inside
    order = torch.argsort(torch.where(inside, alignment, -1), dim=-1, descending=True, stable=True)
    chosen = torch.zeros_like(inside).scatter(-1, order[..., :most], True) & inside
    of_point = torch.where(chosen, overlap, -1).argmax(1)
    chosen &= F.one_hot(of_point, boxes.shape[1]).transpose(1, 2).bool()
    best = (overlap * chosen).amax(-1) / ((alignment * chosen).amax(-1) + 1e-9)
    score = (alignment * best[..., None] * chosen).sum(1)
    return torch.where(chosen.any(1), of_point, -1), score


def v8_losses(model, pictures, targets):
    sides, classes, centres, strides = model.raw(pictures)
    said = corners(sides, centres, strides)
    boxes, labels, there = padded(targets)
    objects, score = aligned(classes.sigmoid().detach(), said.detach(), centres, boxes, labels, there)
    total = score.sum().clamp(min=1)
    n, a = torch.where(objects >= 0)
    wanted, weight = boxes[n, objects[n, a]], score[n, a]
    goal = torch.zeros_like(classes)
    goal[n, labels[n, objects[n, a]], a] = weight
    place = centres.t()[a]
    distance = torch.cat([place - wanted[:, :2], wanted[:, 2:] - place], 1) / strides[a, None]
    distance = distance.clamp(0, 14.99)
    low = distance.floor()
    logits = sides[n, :, :, a].flatten(0, 1)
    entropy = lambda bin: F.cross_entropy(logits, bin.flatten().long(), reduction="none").view_as(distance)
    between = ((low + 1 - distance) * entropy(low) + (distance - low) * entropy(low + 1)).mean(1)
    return {
        "boxes": ((1 - complete_iou(said[n, a], wanted)) * weight).sum() / total,
        "classes": F.binary_cross_entropy_with_logits(classes, goal, reduction="sum") / total,
        "distances": (between * weight).sum() / total,
    }, [[*row, float(f"{w:.9g}")] for row, w in zip(torch.stack([n, a, objects[n, a]], 1).tolist(), weight.tolist())]


class V3Tiny(Numbered):
    def __init__(self, width, classes):
        super().__init__()
        c = {full: math.ceil(full * width / 8) * 8 for full in (16, 32, 64, 128, 256, 512, 1024)}
        act = lambda: nn.LeakyReLU(0.1)
        conv = lambda i, o, k: Conv(i, c[o], k, 1, act)
        layers = []
        for i, o in [(3, 16), (c[16], 32), (c[32], 64), (c[64], 128), (c[128], 256)]:
            layers += [conv(i, o, 3), nn.MaxPool2d(2, 2)]
        layers += [
            conv(c[256], 512, 3), nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 1), conv(c[512], 1024, 3),
            conv(c[1024], 256, 1), conv(c[256], 512, 3), conv(c[256], 128, 1), nn.Upsample(scale_factor=2), Join(8),
            conv(c[128] + c[256], 256, 3),
        ]
        head = nn.Module()
        head.m = nn.ModuleList(nn.Conv2d(i, 3 * (5 + classes), 1) for i in (c[256], c[512]))
        self.model = nn.ModuleList([*layers, head])

    def raw(self, x):
        """[N, 3, H, W, 5 + C] of each level."""
        levels = self.levels(x, [19, 15], {16: 14})
        maps = [m(y).unflatten(1, (3, -1)) for m, y in zip(self.model[-1].m, levels)]
        return [y.permute(0, 1, 3, 4, 2) for y in maps]

    def forward(self, x):
        outputs = []
        for y, anchors, stride in zip(self.raw(x), ANCHORS, (16, 32)):
            gy, gx = torch.meshgrid(torch.arange(y.shape[2]), torch.arange(y.shape[3]), indexing="ij")
            middle = (y[..., :2].sigmoid() + torch.stack([gx, gy], -1)) * stride
            size = y[..., 2:4].exp() * anchors[None, :, None, None]
            outputs.append(torch.cat([middle, size, y[..., 4:].sigmoid()], -1).flatten(1, 3))
        return torch.cat(outputs, 1).unsqueeze(-1)


def v3_losses(model, pictures, targets):
    maps = model.raw(pictures)
    priors = []
    for y, anchors, stride in zip(maps, ANCHORS, (16, 32)):
        p, r, c = torch.meshgrid(*(torch.arange(n) for n in y.shape[1:4]), indexing="ij")
        stride = torch.full_like(p, stride)
        priors.append(torch.cat([torch.stack([c, r, stride], -1).double(), anchors[p]], -1).flatten(0, 2))
    priors, said = torch.cat(priors), torch.cat([y.flatten(1, 3) for y in maps], 1)
    cell, stride, size = priors[:, :2], priors[:, 2:3], priors[:, 3:]
    around = torch.cat([(cell + 0.5) * stride - size / 2, (cell + 0.5) * stride + size / 2], 1)
    learns, counts = torch.zeros(said.shape[:2]).double(), torch.ones(said.shape[:2]).double()
    goals = torch.zeros_like(said)
    for n, of_picture in enumerate(targets):
        if not of_picture:
            continue
        boxes = torch.tensor([box for box, _ in of_picture]).double()
        middle, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        counts[n, (ops.box_iou(boxes, around) > 0.5).any(0)] = 0
        both = torch.minimum(sides[:, None], size).prod(-1)
        shape = both / (sides.prod(-1)[:, None] + size.prod(-1) - both)
        here = (torch.floor(middle[:, None] / stride) == cell).all(-1)
        fits, best = torch.where(here, shape, -1).max(1)
        # The worst first, so that the best is written last.
        for g in torch.argsort(fits, stable=True, descending=True).flip(0).tolist():
            a = best[g]
            goals[n, a] = 0
            goals[n, a, :2] = middle[g] / stride[a] - cell[a]
            goals[n, a, 2:4] = (sides[g] / size[a]).log()
            goals[n, a, 5 + of_picture[g][1]] = 1
            learns[n, a] = counts[n, a] = 1
    sides = torch.cat([said[..., :2].sigmoid(), said[..., 2:4]], -1)
    entropy = lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none")
    rows = {
        "boxes": ((sides - goals[..., :4]).square().sum(-1) * learns),
        "objectness": entropy(said[..., 4], learns) * counts,
        "classes": entropy(said[..., 5:], goals[..., 5:]).sum(-1) * learns,
    }
    n, a = torch.where(learns > 0)
    return {name: row.sum() / len(targets) for name, row in rows.items()}, torch.stack([n, a], 1).tolist()


def filled(model):
    model = model.double()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(value_of(name, tuple(value.shape)))
    return model


def pictures():
    return fill("pictures", (len(TARGETS), 3, SIZE, SIZE), 0.5, 0.5)


def with_losses(model, losses, detections):
    model = filled(model)
    found = detections(model.eval()(pictures()).squeeze(-1).detach())
    parts, assigned = losses(model.train(), pictures(), TARGETS)
    weights = {"boxes": 7.5, "classes": 0.5, "distances": 1.5} if "distances" in parts else {}
    sum(weights.get(name, 1.0) * part for name, part in parts.items()).backward()
    print({name: part.item() for name, part in parts.items()}, len(assigned), "assigned", [len(f) for f in found], "found")
    return {
        "losses": {name: float(f"{part.item():.10g}") for name, part in parts.items()},
        "assigned": assigned,
        "gradients": {name: summary(name, value.grad) for name, value in model.named_parameters()},
        "found": found,
    }


def found_of(boxes, scores, classes, least):
    """[left, top, right, bottom, score, class] of each picture, by falling score, of the boxes that are kept at 0.5."""
    result = []
    for box, score, label in zip(boxes, scores, classes):
        sure = score >= least
        box, score, label = ops.box_convert(box[sure], "cxcywh", "xyxy").float(), score[sure].float(), label[sure]
        kept = [torch.where(label == c)[0][ops.nms(box[label == c], score[label == c], 0.5)] for c in label.unique()]
        kept = torch.cat(kept) if kept else torch.zeros(0).long()
        kept = kept[score[kept].argsort(descending=True)]
        rows = torch.cat([box[kept], score[kept, None], label[kept, None]], 1).tolist()
        result.append([[float(f"{value:.7g}") for value in row] for row in rows])
    return result


def found_v8(y):
    scores, classes = y[:, 4:].max(1)
    return found_of(y[:, :4].transpose(1, 2), scores, classes, 0.53)


def found_v3(y):
    scores, classes = y[..., 5:].max(2)
    return found_of(y[..., :4], y[..., 4] * scores, classes, 0.8)


def oracle():
    """Outputs and losses of Ultralytics' package for the weights of the code above."""
    from types import SimpleNamespace

    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils.loss import v8DetectionLoss

    ours = filled(V8(0.25, 0.33, 80))
    theirs = DetectionModel("yolov8n.yaml", ch=3, nc=80, verbose=False).double()
    weights = {**theirs.state_dict(), **ours.state_dict()}
    missing = set(ours.state_dict()) - set(theirs.state_dict())
    assert not missing and set(theirs.state_dict()) - set(ours.state_dict()) == {"model.22.dfl.conv.weight"}, missing
    theirs.load_state_dict(weights)
    y = theirs.eval()(pictures())
    y = y[0] if isinstance(y, tuple) else y
    print("largest difference of outputs", (y - ours.eval()(pictures()).squeeze(-1)).abs().max().item())
    theirs.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
    rows = [(n, label, box) for n, of_picture in enumerate(TARGETS) for box, label in of_picture]
    batch = {
        "batch_idx": torch.tensor([float(n) for n, _, _ in rows]),
        "cls": torch.tensor([[float(label)] for _, label, _ in rows]),
        "bboxes": ops.box_convert(torch.tensor([box for _, _, box in rows]).double() / SIZE, "xyxy", "cxcywh"),
    }
    batch = {name: value.float() for name, value in batch.items()}
    theirs = theirs.float().train()
    _, items = v8DetectionLoss(theirs)(theirs(pictures().float()), batch)
    parts, _ = v8_losses(ours.train(), pictures(), TARGETS)
    print("theirs", items)
    print("ours  ", [7.5 * parts["boxes"].item(), 0.5 * parts["classes"].item(), 1.5 * parts["distances"].item()])


if __name__ == "__main__":
    if "oracle" in sys.argv:
        oracle()
        sys.exit()
    write("yolo_v8", V8(0.125, 0.33, CLASSES), 64)
    write("yolo_v3_tiny", V3Tiny(0.25, CLASSES), 64)
    result = {
        "batch": len(TARGETS), "size": SIZE,
        "targets": [[[*box, label] for box, label in of_picture] for of_picture in TARGETS],
        "yolo_v8": with_losses(V8(0.125, 0.33, CLASSES), v8_losses, found_v8),
        "yolo_v3_tiny": with_losses(V3Tiny(0.25, CLASSES), v3_losses, found_v3),
    }
    text = json.dumps(result, separators=(",", ":")).replace('],"', '],\n"')
    (HERE / "yolo_losses.json").write_text(text + "\n")
    print(len(text), "bytes")
