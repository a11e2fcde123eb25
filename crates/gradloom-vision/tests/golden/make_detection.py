"""Writes what torchvision's detectors compute, in detection_*.json: losses, gradients, proposals and detections in f64.

    pip install torch torchvision
    python make_detection.py            # all
    python make_detection.py ssd        # those whose names contain this

Weights and pictures are made by `fill`, as in make.py. Samplers are so large that nothing is drawn. Pictures have
different sizes, and one has no objects.
"""

import json
import sys

import torch
import torchvision.models as tv
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

from make import HERE, fill, summary, value_of

CLASSES = 5
CHANNELS = 16
RATIOS = ((0.5, 1.0, 2.0),) * 5
SIZES = [(48, 60), (80, 70), (64, 64)]
OBJECTS = [
    ([[3.0, 4.0, 30.0, 40.0], [20.0, 10.0, 55.0, 30.5], [-4.0, 30.0, 12.0, 47.0]], [1, 4, 2]),
    ([[10.0, 12.0, 50.0, 70.0], [40.0, 40.0, 64.0, 60.0]], [3, 1]),
    ([], []),
]


def body(stages, extra):
    """A pyramid on the stages of a small residual network, whose norms are frozen."""
    net = tv.resnet.ResNet(tv.resnet.BasicBlock, [1, 1, 1, 1], norm_layer=FrozenBatchNorm2d)
    layers = {f"layer{stage}": str(index) for index, stage in enumerate(stages)}
    channels = [32 * 2**stage for stage in stages]
    return BackboneWithFPN(net, layers, channels, CHANNELS, extra)


def retinanet(extra, **options):
    anchors = AnchorGenerator(((16, 20), (24, 30), (32, 40), (48, 56), (64, 80)), RATIOS)
    backbone = body([2, 3, 4], extra)
    head = RetinaNetHead(CHANNELS, 6, CLASSES, **options)
    return RetinaNet(backbone, CLASSES, 64, 96, anchor_generator=anchors, head=head)


def retinanet_v2():
    model = retinanet(LastLevelP6P7(512, CHANNELS), norm_layer=lambda channels: torch.nn.GroupNorm(4, channels))
    model.head.regression_head._loss_type = "giou"
    return model


def faster_rcnn():
    anchors = AnchorGenerator(((16,), (24,), (32,), (48,), (64,)), RATIOS)
    align = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2, canonical_scale=32)
    return FasterRCNN(
        body([1, 2, 3, 4], LastLevelMaxPool()), None, 64, 96, rpn_anchor_generator=anchors, box_roi_pool=align,
        box_head=TwoMLPHead(CHANNELS * 49, 32), box_predictor=FastRCNNPredictor(32, CLASSES),
        rpn_pre_nms_top_n_train=60, rpn_pre_nms_top_n_test=60, rpn_post_nms_top_n_train=40,
        rpn_post_nms_top_n_test=30, rpn_batch_size_per_image=10**6, box_batch_size_per_image=10**6)


def ssd():
    layers = tv.vgg.make_layers([8, "M", 16, "M", 32, "M", 32, 512, "M", 512, "M"])
    backbone = SSDFeatureExtractorVGG(layers, False)
    anchors = DefaultBoxGenerator([[2], [2, 3], [2, 3], [2, 3], [2], [2]],
                                  scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], steps=[8, 16, 32, 64, 100, 300])
    return SSD(backbone, anchors, (300, 300), CLASSES, image_mean=[0.48235, 0.45882, 0.40784],
               image_std=[1.0 / 255.0] * 3)


def numbers(values):
    return [float(f"{value:.9g}") for value in values.detach().double().flatten().tolist()]


def write(case, model):
    model = model.double()
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            value = value_of(name, tuple(tensor.shape))
            # Outputs as small as those of a network that has learnt, so that scores differ and boxes stay near anchors.
            last = ("cls_logits", "bbox_reg", "bbox_pred", "cls_score", "ification_head.module_list", "ression_head.module_list")
            small = 0.0005 if isinstance(model, SSD) else 0.05
            tensor.copy_(value * small if any(part in name for part in last) and value.dim() > 1 else value)
    pictures = [fill(f"picture.{i}", (3, *size), 0.5, 0.5) for i, size in enumerate(SIZES)]
    targets = [{"boxes": torch.tensor(boxes).double().reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}
               for boxes, labels in OBJECTS]
    result = {"weights": {name: list(value.shape) for name, value in state.items()}}
    model.train()
    losses = model([p.clone() for p in pictures], targets)
    sum(losses.values()).backward()
    result["losses"] = {name: float(f"{loss.item():.10g}") for name, loss in losses.items()}
    result["gradients"] = {name: summary(name, p.grad) for name, p in model.named_parameters() if p.grad is not None}
    model.eval()
    with torch.no_grad():
        found = model([p.clone() for p in pictures])
    result["detections"] = [
        {"count": len(one["scores"]), "boxes": numbers(one["boxes"][:40]), "scores": numbers(one["scores"][:40]),
         "labels": one["labels"][:40].tolist()} for one in found
    ]
    if hasattr(model, "rpn"):
        with torch.no_grad():
            batch, _ = model.transform([p.clone() for p in pictures])
            boxes, _ = model.rpn(batch, model.backbone(batch.tensors))
        sizes = [tuple(p.shape[-2:]) for p in pictures]
        made = model.transform.postprocess([{"boxes": own} for own in boxes], batch.image_sizes, sizes)
        result["proposals"] = [numbers(one["boxes"]) for one in made]
    text = json.dumps(result, separators=(",", ":")).replace('],"', '],\n"')
    (HERE / f"detection_{case}.json").write_text(text + "\n")
    print(case, result["losses"], [one["count"] for one in result["detections"]], found[0]["scores"][:5].tolist(),
          found[0]["scores"][-3:].tolist(), f"{len(text)} bytes")


CASES = {
    "retinanet": lambda: retinanet(LastLevelP6P7(CHANNELS, CHANNELS)),
    "retinanet_v2": retinanet_v2,
    "faster_rcnn": faster_rcnn,
    "ssd": ssd,
}

if __name__ == "__main__":
    torch.manual_seed(0)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for case, make in CASES.items():
        if wanted in case:
            write(case, make())
