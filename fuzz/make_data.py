#!/usr/bin/env python3
"""Writes small data files to begin fuzzing with into seeds/csv, seeds/idx, seeds/picture,
seeds/preparation and seeds/wav.

    python3 make_data.py

Needs the golden files of gradloom-data, which hold pictures and sounds, and nothing but Python.
"""

import gzip
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "crates/gradloom-data/tests/golden/files.json.gz"
SEEDS = HERE / "seeds"


def write(target, name, content):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name.replace(" ", "-")).write_bytes(content)


def tables():
    write("csv", "plain", b"a,b,c\n1,2.5,x\n-3e2,NA,y\n")
    write("csv", "quotes", b'\xef\xbb\xbf"a, ""b""",c\r\n"two\r\nlines",\r\n\r\n5" disc,"" \n')
    write("csv", "semicolons", b"1;true;007\n2;false;\n")
    write("csv", "open-quote", b'a\n"b\n')
    write("csv", "lines", b'{"a": 1, "b": "x", "c": null}\n{"c": true, "a": -2.5e3}\n')
    write("csv", "mark-of-byte-order", b"\xef\xbb\xbf\xef\xbb\xbf\n1\n")
    write("csv", "nested", b'{"a": [{}]}\n')


def arrays():
    write("idx", "bytes", struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3) + bytes(range(6)))
    write("idx", "floats", struct.pack(">BBBBIf", 0, 0, 13, 1, 1, 0.5))
    write("idx", "gzip", gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 4) + b"abcd", mtime=0))


def preparation():
    steps = [
        {"column": "n", "fitted": {"Impute": {"Number": 2.0}}},
        {"column": "n", "fitted": {"Clip": {"low": -1.0, "high": 1.5}}},
        {"column": "n", "fitted": {"Scale": {"Divide": {"centre": 0.5, "divisor": 2.0}}}},
        {"column": "n", "fitted": {"Scale": {"Multiply": {"factor": 0.5, "offset": 0.0}}}},
        {
            "column": "c",
            "fitted": {"Encode": {
                "encoder": {"OneHot": "Ignore"}, "categories": ["a", "z"], "kind": "Text",
            }},
        },
    ]
    saved = {
        "format": "gradloom-preparation", "version": 1,
        "inputs": [["n", "Number"], ["c", "Text"]], "steps": steps, "outputs": ["n", "c_a", "c_z"],
    }
    write("preparation", "steps", json.dumps(saved).encode())
    steps[1]["fitted"]["Clip"] = {"low": 3.0, "high": -3.0}
    steps[4]["fitted"]["Encode"]["categories"] = []
    steps.append({"column": "left", "fitted": "Drop"})
    write("preparation", "damaged", json.dumps(saved).encode())


def main():
    tables()
    arrays()
    preparation()
    golden = json.loads(gzip.decompress(GOLDEN.read_bytes()))
    chosen = ["rgb.png", "grey alpha.png", "palette.png", "one bit.png", "sixteen bits.png", "held 6.png"]
    chosen += ["held 6.jpg", "halved.jpg", "progressive.jpg", "grey.jpg"]
    for case in golden["pictures"]:
        if case["name"] in chosen:
            write("picture", case["name"], bytes.fromhex(case["file"]))
    for case in golden["sounds"]:
        write("wav", case["name"], bytes.fromhex(case["file"]))


if __name__ == "__main__":
    main()
