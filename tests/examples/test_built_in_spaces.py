"""The examples of the built-in spaces, from their data to a proven champion, with fewer and shorter trials."""

from __future__ import annotations

import csv
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from write_digits import write_digits

from tuner import api

REAL_FRAUD = Path(__file__).resolve().parents[3] / "shared/data/creditcard/creditcard_imbalanced.csv"


def export(study: str, folder: Path) -> api.ExportReport:
    report = api.export_champion(study, folder)
    assert report.verification.verified, report.verification.reason
    return report


def test_image_classification(launch, tmp_path):
    write_digits(tmp_path / "digits")
    best = launch("image_classification/digits.yaml", f"data.path={tmp_path}/digits", "trials=1", "training.epochs=2")
    assert best.value > 0.8
    export("digits", tmp_path / "champion")
    (predicted,) = api.predict(tmp_path / "champion", [next((tmp_path / "digits/7").iterdir())])
    assert predicted.label in set("0123456789")


def test_text_classification(launch, examples, tmp_path):
    write = runpy.run_path(str(examples / "text_classification/write_docstrings.py"))["write_docstrings"]
    packages = {"keras", "optuna", "sqlalchemy"}
    assert write(tmp_path / "docstrings.csv", most_texts=150, packages=sorted(packages)) == 450
    best = launch(
        "text_classification/docstrings.yaml", f"data.path={tmp_path}/docstrings.csv", "trials=1", "training.epochs=3"
    )
    assert best.value > 0.6
    export("docstrings", tmp_path / "champion")
    (tmp_path / "text.txt").write_text("Return a new array of given shape, filled with zeros.")
    (predicted,) = api.predict(tmp_path / "champion", [tmp_path / "text.txt"])
    assert predicted.label in packages


@pytest.fixture
def transactions(examples, tmp_path) -> Path:
    file = tmp_path / "transactions.csv"
    script = examples / "credit_card_fraud/write_transactions.py"
    said = subprocess.run([sys.executable, script, file], check=True, capture_output=True, text=True).stdout
    assert said.startswith("6,000 transactions")
    return file


def test_credit_card_fraud(launch, transactions, tmp_path):
    best = launch("credit_card_fraud/fraud.yaml", f"data.path={transactions}", "trials=1", "training.epochs=4")
    assert best.value > 0.3
    assert {"val_auc", "val_precision", "val_recall"} <= set(best.metrics)
    export("fraud", tmp_path / "champion")
    with transactions.open(newline="") as source:
        rows = list(csv.reader(source))[:6]
    with (tmp_path / "new.csv").open("w", newline="") as target:
        csv.writer(target).writerows(row[:-1] for row in rows)
    predicted = list(api.predict(tmp_path / "champion", [tmp_path / "new.csv"]))
    assert [(each.row, each.label in ("yes", "no"), each.error) for each in predicted] == [
        (row, True, None) for row in range(1, 6)
    ]


@pytest.mark.skipif(not REAL_FRAUD.is_file(), reason="the real transactions are not beside the project")
def test_real_credit_card_fraud(launch):
    keys = [f"data.path={REAL_FRAUD}", "data.label_column=Class", "trials=1", "training.epochs=6"]
    assert launch("credit_card_fraud/fraud.yaml", *keys).value > 0.4
