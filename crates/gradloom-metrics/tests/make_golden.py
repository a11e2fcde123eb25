"""Makes the golden data of the metrics with the packages whose figures they equal.

    pip install scikit-learn sacrebleu rouge-score jiwer pycocotools fairlearn pandas
    python make_golden.py                             # golden.json beside this file
    python make_golden.py --cases 500 --seed 1 --out FILE    # more, for a local run
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import math
import pathlib
import warnings

import fairlearn.metrics as fair
import jiwer
import numpy as np
import sacrebleu
import sklearn.metrics as sk
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rouge_score import rouge_scorer
from sklearn.calibration import calibration_curve

warnings.filterwarnings("ignore")
PACKAGES = ["numpy", "scikit-learn", "sacrebleu", "rouge-score", "jiwer", "pycocotools", "fairlearn"]


def plain(value):
    """JSON without NaN and without numpy; NaN is null, infinity a word."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        value = float(value)
        return None if math.isnan(value) else "inf" if math.isinf(value) else value
    if isinstance(value, np.integer):
        return int(value)
    return value


def classes(rng):
    count = int(rng.integers(1, 6))
    size = int(rng.integers(1, 30))
    used = int(rng.integers(1, count + 1))
    actual = rng.integers(0, used, size)
    predicted = np.where(rng.random(size) < 0.6, actual, rng.integers(0, count, size))
    beta = float(rng.choice([0.5, 1.0, 2.0, 0.0, math.inf]))
    labels = list(range(count))
    figures = {}
    for name, zero in [("zero", 0), ("one", 1), ("nan", np.nan)]:
        for average in ["macro", "micro", "weighted", None]:
            p, r, f, _ = sk.precision_recall_fscore_support(
                actual, predicted, beta=beta, labels=labels, average=average, zero_division=zero)
            figures[f"{name}/{average}"] = [p, r, f]
    several = len(set(actual)) > 1
    kappas = [sk.cohen_kappa_score(actual, predicted, labels=labels, weights=weights)
              for weights in [None, "linear", "quadratic"]] if count > 1 else [math.nan] * 3
    overlaps = sk.jaccard_score(actual, predicted, labels=labels, average=None, zero_division=0)
    seen = np.isin(labels, actual) | np.isin(labels, predicted)
    overlaps = np.where(seen, overlaps, np.nan)
    dice = sk.f1_score(actual, predicted, labels=labels, average=None, zero_division=np.nan)
    return {
        "classes": count, "actual": actual, "predicted": predicted,
        "beta": "inf" if math.isinf(beta) else beta, "figures": figures,
        "confusion": sk.confusion_matrix(actual, predicted, labels=labels).ravel(),
        "accuracy": sk.accuracy_score(actual, predicted),
        "balanced": sk.balanced_accuracy_score(actual, predicted),
        "adjusted": sk.balanced_accuracy_score(actual, predicted, adjusted=True) if several else None,
        "matthews": sk.matthews_corrcoef(actual, predicted), "kappas": kappas,
        "iou": overlaps, "dice": dice,
    }


def multi_label(rng):
    size, count = int(rng.integers(1, 12)), int(rng.integers(2, 5))
    actual = (rng.random((size, count)) < rng.choice([0.1, 0.5])).astype(int)
    predicted = np.where(rng.random((size, count)) < 0.7, actual, 1 - actual)
    beta = float(rng.choice([0.5, 1.0, 2.0]))
    figures = {}
    for name, zero in [("zero", 0), ("one", 1), ("nan", np.nan)]:
        for average in ["macro", "micro", "weighted", "samples", None]:
            p, r, f, _ = sk.precision_recall_fscore_support(
                actual, predicted, beta=beta, average=average, zero_division=zero)
            figures[f"{name}/{average}"] = [p, r, f]
    return {
        "labels": count, "actual": actual.ravel(), "predicted": predicted.ravel(), "beta": beta,
        "figures": figures, "subset": sk.accuracy_score(actual, predicted),
        "hamming": sk.hamming_loss(actual, predicted),
    }


