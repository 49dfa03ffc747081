"""Peak memory of preparing and of reading one epoch of tables of different sizes. Aim: it does not grow with them."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from report import Report, say

_COLUMNS = 20
_ROWS_PER_PIECE = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 50, 200, 800], help="sizes of the CSV files")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    options = parser.parse_args()
    report = Report("table_memory", "Peak resident memory by the size of a CSV file")
    with tempfile.TemporaryDirectory() as place:
        for megabytes in options.megabytes:
            for kind, write in (("table", _table), ("texts", _texts)):
                say(f"{kind} of {megabytes} MB ...")
                file = Path(place, f"{kind}-{megabytes}.csv")
                rows = _write(file, megabytes * 1_000_000, write)
                prepared = _in_process(_prepare, kind, file)
                epoch = _in_process(_epoch, kind, file)
                report.add(
                    data=kind,
                    csv_mb=megabytes,
                    rows=rows,
                    prepare_seconds=round(prepared[1], 1),
                    prepare_peak_mb=round(prepared[0]),
                    epoch_seconds=round(epoch[1], 1),
                    epoch_anonymous_mb=round(epoch[0]),
                )
                file.unlink()
    report.publish(options.json)


def _write(file: Path, size: int, piece: Callable[[np.random.Generator], str]) -> int:
    generator, rows = np.random.default_rng(0), 0
    with file.open("w") as out:
        header = ",".join(f"n{i}" for i in range(_COLUMNS)) + ",city,y" if piece is _table else "text,y"
        out.write(header + "\n")
        while out.tell() < size:
            out.write(piece(generator))
            rows += _ROWS_PER_PIECE
    return rows


def _table(generator: np.random.Generator) -> str:
    numbers = generator.normal(size=(_ROWS_PER_PIECE, _COLUMNS))
    labels = generator.integers(0, 2, _ROWS_PER_PIECE)
    cities = generator.integers(0, 1000, _ROWS_PER_PIECE)
    lines = zip(numbers.tolist(), cities, labels, strict=True)
    return "".join(f"{','.join(f'{n:.7f}' for n in row)},city {city},{label}\n" for row, city, label in lines)


def _texts(generator: np.random.Generator) -> str:
    words = generator.integers(0, 20_000, (_ROWS_PER_PIECE, 60))
    labels = generator.integers(0, 2, _ROWS_PER_PIECE)
    return "".join(
        f"{' '.join(f'w{word}' for word in row)},{label}\n" for row, label in zip(words, labels, strict=True)
    )


def _in_process(work: Callable[[str, str, Any], None], kind: str, file: Path) -> tuple[float, float]:
    """The MB and seconds that work says it took, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=work, args=(kind, str(file), answers))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{work.__name__} ended with {process.exitcode}")
    answer: tuple[float, float] = answers.get()
    return answer


def _spec(kind: str, file: str) -> Any:
    from tuner.spec.data import Csv

    keys = {"text_column": "text"} if kind == "texts" else {}
    return Csv(kind="csv", path=Path(file), label_column="y", **keys)  # type: ignore[arg-type]


def _prepare(kind: str, file: str, answers: Any) -> None:
    from tuner.data.cache import prepare

    started = time.monotonic()
    prepare(_spec(kind, file), Path(file).parent / "cache")
    answers.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, time.monotonic() - started))


def _epoch(kind: str, file: str, answers: Any) -> None:
    from tuner.data.batches import BatchFormat, TrainingBatches
    from tuner.data.cache import prepare

    prepared = prepare(_spec(kind, file), Path(file).parent / "cache")
    # As a split that is larger than what is held in memory.
    batches = TrainingBatches(prepared, 256, 0, BatchFormat(in_memory_bytes=0))
    started, most = time.monotonic(), 0.0
    for step, _ in enumerate(batches.dataset):
        if step % 50 == 0:
            most = max(most, _anonymous_mb())
    answers.put((most, time.monotonic() - started))


def _anonymous_mb() -> float:
    """Of this process alone: mapped files are in the page cache, which all share and the system may drop."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    raise SystemExit("no RssAnon in /proc/self/status")


if __name__ == "__main__":
    main()
