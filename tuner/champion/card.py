"""The model card: what a champion is, how well it does and what it is not known to do, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tuner.champion.assessment import Score
from tuner.champion.confusion import Confusion
from tuner.champion.record import KERAS_MODEL, SAVED_MODEL, Champion
from tuner.champion.retrained import Spread

CARD = "card.md"
# A larger matrix is no table for people.
_MOST_CLASSES = 20


def write_card(champion: Champion, folder: Path) -> None:
    """Writes ``card.md``; what it says is in champion.json for programs.

    Raises:
        OSError: the disk is full, for example.
    """
    (folder / CARD).write_text(card(champion), encoding="utf-8", errors="backslashreplace")


def card(champion: Champion) -> str:
    """The card, in Markdown."""
    sections = {
        f"{_text(champion.study)}: {_what(champion)}": _overview(champion),
        "Data": _data(champion),
        "Scores": _scores(champion),
        "Class by class": _classes(champion.verification.confusion),
        "Hyperparameters": _table(("hyperparameter", "value"), champion.params.items()),
        "How to load it": _loading(champion),
        "Limits": _limits(champion),
        "Made with": _table(("", ""), _origin(champion)),
    }
    written = [(title, "\n".join(lines)) for title, lines in sections.items()]
    parts = [f"{'##' if number else '#'} {title}\n\n{text}\n" for number, (title, text) in enumerate(written) if text]
    return "\n".join(parts)


def _what(champion: Champion) -> str:
    if champion.ensemble is not None:
        return f"average of trials {', '.join(str(each.trial) for each in champion.ensemble.members)}"
    again = champion.retraining is not None and champion.retraining.exported
    return f"trial {champion.trial}{', retrained' if again else ''}"


def _overview(champion: Champion) -> Iterator[str]:
    checked = champion.verification
    if checked.verified:
        yield (
            f"{champion.objective.metric} **{checked.value:.6g}** on {checked.examples} {_text(checked.source)}, "
            "computed from the exported SavedModel in a process without the training code."
        )
    else:
        yield f"Its score is **not verified**: {_text(checked.reason or '')}"


def _data(champion: Champion) -> Iterator[str]:
    sizes = ", ".join(f"{size:,} {split}" for split, size in champion.splits.items())
    yield f"{champion.spec.get('data', {}).get('kind', champion.input.kind)}; examples: {sizes}."
    yield f"Fingerprint `{champion.data_fingerprint}`."
    if champion.class_names:
        yield f"Classes: {', '.join(map(_text, champion.class_names))}."


def _scores(champion: Champion) -> Iterator[str]:
    name = champion.objective.metric
    rows: list[tuple[Any, ...]] = []
    if champion.ensemble is not None:
        whole, single = champion.ensemble.whole, champion.ensemble.single
        rows.append(("this average", _score(whole.validation), _score(whole.test), f"{whole.parameters:,}"))
        alone = f"trial {champion.ensemble.single_trial} alone"
        rows.append((alone, _score(single.validation), _score(single.test), f"{single.parameters:,}"))
    elif champion.assessment is not None:
        for each in champion.assessment.candidates:
            what = f"trial {each.trial}" + (" (chosen)" if each.trial == champion.assessment.chosen else "")
            rows.append((what, _score(each.validation), _score(each.test), f"{each.parameters:,}"))
    yield from _table((name, "validation", "test", "parameters"), rows)
    if rows:
        yield ""
        yield "In brackets: 95% percentile intervals of the bootstrap. Validation chose the trial, so it flatters it."
    if champion.retraining is not None:
        again = champion.retraining
        yield ""
        yield f"Trained again on {' and '.join(again.trained_on)} for {again.epochs} epochs, {len(again.runs)} times:"
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


def _classes(found: Confusion | None) -> Iterator[str]:
    if found is None:
        return
    rows: list[tuple[Any, ...]] = [
        (each.name, each.examples, _share(each.precision), _share(each.recall)) for each in found.classes
    ]
    yield from _table(("class", "examples", "precision", "recall"), rows)
    if len(found.class_names) <= _MOST_CLASSES:
        yield ""
        rows = [(name, *row) for name, row in zip(found.class_names, found.counts, strict=True)]
        yield "Examples of each class (rows) by the class that they were taken for (columns):"
        yield ""
        yield from _table(("", *found.class_names), rows)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _loading(champion: Champion) -> Iterator[str]:
    takes = champion.input.signatures["serving_default"]
    yield f"`{SAVED_MODEL}/` takes raw examples:"
    yield ""
    yield from (f"- `{name}`: {_text(words)}" for name, words in takes.items())
    first = next(name for name in takes if name != "gives")
    more = ", ..." if len(takes) > 2 else ""
    yield from (
        "",
        "```python",
        "import tensorflow as tf",
        f'model = tf.saved_model.load("{SAVED_MODEL}")',
        'serve = model.signatures["serving_default"]',
        f"outputs = serve({first}=tf.constant([...]){more})",
        "```",
        "",
        f"`{KERAS_MODEL}` takes what training took:",
        "",
        "```python",
        "import keras",
        f'model = keras.saving.load_model("{KERAS_MODEL}")',
        "```",
        "",
        "`tuner predict DIR INPUT...` predicts files.",
    )


def _limits(champion: Champion) -> Iterator[str]:
    yield "Its scores hold for examples like those above. Nothing is known about data of another origin."
    if "test" not in champion.splits:
        yield "There was no test split: every score comes from the examples that chose the model."
    if champion.verification.confusion is not None:
        rare = [each.name for each in champion.verification.confusion.classes if each.examples < 30]
        if rare:
            yield f"Fewer than 30 examples were scored of: {', '.join(map(_text, rare))}."


def _origin(champion: Champion) -> Sequence[tuple[str, str]]:
    return [*champion.versions.items(), ("exported", champion.exported_at), ("on", champion.hardware)]


def _table(columns: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [f"| {' | '.join(_text(str(cell)) for cell in row)} |" for row in rows]
    head = [f"| {' | '.join(_text(str(name)) for name in columns)} |", "| " + " | ".join("---" for _ in columns) + " |"]
    return [*head, *lines] if lines else []


def _text(text: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#" else letter for letter in plain)