def binary(rng):
    size = int(rng.integers(2, 40))
    actual = rng.integers(0, 2, size)
    actual[:2] = [0, 1]
    scores = np.clip(actual * 0.3 + rng.random(size) * 0.7, 0, 1)
    if rng.random() < 0.6:
        scores = np.round(scores, 1)
    fpr, tpr, thresholds = sk.roc_curve(actual, scores, drop_intermediate=False)
    precision, recall, cuts = sk.precision_recall_curve(actual, scores)
    bins = int(rng.integers(1, 12))
    true, predicted = calibration_curve(actual, scores, n_bins=bins, strategy="uniform")
    return {
        "actual": actual, "scores": scores, "fpr": fpr, "tpr": tpr, "thresholds": thresholds,
        "area": sk.roc_auc_score(actual, scores), "precision": precision, "recall": recall,
        "cuts": cuts, "pr_area": sk.auc(recall, precision),
        "average_precision": sk.average_precision_score(actual, scores),
        "brier": sk.brier_score_loss(actual, scores), "bins": bins, "came_true": true,
        "confidence": predicted,
    }


def probabilities(rng):
    count = int(rng.integers(3, 6))
    size = int(rng.integers(count, 25))
    actual = np.concatenate([np.arange(count), rng.integers(0, count, size - count)])
    rng.shuffle(actual)
    logits = rng.normal(size=(size, count)) + 1.5 * (actual[:, None] == np.arange(count))
    numbers = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if rng.random() < 0.4:
        # Ties, with rows that still sum to 1.
        numbers = np.round(numbers * 8)
        numbers[:, 0] += 8 - numbers.sum(axis=1)
        numbers = np.abs(numbers)
        numbers = numbers / numbers.sum(axis=1, keepdims=True)
    labels = list(range(count))
    hot = (actual[:, None] == np.arange(count)).astype(int)
    areas = {
        "ovr": sk.roc_auc_score(actual, numbers, multi_class="ovr", labels=labels),
        "ovr_weighted": sk.roc_auc_score(
            actual, numbers, multi_class="ovr", average="weighted", labels=labels),
        "micro": sk.roc_auc_score(hot, numbers, average="micro"),
        "ovo": sk.roc_auc_score(actual, numbers, multi_class="ovo", labels=labels),
        "ovo_weighted": sk.roc_auc_score(
            actual, numbers, multi_class="ovo", average="weighted", labels=labels),
    }
    precisions = {name: sk.average_precision_score(hot, numbers, average=average)
                  for name, average in [("ovr", "macro"), ("ovr_weighted", "weighted"), ("micro", "micro")]}
    bins = int(rng.integers(2, 12))
    sure, right = numbers.max(axis=1), numbers.argmax(axis=1) == actual
    # The bins that scikit-learn uses; the error itself is the formula of Guo et al.
    places = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], sure)
    gaps = [(abs(sure[places == b].mean() - right[places == b].mean()), (places == b).mean())
            for b in range(bins) if (places == b).any()]
    k = int(rng.integers(1, count))
    return {
        "classes": count, "actual": actual, "numbers": numbers.ravel(), "areas": areas,
        "precisions": precisions, "log_loss": sk.log_loss(actual, numbers, labels=labels),
        "brier": sk.brier_score_loss(actual, numbers, labels=labels, scale_by_half=False),
        "bins": bins, "expected": sum(gap * share for gap, share in gaps),
        "maximum": max(gap for gap, _ in gaps), "k": k,
        "top_k": sk.top_k_accuracy_score(actual, numbers, k=k, labels=labels),
        "log_probabilities": np.log(np.clip(numbers.max(axis=1), 1e-9, 1)),
        "perplexity": np.exp(-np.mean(np.log(np.clip(numbers.max(axis=1), 1e-9, 1)))),
    }


def regression(rng):
    size = int(rng.integers(2, 30))
    actual = rng.normal(size=size) * rng.choice([1, 100]) + rng.choice([0, 50])
    if rng.random() < 0.15:
        actual[:] = 3.0
    predicted = actual + rng.normal(size=size) * rng.choice([0.0, 0.1, 2.0])
    return {
        "actual": actual, "predicted": predicted, "mse": sk.mean_squared_error(actual, predicted),
        "rmse": sk.root_mean_squared_error(actual, predicted),
        "mae": sk.mean_absolute_error(actual, predicted),
        "mape": sk.mean_absolute_percentage_error(actual, predicted),
        "r2": sk.r2_score(actual, predicted),
        "explained_variance": sk.explained_variance_score(actual, predicted),
    }


