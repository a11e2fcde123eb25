"""Makes golden.safetensors: quantized weights as their authors' formulas and libraries give them.

    pip install torch==2.15.0 safetensors compressed-tensors==0.20 hqq==0.2.8.post1
    python make_golden.py

GPTQ is written from Frantar et al. 2022, algorithm 1 with its three additions, AWQ from Lin et al. 2023 with the error of
the product by X^T X, SmoothQuant from Xiao et al. 2022, equation 4, all in f64. Round to nearest and the packing are
compressed-tensors' own functions, HQQ is hqq's own, one group of weights at a time so that each stops by itself.
"""

import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
from compressed_tensors.quantization.utils import calculate_qparams
from hqq.core.optimize import optimize_weights_proximal_legacy
from safetensors.torch import save_file

torch.manual_seed(7)
OUT, IN, N = 12, 64, 96
out = {}


def grid(w, bits, symmetric):
    """Scale and zero of groups along the last axis."""
    top = 2**bits - 1
    low, high = w.amin(-1).clamp(max=0), w.amax(-1).clamp(min=0)
    if symmetric:
        scale = torch.maximum(-low, high) / (top / 2)
        zero = torch.full_like(scale, 2 ** (bits - 1))
    else:
        scale = (high - low) / top
        zero = torch.nan_to_num(-low / scale).round().clamp(0, top)
    return torch.where(scale > 0, scale, 1.0), zero


def code(w, scale, zero, bits):
    return (w / scale + zero).round().clamp(0, 2**bits - 1)


def rtn(w, bits, group, symmetric):
    groups = w.reshape(w.shape[0], -1, group)
    scale, zero = grid(groups, bits, symmetric)
    q = code(groups, scale[..., None], zero[..., None], bits)
    return (scale[..., None] * (q - zero[..., None])).reshape(w.shape)


def gptq(w, h, bits, group, symmetric, act_order, static_groups, damping=0.01):
    w, h = w.clone(), h.clone()
    dead = h.diag() == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    static = grid(w.reshape(OUT, -1, group), bits, symmetric)
    perm = torch.argsort(h.diag(), descending=True, stable=True) if act_order else torch.arange(IN)
    w, h = w[:, perm], h[perm][:, perm]
    h = h + damping * h.diag().mean() * torch.eye(IN, dtype=h.dtype)
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    q = torch.zeros_like(w)
    for first in range(0, IN, 16):
        block, errors = w[:, first : first + 16].clone(), torch.zeros(OUT, 16, dtype=w.dtype)
        for i in range(16):
            at = first + i
            if static_groups:
                scale, zero = static[0][:, perm[at] // group], static[1][:, perm[at] // group]
            elif at % group == 0:
                # What later columns owe within the block has reached them, what they owe before it too.
                now = torch.cat([block[:, i:], w[:, first + 16 :]], 1)[:, :group]
                late = errors[:, :i] @ upper[first:at, first + 16 : at + group]
                now[:, 16 - i :] -= late if late.shape[1] else 0
                scale, zero = grid(now.float().double(), bits, symmetric)
                scale = scale.float().double()
            value = block[:, i]
            q[:, at] = scale * (code(value.float().double(), scale, zero, bits) - zero)
            errors[:, i] = (value - q[:, at]) / upper[at, at]
            block[:, i + 1 :] -= errors[:, i : i + 1] * upper[at, at + 1 : first + 16]
        w[:, first + 16 :] -= errors @ upper[first : first + 16, first + 16 :]
    back = torch.argsort(perm)
    return q[:, back]


mix = torch.randn(IN, IN) * 0.3 + torch.eye(IN)
x = torch.randn(N, IN) @ mix * torch.exp(torch.randn(IN))
x[:, 5] = 0  # an input that nothing ever reaches
w = torch.randn(OUT, IN) * 0.1
w[:, 8:40] *= 0.3
w[3, 32:64] = 0
out["x"], out["weight"] = x.clone(), w.clone()
wide, h = w.double(), (x.double().T @ x.double()) / N

for bits, group, symmetric in [(4, 32, True), (3, 64, False), (8, IN, True), (2, 32, False)]:
    name = f"{bits}.{group}.{'symmetric' if symmetric else 'asymmetric'}"
    args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, strategy="group", group_size=group)
    groups = w.reshape(OUT, -1, group)
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    zero = zero.round().to(torch.int8)
    codes = quantize(w, scale, zero, args, dtype=torch.int8)
    out[f"nearest.{name}"] = dequantize(codes, scale, None if symmetric else zero, args)
    out[f"packed.{name}"] = pack_to_int32(codes, bits)
    if not symmetric:
        out[f"packed_zero.{name}"] = pack_to_int32(zero, bits, packed_dim=0)
    for kind, act_order, static_groups in [("plain", 0, 0), ("order", 1, 0), ("static", 1, 1)]:
        out[f"gptq.{kind}.{name}"] = gptq(wide, h, bits, group, symmetric, act_order, static_groups).float()

magnitude = x.double().abs().mean(0)
best = None
for step in range(20):
    scales = magnitude.pow(step / 20).clamp(min=1e-4)
    scales = (scales / (scales.max() * scales.min()).sqrt()).float().double()
    d = rtn(wide * scales, 3, 32, False) / scales - wide
    error = ((d @ h) * d).sum()
    if best is None or error < best[0]:
        best = (error, scales, step / 20)
out["awq.scales"], out["awq.exponent"] = best[1].float(), torch.tensor([best[2]])
# Where both ends are cut the zero lies between two integers, so the grid is found in f32, as programs find it.
groups = w.reshape(OUT, -1, 32)
bounds = groups.abs().amax(-1, keepdim=True)
kept, least = None, torch.full((OUT, IN // 32), torch.inf, dtype=torch.float64)
for step in range(10):
    bound = bounds * (1 - torch.tensor(float(step)) / 20)
    scale, zero = grid(groups.clamp(-bound, bound), 3, False)
    q = scale[..., None] * (code(groups, scale[..., None], zero[..., None], 3) - zero[..., None])
    d = q.double() - groups.double()
    blocks = torch.stack([h[g * 32 : g * 32 + 32, g * 32 : g * 32 + 32] for g in range(IN // 32)])
    error = torch.einsum("ogi,gij,ogj->og", d, blocks, d)
    kept = q if kept is None else torch.where((error < least)[..., None], q, kept)
    least = torch.minimum(least, error)
out["awq.clipped"] = kept.reshape(OUT, IN).float()

out["smooth.scales"] = x.abs().amax(0).clamp(min=1e-5).sqrt() / w.abs().amax(0).clamp(min=1e-5).sqrt()

rows = []
for group in w.reshape(-1, 32):
    low, high = group.min(), group.max()
    if low == high:
        rows.append(group)
        continue
    inverse = 3 / (high - low)
    q, scale, zero = optimize_weights_proximal_legacy(
        group[None], inverse.reshape(1, 1), (-low * inverse).reshape(1, 1), [0, 3], axis=1
    )
    rows.append(((q - zero) / scale)[0])
out["hqq.2"] = torch.stack(rows).reshape(OUT, IN)

save_file({name: tensor.contiguous() for name, tensor in out.items()}, "golden.safetensors")
