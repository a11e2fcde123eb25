#!/usr/bin/env python3
"""Writes windows.safetensors: what moves windows over one to three axes, as PyTorch computes it, in f64.

    python3 -m pip install torch safetensors
    python3 make_windows.py

A case is named KIND and what is special about it. `CASE.numbers` are its options as
`gradloom_testkit::graphs::window_calls` reads them: the number of axes; kernel, stride and dilation of each
axis; padding before and after each axis; then what the kind needs. `x`, `w` and `indices` are operands,
`y` (and `places`, where maxima are) results, `grad_x` and `grad_w` gradients of the sum of `y` times
`cotangent`, `power` is that of a norm.
"""

import itertools
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
torch.manual_seed(20241126)
GOLDEN = {}

CONV = [F.conv1d, F.conv2d, F.conv3d]
CONV_TRANSPOSE = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d]
MAX_POOL = [F.max_pool1d, F.max_pool2d, F.max_pool3d]
MAX_UNPOOL = [F.max_unpool1d, F.max_unpool2d, F.max_unpool3d]
AVG_POOL = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d]
LP_POOL = [F.lp_pool1d, F.lp_pool2d, F.lp_pool3d]
ADAPTIVE_AVG = [F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d]
ADAPTIVE_MAX = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d]


def put(case, **values):
    """Numbers that f32 has are stored so: operands are."""
    for role, value in values.items():
        tensor = value.detach().clone().contiguous()
        if tensor.dtype == torch.int64:
            tensor = tensor.to(torch.int32)
        elif torch.equal(torch.nan_to_num(tensor.float().double()), torch.nan_to_num(tensor)):
            tensor = tensor.float()
        GOLDEN[f"{case}.{role}"] = tensor


def normal(*shape):
    return torch.randn(*shape).float().double()


def numbers(kernel, stride=1, dilation=1, padding=0, extra=()):
    """Options as a list; a number stands for all axes, a padding for both sides."""
    n = len(kernel)
    each = lambda value: [value] * n if isinstance(value, int) else list(value)
    around = [pad if isinstance(pad, (list, tuple)) else (pad, pad) for pad in each(padding)]
    flat = [n, *kernel, *each(stride), *each(dilation), *itertools.chain(*around), *extra]
    return torch.tensor(flat)


def case(name, options, function, x, w=None, **others):
    """A case of a function of x (and w), whose result may be a pair of values and places."""
    x = x.clone().requires_grad_()
    operands = [x] if w is None else [x, w.clone().requires_grad_()]
    y = function(*operands)
    if isinstance(y, tuple):
        y, places = y
        put(name, places=places)
    cotangent = normal(*y.shape)
    (y * cotangent).sum().backward()
    put(name, numbers=options, x=x, y=y, cotangent=cotangent, grad_x=x.grad, **others)
    if w is not None:
        put(name, w=operands[1], grad_w=operands[1].grad)


SIZES = [(9,), (7, 6), (5, 6, 4)]


def inputs(n, channels=4):
    return normal(2 if n < 3 else 1, channels, *SIZES[n - 1])


def first(values, n):
    return list(values[:n])


def crop(padding):
    """Padding as F.pad takes it: the last axis first."""
    return list(itertools.chain(*reversed(padding)))


