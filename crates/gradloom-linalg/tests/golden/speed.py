#!/usr/bin/env python3
"""Times functions of torch.linalg on two threads, as `speed.rs` times ours."""

import time

import torch
from torch import linalg as L

torch.set_num_threads(2)


def measure(name, dtype, call):
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    print(name, "f32" if dtype == torch.float32 else "f64", f"{best * 1e3:.3f}", flush=True)


for dtype in [torch.float32, torch.float64]:
    small, large = torch.randn(1000, 16, 16, dtype=dtype), torch.randn(512, 512, dtype=dtype)
    right, rights = torch.randn(1000, 16, 1, dtype=dtype), torch.randn(512, 64, dtype=dtype)
    small = small @ small.mT + torch.eye(16, dtype=dtype) * 0.5
    large = large @ large.mT + torch.eye(512, dtype=dtype) * 0.5
    measure("cholesky 1000x16", dtype, lambda: L.cholesky(small))
    measure("solve 1000x16", dtype, lambda: L.solve(small, right))
    measure("inv 1000x16", dtype, lambda: L.inv(small))
    measure("qr 1000x16", dtype, lambda: L.qr(small))
    measure("eigh 1000x16", dtype, lambda: L.eigh(small))
    measure("svd 1000x16", dtype, lambda: L.svd(small, full_matrices=False))
    measure("cholesky 512", dtype, lambda: L.cholesky(large))
    measure("solve 512", dtype, lambda: L.solve(large, rights))
    measure("qr 512", dtype, lambda: L.qr(large))
    measure("eigh 512", dtype, lambda: L.eigh(large))
    measure("eigvalsh 512", dtype, lambda: L.eigvalsh(large))
    measure("svd 512", dtype, lambda: L.svd(large, full_matrices=False))
    measure("svdvals 512", dtype, lambda: L.svdvals(large))
