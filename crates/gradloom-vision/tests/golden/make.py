"""Writes what torchvision and timm compute with the networks of this crate: JSON files beside this one, one a case.

    pip install torch torchvision timm
    python make.py            # all cases
    python make.py resnet     # those whose names contain this

Weights, pictures and the factors of the loss are not stored: `fill` makes them of a name, here and in
`support/fill.rs`. So a file has the logits, of each gradient and running statistic its projection on a filled
tensor and its norm, and nothing else. Everything is computed in f64 from values that f32 holds, so that
the tests measure only this side's rounding.
"""

import json
import math
import pathlib
import sys
from functools import partial

import numpy as np
import timm
import torch
import torchvision.models as tv
from torch import nn

HERE = pathlib.Path(__file__).parent
CLASSES = 7


def fill(name, shape, scale=1.0, shift=0.0):
    """Numbers in shift + scale * [-1, 1) by a hash of the name and the index; f32 holds them."""
    count = math.prod(shape)
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x85EBCA6B)
        x ^= x >> np.uint32(13)
        x *= np.uint32(0xC2B2AE35)
        x ^= x >> np.uint32(16)
    unit = (x >> np.uint32(8)).astype(np.float64) / 2.0**23 - 1.0
    values = (shift + scale * unit).astype(np.float32).astype(np.float64)
    return torch.from_numpy(values.reshape(shape))


def value_of(name, shape):
    """The value of a weight or running statistic."""
    if name.endswith("running_mean"):
        return fill(name, shape, 0.1)
    if name.endswith("running_var"):
        return fill(name, shape, 0.25, 1.0)
    if len(shape) == 1:
        return fill(name, shape, 0.25, 1.0) if name.endswith("weight") else fill(name, shape, 0.1)
    fan_in = math.prod(shape[1:])
    return fill(name, shape, math.sqrt(6.0 / fan_in) if fan_in > 1 else 0.5)


def summary(name, tensor):
    tensor = tensor.detach().double()
    projection = (tensor * fill("probe." + name, tuple(tensor.shape))).sum().item()
    return [float(f"{projection:.9g}"), float(f"{tensor.norm().item():.9g}")]


def rounded(tensor):
    """Rows of logits; of pixels every 97th."""
    if tensor.dim() == 4:
        tensor = tensor.flatten(1)[:, ::97]
    return [[float(f"{value:.9g}") for value in row] for row in tensor.detach().tolist()]


def logits_of(output):
    """Logits first, then those of auxiliary heads from the nearest to the pictures."""
    if isinstance(output, dict):
        return list(output.values())
    if isinstance(output, tuple):
        return [output[0], *reversed(list(output[1:]))]
    return [output]


def write(case, model, size, batch=2, rename=None):
    model = model.double()
    state = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
    named = {name: rename(name) if rename else name for name in state}
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(value_of(named[name], tuple(tensor.shape)))
    pictures = fill("pictures", (batch, 3, size, size))
    result = {"batch": batch, "size": size, "parameters": sum(p.numel() for p in model.parameters())}
    for mode in ["eval", "train"]:
        model.train(mode == "train")
        model.zero_grad()
        outputs = logits_of(model(pictures))
        loss = sum((y * fill(f"cotangent.{i}", tuple(y.shape))).sum() for i, y in enumerate(outputs))
        loss.backward()
        part = {"logits": [rounded(y) for y in outputs]}
        part["gradients"] = {
            named[name]: summary(named[name], value.grad)
            for name, value in model.named_parameters()
            if value.grad is not None
        }
        if mode == "train":
            part["statistics"] = {
                named[name]: summary(named[name], value)
                for name, value in model.named_buffers()
                if name.endswith(("running_mean", "running_var"))
            }
        result[mode] = part
    text = json.dumps(result, separators=(",", ":")).replace('],"', '],\n"')
    (HERE / f"{case}.json").write_text(text + "\n")
    print(case, result["parameters"], f"{len(text)} bytes")


def alexnet():
    model = tv.AlexNet(num_classes=CLASSES, dropout=0.0)
    model.classifier[1] = nn.Linear(256 * 6 * 6, 32)
    model.classifier[4] = nn.Linear(32, 32)
    model.classifier[6] = nn.Linear(32, CLASSES)
    return model


def vgg(norm):
    layers = tv.vgg.make_layers([8, "M", 12, "M", 16, 16, "M", 16, "M", 16, "M"], batch_norm=norm)
    model = tv.VGG(layers, num_classes=CLASSES, dropout=0.0)
    model.classifier[0] = nn.Linear(16 * 7 * 7, 32)
    model.classifier[3] = nn.Linear(32, 32)
    model.classifier[6] = nn.Linear(32, CLASSES)
    return model


