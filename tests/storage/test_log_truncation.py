from __future__ import annotations

from pathlib import Path

import pytest

from storage.log_truncation import cap


def capped(file: Path, text: bytes, limit: int) -> bytes:
    file.write_bytes(text)
    cap(file, limit)
    assert [file] == list(file.parent.iterdir())
    return file.read_bytes()


@pytest.mark.parametrize("text", [b"", b"one\ntwo\n", b"x" * 100])
def test_a_short_log_stays_as_it_is(tmp_path: Path, text: bytes) -> None:
    assert capped(tmp_path / "trial.log", text, 100) == text


def test_of_a_long_log_the_first_and_last_lines_stay(tmp_path: Path) -> None:
    text = b"".join(b"line %04d\n" % number for number in range(1000))
    kept = capped(tmp_path / "trial.log", text, 205)
    lines = [b"line %04d" % number for number in (0, 1, *range(982, 1000))]
    assert kept.splitlines() == [*lines[:2], b"", b"... 9800 bytes left out ...", *lines[2:]]
    assert len(kept) == 200 + len(b"\n... 9800 bytes left out ...\n")


def test_a_log_of_one_endless_line_is_cut_too(tmp_path: Path) -> None:
    kept = capped(tmp_path / "trial.log", b"a" * 500 + b"b" * 500, 100)
    assert kept == b"a" * 10 + b"\n... 900 bytes left out ...\n" + b"b" * 90