for n in (1, 2, 3):
    kernel = first((3, 2, 2), n)
    weight = normal(6, 4, *kernel)
    conv = CONV[n - 1]
    case(f"conv {n}d", numbers(kernel, extra=[1]), lambda x, w: conv(x, w), inputs(n), weight)
    stride, dilation, padding = first((2, 1, 2), n), first((1, 2, 1), n), first((1, 2, 0), n)
    case(
        f"conv {n}d strided, dilated, padded, grouped",
        numbers(kernel, stride, dilation, padding, [2]),
        lambda x, w: conv(x, w, None, stride, padding, dilation, 2),
        inputs(n),
        normal(6, 2, *kernel),
    )
    case(
        f"conv {n}d depthwise",
        numbers(kernel, padding=1, extra=[4]),
        lambda x, w: conv(x, w, None, 1, 1, 1, 4),
        inputs(n),
        normal(8, 1, *kernel),
    )
    uneven = first(((2, 0), (1, 3), (0, 1)), n)
    case(
        f"conv {n}d unevenly padded",
        numbers(kernel, stride, 1, uneven, [1]),
        lambda x, w: conv(F.pad(x, crop(uneven)), w, None, stride),
        inputs(n),
        weight,
    )
    cut = first(((-1, 2), (-2, -1), (1, -1)), n)
    case(
        f"conv {n}d padded below zero",
        numbers(kernel, 1, 1, cut, [1]),
        lambda x, w: conv(F.pad(x, crop(cut)), w),
        inputs(n),
        weight,
    )

    transpose = CONV_TRANSPOSE[n - 1]
    back = normal(4, 3, *kernel)
    case(
        f"conv_transpose {n}d",
        numbers(kernel, extra=[1] + [0] * n),
        lambda x, w: transpose(x, w),
        inputs(n),
        back,
    )
    stride, dilation, padding, added = (
        first((2, 3, 2), n),
        first((2, 1, 1), n),
        first((1, 0, 1), n),
        first((1, 2, 0), n),
    )
    case(
        f"conv_transpose {n}d strided, dilated, padded, grouped",
        numbers(kernel, stride, dilation, padding, [2] + added),
        lambda x, w: transpose(x, w, None, stride, padding, added, 2, dilation),
        inputs(n),
        back,
    )
    case(
        f"conv_transpose {n}d with more output padding than stride",
        numbers(kernel, 1, 3, 1, [1] + [2] * n),
        lambda x, w: transpose(x, w, None, 1, 1, 2, 1, 3),
        inputs(n),
        back,
    )
    case(
        f"conv_transpose {n}d with output padding beyond the windows",
        numbers(kernel, 3, 1, 0, [1] + [2] * n),
        lambda x, w: transpose(x, w, None, 3, 0, 2),
        inputs(n),
        back,
    )
    wider = first(((-1, -2), (1, -1), (-2, 0)), n)
    case(
        f"conv_transpose {n}d padded below zero",
        numbers(kernel, 1, 1, wider, [1] + [0] * n),
        lambda x, w: F.pad(transpose(x, w), [-size for size in crop(wider)]),
        inputs(n),
        back,
    )

    pool = MAX_POOL[n - 1]
    for name, kernel, stride, dilation, padding in (
        ("side by side", first((2, 2, 2), n), first((2, 2, 2), n), 1, 0),
        ("overlapping", first((3, 2, 3), n), first((2, 1, 2), n), 1, first((1, 1, 1), n)),
        ("dilated", first((2, 2, 2), n), first((2, 2, 1), n), first((3, 2, 2), n), first((1, 1, 1), n)),
        ("strided far", first((2, 3, 1), n), first((3, 2, 2), n), 1, first((1, 0, 0), n)),
    ):
        for ceil in (0, 1):
            case(
                f"max_pool {n}d {name}{', ceil' if ceil else ''}",
                numbers(kernel, stride, dilation, padding, [ceil, 1]),
                lambda x: pool(x, kernel, stride, padding, dilation, bool(ceil), return_indices=True),
                inputs(n, 2),
            )
    special = inputs(n, 1)
    special[0].flatten()[3] = torch.nan
    special[0].flatten()[4] = -torch.inf
    if n < 3:
        special[1] = -torch.inf
    kernel = first((2, 2, 2), n)
    case(
        f"max_pool {n}d of NaN and infinities",
        numbers(kernel, 1, 1, 1, [0, 1]),
        lambda x: pool(x, kernel, 1, 1, return_indices=True),
        special,
    )

    for kernel, stride, output in (
        (first((2, 2, 2), n), first((2, 2, 2), n), SIZES[n - 1]),
        (first((3, 2, 3), n), first((3, 3, 1), n), SIZES[n - 1]),
        (first((3, 3, 3), n), first((2, 2, 2), n), SIZES[n - 1]),
    ):
        values, indices = pool(inputs(n, 2), kernel, stride, return_indices=True)
        case(
            f"max_unpool {n}d {kernel}",
            numbers(kernel, stride, extra=[0, 1, *output]),
            lambda x: MAX_UNPOOL[n - 1](x, indices, kernel, stride, output_size=output),
            values,
            indices=indices,
        )
        if any(size > step for size, step in zip(kernel, stride)):
            # Windows with one maximum: the value is certain, which of them has a gradient is not.
            del GOLDEN[f"max_unpool {n}d {kernel}.grad_x"]

    for kernel, stride, padding in (
        (first((2, 2, 2), n), first((2, 2, 2), n), first((0, 0, 0), n)),
        (first((3, 2, 3), n), first((2, 3, 1), n), first((1, 1, 1), n)),
    ):
        for ceil, include, divisor in itertools.product((0, 1), (0, 1), (0, 5)):
            if n == 1 and divisor:
                continue
            others = {"divisor_override": divisor} if divisor else {}
            case(
                f"avg_pool {n}d {kernel} ceil {ceil} include {include} divisor {divisor}",
                numbers(kernel, stride, 1, padding, [ceil, include, divisor]),
                lambda x: AVG_POOL[n - 1](x, kernel, stride, padding, bool(ceil), bool(include), **others),
                inputs(n, 1),
            )
    for power, ceil in ((1.0, 0), (2.0, 1), (3.0, 1), (1.5, 0)):
        kernel, stride = first((3, 2, 3), n), first((2, 3, 2), n)
        x = inputs(n, 1).abs()
        x[:, :, :3] = 0
        case(
            f"lp_pool {n}d {power} ceil {ceil}",
            numbers(kernel, stride, extra=[ceil, 1]),
            lambda x: LP_POOL[n - 1](x, power, *(v[0] if n == 1 else v for v in (kernel, stride)), bool(ceil)),
            x,
            power=torch.tensor(power),
        )

    for output in (first((4, 4, 3), n), first((3, 3, 2), n), first((11, 5, 5), n), first((1, 1, 1), n)):
        case(
            f"adaptive_avg_pool {n}d {output}",
            torch.tensor(output),
            lambda x: ADAPTIVE_AVG[n - 1](x, output),
            inputs(n, 2),
        )
        case(
            f"adaptive_max_pool {n}d {output}",
            torch.tensor(output),
            lambda x: ADAPTIVE_MAX[n - 1](x, output, return_indices=True),
            inputs(n, 2),
        )

