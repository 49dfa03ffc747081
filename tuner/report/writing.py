"""Writes the report page: collects the data, draws the charts, and writes a single self-contained file."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import plotly.io
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from storage.champions import list_champions
from storage.database import Database
from storage.files import publish
from storage.history import StudyHistory, TrialHistory, history
from tuner.champion.card.registered import card_of
from tuner.errors import ReportError
from tuner.queries.importances import importances
from tuner.queries.measures import measures
from tuner.report.curve_chart import curve_chart
from tuner.report.facts import ended, head, spec_text
from tuner.report.importance_chart import importance_chart
from tuner.report.progress_charts import front_charts, history_charts
from tuner.report.space_charts import ordered_names, parallel_chart, slice_charts
from tuner.report.style import Chart
from tuner.report.work_charts import outcome_chart, timeline_chart
from tuner.study.storage_access import open_storage

_SHOWN_FAILURES = 20


@dataclass(frozen=True)
class Section:
    """A part of the page with charts: its anchor, its title, and what it says without any."""

    anchor: str
    title: str
    charts: list[Chart]
    empty: str = ""
    small: bool = False


def write_page(db: Database, study: str, path: Path) -> Path:
    """Writes the study's page, whole or not at all, in place of what was there.

    Raises:
        UnknownStudy: there is none of this name.
        ReportError: the file cannot be written.
    """
    if not path.parent.is_dir():
        raise ReportError(f"{path}: there is no folder {path.parent}: make it, or name another file with --html")
    if path.is_dir():
        raise ReportError(f"{path} is a folder: name a file with --html")
    _write(page(db, study), path)
    return path


def page(db: Database, study: str) -> str:
    """The page as HTML. Raises UnknownStudy."""
    found = history(db, study)
    champions = list_champions(db, found.record.study_id) if found.record else []
    failures = _failures(found)
    environment = Environment(
        loader=PackageLoader("tuner.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    sections = _sections(found)
    return environment.get_template("page.html").render(
        study=study,
        now=found.now,
        head=head(found),
        sections=sections,
        cards=[card_of(each) for each in champions],
        failures=failures[:_SHOWN_FAILURES],
        more_failures=len(failures) - _SHOWN_FAILURES,
        ended=ended,
        spec=spec_text(found),
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),
        figures=_figures(sections),
    )


def _sections(found: StudyHistory) -> list[Section]:
    shares = importances(found)
    names = ordered_names(found, (shares or {}).get(measures(found)[0].name, {}))
    several = [Section("front", "Pareto front", front_charts(found))] if len(found.maximize) > 1 else []
    return [
        Section("history", "Optimisation history", history_charts(found)),
        *several,
        Section("importances", "Importances", [importance_chart(found, shares)]),
        Section("parallel", "Parallel coordinates", [parallel_chart(found, names)]),
        Section("slices", "Slices", slice_charts(found, names), "No trial is complete yet.", small=True),
        Section("curves", "Learning curves", [curve_chart(found)]),
        Section("timeline", "Timeline", [timeline_chart(found)]),
        Section("outcomes", "Outcomes", [outcome_chart(found)]),
    ]


def _figures(sections: list[Section]) -> Markup:
    """The figures as JSON that cannot end the script that it stands in."""
    drawn = {
        chart.name: json.loads(plotly.io.to_json(chart.figure, validate=False))
        for section in sections
        for chart in section.charts
        if chart.figure is not None
    }
    text = json.dumps(drawn, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _failures(found: StudyHistory) -> list[TrialHistory]:
    return [each for each in found.trials if each.summary.state == "failed" and (each.reason or each.traceback)]


def _write(text: str, path: Path) -> None:
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".writing", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        temporary.chmod(0o644)
        publish(temporary, path)
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}: name another file with --html") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_report(study: str, path: Path | str | None = None, *, storage: str | None = None) -> Path:
    """Writes one self-contained HTML page about a study, running or ended; gives its file.

    Args:
        path: the file, in an existing folder; what is there is replaced. ``STUDY.html`` unless given.

    Raises:
        UnknownStudy: there is none of this name.
        ReportError: the file cannot be written.
    """
    with open_storage(storage) as database:
        return write_page(database, study, Path(path or f"{study.replace('/', '_')}.html"))
