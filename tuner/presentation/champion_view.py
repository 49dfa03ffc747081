"""What ``tuner export`` says about the champion: how it was chosen, what that cost, what was proven."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tuner.presentation.tables import Format, print_records, show

if TYPE_CHECKING:
    from tuner.champion.records.assessment import Assessment, Candidate, Score
    from tuner.champion.records.ensemble import Cost, Ensemble
    from tuner.champion.records.format_report import FormatReport
    from tuner.champion.records.request import ExportReport
    from tuner.champion.records.retraining import Retraining, Spread


def print_export(report: ExportReport) -> None:
    """The scores that were compared on standard output, what became of it on standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    champion = report.champion
    if champion.ensemble is not None:
        _print_ensemble(champion.ensemble)
    elif champion.assessment is not None:
        _print_candidates(champion.assessment)
    _print_formats(champion.formats)
    wrote = f"wrote {report.folder}, registered as {champion.study}@{report.version}"
    for line in (*_how_it_was_chosen(report), *_what_was_proven(report), wrote):
        console.print(Text(line))


def _how_it_was_chosen(report: ExportReport) -> Iterator[str]:
    champion, assessment = report.champion, report.champion.assessment
    yield _subject(report)
    if report.unassessed:
        yield f"the value is the one that the study recorded: {report.unassessed}"
    if assessment is not None:
        if champion.ensemble is None:
            yield from cost_of_choosing(assessment)
            if champion.single_because:
                yield f"it is no average: {champion.single_because}"
        else:
            yield "--single exports one trial's model"
        if assessment.resamples:
            yield f"brackets show 95% intervals from {assessment.resamples} bootstrap resamples"
    if champion.retraining is not None:
        yield from spread_of_retraining(champion.objective.metric, champion.retraining)
    yield from (f"this trial breaks a constraint: {broken}" for broken in report.violated)


def _what_was_proven(report: ExportReport) -> Iterator[str]:
    checked = report.verification
    if checked.verified:
        yield f"verified: the SavedModel gives {show(checked.value)} on {checked.examples} {checked.source}"
    else:
        yield f"NOT verified: {checked.reason}"
    refused: dict[str, list[str]] = {}
    for each in report.champion.formats:
        if each.refused:
            refused.setdefault(f"{each.refused}; {each.alternative}", []).append(each.name)
    yield from (f"{', '.join(names)}: not written: {reason}" for reason, names in refused.items())


def _subject(report: ExportReport) -> str:
    champion = report.champion
    metric, value = champion.objective.metric, show(champion.value)
    if champion.ensemble is not None:
        members = ", ".join(f"{member.trial} ({member.weight:.0%})" for member in champion.ensemble.members)
        averaged = champion.ensemble.average
        return f"average of the {averaged} of trials {members} of study {champion.study}: {metric} {value}"
    if champion.retraining is not None and champion.retraining.exported:
        return (
            f"trial {champion.trial} of study {champion.study}, retrained: test {metric.removeprefix('val_')} {value}"
        )
    return f"trial {champion.trial} of study {champion.study}: {metric} {value}"


def cost_of_choosing(assessment: Assessment) -> Iterator[str]:
    """Why this trial, and what choosing it by validation cost, in sentences."""
    champion, best = assessment.champion, assessment.best
    if champion.trial != best.trial:
        sizes = f"{champion.parameters:,} parameters rather than {best.parameters:,}"
        yield (
            f"trial {champion.trial}, the smallest, was chosen instead of trial {best.trial}: validation cannot tell "
            f"them apart, and it has {sizes} (--trial {best.trial} exports the other)"
        )
    if champion.test is None:
        if len(assessment.candidates) > 1:
            yield "there is no test split: the validation score is optimistic, because it chose the trial"
        return
    assert assessment.optimism is not None and assessment.missed is not None
    better = "better" if assessment.optimism >= 0 else "worse"
    by = show(abs(assessment.optimism))
    yield f"test: {_interval(champion.test)}; the validation score, which chose it, is {by} {better}"
    if assessment.missed > 0:
        missed = show(assessment.missed)
        yield f"choosing by validation cost {missed} on the test split, which had no part in the choice"


