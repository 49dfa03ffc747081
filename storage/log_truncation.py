"""Logs of a bearable size: the beginning, which says what it was, and the end, which says how it ended."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LOG_BYTES = 10 * 2**20
_HEAD_SHARE = 10


def cap(file: Path, limit: int = LOG_BYTES) -> None:
    """Cuts out the middle of a log that nobody writes to any more, at ends of lines, if it is longer than ``limit``.

    What is kept may be longer than ``limit`` by the line that says what is gone.
    """
    size = file.stat().st_size
    if size <= limit:
        return
    head, tail = limit // _HEAD_SHARE, limit - limit // _HEAD_SHARE
    new = file.with_name(f"{file.name}.capped")
    # Of a process that was killed, or somebody else's link.
    new.unlink(missing_ok=True)
    with file.open("rb") as source, new.open("xb") as target:
        begin = source.read(head)
        begin = begin[: begin.rfind(b"\n") + 1] or begin
        source.seek(size - tail)
        # The line that the end begins in; a line longer than all of it stays cut.
        partial = source.readline()
        if source.tell() == size:
            partial = b""
            source.seek(size - tail)
        gone = size - len(begin) - (tail - len(partial))
        target.write(begin + b"\n... %d bytes left out ...\n" % gone)
        shutil.copyfileobj(source, target)
    os.replace(new, file)
