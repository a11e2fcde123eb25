#!/usr/bin/env python3
"""Makes preparation.json: what scikit-learn makes of columns and labels.

    python3 -m pip install scikit-learn==1.9.1 numpy==2.4.6
    python3 make_preparation.py
"""

import fractions
import json
import math
import pathlib

import numpy
import sklearn
from sklearn import impute, model_selection, preprocessing
from sklearn.utils import class_weight

HERE = pathlib.Path(__file__).resolve().parent
random = numpy.random.default_rng(7)


def numbers(values):
    """NaN becomes null, which JSON has."""
    return [None if numpy.isnan(value) else float(value) for value in numpy.ravel(values)]


def columns():
    """Columns that are hard in different ways."""
    plain = random.normal(size=60) * 3 + 1
    holes = plain.copy()
    holes[[3, 17, 40]] = numpy.nan
    return {
        "plain": plain,
        "holes": holes,
        "offset": random.normal(size=60) + 1e9,
        "tiny": random.normal(size=60) * 1e-12,
        "constant": numpy.full(40, 0.1),
        "almost_constant": 1e6 + numpy.tile([0.0, 1e-10], 30),
        "one": numpy.array([4.25]),
        "integers": random.integers(0, 6, size=51).astype(float),
    }


def standardised(values):
    """Mean 0 and deviation 1 with the mean and variance as fractions, without rounding."""
    present = [fractions.Fraction(value) for value in values if not math.isnan(value)]
    mean = sum(present) / len(present)
    variance = sum((value - mean) ** 2 for value in present) / len(present)
    deviation = math.sqrt(variance) or 1.0
    scaled = [None if math.isnan(v) else float(fractions.Fraction(v) - mean) / deviation for v in values]
    return scaled, deviation


def scalers():
    cases = []
    makers = {
        "standard": preprocessing.StandardScaler(),
        "min_max": preprocessing.MinMaxScaler((-2.0, 3.0)),
        "robust": preprocessing.RobustScaler(),
    }
    for name, values in columns().items():
        case = {"name": name, "values": numbers(values)}
        case["exact"], case["deviation"] = standardised(values)
        for kind, scaler in makers.items():
            scaler.fit(values.reshape(-1, 1))
            case[kind] = numbers(scaler.transform(values.reshape(-1, 1)))
        for strategy in ("mean", "median", "most_frequent"):
            filled = impute.SimpleImputer(strategy=strategy).fit_transform(values.reshape(-1, 1))
            case[strategy] = numbers(filled)
        cases.append(case)
    return cases


def encoders():
    values = random.choice(["b", "a", "ä", "Z", "10", "9"], size=20).reshape(-1, 1)
    one_hot = preprocessing.OneHotEncoder(sparse_output=False).fit(values)
    ordinal = preprocessing.OrdinalEncoder().fit(values)
    sizes = random.choice([10.0, 9.0, 2.5], size=15).reshape(-1, 1)
    return {
        "values": values.ravel().tolist(),
        "one_hot": numbers(one_hot.transform(values)),
        "names": one_hot.get_feature_names_out(["x"]).tolist(),
        "ordinal": numbers(ordinal.transform(values)),
        "sizes": numbers(sizes),
        "sizes_ordinal": numbers(preprocessing.OrdinalEncoder().fit_transform(sizes)),
    }


def tests(splitter, *arguments):
    return [test.tolist() for _, test in splitter.split(*arguments)]


def splits():
    labels = random.choice([3, 1, 0], size=47, p=[0.2, 0.5, 0.3])
    # Groups of different sizes: the order of equal ones is not defined.
    groups = numpy.repeat(numpy.arange(9), [1, 2, 3, 5, 7, 8, 11, 13, 17])
    random.shuffle(groups)
    zeros = numpy.zeros
    series = []
    for arguments in (
        {"n_splits": 3},
        {"n_splits": 4, "test_size": 2, "gap": 3},
        {"n_splits": 2, "max_train_size": 5},
    ):
        folds = model_selection.TimeSeriesSplit(**arguments).split(zeros(23))
        folds = [{"train": train.tolist(), "test": test.tolist()} for train, test in folds]
        series.append({**arguments, "folds": folds})
    dense = numpy.unique(labels, return_inverse=True)[1]
    weights = class_weight.compute_class_weight("balanced", classes=numpy.arange(3), y=dense)
    return {
        "labels": labels.tolist(),
        "groups": groups.tolist(),
        "k_fold": [
            {"samples": n, "count": k, "tests": tests(model_selection.KFold(k), zeros(n))}
            for n, k in [(10, 3), (7, 7), (23, 5)]
        ],
        "stratified": tests(model_selection.StratifiedKFold(4), zeros(47), labels),
        "group": tests(model_selection.GroupKFold(3), zeros(67), None, groups),
        "time_series": series,
        "dense": dense.tolist(),
        "weights": numbers(weights),
    }


def targets():
    """Categories as means of targets, across folds and of all rows."""
    own = numpy.random.default_rng(11)
    # Many, few and single rows of a category; the last two are in no training part of some fold.
    cities = own.choice(["b", "a", "ä", "Z"], size=58, p=[0.5, 0.3, 0.15, 0.05]).tolist() + ["once", "twice"]
    values = numpy.array(cities, dtype=object).reshape(-1, 1)
    prices = own.normal(size=60) * 4 + numpy.array([len(city) + ord(city[0]) % 7 for city in cities])
    bought = (prices > numpy.median(prices)).astype(int)
    cases = []
    for kind, wanted in (("continuous", prices), ("binary", bought), ("continuous", numpy.full(60, 2.5))):
        for smooth in ("auto", 0.0, 7.5):
            cross = model_selection.StratifiedKFold if kind == "binary" else model_selection.KFold
            cross = cross(5, shuffle=True, random_state=3)
            encoder = preprocessing.TargetEncoder(smooth=smooth, target_type=kind, cv=cross)
            across = encoder.fit_transform(values, wanted)
            folds = tests(cross, values, wanted)
            unseen = numpy.array(cities[:6] + ["nowhere"], dtype=object).reshape(-1, 1)
            cases.append({
                "smooth": None if smooth == "auto" else smooth,
                "targets": numbers(wanted.astype(float)),
                "folds": folds,
                "across": numbers(across),
                "later": numbers(encoder.transform(unseen)),
            })
    return {"values": cities, "cases": cases}


def main():
    data = {
        "made_with": f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}",
        "columns": scalers(),
        "encoders": encoders(),
        "splits": splits(),
        "targets": targets(),
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    (HERE / "preparation.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
