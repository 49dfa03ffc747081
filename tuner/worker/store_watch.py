"""Whether the place of the artifacts can be written: no trial begins while it cannot."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from concurrent.futures import Future, wait
from pathlib import Path

from storage.artifacts import StudyArtifacts
from storage.errors import ArtifactsUnavailable
from storage.files import is_of_file_system
from storage.held_folders import scratch_folder
from tuner.trial.messages import StoreState
from tuner.worker.settings import STORE_PREFIX

_log = logging.getLogger(__name__)
# For so long what was found holds.
_LOOK_SECONDS = 10.0
# The worker waits no longer for an answer: meanwhile it renews no lease, and one lasts a minute.
_ANSWER_SECONDS = 10.0
_FILE_BYTES = 1 << 12
_MEANWHILE = "trials that run go on, and their results wait"


class StoreWatch:
    """What the trials of this worker say of the store, and what it finds itself. Each outage is said once."""

    def __init__(self, artifacts: StudyArtifacts) -> None:
        self._artifacts = artifacts
        self._waiting: set[int] = set()
        self._is_away = False
        self._looked = -math.inf
        self._probe: Future[None] | None = None

    def hear(self, number: int, state: StoreState) -> None:
        """What a running trial has found."""
        if state.away is None:
            self._waiting.discard(number)
            self._note_there()
        else:
            self._waiting.add(number)
            self._note_away(state.away)

    def forget(self, number: int) -> None:
        """The trial does not run any more."""
        if number in self._waiting:
            self._waiting.remove(number)
            # What it found says nothing about what the next trial will find.
            self._looked = -math.inf

    def is_waited_for_by(self, number: int) -> bool:
        return number in self._waiting

    def seems_there(self) -> bool:
        """Whether it is worth to look for a trial that might begin. One that waits has more to write than is tried."""
        return not self._waiting and (not self._is_away or self._look())

    def check(self) -> None:
        """Raises ArtifactsUnavailable unless a trial may begin now."""
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._ask()
            self._looked = time.monotonic()

    def refused(self, error: ArtifactsUnavailable) -> None:
        """What this worker found when it used the store."""
        self._looked = time.monotonic()
        self._note_away(str(error))

    def has_failed_now(self) -> bool:
        """Whether it cannot be written at this moment, whatever was found before."""
        self._looked = -math.inf
        if self._probe is not None and self._probe.done():
            self._probe = None
        return not self._look()

    def _look(self) -> bool:
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                self._ask()
            except ArtifactsUnavailable as error:
                self._note_away(str(error))
            else:
                self._note_there()
        return not self._is_away

    def _ask(self) -> None:
        """Raises ArtifactsUnavailable, also while there is no answer; what comes late is heard when asked again."""
        if self._probe is None:
            self._probe = _begun(self._artifacts)
            wait([self._probe], _ANSWER_SECONDS)
        if not self._probe.done():
            raise ArtifactsUnavailable(self._artifacts.place, f"no answer within {_ANSWER_SECONDS:g} s")
        probe, self._probe = self._probe, None
        probe.result()

    def _note_away(self, said: str) -> None:
        if not self._is_away:
            _log.warning("%s%s; %s", STORE_PREFIX, said, _MEANWHILE)
        self._is_away = True

    def _note_there(self) -> None:
        if self._is_away and not self._waiting:
            _log.info("the artifacts can be written again")
            self._is_away = False


def _begun(artifacts: StudyArtifacts) -> Future[None]:
    """What comes of writing to the store, in a thread: a server may stall, and a file system hang for ever."""
    probe: Future[None] = Future()

    def write() -> None:
        try:
            _check_scratch(artifacts)
            artifacts.check_writable()
        except BaseException as error:
            probe.set_exception(error)
        else:
            probe.set_result(None)

    threading.Thread(target=write, name="store-probe", daemon=True).start()
    return probe


def _check_scratch(artifacts: StudyArtifacts) -> None:
    """Each trial has a folder for temporary files too, by which what it keeps may have to go."""
    try:
        with scratch_folder() as folder:
            Path(folder, "probe").write_bytes(os.urandom(_FILE_BYTES))
    except OSError as error:
        if not is_of_file_system(error):
            raise
        raise scratch_unavailable(artifacts, error) from error


def scratch_unavailable(artifacts: StudyArtifacts, error: OSError) -> ArtifactsUnavailable:
    """The error of a worker whose folder for temporary files is full or away."""
    return ArtifactsUnavailable(artifacts.place, f"the folder for temporary files on this machine: {error.strerror}")
