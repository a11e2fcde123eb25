"""Writes what Python computes with published weights on real photos, in published.json: classes and logits.

    cargo xtask assets efficientnet-lite0 mobilenet-v2 craft photos
    pip install torch torchvision timm pillow
    python make_published.py
"""

import json
import pathlib

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from make import Craft, fill

HERE = pathlib.Path(__file__).parent
ASSETS = HERE / "../../../../assets"
PHOTOS = ["chelsea.png", "coffee.png", "astronaut.png"]


def lite0():
    weights = torch.load(ASSETS / "efficientnet-lite0/efficientnet-lite0-57934424.pth", weights_only=True, map_location="cpu")
    model = timm.create_model("tf_efficientnet_lite0")
    # Both list the same layers in the same order under other names.
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    mean, deviation = (127 / 255,) * 3, (128 / 255,) * 3
    return model, ImageClassification(
        crop_size=224, resize_size=256, mean=mean, std=deviation, interpolation=InterpolationMode.BICUBIC)


def mobilenet_v2():
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(torch.load(ASSETS / "mobilenet-v2/mobilenet_v2-b0353104.pth", weights_only=True, map_location="cpu"))
    return model, ImageClassification(crop_size=224)


def craft():
    weights = torch.load(ASSETS / "craft/craft_mlt_25k.pth", weights_only=True, map_location="cpu")
    model = Craft()
    model.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    return model, ImageClassification(crop_size=224)


def number(value):
    return float(f"{value:.8g}")


result = {}
for name, make in [("efficientnet_lite0", lite0), ("mobilenet_v2", mobilenet_v2), ("craft", craft)]:
    model, preprocess = make()
    model = model.double().eval()
    result[name] = {}
    for photo in PHOTOS:
        picture = preprocess(Image.open(ASSETS / "photos" / photo).convert("RGB")).unsqueeze(0)
        with torch.no_grad():
            logits = model(picture.double())[0].flatten()
        probability, classes = logits.softmax(-1).topk(5)
        probe = fill("probe.picture", tuple(picture.shape))
        result[name][photo] = {
            "classes": classes.tolist(),
            "probabilities": [number(value) for value in probability],
            "logits": [number(value) for value in logits[:: max(25, len(logits) // 40)]],
            "picture": number((picture.double() * probe).sum()),
        }
        print(name, photo, classes.tolist(), [round(value, 3) for value in probability.tolist()])
(HERE / "published.json").write_text(json.dumps(result, separators=(",", ":")).replace('},"', '},\n"') + "\n")
