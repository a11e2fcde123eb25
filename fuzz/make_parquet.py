#!/usr/bin/env python3
"""Writes small Parquet files to begin fuzzing with into seeds/parquet, and files whose headers claim too much.

    python3 -m pip install pyarrow==26.0.1
    python3 make_parquet.py
"""

import gzip
import io
import pathlib
import struct

import pyarrow
import pyarrow.parquet

SEEDS = pathlib.Path(__file__).resolve().parent / "seeds" / "parquet"


def file(compression="none", **options):
    table = pyarrow.table({
        "n": pyarrow.array([1, None, 3, 4], pyarrow.int32()),
        "x": pyarrow.array([0.5, float("nan"), None, 2.0]),
        "word": pyarrow.array(["b", "a", None, "b"]),
    })
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression=compression, write_statistics=False, **options)
    return buffer.getvalue()


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def zigzag(number):
    return varint(number << 1)


def integers(*fields):
    """Fields 1, 2, 3.. of 32 bits."""
    return b"".join(b"\x15" + zigzag(field) for field in fields)


def of_pages(pages, codec, values, kind=1):
    """A file of one required column of numbers, or of texts (kind 6), whose pages are these bytes."""
    element = b"\x15" + zigzag(kind) + b"\x25\x00\x18\x01x\x00"  # type, required, name
    root = b"\x48\x01r\x15\x02\x00"  # name, one child
    column = (b"\x15" + zigzag(kind) + b"\x19\x15\x00\x19\x18\x01x\x15" + zigzag(codec)
              + b"\x16" + zigzag(values) + b"\x16" + zigzag(1 << 30) + b"\x16" + zigzag(len(pages))
              + b"\x26\x08\x00")  # pages begin at byte 4
    chunk = b"\x26\x08\x1c" + column + b"\x00"
    group = b"\x19\x1c" + chunk + b"\x16" + zigzag(len(pages)) + b"\x16" + zigzag(values) + b"\x00"
    footer = (b"\x15\x02\x19\x2c" + root + element + b"\x16" + zigzag(values) + b"\x19\x1c" + group + b"\x00")
    return b"PAR1" + pages + footer + struct.pack("<I", len(footer)) + b"PAR1"


def data_page(body, size, values, encoding=0):
    return integers(0, size, len(body)) + b"\x2c" + integers(values, encoding, 3, 3) + b"\x00\x00" + body


def dictionary_page(body, size, values):
    return integers(2, size, len(body)) + b"\x4c" + integers(values, 0) + b"\x00\x00" + body


def main():
    SEEDS.mkdir(parents=True, exist_ok=True)
    files = {
        "plain": file(),
        "snappy": file("snappy"),
        "gzip": file("gzip"),
        "second-version": file("gzip", data_page_version="2.0", version="2.6"),
        "no-dictionary": file(use_dictionary=False),
        "differences": file(use_dictionary=False, column_encoding={"word": "DELTA_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED", "x": "PLAIN"}),
        "by-hand": of_pages(data_page(struct.pack("<ii", 7, 8), 8, 2), 0, 2),
        "many-values": of_pages(data_page(b"\x07\x00\x00\x00", 4, 2**31 - 1), 0, 2**40),
        "large-dictionary": of_pages(dictionary_page(b"\x00" * 8, 8, 2**31 - 1) + data_page(b"\x01\x00", 2, 1, 8), 0, 1, 6),
        "large-page": of_pages(data_page(b"\x07\x00\x00\x00", 2**31 - 1, 1), 1, 1),
        "gzip-bomb": of_pages(data_page(gzip.compress(b"\x00" * (1 << 22), mtime=0), 4, 1), 2, 1),
        "large-list": b"PAR1" + (footer := b"\x29\xfc" + varint(2**31 - 1) + b"\x00" * 20) + struct.pack("<I", len(footer)) + b"PAR1",
    }
    for name, content in files.items():
        (SEEDS / name).write_bytes(content)


if __name__ == "__main__":
    main()
