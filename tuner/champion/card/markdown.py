"""The model card: what a champion is, how well it does and what it is not known to do, for people and for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tuner.champion.card.confusion_picture import MOST_CLASSES, confusion_picture
from tuner.champion.card.curves_picture import curves_picture
from tuner.champion.card.data import ModelCard, model_card
from tuner.champion.card.loading import loading
from tuner.champion.records.assessment import Score
from tuner.champion.records.champion_json import Champion
from tuner.champion.records.trial_curve import TrialCurve
from tuner.data.bad_files import printable

CARD = "card.md"
CARD_DATA = "card.json"
PICTURES = {"confusion": "confusion.svg", "curves": "curves.svg"}
# A larger matrix is no table for people.
_MOST_LISTED = 20


def write_card(
    champion: Champion, curves: Sequence[TrialCurve], importances: Mapping[str, float] | None, folder: Path
) -> None:
    """Writes ``card.md``, ``card.json``, which has all that it says, and the pictures that it shows.

    Args:
        curves: of the champion's trial; of an ensemble each member's.
        importances: each hyperparameter's share; None with too few complete trials.

    Raises:
        OSError: the disk is full, for example.
    """
    confusion = champion.verification.confusion
    drawn = {
        "confusion": confusion and confusion_picture(confusion),
        "curves": curves_picture(curves, champion.objective),
    }
    there = {name: picture for name, picture in drawn.items() if picture}
    for name, picture in there.items():
        _write(folder / PICTURES[name], picture)
    made = card_of(champion, curves, importances, {name: PICTURES[name] for name in there})
    _write(folder / CARD_DATA, json.dumps(_plain(made.model_dump(mode="json")), indent=2, ensure_ascii=False) + "\n")
    _write(folder / CARD, card(made))


def card_of(
    champion: Champion,
    curves: Sequence[TrialCurve] = (),
    importances: Mapping[str, float] | None = None,
    pictures: Mapping[str, str] | None = None,
) -> ModelCard:
    """A champion's card as data; ``pictures`` are the files beside it."""
    return model_card(champion, curves, importances, "\n".join(loading(champion)), pictures or {})


def card(made: ModelCard) -> str:
    """The card, in Markdown."""
    template = _environment().get_template(CARD)
    return template.render(card=made, data_file=CARD_DATA, most_drawn=MOST_CLASSES, most_listed=_MOST_LISTED)


def _write(file: Path, text: str) -> None:
    # An undecodable name's escapes are what JSON, Markdown and XML can hold.
    file.write_text(text, encoding="utf-8", errors="backslashreplace")


def _plain(value: Any) -> Any:
    """Numbers that JSON lacks as strings, as in champion.json."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("tuner.champion.card"),
        # A macro's result is what needs no more escaping; everything else goes through ``finalize``.
        autoescape=True,
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"form": _number, "name": _name, "score": _score}
    return made


def _escaped(value: Any) -> Markup:
    """Text that Markdown and HTML leave as it is, on one line."""
    if isinstance(value, Markup):
        return value
    plain = printable(" ".join(str(value).split())).replace("&", "&amp;").replace("<", "&lt;")
    return Markup("".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in plain))


def _name(value: str) -> str:
    """A name in running text, where an underscore between letters means nothing."""
    return Markup(value) if value.isidentifier() else value


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _score(score: Score | None) -> str:
    if score is None:
        return "-"
    return f"{score.value:.4g}" + ("" if score.low is None else f" [{score.low:.4g}, {score.high:.4g}]")