for kernel, stride, dilation, padding in (
    ((2, 3), 1, 1, 0),
    ((3, 2), (2, 1), (1, 2), (1, 2)),
    ((2, 2), (3, 2), 1, 0),
    ((2, 2), (4, 3), (2, 2), (1, 0)),
):
    options = numbers(kernel, stride, dilation, padding)
    case(
        f"unfold {kernel} {stride} {dilation}",
        options,
        lambda x: F.unfold(x, kernel, dilation, padding, stride),
        inputs(2, 2),
    )
    columns = F.unfold(inputs(2, 2), kernel, dilation, padding, stride)
    case(
        f"fold {kernel} {stride} {dilation}",
        numbers(kernel, stride, dilation, padding, SIZES[1]),
        lambda x: F.fold(x, SIZES[1], kernel, dilation, padding, stride),
        normal(*columns.shape),
    )
case(
    "unfold 1d",
    numbers([3], 2, 2, 1),
    lambda x: F.unfold(x.unsqueeze(2), (1, 3), (1, 2), (0, 1), (1, 2)),
    inputs(1, 2),
)


def unfold_volume(x):
    """Windows of two by two by two, one, two and one apart, of a volume with zeros around its height."""
    x = F.pad(x, (0, 0, 1, 1)).unfold(2, 2, 1).unfold(3, 2, 2).unfold(4, 2, 1)
    return x.permute(0, 1, 5, 6, 7, 2, 3, 4).flatten(5, 7).flatten(1, 4)


case("unfold 3d", numbers([2, 2, 2], (1, 2, 1), 1, (0, 1, 0)), unfold_volume, inputs(3, 2))

save_file(GOLDEN, pathlib.Path(__file__).resolve().parent / "windows.safetensors", {"torch": torch.__version__})
