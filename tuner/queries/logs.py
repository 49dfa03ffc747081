"""Reads logs piece by piece."""

from __future__ import annotations

from collections.abc import Iterator

from storage.artifact_store import Artifact
from storage.artifacts import StudyArtifacts


def pieces(artifacts: StudyArtifacts, logs: list[Artifact]) -> Iterator[bytes]:
    for log in logs:
        with artifacts.fetched(log) as path, path.open("rb") as file:
            yield from iter(lambda: file.read(65536), b"")