def resnet(block, layers, **options):
    return tv.resnet.ResNet(block, layers, num_classes=CLASSES, **options)


def se_resnet(block, layers, **options):
    return timm.models.resnet.ResNet(block, layers, num_classes=CLASSES, block_args=dict(attn_layer="se"), **options)


def efficientnet(settings, last=None, **options):
    return tv.efficientnet.EfficientNet(
        settings, 0.0, stochastic_depth_prob=0.0, num_classes=CLASSES, last_channel=last, **options
    )


def efficientnet_v1():
    block = partial(tv.efficientnet.MBConvConfig, width_mult=0.5, depth_mult=0.5)
    rows = [
        (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3),
        (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
    ]
    return efficientnet([block(*row) for row in rows])


def efficientnet_v2():
    fused, block = tv.efficientnet.FusedMBConvConfig, tv.efficientnet.MBConvConfig
    rows = [fused(1, 3, 1, 24, 24, 1), fused(4, 3, 2, 24, 48, 2), block(4, 3, 2, 48, 64, 2), block(6, 3, 1, 64, 80, 1)]
    return efficientnet(rows, 96, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))


def mobilenet_v3():
    settings, last = tv.mobilenetv3._mobilenet_v3_conf("mobilenet_v3_small", width_mult=0.5)
    return tv.MobileNetV3(settings, last, num_classes=CLASSES, dropout=0.0)


def convnext():
    of = tv.convnext.CNBlockConfig
    return tv.ConvNeXt([of(8, 16, 1), of(16, 24, 2), of(24, 32, 1), of(32, None, 1)], 0.0, num_classes=CLASSES)


def vit():
    return tv.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=CLASSES)


def densenet():
    return tv.DenseNet(8, (2, 3, 2, 2), 16, num_classes=CLASSES)


class DoubleConv(nn.Module):
    def __init__(self, inputs, middle, outputs):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, middle, 1), nn.BatchNorm2d(middle), nn.ReLU(inplace=True),
            nn.Conv2d(middle, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

    def forward(self, x):
        return self.conv(x)


class Craft(nn.Module):
    """CRAFT by its paper and the names of its file, on torchvision's VGG-16, whose ReLUs work in place."""

    def __init__(self):
        super().__init__()
        features = list(tv.vgg16_bn().features)
        self.basenet = nn.Module()
        for index, (first, last) in enumerate([(0, 12), (12, 19), (19, 29), (29, 39)]):
            part = nn.Sequential()
            for place in range(first, last):
                part.add_module(str(place), features[place])
            setattr(self.basenet, f"slice{index + 1}", part)
        self.basenet.slice5 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1), nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.Conv2d(1024, 1024, 1))
        self.upconv1 = DoubleConv(1536, 512, 256)
        self.upconv2 = DoubleConv(768, 256, 128)
        self.upconv3 = DoubleConv(384, 128, 64)
        self.upconv4 = DoubleConv(192, 64, 32)
        self.conv_cls = nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
            nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 2, 1))

    def forward(self, x):
        sides = []
        for index in range(5):
            x = getattr(self.basenet, f"slice{index + 1}")(x)
            sides.append(x)
        y = self.upconv1(torch.cat([x, sides[3]], 1))
        for index, up in [(2, self.upconv2), (1, self.upconv3), (0, self.upconv4)]:
            y = nn.functional.interpolate(y, size=sides[index].shape[2:], mode="bilinear", align_corners=False)
            y = up(torch.cat([y, sides[index]], 1))
        return self.conv_cls(y)


