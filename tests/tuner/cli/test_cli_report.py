"""``tuner report`` of a study that really ran."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tuner.report.report_page import SECTIONS, ReportPage


@pytest.mark.fast
def test_a_real_study_has_every_section_and_loads_nothing(finished: Any, tmp_path: Path, tuner: Any) -> None:
    place, _ = finished
    file = tmp_path / "page.html"
    ran = tuner("report", "shapes", "--html", file, cwd=place.folder)
    assert (ran.code, ran.out, ran.complaints) == (0, "", [f"wrote {file}"])
    text = file.read_text(encoding="utf-8")
    found = ReportPage(text)
    assert found.sections == SECTIONS
    assert [a for _, a in found.tags if "src" in a or (a.get("href") or "#")[0] not in "#d"] == []
    assert text.count("plotly.js v") == 1 and "4 of 4 ended" in text and "val_accuracy (higher is better)" in text
    assert {"history-0", "parallel", "curves", "timeline", "outcomes"} <= set(found.figures)
    assert "No champion has been exported yet" in text and "too few complete trials to tell" in text
    assert list(tmp_path.glob(".*")) == []
