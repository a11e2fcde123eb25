#!/usr/bin/env python3
"""Writes the small files of this folder: the same tensors in every format, and what they are.

    python3 -m pip install torch safetensors gguf numpy
    python3 make_golden.py

`expected.safetensors` and `expected_gguf.safetensors` hold the values, contiguous, in dtypes that need no
conversion.
"""

import collections
import json
import pathlib
import zipfile

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent
torch.manual_seed(20240601)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.norm = torch.nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(self.linear(x))


def tensors():
    weight = torch.randn(3, 4)
    row = torch.randn(3)
    return {
        "weight": weight,
        "tied": weight,
        "transposed": weight.t(),
        "rows": weight[1:],
        "columns": weight[:, 1::2],
        "expanded": row.expand(2, 3),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "half": torch.randn(5).half(),
        "brain": torch.randn(2).bfloat16(),
        "double": torch.randn(2, dtype=torch.float64),
        "long": torch.tensor([-5, 2**31 - 1]),
        "int": torch.tensor([-7, 7], dtype=torch.int32),
        "short": torch.tensor([-300, 300], dtype=torch.int16),
        "char": torch.tensor([-1, 2], dtype=torch.int8),
        "byte": torch.tensor([1, 255], dtype=torch.uint8),
        "word": torch.tensor([1, 65535], dtype=torch.uint16),
        "mask": torch.tensor([True, False, True]),
        "images": torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    }


def plain(tensor):
    tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
    wide = {torch.int64, torch.int16, torch.int8, torch.uint16}
    return tensor.to(torch.int32) if tensor.dtype in wide else tensor


def zip_again(source, target, method, keep=lambda name: True):
    with zipfile.ZipFile(source) as old:
        records = {name: old.read(name) for name in old.namelist() if keep(name)}
    with zipfile.ZipFile(target, "w", method) as new:
        for name, content in records.items():
            new.writestr(zipfile.ZipInfo(name, (2024, 6, 1, 0, 0, 0)), content, method)


def torch_files():
    state = tensors()
    save_file({name: plain(tensor) for name, tensor in state.items()}, FOLDER / "expected.safetensors")
    torch.save(collections.OrderedDict(state), FOLDER / "state.pt")
    torch.save(state, FOLDER / "protocol_5.pt", pickle_protocol=5)
    torch.save(state, FOLDER / "legacy.pt", _use_new_zipfile_serialization=False)
    zip_again(FOLDER / "state.pt", FOLDER / "deflated.pt", zipfile.ZIP_DEFLATED)

    model = Model()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "loss": 0.5,
        "note": "trained",
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(checkpoint, FOLDER / "nested.pt")
    torch.save({"encoder": model.state_dict(), "heads": [model.linear.weight]}, FOLDER / "dicts.pt")
    torch.save(model, FOLDER / "module.pt")
    script = FOLDER / "script.pt"
    torch.jit.script(model).save(str(script))
    # Without the program and its sources.
    zip_again(script, script, zipfile.ZIP_STORED, lambda name: "/code/" not in name)
    expected = {name: plain(tensor) for name, tensor in model.state_dict().items()}
    save_file(expected, FOLDER / "expected_model.safetensors")

    shards = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}
    index = {"metadata": {"total_size": 96}, "weight_map": {}}
    for place, (name, tensor) in enumerate(model.state_dict().items()):
        shard = list(shards)[place % 2]
        shards[shard][name] = tensor
        index["weight_map"][name] = shard
    (FOLDER / "sharded").mkdir(exist_ok=True)
    for shard, content in shards.items():
        save_file(content, FOLDER / "sharded" / shard, {"format": "pt"})
    text = json.dumps(index, indent=2)
    (FOLDER / "sharded" / "model.safetensors.index.json").write_text(text)


def gguf_file():
    random = np.random.default_rng(20240601)
    writer = gguf.GGUFWriter(FOLDER / "tiny.gguf", "llama")
    writer.add_uint8("types.u8", 200)
    writer.add_int8("types.i8", -100)
    writer.add_uint16("types.u16", 60000)
    writer.add_int16("types.i16", -30000)
    writer.add_uint32("types.u32", 4000000000)
    writer.add_int32("types.i32", -2000000000)
    writer.add_uint64("types.u64", 2**63)
    writer.add_int64("types.i64", -(2**62))
    writer.add_float32("types.f32", 0.5)
    writer.add_float64("types.f64", 0.1)
    writer.add_bool("types.bool", True)
    writer.add_string("types.string", "Grüße")
    writer.add_array("types.strings", ["a", "", "ccc"])
    writer.add_array("types.i32s", [1, -2, 3])
    writer.add_array("types.f32s", [0.5, 1.5])
    writer.add_array("types.nested", [[1, 2], [3]])
    expected = {}
    plain = {"f32": np.float32, "f16": np.float16, "f64": np.float64, "i8": np.int8, "i32": np.int32}
    for name, dtype in plain.items():
        values = (random.standard_normal((3, 5)) * 10).astype(dtype)
        writer.add_tensor(name, values)
        expected[name] = values.astype(np.int32) if dtype == np.int8 else values
    values = random.standard_normal((2, 3, 32)).astype(np.float32)
    blocks = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("cube", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    expected["cube"] = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0)
    for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]:
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        # Bytes below 0x78 make every f16 finite.
        blocks = random.integers(0, 0x78, (3, size * (2 if elements == 32 else 1)), dtype=np.uint8)
        writer.add_tensor(name, blocks, raw_dtype=kind)
        expected[name] = gguf.quants.dequantize(blocks, kind)
    kind = gguf.GGMLQuantizationType.IQ4_NL
    writer.add_tensor("unknown", np.zeros((1, 18), dtype=np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensors = {name: torch.from_numpy(values) for name, values in expected.items()}
    save_file(tensors, FOLDER / "expected_gguf.safetensors")


torch_files()
gguf_file()
