"""`tuner report` on 1,000 trials: how long it takes to write, its size, and until a browser has drawn every chart."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from best_query import STUDY, fill
from browsers import browser, chromium
from report import Report, median, say
from tiny_study import workplace

from tuner import api

_EPOCHS = 20


def main() -> None:
    options = _options()
    report = Report("report_page", f"A report on {options.trials:,} trials of {_EPOCHS} epochs")
    with workplace() as folder:
        url, file = f"sqlite:///{folder / 'tuner.db'}", folder / "page.html"
        say(f"adding {options.trials:,} trials ...")
        fill(url, options.trials, _EPOCHS)
        started = time.monotonic()
        api.write_report(STUDY, file, storage=url)
        wrote = time.monotonic() - started
        row = {"write_seconds": wrote, "mib": file.stat().st_size / 2**20}
        report.add(**row, drawn_seconds=_drawn(file, options.repeats))
    report.facts["aim"] = "drawn in at most 3 s"
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _drawn(file: Path, repeats: int) -> float | None:
    """Median seconds from navigation to the last chart; None without a browser."""
    if chromium() is None:
        return None
    with browser() as running:
        seconds = []
        for _ in range(repeats):
            page = running.new_page()
            page.goto(file.as_uri())
            page.wait_for_function("document.documentElement.dataset.drawn")
            seconds.append(float(page.evaluate("document.documentElement.dataset.drawn")) / 1000)
            page.close()
    return median(seconds)


if __name__ == "__main__":
    main()