class Double(nn.Module):
    def __init__(self, inputs, outputs, middle=None):
        super().__init__()
        middle = middle or outputs
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, middle, 3, padding=1, bias=False), nn.BatchNorm2d(middle), nn.ReLU(),
            nn.Conv2d(middle, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), Double(inputs, outputs))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, inputs, outputs, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = Double(inputs, outputs, inputs // 2)
        else:
            self.up = nn.ConvTranspose2d(inputs, inputs // 2, kernel_size=2, stride=2)
            self.conv = Double(inputs, outputs)

    def forward(self, below, side):
        below = self.up(below)
        down, across = side.shape[2] - below.shape[2], side.shape[3] - below.shape[3]
        below = nn.functional.pad(below, [across // 2, across - across // 2, down // 2, down - down // 2])
        return self.conv(torch.cat([side, below], 1))


class Out(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.conv = nn.Conv2d(inputs, classes, 1)

    def forward(self, x):
        return self.conv(x)


class UNet(nn.Module):
    """U-Net by the names of Pytorch-UNet."""

    def __init__(self, width, bilinear):
        super().__init__()
        shared = 2 if bilinear else 1
        self.inc = Double(3, width)
        self.down1, self.down2, self.down3 = Down(width, 2 * width), Down(2 * width, 4 * width), Down(4 * width, 8 * width)
        self.down4 = Down(8 * width, 16 * width // shared)
        self.up1 = Up(16 * width, 8 * width // shared, bilinear)
        self.up2 = Up(8 * width, 4 * width // shared, bilinear)
        self.up3 = Up(4 * width, 2 * width // shared, bilinear)
        self.up4 = Up(2 * width, width, bilinear)
        self.outc = Out(width, CLASSES)

    def forward(self, x):
        sides = [self.inc(x)]
        for down in [self.down1, self.down2, self.down3, self.down4]:
            sides.append(down(sides[-1]))
        y = sides.pop()
        for up in [self.up1, self.up2, self.up3, self.up4]:
            y = up(y, sides.pop())
        return self.outc(y)


def segmentation(deeplab):
    backbone = resnet(BOTTLENECK, [1, 1, 1, 1], replace_stride_with_dilation=[False, True, True])
    make = tv.segmentation.deeplabv3._deeplabv3_resnet if deeplab else tv.segmentation.fcn._fcn_resnet
    model = make(backbone, CLASSES, True)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


BASIC, BOTTLENECK = tv.resnet.BasicBlock, tv.resnet.Bottleneck

CASES = {
    "alexnet": lambda: (alexnet(), 64),
    "vgg": lambda: (vgg(False), 32),
    "vgg_bn": lambda: (vgg(True), 64),
    "resnet_basic": lambda: (resnet(BASIC, [1, 2, 1, 1]), 64),
    "resnet_bottleneck": lambda: (resnet(BOTTLENECK, [1, 2, 1, 1]), 64),
    "resnet_dilated": lambda: (
        resnet(BOTTLENECK, [1, 1, 2, 2], replace_stride_with_dilation=[False, True, True]), 48),
    "resnext": lambda: (resnet(BOTTLENECK, [1, 1, 1, 1], groups=32, width_per_group=4), 64),
    "wide_resnet": lambda: (resnet(BOTTLENECK, [1, 1, 1, 1], width_per_group=128), 64),
    "se_resnet": lambda: (se_resnet(timm.models.resnet.BasicBlock, [1, 1, 1, 1]), 64),
    "se_resnet_bottleneck": lambda: (se_resnet(timm.models.resnet.Bottleneck, [1, 1, 1, 1]), 64),
    "densenet": lambda: (densenet(), 64),
    "googlenet": lambda: (
        tv.GoogLeNet(num_classes=CLASSES, init_weights=False, dropout=0.0, dropout_aux=0.0), 64),
    "googlenet_published": lambda: (
        tv.GoogLeNet(num_classes=CLASSES, init_weights=False, aux_logits=False, transform_input=True, dropout=0.0), 64),
    "inception_v3": lambda: (
        tv.Inception3(num_classes=CLASSES, init_weights=False, dropout=0.0), 299),
    "mobilenet_v2": lambda: (tv.MobileNetV2(num_classes=CLASSES, width_mult=0.35, dropout=0.0), 64),
    "mobilenet_v3": lambda: (mobilenet_v3(), 64),
    "efficientnet": lambda: (efficientnet_v1(), 64),
    "efficientnet_v2": lambda: (efficientnet_v2(), 64),
    "efficientnet_lite0": lambda: (
        timm.create_model("efficientnet_lite0", num_classes=CLASSES, drop_rate=0.0), 64),
    "efficientnet_lite0_tensorflow": lambda: (
        timm.create_model("tf_efficientnet_lite0", num_classes=CLASSES, drop_rate=0.0), 75),
    "convnext": lambda: (convnext(), 64),
    "vision_transformer": lambda: (vit(), 32),
    "craft": lambda: (Craft(), 48),
    "unet": lambda: (UNet(8, False), 45),
    "unet_bilinear": lambda: (UNet(8, True), 45),
    "fcn": lambda: (segmentation(False), 45),
    "deeplab_v3": lambda: (segmentation(True), 45),
}

if __name__ == "__main__":
    torch.manual_seed(0)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for case, make in CASES.items():
        if wanted in case:
            model, size = make()
            write(case, model, size)
