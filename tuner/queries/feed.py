"""The events of a study while somebody watches it, the same for the terminal and for browsers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from storage import leaderboard, progress
from storage.database import Database
from storage.errors import DatabaseUnavailable
from storage.leaderboard import TrialSummary
from storage.progress import OnStatus, StudyStatus
from tuner.study.storage_access import Storage, open_storage

LOOK_SECONDS = 0.5
# Trials that ended beyond so many between two looks are seen in the listings.
_MOST_TRIALS = 50
_NOT_ENDED = ("running", "waiting", "paused")
_ONGOING = ("running", "stopping")


@dataclass(frozen=True)
class FeedEvent:
    """Something that happened.

    Attributes:
        kind: ``status`` when a study's state, counts, workers or running trials have changed, at first, and when the
            database is back; ``trial`` when a trial has ended; ``end`` when the study neither runs nor stops, after
            which nothing comes; ``away`` when the database cannot be asked any more.
        status: how the study stands; with ``away`` how it stood at last.
        away: why.
    """

    kind: Literal["status", "trial", "end", "away"]
    status: StudyStatus
    trial: TrialSummary | None = None
    away: DatabaseUnavailable | None = None


class Feed:
    """Looks at a study, and says what is new since the last look.

    Args:
        storage: the database's URL, or the open database.
    """

    def __init__(self, study: str, storage: Storage = None) -> None:
        self._study = study
        self._storage = storage
        self._last: StudyStatus | None = None
        self._is_away = False

    def look(self) -> list[FeedEvent]:
        """What is new, in order.

        Raises:
            UnknownStudy: there is none of this name, or no more.
            DatabaseUnavailable: it cannot be looked at now; the next look tells what was missed.
        """
        try:
            status, trials = self._found()
        except DatabaseUnavailable:
            self._is_away = True
            raise
        events = [FeedEvent("trial", status, trial) for trial in trials]
        if self._last is None or self._is_away or _steady(status) != _steady(self._last):
            events.insert(0, FeedEvent("status", status))
        self._last, self._is_away = status, False
        if status.state not in _ONGOING:
            events.append(FeedEvent("end", status))
        return events

    def look_on(self) -> list[FeedEvent]:
        """``look``, but that a database is away which was there is an event, told once. Raises as ``look`` at first."""
        was_away = self._is_away
        try:
            return self.look()
        except DatabaseUnavailable as error:
            if self._last is None:
                raise
            return [] if was_away else [FeedEvent("away", self._last, away=error)]

    def _found(self) -> tuple[StudyStatus, list[TrialSummary]]:
        with open_storage(self._storage) as database:
            status = progress.status(database, self._study)
            ended = _ended(status) - (_ended(self._last) if self._last is not None else _ended(status))
            return status, self._newly_ended(database, ended, status) if ended > 0 else []

    def _newly_ended(self, database: Database, count: int, status: StudyStatus) -> list[TrialSummary]:
        before = {each.trial for each in self._last.running_trials} if self._last else set()
        wanted = min(_MOST_TRIALS, count + status.running + len(before))
        newest = leaderboard.trials(database, self._study, descending=True, limit=wanted)
        running = {each.trial for each in status.running_trials}
        ended = [each for each in newest if each.state not in _NOT_ENDED and each.trial not in running]
        # Those that ran at the last look ended for certain; of the others the newest did.
        ended.sort(key=lambda each: (each.trial not in before, -each.trial))
        return sorted(ended[:count], key=lambda each: each.trial)


def follow(study: str, *, storage: Storage = None, seconds: float = LOOK_SECONDS) -> Iterator[FeedEvent]:
    """What happens in a study until it neither runs nor stops, looked at every ``seconds``.

    A database that goes away is waited for.

    Raises:
        UnknownStudy: there is none of this name, or no more.
        DatabaseUnavailable: it cannot be asked at first.
    """
    feed = Feed(study, storage)
    while True:
        for event in feed.look_on():
            yield event
            if event.kind == "end":
                return
        time.sleep(seconds)


def _ended(status: StudyStatus) -> int:
    return status.complete + status.pruned + status.failed


def _steady(status: StudyStatus) -> StudyStatus:
    """Without what changes by itself with time."""
    return replace(
        status,
        training_share=None,
        running_trials=[replace(each, seconds=None) for each in status.running_trials],
        workers=[replace(each, seen_seconds=0.0, seen_at=each.started_at) for each in status.workers],
    )


def watch(
    study: str,
    on_status: OnStatus,
    *,
    storage: str | None = None,
    on_away: Callable[[str], None] | None = None,
    seconds: float = LOOK_SECONDS,
) -> StudyStatus:
    """Tells ``on_status`` of every change of a study, looked at every ``seconds``, until it neither runs nor stops.

    Args:
        on_away: told why the database cannot be asked, once each time that it goes away. It is waited for, and
            ``on_status`` told as soon as it is back.

    Raises:
        UnknownStudy: there is none of this name, or no more.
        DatabaseUnavailable: it cannot be asked at first.
    """
    with open_storage(storage) as database:
        for event in follow(study, storage=database, seconds=seconds):
            if event.away is not None and on_away is not None:
                on_away(str(event.away))
            elif event.kind == "status":
                on_status(event.status)
        return event.status
