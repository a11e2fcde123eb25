#!/usr/bin/env python3
"""Writes golden.json: functions of torch.linalg as PyTorch computes them.

    python3 -m pip install torch
    python3 make_golden.py

Each case has the name of its function, the inputs (exact in f32), outputs in f64 and f32, and the gradients
in f64 of the sum of the outputs times `weights`. Outputs are such that signs of vectors do not matter.
`condition` is how much rounding of the inputs is magnified in the outputs.
"""

import json
import pathlib

import torch
from torch import linalg as L

torch.manual_seed(20240601)
CASES = []
INF = float("inf")


def draw(*shape):
    return (torch.randn(shape, dtype=torch.float64) * 50).round() / 64


def spd(*shape):
    a = draw(*shape)
    return a @ a.mT + torch.eye(shape[-1], dtype=torch.float64) * 0.5


def hilbert(n):
    i = torch.arange(n, dtype=torch.float64)
    return (1.0 / (i[:, None] + i[None, :] + 1.0)).float().double()


def numbers(tensor):
    single = tensor.dtype == torch.float32
    return [float(f"{x:.9g}") if single else x for x in tensor.detach().reshape(-1).tolist()]


def case(function, call, *inputs, condition=1.0, smooth=True, symmetric=False):
    """`symmetric` cases are functions of symmetric matrices, whose gradients are compared as such."""
    put = {"function": function, "condition": condition, "inputs": [], "outputs": []}
    for x in inputs:
        put["inputs"].append({"shape": list(x.shape), "data": numbers(x)})
    leaves = [x.clone().requires_grad_(smooth) for x in inputs]
    outputs = call(*leaves)
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    with torch.no_grad():
        singles = call(*[x.float() for x in inputs])
    singles = singles if isinstance(singles, (tuple, list)) else [singles]
    total = 0
    for output, single in zip(outputs, singles):
        entry = {"shape": list(output.shape), "f64": numbers(output), "f32": numbers(single)}
        if output.requires_grad:
            weights = draw(*output.shape)
            entry["weights"] = numbers(weights)
            total = total + (output * weights).sum()
        put["outputs"].append(entry)
    if smooth:
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
        gradients = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, leaves)]
        if symmetric:
            gradients = [(g + g.mT) / 2 for g in gradients]
        put["gradients"] = [numbers(g) for g in gradients]
    CASES.append(put)


def signed_qr(a):
    q, r = L.qr(a)
    s = torch.sign(r.diagonal(dim1=-2, dim2=-1)).detach()
    return q * s.unsqueeze(-2), r * s.unsqueeze(-1)


def svd(a):
    u, s, v = L.svd(a, full_matrices=False)
    return s, u * u, v * v, (u * s.square().unsqueeze(-2)) @ v


def eigh(a):
    w, v = L.eigh(a)
    return w, v * v, (v * w.exp().unsqueeze(-2)) @ v.mT


square, tall, wide, one = draw(4, 4), draw(5, 3), draw(3, 5), draw(1, 1)
batch, batch_tall, batch_wide = draw(2, 2, 3, 3), draw(2, 4, 2), draw(2, 2, 4)
hilbert4 = hilbert(4)
every = [tall, wide, square, one, batch, batch_tall, batch_wide]

for a in [spd(4, 4), spd(1, 1), spd(2, 3, 3)]:
    case("cholesky", L.cholesky, a)
    case("cholesky_upper", lambda a: L.cholesky(a, upper=True), a, symmetric=True)
case("cholesky", L.cholesky, hilbert4, condition=1.6e4)
for a in every:
    case("qr", signed_qr, a, condition=4.0)
    case("svd", svd, a, condition=20.0)
    case("svdvals", L.svdvals, a)
    case("pinv", L.pinv, a, condition=30.0)
    case("lu", L.lu, a, condition=10.0)
    case("lu_factor", L.lu_factor, a, condition=10.0)
case("qr", signed_qr, hilbert4, condition=1.6e4)
case("svd", svd, hilbert4, condition=1.6e4)
case("pinv", L.pinv, (draw(4, 2).round() @ draw(2, 3).round()), condition=30.0, smooth=False)
for a in [spd(4, 4) - 2.0, one, draw(2, 3, 3)]:
    a = ((a + a.mT) / 2).float().double()
    case("eigh", eigh, a, condition=20.0, symmetric=True)
    case("eigvalsh", L.eigvalsh, a, symmetric=True)
case("eigh", eigh, hilbert4, condition=1.6e4, symmetric=True)
case("eigvalsh", L.eigvalsh, torch.eye(3, dtype=torch.float64), symmetric=True)
case("svdvals", L.svdvals, torch.eye(3, dtype=torch.float64))

case("solve", L.solve, square, draw(4, 2), condition=30.0)
case("solve", L.solve, square, draw(4), condition=30.0)
case("solve", L.solve, draw(2, 3, 3), draw(2, 3), condition=30.0)
case("solve", L.solve, draw(2, 1, 3, 3), draw(2, 3, 2), condition=30.0)
case("solve", L.solve, draw(3, 3), draw(2, 3, 2), condition=30.0)
case("solve", L.solve, hilbert4, draw(4, 1), condition=1.6e4)
case("solve_right", lambda a, b: L.solve(a, b, left=False), draw(2, 3, 3), draw(4, 3), condition=30.0)
for name, upper, left, unit in [
    ("triangular_lower", False, True, False),
    ("triangular_upper", True, True, False),
    ("triangular_lower_unit", False, True, True),
    ("triangular_upper_right", True, False, False),
    ("triangular_upper_right_unit", True, False, True),
]:
    call = lambda a, b: L.solve_triangular(a, b, upper=upper, left=left, unitriangular=unit)
    case(name, call, spd(3, 3), draw(2, 3, 3), condition=10.0)
    case(name, call, spd(2, 1, 2, 2), draw(3, 2, 2), condition=10.0)
