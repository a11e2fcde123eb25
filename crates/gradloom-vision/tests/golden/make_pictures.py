"""Writes pictures.json: files of all kinds of pictures, and what torchvision's preset for classification makes of the good
ones that Pillow reads, upright and in RGB.

    pip install torch torchvision timm pillow
    python make_pictures.py

Files are hexadecimal. `pixels` are every seventh number of [3, 16, 16], or absent where the file is to be refused.
"""

import io
import json
import pathlib
import struct
import zlib

import numpy
from PIL import Image, ImageOps
from torchvision.transforms._presets import ImageClassification

HERE = pathlib.Path(__file__).parent


def photo(height=22, width=31):
    rows, columns = numpy.mgrid[0:height, 0:width]
    planes = [40 + 8 * rows, 30 + 6 * columns, 128 + 60 * numpy.sin(rows / 5) * numpy.cos(columns / 6)]
    return Image.fromarray(numpy.stack(planes, -1).astype(numpy.uint8))


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width, height, bits, colour, data):
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def sixteen_bits():
    """RGB of 16 bits, which Pillow reads as their upper eight."""
    upper = numpy.asarray(photo()).astype(">u2") << 8
    lower = (numpy.arange(upper.size).reshape(upper.shape) % 256).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in (upper | lower))
    return png(31, 22, 16, 2, zlib.compress(rows))


def good():
    image = photo()
    alpha = image.copy()
    alpha.putalpha(Image.fromarray((numpy.arange(22 * 31).reshape(22, 31) % 256).astype(numpy.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "png": saved(image, "PNG"),
        "grey": saved(image.convert("L"), "PNG"),
        "grey alpha": saved(alpha.convert("LA"), "PNG"),
        "alpha": saved(alpha, "PNG"),
        "palette": saved(image.convert("P", palette=Image.Palette.ADAPTIVE, colors=9), "PNG"),
        "one bit": saved(image.convert("1"), "PNG"),
        "sixteen bits": sixteen_bits(),
        "one pixel": saved(photo(1, 1), "PNG"),
        "a line": saved(photo(1, 200), "PNG"),
        "one pixel.jpg": saved(photo(1, 1), "JPEG", quality=95),
        "jpeg": saved(image, "JPEG", quality=95, subsampling=0),
        "progressive": saved(image, "JPEG", quality=95, subsampling=0, progressive=True),
        "grey.jpg": saved(image.convert("L"), "JPEG", quality=95),
        "cmyk": saved(image.convert("CMYK"), "JPEG", quality=95),
        "held on its side": saved(image, "JPEG", quality=95, subsampling=0, exif=exif.tobytes()),
        "held on its side.png": saved(image, "PNG", exif=exif.tobytes()),
    }


def bad():
    image = photo()
    whole, jpeg = saved(image, "PNG"), saved(image, "JPEG", quality=95)
    frame = jpeg.index(b"\xff\xc0")
    large = struct.pack(">HH", 20000, 20000)
    return {
        "empty": b"",
        "no picture": b"<html>not found</html>",
        "gif": b"GIF89a" + bytes(20),
        "half a png": whole[: len(whole) // 2],
        "half a jpeg": jpeg[: len(jpeg) // 2],
        "damaged png": whole[:60] + bytes(20) + whole[80:],
        # 1.2 GB of pixels, and a size within the limit that its file cannot have.
        "claims to be huge": png(20000, 20000, 8, 2, zlib.compress(bytes(1000))),
        "claims to be large": png(8000, 8000, 8, 2, zlib.compress(bytes(1000))),
        "claims to be huge.jpg": jpeg[: frame + 5] + large + jpeg[frame + 9 :],
        "no pixels": png(0, 7, 8, 2, zlib.compress(b"")),
    }


if __name__ == "__main__":
    preset = ImageClassification(crop_size=16, resize_size=18)
    cases = []
    for name, data in good().items():
        read = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        if name == "grey alpha":
            read = Image.open(io.BytesIO(data)).convert("L").convert("RGB")
        pixels = [float(f"{value:.5g}") for value in preset(read).flatten()[::7].tolist()]
        cases.append({"name": name, "file": data.hex(), "pixels": pixels})
    cases += [{"name": name, "file": data.hex()} for name, data in bad().items()]
    (HERE / "pictures.json").write_text(json.dumps(cases, separators=(",", ":")).replace("},", "},\n") + "\n")
