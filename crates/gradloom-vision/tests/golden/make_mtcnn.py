"""Writes what facenet-pytorch's cascade of face detectors finds on real photos, in mtcnn.json, and what its three
networks compute with weights made of their names.

    cargo xtask assets mtcnn photos
    pip install facenet-pytorch==2.6.0 torch torchvision pillow
    python make_mtcnn.py
"""

import json
import math
import pathlib

import numpy as np
import torch
from facenet_pytorch.models.mtcnn import MTCNN, ONet, PNet, RNet
from PIL import Image

from make import fill, value_of

HERE = pathlib.Path(__file__).parent
PHOTOS = HERE / "../../../../assets/photos"


def numbers(values):
    return [float(f"{value:.8g}") for value in np.asarray(values, dtype=np.float64).flatten()]


result = {"filled": {}, "photos": {}}
for name, make, size in [("pnet", PNet, 20), ("rnet", RNet, 24), ("onet", ONet, 48)]:
    model = make(pretrained=False).double().eval()
    weights = {key: value_of(key, tuple(value.shape)) for key, value in model.state_dict().items()}
    model.load_state_dict(weights)
    with torch.no_grad():
        outputs = model(fill("pictures", (2, 3, size, size)).double())
    result["filled"][name] = {"size": size, "outputs": [numbers(output) for output in outputs]}

mtcnn = MTCNN(keep_all=True, select_largest=False)
for photo in ["astronaut.png", "astronaut.png pair", "coffee.png"]:
    # An array, so that pictures are resized by means of areas and not by OpenCV.
    picture = np.asarray(Image.open(PHOTOS / photo.removesuffix(" pair")).convert("RGB"))
    if photo.endswith(" pair"):
        picture = np.concatenate([picture, picture[:, ::-1]], axis=1)
    try:
        boxes, scores, points = mtcnn.detect(picture, landmarks=True)
    except (RuntimeError, ValueError):  # without any proposal the original stops
        boxes = None
    faces = [] if boxes is None else zip(boxes, scores, points)
    result["photos"][photo] = [
        {"box": numbers(box), "score": float(score), "points": numbers(point)} for box, score, point in faces
    ]
    print(photo, result["photos"][photo])
(HERE / "mtcnn.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")
