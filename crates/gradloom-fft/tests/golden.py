"""Writes golden.json: what PyTorch gives for the cases that tests/golden.rs runs.

    pip install torch numpy
    python crates/gradloom-fft/tests/golden.py
"""

import json
import math
import pathlib

import torch

torch.set_default_dtype(torch.float64)


def numbers(count, phase):
    """Numbers that both sides make: sin(1.7 i + phase), in f32."""
    return torch.tensor([math.sin(1.7 * i + phase) for i in range(count)], dtype=torch.float32).double()


def operand(shape, is_complex):
    count = math.prod(shape)
    if is_complex:
        return torch.view_as_complex(numbers(2 * count, 0.3).reshape(*shape, 2))
    return numbers(count, 0.3).reshape(shape)


def listed(x):
    x = torch.view_as_real(x.resolve_conj()) if x.is_complex() else x
    return [float(f"{value:.10g}") for value in x.flatten().tolist()]


cases = []


def add(function, shape, is_complex, **options):
    x = operand(shape, is_complex).requires_grad_()
    y = getattr(torch.fft, function)(x, **options).resolve_conj()
    flat = torch.view_as_real(y).flatten() if y.is_complex() else y.flatten()
    loss = (flat * numbers(flat.numel(), 0.9)).sum()
    (gradient,) = torch.autograd.grad(loss, x)
    one = function in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
    sizes = options.get("n" if one else "s")
    axes = options.get("dim")
    cases.append(
        {
            "function": function,
            "shape": shape,
            "complex": is_complex,
            "sizes": [sizes] if isinstance(sizes, int) else sizes,
            "axes": [axes] if isinstance(axes, int) else axes,
            "norm": options.get("norm", "backward"),
            "result_shape": list(y.shape),
            "result": listed(y),
            "gradient": listed(gradient),
        }
    )


for function in ("fft", "ifft", "irfft", "hfft"):
    for shape in ([1], [2], [3], [8], [15], [2, 17], [3, 1, 30]):
        if function in ("irfft", "hfft") and shape[-1] == 1:
            add(function, shape, True, n=1)
            continue
        add(function, shape, True)
    for options in (dict(n=5), dict(n=12), dict(dim=0), dict(dim=1, n=7, norm="ortho"), dict(norm="forward")):
        add(function, [4, 6, 3], True, **options)
for function in ("rfft", "ihfft", "fft", "ifft"):
    for shape in ([1], [2], [3], [8], [15], [2, 17], [3, 1, 30]):
        add(function, shape, False)
    for options in (dict(n=5), dict(n=12), dict(dim=0), dict(dim=1, n=7, norm="ortho"), dict(norm="forward")):
        add(function, [4, 6, 3], False, **options)
for function in ("fft2", "ifft2", "irfft2", "hfft2", "fftn", "ifftn", "irfftn", "hfftn"):
    for options in (
        {},
        dict(dim=(0, 2)),
        dict(dim=(2, 0), s=(5, 4), norm="ortho"),
        dict(s=(3, 7), norm="forward"),
    ):
        add(function, [3, 4, 5], True, **options)
for function in ("rfft2", "ihfft2", "rfftn", "ihfftn"):
    for options in (
        {},
        dict(dim=(0, 2)),
        dict(dim=(2, 0), s=(5, 4), norm="ortho"),
        dict(s=(3, 7), norm="forward"),
    ):
        add(function, [3, 4, 5], False, **options)
add("fftn", [2, 3, 4, 5], True, dim=(1, 2, 3))
add("rfftn", [2, 3, 4, 5], False, dim=(1, 3, 2))
add("irfftn", [2, 3, 4, 5], True, dim=(0, 1, 3), s=(3, 3, 7))

path = pathlib.Path(__file__).with_name("golden.json")
path.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
print(f"{len(cases)} cases, {path.stat().st_size} bytes")
