#!/usr/bin/env python3
"""Writes small weight files to begin fuzzing with into seeds/safetensors, seeds/gguf, seeds/torch,
seeds/numpy, seeds/tfjs and seeds/imatrix.

    python3 make_weights.py

Needs nothing but Python, so the files are as small as files of their kinds can be.
"""

import collections
import io
import json
import pathlib
import pickle
import struct
import zipfile

SEEDS = pathlib.Path(__file__).parent / "seeds"


def write(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def imatrix_seeds():
    def entry(name, calls, values):
        content = struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values))
        return content + struct.pack(f"<{len(values)}f", *values)

    entries = [entry("blk.0.attn_q.weight", 2, [1.0, 0.5]), entry("output.weight", 1, [])]
    old = struct.pack("<i", len(entries)) + b"".join(entries)
    write("imatrix", "oldest", old)
    write("imatrix", "old", old + struct.pack("<ii", 2, 4) + b"text")


def safetensors(tensors, metadata=None):
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, (dtype, shape, content) in tensors.items():
        span = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": span}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    write("safetensors", "empty", safetensors({}))
    tensors = {
        "a": ("F32", [2, 1], bytes(8)),
        "b": ("I64", [1], struct.pack("<q", 7)),
        "c": ("F16", [0, 3], b""),
        "d": ("BOOL", [], b"\1"),
        "e": ("F8_E4M3", [1], b"\0"),
    }
    write("safetensors", "dtypes", safetensors(tensors, {"format": "pt"}))
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": "model-1.safetensors"}}
    write("safetensors", "index", json.dumps(index).encode())


def text(content):
    return struct.pack("<Q", len(content)) + content.encode()


def gguf(metadata, tensors, version=3, alignment=32):
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, (kind, content) in metadata.items():
        header += text(key) + struct.pack("<I", kind) + content
    data = b""
    for name, (shape, kind, content) in tensors.items():
        sizes = b"".join(struct.pack("<Q", size) for size in reversed(shape))
        header += text(name) + struct.pack("<I", len(shape)) + sizes
        header += struct.pack("<IQ", kind, len(data))
        data += content + bytes(-len(content) % alignment)
    return header + bytes(-len(header) % alignment) + data


def gguf_seeds():
    write("gguf", "empty", gguf({}, {}))
    array = lambda kind, values: (9, struct.pack("<IQ", kind, len(values)) + b"".join(values))
    metadata = {
        "general.alignment": (4, struct.pack("<I", 8)),
        "a": (0, b"\1"),
        "b": (3, b"\1\2"),
        "c": (6, struct.pack("<f", 0.5)),
        "d": (7, b"\1"),
        "e": (8, text("text")),
        "f": (12, struct.pack("<d", 0.5)),
        "g": array(8, [text("x"), text("")]),
        "h": array(5, [struct.pack("<i", 1)]),
        "i": array(9, [struct.pack("<IQ", 0, 1) + b"\1"]),
    }
    write("gguf", "metadata", gguf(metadata, {"t": ([2], 0, bytes(8))}, alignment=8))
    tensors = {
        "a": ([1, 32], 2, bytes(18)),
        "b": ([2, 256], 12, bytes(288)),
        "c": ([2, 1, 32], 8, bytes(68)),
        "d": ([3], 30, bytes(6)),
        "e": ([2], 27, bytes(16)),
        "f": ([32], 20, bytes(18)),
    }
    write("gguf", "tensors", gguf({}, tensors, version=2))


