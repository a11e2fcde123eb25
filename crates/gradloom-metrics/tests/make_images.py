"""Makes the golden data of metrics of pictures and made samples, in images.json.

    pip install numpy scipy scikit-image
    python make_images.py
"""

import importlib.metadata
import json
import pathlib

import numpy as np
import scipy.linalg
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

PACKAGES = ["numpy", "scipy", "scikit-image"]


def pictures(rng):
    """Bytes, so that they are short; the last option sets say how they are compared."""
    channels, axis = [(1, None), (3, "first"), (3, "last")][int(rng.integers(3))]
    height, width = (int(side) for side in rng.integers(11, 17, 2))
    shape = {None: (height, width), "first": (channels, height, width), "last": (height, width, channels)}[axis]
    smooth = np.add.outer(np.arange(height), np.arange(width)) * rng.uniform(2, 8)
    smooth = {None: smooth, "first": smooth[None], "last": smooth[:, :, None]}[axis]
    x = np.clip(smooth + rng.normal(60, 20, shape), 0, 255).round()
    y = np.clip(x * rng.uniform(0.5, 1.2) + rng.normal(0, rng.uniform(0, 30), shape), 0, 255).round()
    given = {"data_range": 255.0, "channel_axis": {None: None, "first": 0, "last": 2}[axis]}
    sides = [3, 5, 7, 11]
    uniform = [structural_similarity(x, y, win_size=side, **given) for side in sides]
    gaussian = [structural_similarity(x, y, gaussian_weights=True, sigma=sigma, **given) for sigma in (0.8, 1.5)]
    biased = structural_similarity(x, y, gaussian_weights=True, use_sample_covariance=False, K1=0.02, K2=0.05, **given)
    return {"x": x.astype(int).flatten().tolist(), "y": y.astype(int).flatten().tolist(), "size": [height, width],
            "channels": channels, "axis": axis, "psnr": peak_signal_noise_ratio(x, y, data_range=255.0),
            "uniform": uniform, "gaussian": gaussian, "biased": biased}


def features(rng):
    size, samples, others = int(rng.integers(1, 7)), int(rng.integers(8, 20)), int(rng.integers(8, 20))
    mixed = rng.normal(0, 1, (size, size))
    x = (rng.normal(0, 1, (samples, size)) @ mixed).round(3)
    y = (rng.normal(rng.uniform(0, 2), 1.3, (others, size)) @ mixed).round(3)
    mean = x.mean(0) - y.mean(0)
    covariances = [np.cov(set, rowvar=False).reshape(size, size) for set in (x, y)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    frechet = mean @ mean + np.trace(covariances[0] + covariances[1] - 2 * root.real)
    kernel = lambda one, other: (one @ other.T / size + 1) ** 3
    off = lambda matrix: (matrix.sum() - np.trace(matrix)) / (len(matrix) * (len(matrix) - 1))
    mmd = off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()
    logits = rng.normal(0, 3, (samples, 4))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for part in range(3):
        rows = p[part * samples // 3:(part + 1) * samples // 3]
        scores.append(np.exp((rows * (np.log(rows) - np.log(rows.mean(0)))).sum(1).mean()))
    return {"x": x.flatten().tolist(), "y": y.flatten().tolist(), "size": size, "frechet": float(frechet),
            "mmd": float(mmd), "probabilities": p.flatten().tolist(), "classes": 4,
            "score": [float(np.mean(scores)), float(np.std(scores))]}


def singular(rng):
    """Fewer samples than features: the root of the product by its eigenvalues, where sqrtm has no root to rely on."""
    x, y = rng.normal(0, 1, (5, 9)).round(3), rng.normal(0.5, 2, (7, 9)).round(3)
    mean = x.mean(0) - y.mean(0)
    one, other = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(one @ other).real, 0, None)).sum()
    return {"x": x.flatten().tolist(), "y": y.flatten().tolist(), "size": 9,
            "frechet": float(mean @ mean + np.trace(one) + np.trace(other) - 2 * roots)}


def main():
    cases = []
    for place, (kind, count) in enumerate([(pictures, 8), (features, 12), (singular, 3)]):
        rng = np.random.default_rng([7, place])
        cases += [{"kind": kind.__name__, **kind(rng)} for _ in range(count)]
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    out = pathlib.Path(__file__).with_name("images.json")
    out.write_text(f'{json.dumps({"versions": versions})[:-1]}, "cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {out.stat().st_size} bytes")


main()