for a in [square, one, batch]:
    case("inv", L.inv, a, condition=30.0)
    case("det", L.det, a, condition=4.0)
    case("slogdet", lambda a: (L.slogdet(a)[0].detach(), L.slogdet(a)[1]), a, condition=10.0)
    case("matrix_exp", L.matrix_exp, a)
    for power in [0, 1, 3, -2]:
        if power != 0:
            case(f"matrix_power {power}", lambda a: L.matrix_power(a, power), a, condition=200.0)
case("inv", L.inv, hilbert4, condition=1.6e4)
case("det", L.det, hilbert4, condition=1.6e4)
case("matrix_exp", L.matrix_exp, square * 4.0, condition=20.0)
case("matrix_exp", L.matrix_exp, square * 0.01)
case("lu_solve", lambda a, b: L.lu_solve(*L.lu_factor(a), b), batch, draw(2, 3, 2), condition=30.0)
case(
    "lu_solve_adjoint",
    lambda a, b: L.lu_solve(*L.lu_factor(a), b, adjoint=True),
    batch,
    draw(2, 3, 2),
    condition=30.0,
)


def lstsq(a, b):
    found = L.lstsq(a, b)
    return found.solution


case("lstsq", lstsq, tall, draw(5, 2), condition=30.0)
case("lstsq", lstsq, wide, draw(3, 2), condition=30.0)
case("lstsq", lstsq, square, draw(4, 1), condition=30.0)
case("lstsq", lstsq, batch_tall, draw(2, 4), condition=30.0)
low = draw(4, 2).round() @ draw(2, 3).round()
case("lstsq_rank", lambda a, b: (lstsq(a, b), L.lstsq(a, b).rank), low, draw(4, 2), condition=30.0, smooth=False)
for a in [low, low.mT.contiguous(), batch, torch.zeros(2, 2, dtype=torch.float64)]:
    case("matrix_rank", L.matrix_rank, a, smooth=False)

def cond(a, order):
    """PyTorch's own has no gradient in norms that are not made of singular values."""
    if order in (2, -2):
        return L.cond(a, order)
    return L.matrix_norm(a, order) * L.matrix_norm(L.inv(a), order)


for name, order in [
    ("fro", "fro"),
    ("nuc", "nuc"),
    ("1", 1),
    ("-1", -1),
    ("2", 2),
    ("-2", -2),
    ("inf", INF),
    ("-inf", -INF),
]:
    for a in [square, batch]:
        case(f"matrix_norm {name}", lambda a: L.matrix_norm(a, order), a, condition=4.0)
        case(f"cond {name}", lambda a: cond(a, order), a, condition=200.0)
    case(f"matrix_norm {name}", lambda a: L.matrix_norm(a, order), batch_wide, condition=4.0)
for order in [0.0, 0.5, 1.0, 2.0, 3.0, -1.0, INF, -INF]:
    call = lambda x: L.vector_norm(x, order, dim=-1)
    case(f"vector_norm {order}", call, draw(3, 4), smooth=order != 0)
case("vector_norm 3.0", lambda x: L.vector_norm(x, 3, dim=-1), torch.zeros(2, 3, dtype=torch.float64))
case("vector_norm 2.0", lambda x: L.vector_norm(x, 2, dim=-1), torch.zeros(2, 3, dtype=torch.float64))
case("vector_norm 0.5", lambda x: L.vector_norm(x, 0.5, dim=-1), torch.tensor([[0.0, 2.0]], dtype=torch.float64))
case("vector_norm inf", lambda x: L.vector_norm(x, INF, dim=-1), torch.tensor([[1.0, -1.0, 0.5]], dtype=torch.float64))
case("norm", L.norm, draw(2, 3, 2))
case("multi_dot", lambda *x: L.multi_dot(x), draw(2, 5), draw(5, 1), draw(1, 4), draw(4, 3))
case("multi_dot", lambda *x: L.multi_dot(x), draw(5), draw(5, 2), draw(2, 4), draw(4))
case("cross", L.cross, draw(2, 3), draw(1, 3))
case("vecdot", L.vecdot, draw(2, 3), draw(3))
case("vander", L.vander, draw(2, 4))
case("householder_product", L.householder_product, draw(2, 4, 3), draw(2, 2))
case("tensorsolve", L.tensorsolve, draw(2, 3, 6), draw(2, 3), condition=30.0)
case("tensorinv", lambda a: L.tensorinv(a, 1), draw(6, 2, 3), condition=60.0)

text = json.dumps(CASES, separators=(",", ":")).replace("},{\"function\"", "},\n{\"function\"")
pathlib.Path(__file__).with_name("golden.json").write_text(text + "\n")
print(len(CASES), "cases")
