"""Times of captum for what `tests/explain/speed.rs` measures: `python speed.py`, with captum==0.9.0."""

import statistics
import time
import warnings

import torch
from captum import attr
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(0)
cnn = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
    nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
).eval()
x = torch.randn(8, 1, 28, 28)
squares = torch.arange(49).reshape(7, 7).repeat_interleave(4, 0).repeat_interleave(4, 1).expand(1, 1, 28, 28)
integrated, shap = attr.IntegratedGradients(cnn), attr.KernelShap(cnn)
methods = {
    "integrated gradients, 50 steps, 8 digits": lambda: integrated.attribute(x, target=3),
    "KernelSHAP, 500 samples, one at a time": lambda: shap.attribute(x[:1], target=3, feature_mask=squares, n_samples=500),
    "KernelSHAP, 500 samples, 50 at a time": lambda: shap.attribute(
        x[:1], target=3, feature_mask=squares, n_samples=500, perturbations_per_eval=50
    ),
}
for name, method in methods.items():
    times = []
    for _ in range(9):
        start = time.perf_counter()
        method()
        times.append(time.perf_counter() - start)
    print(f"{name}: {1e3 * statistics.median(times):.1f} ms")
