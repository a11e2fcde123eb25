"""Reads the run that `demo_run` writes with TensorBoard's own reader and checks every value, then asks a real
TensorBoard server for the same.

    pip install tensorboard==2.21.0 pillow
    cargo run -p gradloom-track --example demo_run -- runs
    python check_tensorboard.py runs
"""

import io
import json
import math
import pathlib
import subprocess
import sys
import time
import urllib.request

import numpy as np
import PIL.Image
import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

folder = pathlib.Path(sys.argv[1])
everything = {name: 0 for name in ["scalars", "tensors", "images", "histograms"]}


def decay(rate, step):
    return math.exp(-step * rate / 50)


def check_file(run, rate):
    events = EventAccumulator(str(folder / run), size_guidance=everything)
    events.Reload()
    assert events.file_version == 2.0, events.file_version
    train = events.Scalars("loss/train")
    assert [e.step for e in train] == list(range(600))
    assert all(e.value == np.float32(decay(rate, e.step)) for e in train)
    assert all(abs(e.wall_time - time.time()) < 86400 for e in train)
    valid = events.Scalars("loss/valid")
    assert [(e.step, e.value) for e in valid] == [
        (step, np.float32(0.1 + decay(rate, step))) for step in range(0, 600, 100)]
    assert math.isnan(events.Scalars("broken")[0].value) and events.Scalars("zero")[0].value == 0.0
    for event in events.Histograms("weights/head"):
        values = ((np.arange(1000) * 37 % 1000).astype(np.float32) / np.float32(1000) - np.float32(0.5)) \
            * np.float32(1 + event.step)
        got = event.histogram_value
        assert (got.min, got.max, got.num) == (values.min(), values.max(), 1000)
        assert math.isclose(got.sum, values.astype(float).sum(), rel_tol=1e-12, abs_tol=1e-9)
        assert math.isclose(got.sum_squares, (values.astype(float) ** 2).sum(), rel_tol=1e-12)
        assert len(got.bucket) == len(got.bucket_limit) == 30 and sum(got.bucket) == 1000
        below = [(values <= limit).sum() for limit in got.bucket_limit]
        assert np.abs(np.cumsum(got.bucket) - below).max() <= 1, "a number on an edge may be on either side"
    image = events.Images("samples/ramp")[0]
    assert (image.step, image.width, image.height) == (3, 16, 16)
    pixels = np.asarray(PIL.Image.open(io.BytesIO(image.encoded_image_string)))
    y, x = np.mgrid[0:16, 0:16]
    assert (pixels == np.stack([x * 16, y * 16, 0 * x + 128], axis=-1)).all()
    text = tensor_util.make_ndarray(events.Tensors("samples/text/text_summary")[0].tensor_proto)
    assert text.shape == (1,) and text[0] == b"# Once <upon> a time\n\n    indented & escaped", text
    data = events.PluginTagToContent("hparams")
    assert set(data) == {f"_hparams_/{name}" for name in ["experiment", "session_start_info", "session_end_info"]}
    start = plugin_data_pb2.HParamsPluginData.FromString(data["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["learning_rate"].number_value == rate
    assert start.hparams["optimizer"].string_value == "AdamW"
    assert start.hparams["augment"].bool_value == (rate > 0.2)
    assert start.hparams["warm_up"].WhichOneof("kind") == "number_value"
    graph = {node.name: node for node in events.Graph().node}
    assert set(graph) == {"input", "body/conv", "hidden", "head"}, set(graph)
    assert [list(graph[name].input) for name in ("body/conv", "hidden", "head")] == [
        ["input"], ["body/conv"], ["hidden"]]
    shapes = {name: [d.size for d in node.attr["_output_shapes"].list.shape[0].dim] for name, node in graph.items()}
    assert shapes == {"input": [8, 1, 28, 28], "body/conv": [8, 4, 28, 28], "hidden": [8, 16], "head": [8, 10]}, shapes
    assert graph["hidden"].op == "Linear" and graph["hidden"].attr["parameters"].i == 3152
    end = plugin_data_pb2.HParamsPluginData.FromString(data["_hparams_/session_end_info"]).session_end_info
    assert end.status == 1, end
    print(f"{run}: every value is right")


def fetch(path, body=None):
    for _ in range(60):
        try:
            request = urllib.request.Request(f"http://127.0.0.1:6117{path}", body,
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read()
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"no answer to {path}")


def check_server():
    server = subprocess.Popen([sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "6117",
                               "--host", "127.0.0.1"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(60):
            tags = json.loads(fetch("/data/plugin/scalars/tags"))
            if "loss/train" in tags.get("first", {}) and "loss/train" in tags.get("second", {}):
                break
            time.sleep(0.5)
        scalars = json.loads(fetch("/data/plugin/scalars/scalars?run=first&tag=loss%2Fvalid"))
        assert [(step, np.float32(value)) for _, step, value in scalars] == [
            (step, np.float32(0.1 + decay(0.1, step))) for step in range(0, 600, 100)]
        images = json.loads(fetch("/data/plugin/images/images?run=first&tag=samples%2Framp&sample=0"))
        picture = fetch("/data/plugin/images/individualImage?" + images[0]["query"])
        assert PIL.Image.open(io.BytesIO(picture)).size == (16, 16)
        assert set(json.loads(fetch("/data/plugin/histograms/tags"))["first"]) == {"weights/head"}
        histograms = json.loads(fetch("/data/plugin/histograms/histograms?run=first&tag=weights%2Fhead"))
        assert len(histograms) == 6
        texts = json.loads(fetch("/data/plugin/text/text?run=first&tag=samples%2Ftext%2Ftext_summary"))
        assert "<h1>Once &lt;upon&gt; a time</h1>" in texts[0]["text"], texts
        assert json.loads(fetch("/data/plugin/graphs/info"))["first"]["run_graph"]
        pbtxt = fetch("/data/plugin/graphs/graph?run=first&conceptual=false&limit_attr_size=1024"
                      "&large_attrs_key=_too_large_attrs").decode()
        assert 'name: "body/conv"' in pbtxt and 'input: "body/conv"' in pbtxt, pbtxt
        request = json.dumps({"experimentName": "", "colParams": [], "startIndex": 0, "sliceSize": 10,
                              "allowedStatuses": ["STATUS_SUCCESS", "STATUS_RUNNING", "STATUS_UNKNOWN"]})
        groups = json.loads(fetch("/data/plugin/hparams/session_groups", request.encode()))
        found = {g["hparams"]["learning_rate"]: g for g in groups["sessionGroups"]}
        assert set(found) == {0.1, 0.3}, groups
        assert found[0.3]["hparams"]["augment"] is True and found[0.1]["hparams"]["optimizer"] == "AdamW"
        value = found[0.1]["metricValues"][0]
        assert value["name"]["tag"] == "loss/valid" and value["trainingStep"] == 500, value
        print("the server's scalars, images, histograms, texts, graph and hyper-parameters are right")
        if len(sys.argv) > 2:
            input("http://127.0.0.1:6117 is there; Enter ends it ")
    finally:
        server.terminate()
        server.wait()


print(f"tensorboard {tensorboard.__version__}")
check_file("first", 0.1)
check_file("second", 0.3)
check_server()
