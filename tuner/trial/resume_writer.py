"""When resume checkpoints are written, and which of them are kept."""

from __future__ import annotations

import time

from storage.artifacts import ResumeFile, StudyArtifacts
from storage.errors import ArtifactsUnavailable
from tuner.trial import resume
from tuner.trial.channel import Channel
from tuner.trial.keeping import when_the_store_is_there
from tuner.trial.resume import Snapshot
from tuner.trial.store_news import StoreNews

# Writing may take this share of the time, but no more than this is lost, unless one epoch takes longer.
_SHARE = 0.005
_SECONDS = 60.0
_FIRST_SECONDS = 2.0
_KEPT = 2


class ResumeWriter:
    """Writes the snapshots of one attempt: as often as ``_SHARE`` of the time pays for."""

    def __init__(self, artifacts: StudyArtifacts, number: int, run: int, news: StoreNews) -> None:
        self._artifacts = artifacts
        self._news = news
        self._number = number
        self._run = run
        self._latest: Snapshot | None = None
        self._is_written = True
        self._files: list[ResumeFile] = []
        self._acknowledged = 0
        self._cost = _FIRST_SECONDS * _SHARE
        self._since = time.monotonic()

    def offer(self, snapshot: Snapshot, epoch_seconds: float) -> bool:
        """Keeps the snapshot in mind, and writes it if one is due. Says whether it was written.

        Args:
            epoch_seconds: how long the next epoch will take, as far as that is known.
        """
        self._latest, self._is_written = snapshot, False
        waited = time.monotonic() - self._since
        if waited >= self._cost / _SHARE or waited + epoch_seconds > _SECONDS:
            self.write()
        return self._is_written

    def write(self) -> None:
        """Writes the latest snapshot unless it is written already.

        A store that is away, or full, costs the checkpoint and not the trial.
        """
        try:
            if self._put():
                self._news.there()
        except ArtifactsUnavailable as error:
            self._since = time.monotonic()
            self._news.away(error, "training continues without new resume checkpoints")

    def write_surely(self, channel: Channel) -> None:
        """As ``write``, but a store that is away is waited for: without this checkpoint the trial would begin anew.

        Raises:
            Interrupted: the worker wants the slot back.
        """
        when_the_store_is_there(channel, self._news, self._put)

    def _put(self) -> bool:
        """Whether there was anything to write. Raises ArtifactsUnavailable."""
        if self._is_written or self._latest is None:
            return False
        snapshot, started = self._latest, time.monotonic()
        file = self._artifacts.put_resume(
            self._number, self._run, snapshot.progress.epoch, lambda path: resume.write(path, snapshot)
        )
        self._is_written = True
        self._files.append(file)
        self._since = time.monotonic()
        self._cost = self._since - started
        self._forget()
        return True

    def acknowledge(self, epoch: int) -> None:
        """Notes that the database has everything up to this epoch: at that time, the lease was this attempt's."""
        self._acknowledged = max(self._acknowledged, epoch)

    def _forget(self) -> None:
        """Deletes all but the newest checkpoints, and the newest acknowledged ones.

        An adopter looks for checkpoints at a time from which on nothing is acknowledged here any more: what it has
        found, this attempt must not delete.
        """
        acknowledged = [file for file in self._files if file.epoch <= self._acknowledged]
        kept = {*self._files[-_KEPT:], *acknowledged[-_KEPT:]}
        for file in self._files:
            if file not in kept:
                try:
                    self._artifacts.remove(file.artifact.key)
                except ArtifactsUnavailable as error:
                    print(f"an old resume checkpoint cannot be removed: {error}", flush=True)
        self._files = [file for file in self._files if file in kept]
