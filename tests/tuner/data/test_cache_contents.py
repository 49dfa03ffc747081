"""The cache is bounded: what was used longest ago goes first, and never what somebody has open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner.cli import app
from tuner.data import cache_contents
from tuner.data.cache_contents import clear, contents, free_up, limit, make_room
from tuner.errors import DataError

_HOLDER = """
import sys
from pathlib import Path
from tuner.data.cache_contents import keep_open
keep_open(Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three data sets of a megabyte each, with other things around them."""
    monkeypatch.setenv("TUNER_CACHE", str(tmp_path))
    for age, kind in enumerate(("rows", "images", "texts")):
        folder = tmp_path / _named(kind)
        folder.mkdir()
        (folder / "column.bin").write_bytes(bytes(1 << 20))
        (folder / "meta.json").write_text(json.dumps({"splits": {"train": {"root": f"/data/{kind}", "files": []}}}))
        os.utime(folder, (1e9 - 1000 * age, 1e9 - 1000 * age))
    for name in ("thesis", "rows-of-mine", "studies"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_bytes(bytes(1 << 20))
    (tmp_path / "preflight.log").write_text("a traceback")
    return tmp_path


def _named(kind: str) -> str:
    return f"{kind}-{'0123456789abcdef' * 2}-layout-7"


def _others(root: Path) -> list[str]:
    return sorted(each.name for each in root.iterdir() if "layout" not in each.name)


@pytest.fixture
def in_use(root: Path):
    """Has another process open a data set."""
    holders: list[subprocess.Popen[bytes]] = []

    def hold(kind: str) -> None:
        code = [sys.executable, "-c", _HOLDER, str(root / _named(kind))]
        holders.append(subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert holders[-1].stdout is not None
        holders[-1].stdout.readline()

    yield hold
    for each in holders:
        each.kill()
        each.communicate()


def test_what_was_used_longest_ago_makes_room(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_CACHE_LIMIT", "2M")
    assert make_room(root, keep=root / _named("texts")) == [_named("images"), _named("rows")]
    assert [each.name for each in contents(root)] == [_named("texts")]
    assert _others(root) == ["preflight.log", "rows-of-mine", "studies", "thesis"]


def test_what_is_missing_is_freed_unless_nothing_is_enough(root: Path, in_use: Callable[[str], None]) -> None:
    in_use("texts")
    assert free_up(root, root / _named("rows"), 3 << 20) == []
    assert free_up(root, root / _named("rows"), 1 << 20) == [_named("images")]
    assert {each.name for each in contents(root)} == {_named("rows"), _named("texts")}


def test_within_its_limit_everything_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for most in ("4M", "1g", None):
        monkeypatch.setenv("TUNER_CACHE_LIMIT", most) if most else monkeypatch.delenv("TUNER_CACHE_LIMIT")
        assert make_room(root, keep=root / _named("texts")) == []
    assert limit() == 100 << 30


def test_what_is_in_use_is_never_removed_and_counts_as_used_now(
    root: Path, in_use: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNER_CACHE_LIMIT", "0K")
    in_use("texts")
    found = contents(root)
    assert (found[0].name, found[0].in_use) == (_named("texts"), True)
    assert make_room(root, keep=root / _named("rows")) == [_named("images")]
    cleared = clear(root)
    assert ([each.name for each in cleared.removed], cleared.in_use) == ([_named("rows")], 1)
    assert [each.name for each in contents(root)] == [_named("texts")]


def test_a_limit_that_is_no_size_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_CACHE_LIMIT", "lots")
    with pytest.raises(DataError, match=r"\$TUNER_CACHE_LIMIT is 'lots'"):
        limit()


def test_the_command_lists_and_clears(root: Path, in_use: Callable[[str], None]) -> None:
    in_use("images")
    listed = CliRunner().invoke(app, ["cache", "list", "--format", "json"])
    assert {each["data"]: each["in_use"] for each in json.loads(listed.stdout)} == {
        "/data/images": True,
        "/data/rows": False,
        "/data/texts": False,
    }
    table = CliRunner().invoke(app, ["cache", "list"])
    assert "1.05 MB" in table.stdout and f"3.15 MB of 107 GB in {root}" in table.stderr
    cleared = CliRunner().invoke(app, ["cache", "clear"])
    assert f"2 removed from {root}, 2.1 MB; 1 in use" in cleared.stderr
    assert [each.name for each in contents(root)] == [_named("images")]
    assert _others(root) == ["preflight.log", "rows-of-mine", "studies", "thesis"]


def test_what_cannot_be_removed_is_not_said_to_be_in_use(
    root: Path, in_use: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use("images")
    replace = os.replace

    def refused(source: Path, target: Path) -> None:
        # As root everything can be removed.
        if source.name == _named("texts"):
            raise PermissionError(1, "Operation not permitted", str(source))
        replace(source, target)

    monkeypatch.setattr(cache_contents.os, "replace", refused)
    said = CliRunner().invoke(app, ["cache", "clear"]).stderr
    assert f"1 removed from {root}, 1.05 MB; 1 in use; 1 could not be removed" in said


def test_data_that_another_process_removed_or_made_meanwhile_is_no_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = cache_contents.contents

    def meanwhile(folder: Path) -> list[cache_contents.CachedData]:
        found = listed(folder)
        with suppress(FileNotFoundError):
            (folder / _named("images")).rename(folder / _named("npz"))
        return found

    monkeypatch.setattr(cache_contents, "contents", meanwhile)
    result = CliRunner().invoke(app, ["cache", "clear"])
    assert f"2 removed from {root}, 2.1 MB\n" in result.stderr
    assert [each.name for each in listed(root)] == [_named("npz")]
