"""The card, class by class and whatever names hold."""

from __future__ import annotations

from tuner.champion.card import card
from tuner.champion.confusion import Confusion
from tuner.champion.record import Champion, ImageInput, OutputTensor, Verification
from tuner.objective import Objective


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
    text = card(_champion())
    assert "val_accuracy **0.75** on 65 raw validation files" in text
    assert "| cat | 50 | 1.000 | 0.800 |" in text
    assert "There was no test split" in text
    assert "Fewer than 30 examples were scored of: a" in text


def test_names_stay_text() -> None:
    text = card(_champion(study="<script>"))
    assert "<img" not in text and "<script>" not in text
    assert "a\\|b &lt;img src=x>" in text


def test_a_score_that_was_not_verified_is_not_claimed() -> None:
    champion = _champion()
    unverified = champion.verification.model_copy(update={"verified": False, "reason": "measured elsewhere"})
    text = card(champion.model_copy(update={"verification": unverified}))
    assert "**not verified**: measured elsewhere" in text
