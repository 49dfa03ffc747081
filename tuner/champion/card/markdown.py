"""The model card: what a champion is, how well it does and what it is not known to do, for people and for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.champion.card.confusion_picture import MOST_CLASSES, confusion_picture
from tuner.champion.card.curves_picture import curves_picture
from tuner.champion.card.data import ModelCard, model_card
from tuner.champion.card.loading import loading
from tuner.champion.records.assessment import Score
from tuner.champion.records.champion_json import Champion
from tuner.champion.records.retraining import Spread
from tuner.champion.records.trial_curve import TrialCurve
from tuner.data.bad_files import printable

CARD = "card.md"
CARD_DATA = "card.json"
PICTURES = {"confusion": "confusion.svg", "curves": "curves.svg"}
# A larger matrix is no table for people.
_MOST_CLASSES = 20


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
    sections = {
        f"{_text(made.study)}: {made.model}": _overview(made),
        "Data": _data(made),
        "Scores": _scores(made),
        "Class by class": _classes(made),
        "Learning curves": _curves(made),
        "Hyperparameters": _params(made),
        "Formats": _formats(made),
        "How to load it": [made.loading],
        "Limits": map(_text, made.limits),
        "Made with": _table(("", ""), _origin(made)),
    }
    written = [(title, "\n".join(lines)) for title, lines in sections.items()]
    parts = [f"{'##' if number else '#'} {title}\n\n{text}\n" for number, (title, text) in enumerate(written) if text]
    return "\n".join(parts)


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


def _overview(made: ModelCard) -> Iterator[str]:
    score = made.score
    if score.verified:
        yield (
            f"{made.objective.metric} **{score.value:.6g}** on {score.examples} {_text(score.source)}, "
            "computed from the exported SavedModel in a process without the training code."
        )
    else:
        yield f"Its score is **not verified**: {_text(score.reason or '')}"


def _data(made: ModelCard) -> Iterator[str]:
    sizes = ", ".join(f"{size:,} {split}" for split, size in made.data.splits.items())
    yield f"{made.data.kind}; examples: {sizes}."
    yield f"Fingerprint `{made.data.fingerprint}`."
    if made.data.class_names:
        yield f"Classes: {', '.join(map(_text, made.data.class_names))}."


def _scores(made: ModelCard) -> Iterator[str]:
    rows = [(each.model, _score(each.validation), _score(each.test), f"{each.parameters:,}") for each in made.scores]
    yield from _table((made.objective.metric, "validation", "test", "parameters"), rows)
    if rows:
        yield ""
        yield "In brackets: 95% percentile intervals of the bootstrap. Validation chose the trial, so it flatters it."
    if made.trained_again is not None:
        again = made.trained_again
        yield ""
        yield f"Trained again on {' and '.join(again.trained_on)} for {again.epochs} epochs, {again.times} times:"
        yield ""
        spreads = (("validation", again.validation), ("test", again.test))
        yield from _table(
            ("split", "mean", "standard deviation", "least", "most"),
            [(split, *_spread(spread)) for split, spread in spreads if spread is not None],
        )


def _score(score: Score | None) -> str:
    if score is None:
        return "-"
    return f"{score.value:.4g}" + ("" if score.low is None else f" [{score.low:.4g}, {score.high:.4g}]")


def _spread(spread: Spread) -> tuple[str, ...]:
    deviation = "-" if spread.deviation is None else f"{spread.deviation:.4g}"
    return f"{spread.mean:.4g}", deviation, f"{spread.least:.4g}", f"{spread.most:.4g}"


def _classes(made: ModelCard) -> Iterator[str]:
    if made.confusion is None:
        return
    rows: list[tuple[Any, ...]] = [
        (each.name, each.examples, _share(each.precision), _share(each.recall)) for each in made.classes
    ]
    yield from _table(("class", "examples", "precision", "recall"), rows)
    names = made.confusion.class_names
    if "confusion" in made.pictures:
        yield ""
        yield f"![Confusion matrix]({made.pictures['confusion']})"
    elif len(names) > MOST_CLASSES:
        yield ""
        yield f"The confusion matrix of {len(names)} classes is in `{CARD_DATA}`."
    if len(names) <= _MOST_CLASSES:
        yield ""
        rows = [(name, *row) for name, row in zip(names, made.confusion.counts, strict=True)]
        yield "Examples of each class (rows) by the class that they were taken for (columns):"
        yield ""
        yield from _table(("", *names), rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _curves(made: ModelCard) -> Iterator[str]:
    if "curves" not in made.pictures:
        return
    numbers = [curve.trial for curve in made.curves]
    if len(numbers) > 1:
        yield f"Of trials {', '.join(map(str, numbers))}, which are averaged; a dot marks each one's best epoch."
    elif made.trained_again is not None and made.trained_again.exported:
        yield f"Of trial {numbers[0]}, whose hyperparameters were trained again; nothing was measured by epoch then."
    else:
        yield f"Of trial {numbers[0]}; the model is that of its best epoch."
    if any(curve.executions > 1 for curve in made.curves):
        yield "A trial was trained several times: its epochs count on from one time to the next."
    yield ""
    yield f"![Learning curves]({made.pictures['curves']})"


def _params(made: ModelCard) -> Iterator[str]:
    yield from _table(("hyperparameter", "value"), made.params.items())
    if not made.params:
        return
    yield ""
    metric = _text(made.objective.metric)
    if made.importances is None:
        yield "How much each of them mattered cannot be told: the study has too few complete trials."
    elif not made.importances:
        yield f"No hyperparameter made a difference to {metric} that can be measured."
    else:
        yield f"How much each of them mattered for {metric} among the study's trials (PED-ANOVA):"
        yield ""
        ordered = sorted(made.importances.items(), key=lambda each: -each[1])
        yield from _table(("hyperparameter", "importance"), [(name, f"{share:.1%}") for name, share in ordered])


def _formats(made: ModelCard) -> Iterator[str]:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else f"{value:{form}}"

    rows = [
        (
            each.name,
            each.file or f"not written: {each.refused}; {each.alternative}",
            number(each.bytes and each.bytes / 1e6, ".2f"),
            number(each.value, ".6g"),
            number(each.cost, ".2g"),
            number(each.max_difference, ".1g"),
            number(each.latency_ms, ".2f"),
            number(each.per_second, ",.0f"),
        )
        for each in made.formats
    ]
    columns = ("format", "file", "MB", "score", "cost", "difference", "ms for one", "per second")
    yield from _table(columns, rows)
    if rows:
        yield ""
        yield (
            "Each was run on the same raw examples in a process that has its runtime alone; the difference is the "
            "largest one to the SavedModel's outputs, the cost what quantisation takes from its score. Times are "
            "medians on the machine named below; per second: in batches of 32."
        )


def _origin(made: ModelCard) -> Sequence[tuple[str, str]]:
    return [*made.versions.items(), ("exported", made.exported_at), ("on", made.hardware)]


def _table(columns: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [f"| {' | '.join(_text(str(cell)) for cell in row)} |" for row in rows]
    head = [f"| {' | '.join(_text(str(name)) for name in columns)} |", "| " + " | ".join("---" for _ in columns) + " |"]
    return [*head, *lines] if lines else []


def _text(text: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    plain = printable(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in plain)