WORDS = ("the cat sat on a mat The dog, (ran) home. U.S. 3.5 1,000 well-known it's don't 5-6 ``quoted'' "
         "&amp; &quot;hm&quot; &lt;b&gt; café naïve ÅNGSTRÖM straße 東京 Привет Σίσυφος $5 50% a/b x_y "
         "[1] {z} ... !? -- - . , ' \" e.g. no.5 5.no <skipped> end.").split(" ")


def sentence(rng, longest=14):
    words = [WORDS[i] for i in rng.integers(0, len(WORDS), int(rng.integers(0, longest)))]
    text = ""
    for word in words:
        text += word + str(rng.choice([" ", " ", " ", " ", "  ", "\t", " \n", "\u00a0"]))
    return text


def noisy(rng, text):
    words = text.split(" ")
    kept = [word for word in words if rng.random() > 0.15]
    for _ in range(int(rng.integers(0, 3))):
        kept.insert(int(rng.integers(0, len(kept) + 1)), WORDS[int(rng.integers(0, len(WORDS)))])
    return " ".join(kept)


def texts(rng):
    size = int(rng.integers(1, 4))
    references = [[sentence(rng) for _ in range(int(rng.integers(1, 3)))] for _ in range(size)]
    hypotheses = [noisy(rng, refs[0]) if rng.random() < 0.85 else sentence(rng) for refs in references]
    most = max(map(len, references))
    # sacrebleu wants as many references for each sentence; None stands for one that is not there.
    streams = [[refs[i] if i < len(refs) else None for refs in references] for i in range(most)]
    bleu = sacrebleu.BLEU().corpus_score(hypotheses, streams)
    lower = sacrebleu.BLEU(lowercase=True).corpus_score(hypotheses, streams)
    single = sacrebleu.BLEU(effective_order=True).sentence_score(hypotheses[0], references[0])
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
    rouges = [scorer.score_multi(refs, hypothesis) for refs, hypothesis in zip(references, hypotheses)]
    rouge = {name: [np.mean([getattr(r[name], part) for r in rouges])
                    for part in ["precision", "recall", "fmeasure"]] for name in rouges[0]}
    firsts = [refs[0] for refs in references]
    return {
        "hypotheses": hypotheses, "references": references,
        "bleu": [bleu.score, *bleu.precisions, bleu.bp], "lengths": [bleu.sys_len, bleu.ref_len],
        "lower": lower.score, "single": single.score,
        "chrf": sacrebleu.CHRF().corpus_score(hypotheses, streams).score,
        "chrf_words": sacrebleu.CHRF(word_order=2).corpus_score(hypotheses, streams).score,
        "rouge": rouge, "wer": jiwer.wer(firsts, hypotheses), "cer": jiwer.cer(firsts, hypotheses),
    }


def box(rng):
    size = rng.choice([12, 50, 160])
    numbers = np.concatenate([rng.random(2) * 200, (0.3 + rng.random(2)) * size])
    return [float(x) for x in np.round(numbers, 1 if rng.random() < 0.5 else 0)]


