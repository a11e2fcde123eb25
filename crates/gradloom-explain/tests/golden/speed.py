"""The other side of `tests/explain/speed.rs`, which starts it: `python speed.py weights.safetensors threads`.

It reads names of methods, one a line, runs each once and writes how many seconds that took and the sum of the sizes
of the attributions, or the trustworthiness of a map of scikit-learn's digits, which it writes beside the weights first.
Needs captum==0.9.0, torch, safetensors and scikit-learn.
"""

import sys
import time
import warnings

import torch
from captum import attr
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE, trustworthiness
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(int(sys.argv[2]))
weights = load_file(sys.argv[1])
cnn = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
    nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
).eval()
mlp = nn.Sequential(
    nn.Linear(30, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10),
).eval()
for prefix, model in ("cnn.", cnn), ("mlp.", mlp):
    model.load_state_dict({name[4:]: weight for name, weight in weights.items() if name.startswith(prefix)})
digits, rows = weights["digits"], weights["rows"]
squares = torch.arange(49).reshape(7, 7).repeat_interleave(4, 0).repeat_interleave(4, 1).expand(1, 1, 28, 28)

points = load_digits().data
save_file({"points": torch.from_numpy(points).float()}, sys.argv[1] + ".points")


def integrated(model, x):
    return lambda: attr.IntegratedGradients(model).attribute(x, target=3)


def shap(model, x, mask, at_once=1):
    return lambda: attr.KernelShap(model).attribute(
        x, target=3, feature_mask=mask, n_samples=500, perturbations_per_eval=at_once
    )


methods = {
    "cnn, integrated gradients": integrated(cnn, digits),
    "mlp, integrated gradients": integrated(mlp, rows),
    "cnn, KernelSHAP": shap(cnn, digits[:1], squares),
    "cnn, KernelSHAP, 50 at a time there": shap(cnn, digits[:1], squares, 50),
    "mlp, KernelSHAP": shap(mlp, rows[:1], None),
    "mlp, KernelSHAP, 50 at a time there": shap(mlp, rows[:1], None, 50),
    "t-SNE": lambda: TSNE(init="pca", n_jobs=int(sys.argv[2])).fit_transform(points),
}
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    found = methods[line.strip()]()
    seconds = time.perf_counter() - start
    figure = trustworthiness(points, found) if line.startswith("t-SNE") else found.abs().sum().item()
    print(seconds, figure, flush=True)
