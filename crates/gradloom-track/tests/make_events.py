"""Writes event files with TensorBoard's own classes: what the reader must read and the writer must equal.

    pip install tensorboard==2.21.0
    python make_events.py
"""

import pathlib

from tensorboard.compat.proto import event_pb2, graph_pb2, summary_pb2
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

Value = summary_pb2.Summary.Value


def metadata(plugin, content=b""):
    data = summary_pb2.SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return summary_pb2.SummaryMetadata(plugin_data=data)


session = plugin_data_pb2.SessionEndInfo(status=1, end_time_secs=7.5)
hparams = plugin_data_pb2.HParamsPluginData(session_end_info=session).SerializeToString()
text = TensorProto(dtype=7, tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
                   string_val=["naïve\n".encode()])
values = [
    [Value(tag="loss", simple_value=0.25)],
    [Value(tag="zero", simple_value=0.0), Value(tag="broken", simple_value=float("inf"))],
    [Value(tag="weights", histo=summary_pb2.HistogramProto(
        min=-1.0, max=2.0, num=3.0, sum=1.0, sum_squares=5.0, bucket_limit=[0.0, 2.0], bucket=[1.0, 2.0]))],
    [Value(tag="picture", image=summary_pb2.Summary.Image(
        height=2, width=300, colorspace=3, encoded_image_string=b"\x89PNG"))],
    [Value(tag="sample", tensor=text, metadata=metadata("text"))],
    [Value(tag="_hparams_/session_end_info", metadata=metadata("hparams", hparams))],
]
events = [event_pb2.Event(wall_time=1.5, file_version="brain.Event:2")]
events += [event_pb2.Event(wall_time=2.5 + at, step=at * 1000, summary=summary_pb2.Summary(value=value))
           for at, value in enumerate(values)]
path = pathlib.Path(__file__).with_name("golden.tfevents")
with open(path, "wb") as file:
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString(deterministic=True))
    writer.flush()

# The graph that `event_writer.rs` writes: name, inputs, shape, parameters.
graph = graph_pb2.GraphDef()
graph.versions.producer = 22
for name, op, inputs, shape, parameters in [
    ("input", "Placeholder", [], (2, 3), None),
    ("first", "Linear", ["input"], (2, 4), 16),
    ("body/0", "Linear", ["first"], (2, 4), 20),
    ("body/0_1", "Linear", ["body/0"], (2, 4), 20),
    ("head", "Linear", ["first", "body/0_1"], (2, 2), 10),
]:
    node = graph.node.add(name=name, op=op, input=inputs)
    dims = node.attr["_output_shapes"].list.shape.add().dim
    for size in shape:
        dims.add(size=size)
    node.attr["dtype"].type = 1
    if parameters is not None:
        node.attr["mult_adds"].i = 2 * parameters
        node.attr["parameters"].i = parameters
        node.attr["trainable"].i = parameters
path.with_name("golden.graph").write_bytes(graph.SerializeToString(deterministic=True))
print(f"{len(events)} events, {path.stat().st_size} bytes")