def detection(rng):
    images, kinds = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    truths, found = [], []
    for image in range(images):
        for _ in range(int(rng.integers(0, 6))):
            bounds = box(rng)
            crowd = int(rng.random() < 0.15)
            area = bounds[2] * bounds[3] * float(rng.choice([1.0, 0.5]))
            kind = int(rng.integers(0, kinds))
            truths.append({"image_id": image, "category_id": kind, "bbox": bounds, "area": area,
                           "iscrowd": crowd, "id": len(truths) + 1})
            for _ in range(int(rng.integers(0, 3))):
                shifted = [round(float(x + rng.normal() * rng.choice([0, 2, 6])), 1) for x in bounds]
                shifted[2:] = [max(0.5, x) for x in shifted[2:]]
                found.append({"image_id": image, "category_id": kind, "bbox": shifted,
                              "score": round(float(rng.random()), int(rng.choice([1, 3])))})
        for _ in range(int(rng.integers(0, 3))):
            found.append({"image_id": image, "category_id": int(rng.integers(0, kinds)), "bbox": box(rng),
                          "score": round(float(rng.random()), 2)})
    if not truths or not found:
        return detection(rng)
    order = rng.permutation(len(found))
    found = [found[i] for i in order]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": [{"id": image} for image in range(images)], "annotations": truths,
                        "categories": [{"id": kind} for kind in range(kinds)]}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(entry) for entry in found]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    each = evaluation.eval["precision"][:, :, :, 0, 2]
    return {
        "images": images,
        "truths": [[t["image_id"], t["category_id"], *t["bbox"], t["area"], t["iscrowd"]] for t in truths],
        "found": [[d["image_id"], d["category_id"], *d["bbox"], d["score"]] for d in found],
        "stats": [None if value == -1 else value for value in evaluation.stats],
        "classes": [None if (each[:, :, k] == -1).all() else each[:, :, k].mean() for k in range(kinds)],
    }


def ranking(rng):
    size = int(rng.integers(2, 15))
    relevance = rng.integers(0, 4, size) * (rng.random(size) < 0.5)
    scores = np.round(rng.normal(size=size), int(rng.choice([0, 3])))
    k = int(rng.integers(1, size + 2))
    # Ranks with ties in the order of the items, by a stable sort.
    order = np.argsort(-scores, kind="stable")
    ranks = [rank + 1 for rank, item in enumerate(order) if relevance[item] > 0]
    return {
        "relevance": relevance, "scores": scores, "k": k,
        "ndcg": sk.ndcg_score([relevance], [scores]), "ndcg_k": sk.ndcg_score([relevance], [scores], k=k),
        # Ranks for scores, because scikit-learn orders tied items in no particular way.
        "in_order": sk.ndcg_score([relevance], [-np.argsort(order)], k=k, ignore_ties=True),
        "reciprocal": 1 / ranks[0] if ranks else 0.0, "hit": float(bool(ranks) and ranks[0] <= k),
    }


def groups(rng):
    size = int(rng.integers(12, 40))
    names = np.array(["a", "b", "c"])[: int(rng.integers(1, 4))]
    actual, predicted = rng.integers(0, 2, size), (rng.random(size) < rng.choice([0.1, 0.5])).astype(int)
    group = np.concatenate([np.repeat(names, 2), rng.choice(names, size - 2 * len(names))])
    actual[: 2 * len(names)] = [0, 1] * len(names)
    given = {"sensitive_features": group}
    right, wrong = (predicted[actual == 1] == 1).any(), (predicted[actual == 0] == 1).any()
    return {
        "actual": actual, "predicted": predicted, "groups": [str(name) for name in group],
        "figures": [
            fair.demographic_parity_difference(actual, predicted, **given),
            fair.demographic_parity_ratio(actual, predicted, **given),
            fair.equal_opportunity_difference(actual, predicted, **given),
            fair.equal_opportunity_ratio(actual, predicted, **given),
            fair.equalized_odds_difference(actual, predicted, **given),
            # Python's min of a number and NaN is one or the other; here it is NaN.
            fair.equalized_odds_ratio(actual, predicted, **given) if right and wrong else math.nan,
        ],
    }


KINDS = [classes, multi_label, binary, probabilities, regression, texts, detection, ranking, groups]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=20, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=str(pathlib.Path(__file__).with_name("golden.json")))
    settings = parser.parse_args()
    cases = []
    for place, kind in enumerate(KINDS):
        rng = np.random.default_rng([settings.seed, place])
        for _ in range(settings.cases):
            cases.append({"kind": kind.__name__, **kind(rng)})
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    lines = ",\n".join(json.dumps(plain(case), separators=(",", ":"), ensure_ascii=False) for case in cases)
    head = json.dumps({"versions": versions})[:-1]
    with open(settings.out, "w", encoding="utf-8") as file:
        file.write(f'{head}, "cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases in {settings.out}")


main()
