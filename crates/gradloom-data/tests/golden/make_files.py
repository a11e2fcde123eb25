#!/usr/bin/env python3
"""Makes files.json.gz: small pictures, sounds and a Parquet file with what is in them.

    python3 -m pip install pillow==13.0.0 numpy==2.4.6 scipy==1.17.1 pyarrow
    python3 make_files.py

Files and pixels are hexadecimal, pixels in the order channel, row, column.
"""

import datetime
import gzip
import io
import json
import pathlib
import wave

import numpy
import PIL
import pyarrow
import pyarrow.parquet
from PIL import Image, ImageOps
from scipy.io import wavfile

HERE = pathlib.Path(__file__).resolve().parent
random = numpy.random.default_rng(5)


def picture():
    """A smooth picture, which JPEG keeps well, 3 x 18 x 26."""
    rows, columns = numpy.mgrid[0:18, 0:26]
    red = 40 + 8 * rows
    green = 30 + 7 * columns
    blue = 128 + 60 * numpy.sin(rows / 5) * numpy.cos(columns / 6)
    return Image.fromarray(numpy.stack([red, green, blue], -1).astype(numpy.uint8))


def case(name, image, format, tolerance, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    data = buffer.getvalue()
    read = Image.open(io.BytesIO(data))
    read.load()
    if read.mode.startswith("I"):
        # The upper eight of 16 bits; Pillow would clip.
        read = Image.fromarray((numpy.asarray(read).astype(numpy.uint32) >> 8).astype(numpy.uint8))
    read = ImageOps.exif_transpose(read)
    pixels = numpy.asarray(read.convert("RGB")).transpose(2, 0, 1)
    grey = numpy.asarray(read.convert("RGB").convert("L"))
    return {
        "name": name,
        "file": data.hex(),
        "tolerance": tolerance,
        "size": list(pixels.shape),
        "pixels": numpy.ascontiguousarray(pixels).tobytes().hex(),
        "grey": numpy.ascontiguousarray(grey).tobytes().hex(),
    }


def pictures():
    image = picture()
    noise = Image.fromarray(random.integers(0, 256, size=(9, 11, 3)).astype(numpy.uint8))
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(random.integers(0, 256, size=(18, 26)).astype(numpy.uint8)))
    wide = Image.fromarray(random.integers(0, 65536, size=(7, 5)).astype(numpy.uint16))
    cases = [
        case("rgb.png", noise, "PNG", 0),
        case("grey.png", noise.convert("L"), "PNG", 0),
        case("grey alpha.png", alpha.convert("LA"), "PNG", 0),
        case("rgba.png", alpha, "PNG", 0),
        case("palette.png", image.convert("P", palette=Image.Palette.ADAPTIVE, colors=13), "PNG", 0),
        case("one bit.png", image.convert("1"), "PNG", 0),
        case("sixteen bits.png", wide, "PNG", 0),
    ]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        cases.append(case(f"held {orientation}.png", noise, "PNG", 0, exif=exif.tobytes()))
        name = f"held {orientation}.jpg"
        cases.append(case(name, image, "JPEG", 3, quality=95, subsampling=0, exif=exif.tobytes()))
    cases += [
        case("halved.jpg", image, "JPEG", 12, quality=90, subsampling=2),
        case("progressive.jpg", image, "JPEG", 3, quality=90, subsampling=0, progressive=True),
        case("grey.jpg", image.convert("L"), "JPEG", 2, quality=90),
        case("four colours.jpg", image.convert("CMYK"), "JPEG", 6, quality=95),
    ]
    return cases


def sounds():
    cases = []
    base = random.uniform(-1, 1, size=(23, 2))
    kinds = {
        "u8": numpy.clip(base * 128 + 128, 0, 255).astype(numpy.uint8),
        "i16": (base * 32767).astype(numpy.int16),
        "i32": (base * 2147483647).astype(numpy.int32),
        "f32": base.astype(numpy.float32),
        "f64": base,
        "mono": (base[:, 0] * 32767).astype(numpy.int16),
    }
    for name, samples in kinds.items():
        buffer = io.BytesIO()
        wavfile.write(buffer, 16000, samples)
        values = samples.astype(numpy.float64).reshape(23, -1)
        if samples.dtype == numpy.uint8:
            values = (values - 128) / 128
        elif samples.dtype.kind == "i":
            values = values / -float(numpy.iinfo(samples.dtype).min)
        expected = values.T.astype(numpy.float32).ravel().tolist()
        cases.append({"name": name, "file": buffer.getvalue().hex(), "samples": expected})
    whole = (base * 8388607).astype(numpy.int32)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(3)
        writer.setframerate(16000)
        writer.writeframes(b"".join(int(v).to_bytes(3, "little", signed=True) for v in whole.ravel()))
    expected = (whole / 8388608).T.astype(numpy.float32).ravel().tolist()
    cases.append({"name": "i24", "file": buffer.getvalue().hex(), "samples": expected})
    return cases


def parquet():
    table = pyarrow.table({
        "whole": pyarrow.array([1, None, 3], pyarrow.int32()),
        "large": pyarrow.array([2**60 + 1, 5, None], pyarrow.int64()),
        "real": pyarrow.array([0.5, float("nan"), -1e300], pyarrow.float64()),
        "flag": pyarrow.array([True, None, False]),
        "word": pyarrow.array(["b", "ä", None]),
        "day": pyarrow.array([datetime.date(2024, 2, 29), None, datetime.date(1969, 7, 20)]),
        "list": pyarrow.array([[1], [2, 3], None]),
    })
    files = {}
    for compression in ("none", "snappy", "gzip"):
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(table, buffer, compression=compression)
        files[compression] = buffer.getvalue().hex()
    return files


def main():
    data = {
        "made_with": f"Pillow {PIL.__version__}, pyarrow {pyarrow.__version__}",
        "pictures": pictures(),
        "sounds": sounds(),
        "parquet": parquet(),
    }
    text = json.dumps(data, separators=(",", ":")).encode()
    (HERE / "files.json.gz").write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    main()
