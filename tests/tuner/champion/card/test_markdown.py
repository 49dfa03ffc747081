"""The card, class by class and whatever names hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from tuner.champion.card.confusion_picture import MOST_CLASSES, confusion_picture
from tuner.champion.card.curves_picture import curves_picture
from tuner.champion.card.data import ModelCard
from tuner.champion.card.markdown import card, card_of, write_card
from tuner.champion.records.champion_json import Champion, ImageInput, OutputTensor, Verification
from tuner.champion.records.confusion import Confusion
from tuner.champion.records.retraining import Retraining, Run
from tuner.champion.records.trial_curve import TrialCurve
from tuner.spec.objective import Objective

ACCURACY = Objective(metric="val_accuracy", direction="maximize")
HOSTILE = (
    "<script>alert(1)</script>",
    "a|b",
    "line\nbreak](javascript:x)",
    "long " * 60,
    "bad \udcff\x00",
    "![x](http://x)",
)


def _champion(**changes: object) -> Champion:
    names = ("cat", "a|b <img src=x>", "never")
    values = {
        "study": "pets",
        "trial": 4,
        "objective": Objective(metric="val_accuracy", direction="maximize"),
        "value": 0.75,
        "params": {"units": 8},
        "metrics": {},
        "task": "classification",
        "class_names": names,
        "targets": (),
        "input": ImageInput(
            image_size=(8, 8), color_mode="rgb", signatures={"serving_default": {"image_bytes": "string", "gives": "x"}}
        ),
        "outputs": (OutputTensor(tensor="probabilities", dtype="float32", shape=(3,)),),
        "data_fingerprint": "f" * 64,
        "versions": {"keras": "3.15"},
        "exported_at": "2026-01-01T00:00:00+00:00",
        "files": {},
        "verification": Verification(
            verified=True,
            metric="val_accuracy",
            value=0.75,
            recorded=0.75,
            tolerance=1e-6,
            accuracy=0.75,
            confusion=Confusion(class_names=names, counts=((40, 10, 0), (0, 10, 0), (0, 5, 0))),
            examples=65,
            max_difference=0.0,
            seconds=1.0,
        ),
    }
    return Champion.model_validate(values | changes)


def test_precision_and_recall_are_of_the_counts() -> None:
    confusion = _champion().verification.confusion
    assert confusion is not None
    cat, other, never = confusion.classes
    assert (cat.precision, cat.recall, cat.examples) == (1.0, 0.8, 50)
    assert (other.precision, other.recall) == (0.4, 1.0)
    assert (never.precision, never.recall, never.examples) == (None, 0.0, 5)


def test_the_card_says_what_is_known_and_what_is_not() -> None:
    text = card(card_of(_champion()))
    assert "val_accuracy **0.75** on 65 raw validation files" in text
    assert "| cat | 50 | 1.000 | 0.800 |" in text
    assert "There was no test split" in text
    assert "The scores rest on fewer than 30 examples of each of these classes: a" in text


def test_names_stay_text() -> None:
    text = card(card_of(_champion(study="<script>")))
    assert "<img" not in text and "<script>" not in text
    assert "a\\|b &lt;img src=x>" in text
    metric = Objective(metric="val_<img src=x>", direction="maximize")
    assert "<img" not in card(card_of(_champion(objective=metric, spec={"data": {"kind": "<img src=y>"}})))


def test_a_score_that_was_not_verified_is_not_claimed() -> None:
    champion = _champion()
    unverified = champion.verification.model_copy(update={"verified": False, "reason": "measured elsewhere"})
    text = card(card_of(champion.model_copy(update={"verification": unverified})))
    assert "**not verified**: measured elsewhere" in text


def _curve(trial: int = 4, epochs: int = 3, **changes: Any) -> TrialCurve:
    metrics = {
        "loss": tuple(1 / epoch for epoch in range(1, epochs + 1)),
        "val_loss": (None, *(2 / epoch for epoch in range(2, epochs + 1))),
        "accuracy": tuple(1 - 1 / (epoch + 1) for epoch in range(1, epochs + 1)),
        "val_accuracy": tuple(0.5 + epoch / 100 for epoch in range(1, epochs + 1)),
    }
    known = {"trial": trial, "epochs": tuple(range(1, epochs + 1)), "metrics": metrics, "best_epoch": epochs}
    return TrialCurve.model_validate(known | changes)


def _texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]


def _square(count: int) -> Confusion:
    counts = tuple(tuple(1000 * i + j + 1 for j in range(count)) for i in range(count))
    return Confusion(class_names=tuple(f"class {i}" for i in range(count)), counts=counts)


def test_card_json_has_what_the_record_has_and_the_card_says(tmp_path: Path) -> None:
    champion = _champion()
    write_card(champion, [_curve()], {"units": 0.75, "rate": 0.25}, tmp_path)
    told = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    record = champion.model_dump(mode="json")
    for name in ("study", "trial", "params", "versions", "hardware", "exported_at", "task", "objective"):
        assert told[name] == record[name]
    assert told["score"] == {name: record["verification"][name] for name in told["score"]}
    assert told["confusion"] == record["verification"]["confusion"]
    assert told["data"]["fingerprint"] == record["data_fingerprint"] and told["data"]["splits"] == record["splits"]
    assert told["pictures"] == {"confusion": "confusion.svg", "curves": "curves.svg"}
    assert told["curves"][0]["metrics"]["val_loss"] == [None, 1.0, pytest.approx(2 / 3)]
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert text == card(ModelCard.model_validate(told))
    assert "![Confusion matrix](confusion.svg)" in text and "![Learning curves](curves.svg)" in text
    assert "| units | 75.0% |" in text and text.index("| units | 75") < text.index("| rate | 25")
    assert {file.name for file in tmp_path.iterdir()} == {"card.md", "card.json", "confusion.svg", "curves.svg"}


def test_too_few_trials_and_no_curve_are_said_or_left_out(tmp_path: Path) -> None:
    write_card(_champion(), [], None, tmp_path)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "too few complete trials" in text and "Learning curves" not in text
    assert not (tmp_path / "curves.svg").exists()


@pytest.mark.parametrize("count", [2, 10, MOST_CLASSES])
def test_the_matrix_is_drawn_with_its_counts(count: int) -> None:
    found = _square(count)
    picture = confusion_picture(found)
    assert picture is not None
    texts = _texts(picture)
    for row in found.counts:
        for each in row:
            assert (str(each) if each < 10_000 else f"{each / 1000:.0f}k") in texts
    assert all(texts.count(name) == 2 for name in found.class_names)
    # Each cell tells its exact count, and the colour is the row's share.
    assert f"class 1 predicted as class 0: 1,001 ({1001 / sum(found.counts[1]):.1%})" in picture
    assert f'fill-opacity="{1001 / sum(found.counts[1]):.3f}"' in picture


def test_more_classes_than_can_be_drawn_are_left_to_the_data() -> None:
    found = _square(MOST_CLASSES + 1)
    assert confusion_picture(found) is None
    verification = _champion().verification.model_copy(update={"confusion": found})
    text = card(card_of(_champion(verification=verification, class_names=found.class_names)))
    assert f"The confusion matrix of {MOST_CLASSES + 1} classes is in `card.json`." in text


def test_the_curves_mark_the_best_epoch_and_name_what_they_are() -> None:
    picture = curves_picture([_curve()], ACCURACY)
    assert picture is not None
    texts = _texts(picture)
    assert {"accuracy", "val_accuracy", "loss", "val_loss"} <= set(texts)
    assert "best epoch 3: 0.53" in texts and "best epoch 3: 0.6667" in texts
    several = curves_picture([_curve(4), _curve(7)], ACCURACY)
    assert several is not None and {"trial 4", "trial 7"} <= set(_texts(several))
    losses = {"d_loss": (0.7, 0.6), "g_loss": (1.0, 1.2), "fid": (9.0, 8.0)}
    gan = curves_picture([_curve(epochs=2, metrics=losses)], Objective(metric="fid", direction="minimize"))
    assert gan is not None and {"fid", "d_loss", "g_loss"} <= set(_texts(gan))


@pytest.mark.parametrize("values", [(0.5,), (0.5, 0.5), (0.0, 0.0), (1e308, 1.0), (1e-320, 0.0), (1.0, 1.0 + 1e-16)])
def test_any_values_can_be_drawn(values: tuple[float, ...]) -> None:
    curve = _curve(epochs=len(values), metrics={"val_accuracy": values})
    picture = curves_picture([curve], ACCURACY)
    assert picture is not None and "nan" not in picture and len(_texts(picture)) < 30
    assert curves_picture([_curve(metrics={"val_accuracy": (None,) * 3})], ACCURACY) is None


@pytest.mark.parametrize(
    ("epochs", "times", "said"),
    [(1, 1, "for 1 epoch, once."), (6, 1, "for 6 epochs, once."), (6, 3, "for 6 epochs, 3 times.")],
)
def test_the_card_says_how_often_the_champion_was_trained_again(epochs: int, times: int, said: str) -> None:
    runs = tuple(Run(seed=seed, validation=None, test=None) for seed in range(times))
    again = Retraining(trained_on=("train", "validation"), epochs=epochs, runs=runs, exported=True)
    assert f"were trained again on train and validation {said}" in card(card_of(_champion(retraining=again)))


def test_the_card_says_whose_curves_they_are() -> None:
    pictures = {"curves": "curves.svg"}
    averaged = card(card_of(_champion(), [_curve(4), _curve(7)], None, pictures))
    assert "The curves belong to trials 4, 7, whose models are averaged" in averaged
    run = Run(seed=1, validation=None, test=None)
    again = Retraining(trained_on=("train", "validation"), epochs=3, runs=(run,), exported=True)
    text = card(card_of(_champion(retraining=again), [_curve(executions=2)], None, pictures))
    assert (
        "belong to trial 4, whose hyperparameters were then trained again" in text and "trained several times" in text
    )


def test_hostile_names_are_harmless_in_every_file(tmp_path: Path) -> None:
    confusion = Confusion(class_names=HOSTILE, counts=tuple((2,) * len(HOSTILE) for _ in HOSTILE))
    verification = _champion().verification.model_copy(update={"confusion": confusion})
    champion = _champion(
        class_names=HOSTILE, verification=verification, study=HOSTILE[0], params={HOSTILE[2]: HOSTILE[0]}
    )
    curve = _curve(metrics={f"{HOSTILE[0]}\udcff_loss": (1.0, 2.0, 3.0)})
    write_card(champion, [curve], dict.fromkeys(HOSTILE, 0.1), tmp_path)
    for picture in ("confusion.svg", "curves.svg"):
        text = (tmp_path / picture).read_text(encoding="utf-8")
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()}
        assert tags <= {"svg", "title", "style", "rect", "line", "text", "g", "polyline", "circle"}
    told = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert told["data"]["class_names"] == list(HOSTILE)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert set(re.findall(r"<(script|a|img)\b.*?>", shown)) == {"img"}
    assert re.findall(r'src="(.*?)"', shown) == ["confusion.svg", "curves.svg"]
    # A name with a line break or a bar is still one cell of one row.
    assert "| a\\|b | 12 | 0.167 | 0.167 |" in text.splitlines()
