#!/usr/bin/env python3
"""Writes golden.bin: blocks of every format as the reference implementation decodes and encodes them.

    python3 -m pip install gguf==0.19.0 numpy
    python3 golden.py

For each format, in the order of `BlockFormat::ALL`: random blocks, their decoded numbers (f32), and for
the formats that the package can encode, numbers (f32) and their blocks. Counts are in `blocks.rs`.
"""

import pathlib

import gguf
import numpy as np

FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
BLOCKS_OF_32, BLOCKS_OF_256 = 24, 8
# Bytes at which a block has an f16.
FLOATS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}

random = np.random.default_rng(20240601)
parts = []
for name in FORMATS:
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    count = BLOCKS_OF_32 if elements == 32 else BLOCKS_OF_256
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in FLOATS[name]:
        # All but the first two blocks have ordinary scales; those two have any bits.
        scales = (random.standard_normal(count) * 0.01).astype("<f2").view(np.uint8).reshape(count, 2)
        blocks[2:, at : at + 2] = scales[2:]
    parts += [blocks.tobytes(), gguf.quants.dequantize(blocks, kind).astype("<f4").tobytes()]
    if elements == 32:
        values = random.standard_normal((count, elements)).astype(np.float32)
        values[0] = 0
        values[1] = 0.25
        values[2] = np.abs(values[2])
        values[3] = np.round(values[3] * 4)
        values[4] *= 1e-7
        values[5] *= 30000
        parts += [values.astype("<f4").tobytes(), gguf.quants.quantize(values, kind).tobytes()]
pathlib.Path(__file__).with_name("golden.bin").write_bytes(b"".join(parts))
