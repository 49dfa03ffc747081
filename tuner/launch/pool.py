"""A standing pool's process on one node: a worker for one study after the other, for as long as nobody ends it."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib.metadata import version
from typing import Any

from storage import pool, standing, studies, workers
from storage.connecting import connect
from storage.database import Database
from storage.errors import DatabaseUnavailable, StorageError
from storage.pool import PoolMember, PoolView, Served
from tuner.errors import TunerError
from tuner.launch.backoff import Setbacks
from tuner.launch.fair_share import fairer, most_wanting
from tuner.launch.local.worker import LocalWorker
from tuner.launch.opening import Event, OnEvent
from tuner.launch.working import LOOK_SECONDS, leave_in_order, sigterm_calls
from tuner.processes.termination import SignalEvent
from tuner.study.locations import default_cache_root
from tuner.study.open_study import OpenStudy
from tuner.worker.patience import Patience
from tuner.worker.settings import WorkerSettings

# For a worker's last words, after its trials' grace.
_LEAVE_SECONDS = 10.0
_STANDING_SECONDS = 10.0


@dataclass(frozen=True)
class PoolOrders:
    """What a pool's process is told when it is started.

    Attributes:
        studies: a pattern that the names of its studies match, as a shell has them.
        slots: of each worker, in place of its study's ``resources.slots``.
        turn_seconds: how long a study is served while others that are equal to it have no worker at all.
        poll_seconds: how often the database is asked which studies wait.
        retry_seconds: until a study that cannot be worked on here is tried again; doubles each time.
        allow_version_drift: as for workers.
        settings: ``WorkerSettings`` fields to change.
    """

    studies: str = "*"
    slots: int | None = None
    turn_seconds: float = 120.0
    poll_seconds: float = 1.0
    retry_seconds: float = 30.0
    allow_version_drift: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


class Pool:
    """Serves studies until SIGTERM or an interruption, which its worker hears as an order to leave."""

    def __init__(self, orders: PoolOrders, url: str, say: OnEvent) -> None:
        self._orders = orders
        self._url = url
        self._say = say
        self._leaving = SignalEvent()
        self._patiently = Patience(self._leaving, "this pool waits for it")
        self._setbacks = Setbacks(orders.retry_seconds)
        self._member = _member()
        self._folder = default_cache_root() / "pools" / self._member.name
        self._turn = 0
        self._slots = orders.slots or 1
        self._next: Served | None = None
        self._stood = float("-inf")

    def run(self) -> None:
        """Serves studies until it is told to leave.

        Raises:
            StorageError: the database refuses, rather than being away.
            KeyboardInterrupt: after the worker has left in order.
        """
        with sigterm_calls(self._leaving.set_by_handler), suppress(DatabaseUnavailable):
            self._database: Database = self._patiently(connect, self._url, create=True)
            try:
                self._loop()
            finally:
                with suppress(DatabaseUnavailable):
                    pool.withdraw(self._database, self._member, self._turn + 1)
                    standing.leave(self._database, self._member)
                self._database.close()
                shutil.rmtree(self._folder, ignore_errors=True)

    def _loop(self) -> None:
        idle = False
        while not self._leaving.is_set():
            self._stand()
            study = self._chosen()
            if study is not None:
                self._serve(study)
            elif not idle:
                self._say(Event("No study needs a worker; this pool waits until one does"))
            idle = study is None
            if idle:
                self._leaving.wait(self._orders.poll_seconds)

    def _stand(self) -> None:
        """Says now and then that this pool is there."""
        if time.monotonic() - self._stood >= _STANDING_SECONDS:
            self._patiently(standing.note, self._database, self._member, self._orders.studies)
            self._stood = time.monotonic()

    # --- choosing

    def _chosen(self) -> Served | None:
        """The next study, at which the next worker is announced. What was meant while one left is looked at again."""
        view = self._patiently(pool.look, self._database)
        if self._next is None and most_wanting(self._eligible(view)) is None:
            return None
        self._next = None
        return self._announce(lambda now: most_wanting(self._eligible(now)))

    def _announce(self, choose: pool.Choose, own: str | None = None) -> Served | None:
        turn = self._turn + 1
        return self._patiently(pool.announce, self._database, self._member, turn, self._slots, choose, own)

    def _eligible(self, view: PoolView) -> list[Served]:
        own = view.own.study_id if view.own else None
        return [
            each
            for each in view.studies
            if each.study_id == own
            or (fnmatchcase(each.name, self._orders.studies) and not self._setbacks.hold(each.study_id))
        ]

    # --- serving

    def _serve(self, study: Served) -> None:
        self._turn += 1
        try:
            with self._started(study) as worker:
                self._watch(worker, study)
        except DatabaseUnavailable:
            # Its patience ends only when the pool leaves.
            return
        except (TunerError, StorageError, OSError) as error:
            seconds = self._setbacks.add(study.study_id)
            self._say(Event(f"study {study.name} cannot run on this machine, next try in {seconds:g} s: {error}"))

    @contextmanager
    def _started(self, study: Served) -> Iterator[LocalWorker]:
        """A worker that is gone, and known to be, when the block is left."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            settings = self._settings_for(study)
            worker = LocalWorker(settings, self._url, self._folder / f"{self._turn}.log")
            try:
                yield worker
            except KeyboardInterrupt:
                leave_in_order(worker, self._say)
                raise
            finally:
                # Also where nobody hears any more what this pool says: the trials keep their checkpoints.
                worker.stop()
                worker.wait(settings.grace_seconds + _LEAVE_SECONDS)
                worker.kill()
        finally:
            with suppress(DatabaseUnavailable):
                self._patiently(pool.withdraw, self._database, self._member, self._turn)

    def _settings_for(self, study: Served) -> WorkerSettings:
        resources = self._patiently(OpenStudy.load, self._database, study.name).spec.resources
        if self._orders.slots is not None:
            resources = resources.model_copy(update={"slots": self._orders.slots})
        given = {"allow_version_drift": self._orders.allow_version_drift, **self._orders.settings}
        return WorkerSettings(study=study.name, id=self._member.worker(self._turn), resources=resources, **given)

    def _watch(self, worker: LocalWorker, study: Served) -> None:
        """Lets the worker work until it leaves, and tells it when it should.

        Raises:
            LaunchError: it ended badly.
        """
        priority = f" (priority {study.priority})" if study.priority else ""
        self._say(Event(f"study {study.name}: a worker starts{priority}"))
        worker.begin()
        turn = _Turn(self._orders.turn_seconds)
        looked = 0.0
        while not worker.wait(LOOK_SECONDS):
            for line in worker.news():
                self._say(Event(f"study {study.name}: {line}"))
            if self._leaving.is_set():
                worker.stop()
                worker.wait(None)
                # One that was leaving by itself does not hear this in order any more: no fault of the study's.
                return
            elif time.monotonic() - looked >= self._orders.poll_seconds:
                with suppress(DatabaseUnavailable):
                    self._stand()
                    self._look(worker, study, turn)
                looked = time.monotonic()
        worker.raise_if_failed()
        if turn.has_begun:
            self._setbacks.clear(study.study_id)
        with suppress(DatabaseUnavailable):
            state = self._patiently(studies.load_study, self._database, study.name).state
            self._say(Event(f"study {study.name}: its worker has left; the study is {state}"))

    def _look(self, worker: LocalWorker, study: Served, turn: _Turn) -> None:
        own = self._member.worker(self._turn)
        # Until they register, the pool is their sign of life.
        self._patiently(workers.seen, self._database, own)
        if self._next is not None:
            self._patiently(workers.seen, self._database, self._member.worker(self._turn + 1))
            return
        view = self._patiently(pool.look, self._database, own)
        if view.own is not None and view.own.registered:
            self._slots = view.own.slots
            turn.begin()
        over = turn.is_over()

        def choose(now: PoolView) -> Served | None:
            # For a study that could not be worked on here nobody's turn is cut short.
            others = [
                each
                for each in self._eligible(now)
                if over or each.study_id == study.study_id or not self._setbacks.has(each.study_id)
            ]
            return fairer(replace(now, studies=others), turn_is_over=over)

        if choose(view) is not None:
            self._next = self._announce(choose, own)
        if self._next is not None:
            worker.drain()
            waits = f"study {self._next.name} waits"
            self._say(Event(f"study {study.name}: its worker leaves after its current trials; {waits}"))


class _Turn:
    """How long a study has been served: from its worker's first sign, after whatever it had to prepare."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: float | None = None

    def begin(self) -> None:
        self._began = self._began or time.monotonic()

    @property
    def has_begun(self) -> bool:
        return self._began is not None

    def is_over(self) -> bool:
        return self._began is not None and time.monotonic() - self._began >= self._seconds


def _member() -> PoolMember:
    host, pid = socket.gethostname(), os.getpid()
    name = f"pool-{host[:64]}-{pid}-{os.urandom(3).hex()}"
    return PoolMember(name, host, pid, version("keras-champion"))
