"""Commands that look after this machine's cache of prepared data."""

from __future__ import annotations

from dataclasses import asdict

from tuner.cli.app import Style, cache_commands, say
from tuner.data import cache_contents
from tuner.presentation.tables import Format, print_records
from tuner.study.locations import default_cache_root


@cache_commands.command("list")
def list_(style: Style = Format.TABLE) -> None:
    """List the prepared data, and what of it is in use.

    The cache is $TUNER_CACHE, by default ~/.cache/keras-champion. Data that was not used for the longest time makes
    room for new data once all of it takes more than $TUNER_CACHE_LIMIT, by default 100G.
    """
    root, most = default_cache_root(), cache_contents.limit()
    found = cache_contents.contents(root)
    records = [asdict(each) for each in found]
    if style is Format.TABLE:
        records = [record | {"bytes": _size(record["bytes"])} for record in records]
    print_records(records, ("name", "data", "bytes", "used_at", "in_use"), style, empty=f"{root} has no prepared data")
    if style is Format.TABLE and found:
        say(f"{_size(sum(each.bytes for each in found))} of {_size(most)} in {root}")


@cache_commands.command()
def clear() -> None:
    """Remove the prepared data that no process uses. It is prepared again when it is needed."""
    root = default_cache_root()
    cleared = cache_contents.clear(root)
    removed = cleared.removed
    left = f"; {cleared.in_use} in use" if cleared.in_use else ""
    left += f"; {cleared.failed} could not be removed: do its files belong to somebody else?" if cleared.failed else ""
    say(f"{len(removed)} removed from {root}, {_size(sum(each.bytes for each in removed))}{left}")


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:.3g} TB"
