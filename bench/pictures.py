"""MobileNetV2 and EfficientNet-Lite0 in PyTorch and ONNX Runtime, in the peers' protocol.

    pictures.py torch|onnxruntime CASE     cases mobilenet.b1 .b8, lite0.b1 .b8; PEERS_THREADS threads (2)

needs torch, torchvision, timm, onnx, onnxscript and onnxruntime.
"""

import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import torch

THREADS = int(os.environ.get("PEERS_THREADS", "2"))


def network(name):
    torch.manual_seed(0)
    if name == "mobilenet":
        import torchvision

        return torchvision.models.mobilenet_v2().eval()
    import timm

    return timm.create_model("efficientnet_lite0").eval()


def rates(work, call, repeats=7, seconds=1.0):
    start, count = time.perf_counter(), 0
    while count < 2 or time.perf_counter() - start < seconds:
        call()
        count += 1
    calls = max(1, round(seconds / ((time.perf_counter() - start) / count)))
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append(work * calls / (time.perf_counter() - start))
    return samples


def main(peer, case):
    torch.set_num_threads(THREADS)
    name, batch = case.split(".b")
    batch = int(batch)
    model, x = network(name), torch.randn(batch, 3, 224, 224)
    if peer == "torch":

        def call():
            with torch.inference_mode():
                return model(x)

    else:
        import onnxruntime

        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            torch.onnx.export(
                model, (x,), file.name, dynamo=True, external_data=False, input_names=["x"]
            )
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = THREADS
            options.inter_op_num_threads = 1
            run = onnxruntime.InferenceSession(file.name, options, ["CPUExecutionProvider"])
        feed = {"x": x.numpy().astype(np.float32)}

        def call():
            return run.run(None, feed)

    samples = rates(batch, call)
    value = statistics.median(samples)
    print(json.dumps({"metric": "value", "value": value, "unit": "images/s", "samples": samples, "note": ""}))


main(*sys.argv[1:])