class Global:
    """Pickles as the global of this name, called with the arguments if there are any."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Storage:
    def __init__(self, kind, key, count):
        self.kind, self.key, self.count = kind, key, count


class Pickler(pickle._Pickler):
    """Writes names of globals that need not exist here."""

    def __init__(self, file, protocol, legacy):
        super().__init__(file, protocol)
        self.legacy = legacy

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        kind = Global("torch", value.kind)
        return ("storage", kind, value.key, "cpu", value.count) + ((None,) if self.legacy else ())

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            self.write(b"c" + f"{value.module}\n{value.name}\n".encode())
            if value.arguments:
                self.save(value.arguments)
                self.write(b"R")
            return
        super().save(value, save_persistent_id)


def dumps(value, protocol=2, legacy=False):
    file = io.BytesIO()
    Pickler(file, protocol, legacy).dump(value)
    return file.getvalue()


def tensor(storage, offset, shape, strides, function="_rebuild_tensor_v2"):
    arguments = (storage, offset, shape, strides, False, collections.OrderedDict())
    if function == "_rebuild_tensor_v3":
        arguments += (Global("torch", "uint16"),)
    return Global("torch._utils", function, *arguments)


def state():
    floats = Storage("FloatStorage", "0", 6)
    return {
        "a": tensor(floats, 0, (2, 3), (3, 1)),
        "b": tensor(floats, 1, (2, 2), (1, 3)),
        "c": Global("torch._utils", "_rebuild_parameter", tensor(floats, 0, (6,), (1,)), True, ()),
        "d": tensor(Storage("UntypedStorage", "1", 8), 0, (4,), (1,), "_rebuild_tensor_v3"),
    }


def archive(pickled, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    records = {"data.pkl": pickled, "byteorder": b"little", "data/0": bytes(24), "data/1": bytes(8)}
    with zipfile.ZipFile(file, "w", method) as target:
        for name, content in records.items():
            target.writestr(zipfile.ZipInfo("m/" + name, (2024, 6, 1, 0, 0, 0)), content, method)
    return file.getvalue()


def legacy(value, storages):
    facts = {"protocol_version": 1001, "little_endian": True}
    pickles = [0x1950A86A20F9469CFC6C, 1001, facts, value, list(storages)]
    content = b"".join(dumps(pickled, legacy=True) for pickled in pickles)
    for count, data in storages.values():
        content += struct.pack("<q", count) + data
    return content


def torch_seeds():
    checkpoint = {"epoch": 1, "loss": 0.5, "state_dict": state(), "optimizer": {"state": {0: [None]}}}
    module = Global("models", "Model", 1)
    storages = {"0": (6, bytes(24)), "1": (8, bytes(8))}
    write("torch", "state", archive(dumps(state())))
    write("torch", "protocol_4", archive(dumps(state(), protocol=4)))
    write("torch", "nested", archive(dumps(checkpoint)))
    write("torch", "module", archive(dumps({"model": module, "list": [{"t": True}, (1.5, "x", b"y")]})))
    write("torch", "deflated", archive(dumps(state()), zipfile.ZIP_DEFLATED))
    write("torch", "legacy", legacy(state(), storages))
    write("torch", "legacy_nested", legacy(checkpoint, storages))


def npy(descr, shape, content, fortran=False):
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + content


def numpy_seeds():
    arrays = {
        "a.npy": npy("<f4", (2, 1), bytes(8)),
        "b.npy": npy("<i8", (2, 2), bytes(32), fortran=True),
        "c.npy": npy("<f2", (0, 3), b""),
        "d.npy": npy("|O", (1,), b"N."),
    }
    write("numpy", "array", arrays["a.npy"])
    for name, method in [("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)]:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as records:
            for array, content in arrays.items():
                records.writestr(zipfile.ZipInfo(array), content, method)
        write("numpy", name, buffer.getvalue())


def tfjs_seeds():
    """A manifest, a byte of zero, and what each of its files holds."""
    scale = {"scale": 0.5, "min": -1, "original_dtype": "float32"}
    weights = [
        {"name": "a", "shape": [2], "dtype": "float32"},
        {"name": "b", "shape": [2, 2], "dtype": "float32", "quantization": {"dtype": "uint8", **scale}},
        {"name": "c", "shape": [1], "dtype": "int32", "quantization": {"dtype": "uint16", "scale": 1, "min": 0}},
        {"name": "d", "shape": [], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "e", "shape": [1], "dtype": "string"},
        {"name": "f", "shape": [3], "dtype": "bool"},
    ]
    data = bytes(8) + bytes(4) + bytes(2) + bytes(2) + struct.pack("<I", 2) + b"ab" + bytes(3)
    one = [{"paths": ["1"], "weights": weights}]
    write("tfjs", "manifest", json.dumps(one).encode() + b"\0" + data)
    model = {"format": "layers-model", "modelTopology": {}, "weightsManifest": [{"paths": [], "weights": []}, *one]}
    write("tfjs", "model", json.dumps(model).encode() + b"\0" + data)
    two = [{"paths": ["1", "2"], "weights": [{"name": "a", "shape": [3], "dtype": "float32"}]}]
    write("tfjs", "shards", json.dumps(two).encode() + b"\0" + bytes(6))


safetensors_seeds()
gguf_seeds()
torch_seeds()
numpy_seeds()
tfjs_seeds()
imatrix_seeds()
