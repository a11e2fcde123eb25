"""Writes breast_cancer.csv.gz of scikit-learn's copy of the table, with names of columns.

    pip install scikit-learn
    python make_breast_cancer.py
"""

import gzip
import pathlib

from sklearn.datasets import load_breast_cancer

table = load_breast_cancer()
lines = [",".join([*table.feature_names, "diagnosis"])]
for row, target in zip(table.data.tolist(), table.target):
    lines.append(",".join([*(format(value, ".9g") for value in row), table.target_names[target]]))
packed = gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0)
(pathlib.Path(__file__).parent / "breast_cancer.csv.gz").write_bytes(packed)
