"""Whether the place of the artifacts can be written: no trial begins while it cannot."""

from __future__ import annotations

import logging
import math
import time

from storage.artifacts import StudyArtifacts
from storage.errors import ArtifactsUnavailable
from tuner.trial.messages import StoreState
from tuner.worker.settings import STORE_PREFIX

_log = logging.getLogger(__name__)
# For so long what was found holds.
_LOOK_SECONDS = 10.0
_MEANWHILE = "trials that run go on, and their results wait"


class StoreWatch:
    """What the trials of this worker say of the store, and what it finds itself. Each outage is said once."""

    def __init__(self, artifacts: StudyArtifacts) -> None:
        self._artifacts = artifacts
        self._waiting: set[int] = set()
        self._is_away = False
        self._looked = -math.inf

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
            self._artifacts.check_writable()
            self._looked = time.monotonic()

    def refused(self, error: ArtifactsUnavailable) -> None:
        """What this worker found when it used the store."""
        self._looked = time.monotonic()
        self._note_away(str(error))

    def has_failed_now(self) -> bool:
        """Whether it cannot be written at this moment, whatever was found before."""
        self._looked = -math.inf
        return not self._look()

    def _look(self) -> bool:
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                self._artifacts.check_writable()
            except ArtifactsUnavailable as error:
                self._note_away(str(error))
            else:
                self._note_there()
        return not self._is_away

    def _note_away(self, said: str) -> None:
        if not self._is_away:
            _log.warning("%s%s; %s", STORE_PREFIX, said, _MEANWHILE)
        self._is_away = True

    def _note_there(self) -> None:
        if self._is_away and not self._waiting:
            _log.info("the artifacts can be written again")
            self._is_away = False
