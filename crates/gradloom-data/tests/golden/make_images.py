#!/usr/bin/env python3
"""Makes images.json.gz: what Pillow and torchvision make of a small picture.

    python3 -m pip install torch==2.15.0 torchvision==0.29.2 pillow==13.0.0 numpy==2.4.6
    python3 make_images.py

Pixels are hexadecimal, in the order channel, row, column.
"""

import gzip
import json
import math
import pathlib
import zlib

import numpy
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import AugMix, AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide, functional
from torchvision.transforms.autoaugment import _apply_op
from torchvision.transforms.functional import InterpolationMode

HERE = pathlib.Path(__file__).resolve().parent
FILTERS = {
    "Nearest": Image.Resampling.NEAREST,
    "Box": Image.Resampling.BOX,
    "Bilinear": Image.Resampling.BILINEAR,
    "Hamming": Image.Resampling.HAMMING,
    "Bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}
SIZES = [(23, 10), (11, 31), (8, 9), (1, 1), (5, 44), (40, 7), (35, 47), (46, 62)]


def picture():
    """Edges, gradients, noise and flat parts, 3 x 23 x 31."""
    random = numpy.random.default_rng(3)
    rows, columns = numpy.mgrid[0:23, 0:31]
    red = (rows * 11) % 256
    green = 255 * ((rows - 11) ** 2 + (columns - 15) ** 2 < 60)
    blue = random.integers(0, 256, size=(23, 31))
    pixels = numpy.stack([red, green, blue], -1).astype(numpy.uint8)
    pixels[2:7, 3:12] = [250, 128, 7]
    pixels[15:20, 20:29] = 90
    return pixels


def encoded(pixels):
    """The pixels of a picture [H, W, C], [H, W] or a tensor [C, H, W]."""
    if isinstance(pixels, torch.Tensor):
        pixels = pixels.numpy()
    else:
        pixels = numpy.asarray(pixels)
        pixels = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
    return {"size": list(pixels.shape), "pixels": numpy.ascontiguousarray(pixels).tobytes().hex()}


def resized(image):
    cases = []
    for name, resample in FILTERS.items():
        for height, width in SIZES:
            result = image.resize((width, height), resample)
            cases.append({"filter": name, **encoded(result)})
    return cases


def resized_floats(image):
    plane = Image.fromarray(numpy.asarray(image)[:, :, 2].astype(numpy.float32) / 255)
    cases = []
    for name, resample in FILTERS.items():
        for height, width in [(8, 9), (35, 20)]:
            result = numpy.asarray(plane.resize((width, height), resample))
            cases.append({"filter": name, "size": [1, height, width], "values": result.ravel().tolist()})
    return cases


def warped(image):
    cases = []
    modes = {"Nearest": InterpolationMode.NEAREST, "Bilinear": InterpolationMode.BILINEAR}
    for name, mode in modes.items():
        for degrees in [0.0, 10.0, -37.5, 90.0, 180.0, 200.0]:
            result = functional.rotate(image, degrees, mode)
            cases.append({"op": "rotate", "filter": name, "degrees": degrees, **encoded(result)})
        for degrees, translate, scale, shear, centre in [
            (0, (0, 0), 1.0, (0.0, 0.0), None),
            (20, (3, -2), 1.0, (0.0, 0.0), None),
            (0, (4, 5), 1.0, (0.0, 0.0), None),
            (0, (0, 0), 0.6, (0.0, 0.0), None),
            (-15, (1, 1), 1.4, (12.0, -7.0), None),
            (0, (0, 0), 1.0, (math.degrees(math.atan(0.3)), 0.0), (0, 0)),
        ]:
            centre_list = None if centre is None else list(centre)
            result = functional.affine(image, degrees, translate, scale, shear, mode, center=centre_list)
            cases.append({
                "op": "affine", "filter": name, "degrees": degrees, "translate": translate,
                "scale": scale, "shear": shear, "centre": centre, **encoded(result),
            })
        start = [[0, 0], [30, 0], [30, 22], [0, 22]]
        for end in ([[3, 2], [28, 1], [25, 20], [1, 22]], [[5, 0], [30, 4], [22, 22], [0, 15]]):
            result = functional.perspective(image, start, end, mode)
            cases.append({"op": "perspective", "filter": name, "from": start, "to": end, **encoded(result)})
    return cases


def coloured(tensor):
    cases = []
    for op, factors in {
        "adjust_brightness": [0.0, 0.3, 1.7],
        "adjust_contrast": [0.0, 0.45, 1.6],
        "adjust_saturation": [0.0, 0.45, 2.5],
        "adjust_hue": [-0.5, -0.13, 0.0, 0.31],
        "adjust_sharpness": [0.0, 0.6, 2.2],
        "posterize": [1, 3, 7],
        "solarize": [0.0, 100.0, 255.0],
    }.items():
        for factor in factors:
            result = getattr(functional, op)(tensor, factor)
            cases.append({"op": op, "factor": factor, **encoded(result)})
    for op in ("autocontrast", "equalize"):
        # Channels that are not yet as wide as they can be.
        dull = (tensor.float() * 0.5 + 30).to(torch.uint8)
        cases.append({"op": op, "factor": 0.0, **encoded(getattr(functional, op)(dull))})
    cases.append({"op": "greyscale", "factor": 0.0, **encoded(functional.rgb_to_grayscale(tensor, 3))})
    for kernel, sigma in [(3, 0.5), (5, 1.2), (9, 3.0)]:
        result = functional.gaussian_blur(tensor, [kernel, kernel], [sigma, sigma])
        cases.append({"op": "gaussian_blur", "kernel": kernel, "factor": sigma, **encoded(result)})
    return cases


def augmented(image, tensor, space, magnitudes):
    """The changes of a policy: geometry on Pillow's image, colours on the tensor; CRC-32 of pixels."""
    cases = []
    for magnitude in magnitudes:
        for op, (strengths, signed) in space.items():
            strength = float(strengths[magnitude].item()) if strengths.ndim > 0 else 0.0
            geometric = op.startswith(("Shear", "Translate", "Rotate"))
            for sign in (1.0, -1.0) if signed else (1.0,):
                source = image if geometric else tensor
                result = _apply_op(source, op, sign * strength, InterpolationMode.NEAREST, None)
                pixels = bytes.fromhex(encoded(result)["pixels"])
                cases.append({
                    "op": op, "magnitude": magnitude, "negative": sign < 0, "crc": zlib.crc32(pixels),
                })
    return cases


def mixed(tensor):
    """What AugMix does with its weights and the results of two chains."""
    weights = [float(numpy.float32(weight)) for weight in (0.3, 0.45, 0.25)]
    mix = torch.tensor(weights[0]) * tensor
    for weight, chain in zip(weights[1:], (255 - tensor, tensor)):
        mix.add_(torch.tensor(weight) * chain)
    return {"weights": weights, "crc": zlib.crc32(bytes.fromhex(encoded(mix.to(torch.uint8))["pixels"]))}


def main():
    pixels = picture()
    image = Image.fromarray(pixels)
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    sizes = []
    for size in [(10, 12), (22, 30), (9, 40), (50, 45)]:
        sizes.append(encoded(functional.center_crop(image, list(size))))
    data = {
        "made_with": f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}",
        "image": encoded(image),
        "resize": resized(image),
        "resize_floats": resized_floats(image),
        "warp": warped(image),
        "colour": coloured(tensor),
        "centre_crop": sizes,
        "rand_augment": augmented(image, tensor, RandAugment()._augmentation_space(31, (23, 31)), (0, 9, 30)),
        "trivial_augment_wide": augmented(image, tensor, TrivialAugmentWide()._augmentation_space(31), (0, 7, 19, 30)),
        "auto_augment": augmented(image, tensor, AutoAugment()._augmentation_space(10, (23, 31)), (0, 4, 9)),
        "aug_mix": augmented(image, tensor, AugMix()._augmentation_space(10, (23, 31)), (0, 2)),
        "mixed": mixed(tensor),
        "policies": {policy.value: AutoAugment(policy).policies for policy in AutoAugmentPolicy},
    }
    text = json.dumps(data, separators=(",", ":")).encode()
    (HERE / "images.json.gz").write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    main()