def spread_of_retraining(metric: str, retraining: Retraining) -> Iterator[str]:
    """How the trial did when it was trained again, in sentences."""
    name, on = metric.removeprefix("val_"), " and ".join(retraining.trained_on)
    times = f"{len(retraining.runs)} times" if len(retraining.runs) > 1 else "once"
    epochs = f"{retraining.epochs} epoch{'' if retraining.epochs == 1 else 's'}"
    yield f"trained again {times}, on {on}, for {epochs}"
    if retraining.exported and retraining.runs[0].test is not None:
        yield f"test {name} of what is exported: {_interval(retraining.runs[0].test)}"
    for split, spread in (("validation", retraining.validation), ("test", retraining.test)):
        if spread is not None and len(retraining.runs) > 1:
            yield f"{split} {name}: {_spread(spread)}"


def _spread(spread: Spread) -> str:
    deviation = "" if spread.deviation is None else f", standard deviation {show(spread.deviation)}"
    return f"mean {show(spread.mean)}{deviation}, from {show(spread.least)} to {show(spread.most)}"


def _interval(score: Score) -> str:
    return show(score.value) if score.low is None else f"{show(score.value)} [{show(score.low)}, {show(score.high)}]"


def _print_candidates(assessment: Assessment) -> None:
    rows = [_row(each, assessment) for each in assessment.candidates]
    columns = ["trial", "validation", "test", "parameters", ""]
    if assessment.champion.test is None:
        columns.remove("test")
    print_records(rows, columns, Format.TABLE)


def _row(candidate: Candidate, assessment: Assessment) -> dict[str, object]:
    marks = ["champion"] if candidate.trial == assessment.chosen else []
    if candidate.within_noise and candidate.trial != assessment.best.trial:
        marks.append("within noise of the best")
    return {
        "trial": candidate.trial,
        "validation": _interval(candidate.validation),
        "test": None if candidate.test is None else _interval(candidate.test),
        "parameters": f"{candidate.parameters:,}",
        "": ", ".join(marks) or None,
    }


def _print_ensemble(ensemble: Ensemble) -> None:
    rows = [
        {"": "average", **_cost(ensemble.whole)},
        {"": f"trial {ensemble.single_trial}", **_cost(ensemble.single)},
    ]
    columns = ["", "validation", "test", "parameters", "MB", "ms"]
    if ensemble.whole.test is None:
        columns.remove("test")
    print_records(rows, columns, Format.TABLE)


def _print_formats(formats: Sequence[FormatReport]) -> None:
    columns = ["format", "file", "MB", "score", "cost", "difference", "ms", "per second"]
    if all(each.cost is None for each in formats):
        columns.remove("cost")
    print_records([_format_row(each) for each in formats], columns, Format.TABLE)


def _format_row(report: FormatReport) -> dict[str, object]:
    def number(value: float | None, form: str) -> str | None:
        return None if value is None else f"{value:{form}}"

    return {
        "format": report.name,
        "file": report.file or "refused",
        "MB": None if report.bytes is None else f"{report.bytes / 1e6:.2f}",
        "score": None if report.value is None else show(report.value),
        "cost": None if report.cost is None else show(report.cost),
        "difference": number(report.max_difference, ".1g"),
        "ms": number(report.latency_ms, ".2f"),
        "per second": number(report.per_second, ",.0f"),
    }


def _cost(cost: Cost) -> dict[str, object]:
    return {
        "validation": _interval(cost.validation),
        "test": None if cost.test is None else _interval(cost.test),
        "parameters": f"{cost.parameters:,}",
        "MB": f"{cost.bytes / 1e6:.2f}",
        "ms": f"{cost.latency_ms:.2f}",
    }
