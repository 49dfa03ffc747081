"""The worker: one light process per node that gives leases to trial processes and records their words.

It never imports TensorFlow, and one thread does its work. Everything that must not be lost is in the database before
the next thing happens.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from storage import leases, studies, workers
from storage.database import Database
from storage.errors import ArtifactsUnavailable, DatabaseUnavailable, LeaseLost
from storage.leases import Lease
from tuner.processes.versions import DATA, differences, refuse_drift, versions_here
from tuner.study.open_study import OpenStudy
from tuner.trial.messages import Finished, StoreState
from tuner.trial.outcome import POLICIES, Outcome
from tuner.worker.allowance import why_used_up
from tuner.worker.answering import Answerer
from tuner.worker.closing import TrialCloser
from tuner.worker.hanging import HangWatch
from tuner.worker.leaving import Leaving
from tuner.worker.log_file import kept_log
from tuner.worker.metrics import Publishing, WorkerMetrics
from tuner.worker.node.claims import claim_gpus, identities_of
from tuner.worker.node.devices import plan_slots, usable_cores, visible_gpus
from tuner.worker.patience import Patience
from tuner.worker.preparing import prepare_on_node
from tuner.worker.promoting import Promotion
from tuner.worker.remaining_time import RemainingTime
from tuner.worker.running import RunningTrial, Slot
from tuner.worker.search.optuna_trials import OptunaTrials
from tuner.worker.settings import DRIFT_PREFIX, WorkerSettings
from tuner.worker.starting import TrialStarter
from tuner.worker.store_watch import StoreWatch
from tuner.worker.trial_process import start_forkserver

_log = logging.getLogger(__name__)
_EXIT_SECONDS = 5.0
# A lease may miss several renewals before it expires.
_RENEWALS_PER_LEASE = 6


class Supervisor:
    """Runs trials of one study until there is nothing left to do or it is told to leave."""

    def __init__(self, settings: WorkerSettings, database: Database) -> None:
        self._settings = settings
        self._leaving = Leaving(settings.follow_stdin)
        self._metrics = WorkerMetrics()
        self._patiently = Patience(self._leaving.requested, metrics=self._metrics)
        self._study = self._patiently(OpenStudy.load, database, settings.study, settings.cache)
        self._versions = versions_here(self._study.spec)
        self._id = settings.id or _id(settings.name)
        self._claim = claim_gpus(
            settings.resources,
            identities_of(visible_gpus()),
            f"worker {self._id} of study {settings.study}",
            exactly=settings.gpus,
            share=settings.share_gpus,
        )
        self._gpus = self._claim.gpus
        self._slots = [
            Slot(plan) for plan in plan_slots(settings.resources, self._gpus, settings.cores or usable_cores())
        ]
        self._metrics.describe(settings.study, self._id, self._versions["keras-champion"], self._gpus)
        self._metrics.watch_slots(len(self._slots), self._number_busy)
        self._trials = OptunaTrials(self._study)
        self._promotion = Promotion(self._study, self._trials.pruner)
        self._closer = TrialCloser(self._study, settings.max_attempts, self._metrics)
        self._remaining = RemainingTime()
        self._answerer = Answerer(
            self._study,
            self._patiently,
            self._is_stopping,
            self._remaining,
            self._metrics,
            self._promotion,
        )
        self._state: str = self._study.record.state
        self._polled = -math.inf
        self._renewed = -math.inf
        self._store = StoreWatch(self._study.artifacts)
        self._hangs = HangWatch(self._study.spec.training.hang_timeout, settings.grace_seconds, self._patiently)

    def run(self) -> None:
        """Works until the study has ended or stopped, or SIGTERM, SIGINT or a closed standard input say leave.

        Raises:
            DataError: this node's data cannot be read.
            VersionDrift: the data, the space's code or a version is not the study's.
            StorageError: the database refuses, rather than being away.
        """
        log = self._study.artifacts.worker_log(self._id)
        self._publishing = Publishing(self._metrics, self._settings)
        start_forkserver(log.with_suffix(".forkserver.log"))
        with self._leaving, kept_log(self._study.artifacts, self._id):
            self._compare(self._versions, self._study.record.versions)
            data = prepare_on_node(self._study.spec, self._settings.cache, log, self._leaving)
            if data is None:
                return
            self._versions[DATA] = data.fingerprint
            self._compare({DATA: data.fingerprint}, {DATA: self._study.record.fingerprint})
            self._starter = TrialStarter(
                self._study,
                self._patiently,
                Path(data.folder),
                self._trials,
                self._closer,
                self._settings.max_attempts,
            )
            try:
                # Patience ends where the worker must leave, and the checkpoints can be written without a database.
                with suppress(DatabaseUnavailable):
                    self._register()
                    self._patiently(self._closer.tell_untold, self._trials)
                    self._patiently(self._closer.end_if_all_closed)
                    self._loop()
                    self._end_paused_of_an_ended_study()
                self._leave_orderly()
            finally:
                self._leave()

    def _loop(self) -> None:
        while not self._leaving.requested.is_set():
            self._poll()
            self._fill_slots()
            if not self._busy() and self._nothing_to_do():
                return
            readable = wait([*self._connections(), *self._leaving.sources], timeout=self._settings.poll_seconds)
            # Before anything is heard: a worker that was frozen may have lost what it is about to write to.
            self._renew()
            for ready in readable:
                self._hear(ready)
            self._end_overdue()
            self._end_hanging()

    def _compare(self, here: Mapping[str, str], study: Mapping[str, str]) -> None:
        differing = differences(study, here)
        if not self._settings.allow_version_drift:
            refuse_drift(self._study.name, differing)
        for each in differing:
            _log.warning("%s%s", DRIFT_PREFIX, each)

    # --- the study's news

    def _register(self) -> None:
        self._patiently(
            workers.register,
            self._study.database,
            self._id,
            self._study.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=len(self._slots),
            gpus=list(self._gpus),
            version=self._versions["keras-champion"],
            versions=self._versions,
        )

    def _poll(self) -> None:
        if time.monotonic() - self._polled < self._settings.poll_seconds:
            return
        self._polled = time.monotonic()
        self._publishing.write_if_due()
        record = self._patiently(studies.load_study, self._study.database, self._settings.study)
        self._state = record.state
        self._patiently(workers.seen, self._study.database, self._id)
        left = None if record.deadline is None else self._patiently(self._seconds_until, record.deadline)
        self._remaining.look(left)
        if self._state == "running" and not self._busy() and not self._remaining.suffices():
            self._finish(self._remaining.why_over())

    def _seconds_until(self, deadline: datetime) -> float:
        return (deadline - self._study.database.clock()).total_seconds()

    def _nothing_to_do(self) -> bool:
        if self._state != "running" or self._leaving.draining.is_set():
            return True
        self._end_hopeless()
        if self._patiently(leases.counts, self._study.database, self._study.id).all_closed:
            return True
        return self._has_ended_with_its_budget()

    def _has_ended_with_its_budget(self) -> bool:
        allowance = self._patiently(leases.used_up, self._study.database, self._study.id, self._promotion.rule)
        return allowance is not None and self._finish(why_used_up(allowance))

    def _finish(self, why: str | None) -> bool:
        """Ends the study, unless somebody else has said otherwise meanwhile; says whether it did."""
        database, study_id = self._study.database, self._study.id
        done = self._patiently(studies.set_state, database, study_id, "finished", why, only_from=("running",))
        self._state = self._patiently(studies.load_study, database, self._settings.study).state
        return done or self._state == "finished"

    def _is_stopping(self) -> bool:
        return self._state in ("stopping", "stopped")

    def _busy(self) -> bool:
        return self._number_busy() > 0

    def _number_busy(self) -> int:
        return sum(1 for slot in self._slots if slot.running)

    def _connections(self) -> list[Connection]:
        return [slot.running.process.connection for slot in self._slots if slot.running]

    # --- starting

    def _fill_slots(self) -> None:
        for slot in self._slots:
            while slot.running is None and self._may_start():
                lease = self._acquired()
                if lease is None:
                    return
                try:
                    self._store.check()
                    slot.running = self._starter.start(lease, slot.plan)
                except LeaseLost:
                    _log.warning("lease %d was taken over while its trial was started", lease.ordinal)
                except ArtifactsUnavailable as error:
                    # Nothing could be kept of the trial, and nothing is known of what is kept of it.
                    self._store.refused(error)
                    with suppress(LeaseLost):
                        self._patiently(leases.release, self._study.database, lease, spend_attempt=False)
                    return

    def _acquired(self) -> Lease | None:
        order = (self._id, self._settings.lease_seconds, self._promotion.rule)
        return self._patiently(leases.acquire, self._study.database, self._study.id, *order)

    def _may_start(self) -> bool:
        leaving = self._leaving.requested.is_set() or self._leaving.draining.is_set()
        is_worked_on = self._state == "running" and not leaving and self._remaining.suffices()
        return is_worked_on and self._store.seems_there()

    def _end_hopeless(self) -> None:
        if self._promotion.rule is not None:
            self._patiently(self._closer.end_paused, self._trials, self._promotion.rule)

    def _end_paused_of_an_ended_study(self) -> None:
        if self._promotion.rule is not None and self._state == "finished":
            self._patiently(self._closer.end_paused, self._trials, None)

    # --- listening

    def _hear(self, ready: Any) -> None:
        if ready in self._leaving.sources:
            self._leaving.hear(ready)
            return
        for slot in self._slots:
            running = slot.running
            if running and running.process.connection is ready:
                try:
                    self._hear_trial(slot, running)
                except LeaseLost:
                    self._abandon(slot, running)
                except DatabaseUnavailable:
                    running.words_lost = True
                    raise

    def _hear_trial(self, slot: Slot, running: RunningTrial) -> None:
        try:
            message = running.process.receive()
        except EOFError:
            exit_code = running.process.end(_EXIT_SECONDS)
            self._conclude(slot, running, running.process.obituary(exit_code, running.log))
            return
        if isinstance(message, Finished):
            running.process.end(_EXIT_SECONDS)
            self._conclude(slot, running, message)
        elif isinstance(message, StoreState):
            self._store.hear(running.number, message)
        elif not running.words_lost:
            self._answerer.answer(running, message)
        running.signs.note()

    # --- ending

    def _conclude(self, slot: Slot, running: RunningTrial, finished: Finished) -> None:
        self._empty(slot)
        # Slurm sends its SIGTERM to the trial processes too.
        running.stop_sent |= self._leaving.requested.is_set()
        if running.words_lost:
            finished = Finished(outcome=Outcome.INTERRUPTED, reason="the database was unavailable when its worker left")
        if POLICIES[finished.outcome].retried and not running.stop_sent:
            running.excused = self._store.has_failed_now()
        self._patiently(self._closer.conclude, running, finished)
        self._end_hopeless()
        # What was concluded may have ended the study, and no trial starts after that.
        self._polled = -math.inf

    def _empty(self, slot: Slot) -> None:
        if slot.running is not None:
            self._store.forget(slot.running.number)
        slot.running = None

    def _abandon(self, slot: Slot, running: RunningTrial) -> None:
        """Another worker has adopted the trial: end our process and write nothing."""
        self._empty(slot)
        _log.warning("trial %d was adopted by another worker; this worker stops working on it", running.number)
        running.process.kill()
        running.process.end(_EXIT_SECONDS)

    def _renew(self) -> None:
        seconds = self._settings.lease_seconds
        held = [slot.running.lease for slot in self._slots if slot.running]
        if not held or time.monotonic() - self._renewed < seconds / _RENEWALS_PER_LEASE:
            return
        self._renewed = time.monotonic()
        lost = self._patiently(leases.renew, self._study.database, held, seconds)
        for slot in self._slots:
            if slot.running and slot.running.lease.id in lost:
                self._abandon(slot, slot.running)

    def _end_overdue(self) -> None:
        for slot in self._slots:
            if slot.running and slot.running.overdue():
                self._end_now(slot, slot.running, _timed_out(slot.running))

    def _end_hanging(self) -> None:
        for slot in self._slots:
            if (running := slot.running) is None:
                continue
            waits = self._store.is_waited_for_by(running.number)
            try:
                finished = self._hangs.look(running, is_stopping=self._is_stopping(), waits_for_store=waits)
            except LeaseLost:
                self._abandon(slot, running)
            else:
                if finished is not None:
                    self._end_now(slot, running, finished)

    def _end_now(self, slot: Slot, running: RunningTrial, finished: Finished) -> None:
        running.process.kill()
        running.process.end(_EXIT_SECONDS)
        try:
            self._conclude(slot, running, finished)
        except LeaseLost:
            self._abandon(slot, running)

    def _leave_orderly(self) -> None:
        """Lets every trial process write its checkpoint and go, then releases the leases.

        Those of a database that is away expire instead.
        """
        deadline = time.monotonic() + self._settings.grace_seconds
        for slot in self._slots:
            if slot.running:
                slot.running.ask_to_leave()
        while self._busy() and (left := deadline - time.monotonic()) > 0:
            for ready in wait(self._connections(), timeout=left):
                with suppress(DatabaseUnavailable):
                    self._hear(ready)
        for slot in self._slots:
            if slot.running:
                late = Finished(outcome=Outcome.INTERRUPTED, reason="it did not leave in time and was killed")
                with suppress(DatabaseUnavailable):
                    self._end_now(slot, slot.running, late)

    def _leave(self) -> None:
        for slot in self._slots:
            if slot.running:
                slot.running.process.kill()
        try:
            self._patiently(workers.leave, self._study.database, self._id)
            self._patiently(studies.settle_stopping, self._study.database, self._study.id)
        except DatabaseUnavailable as error:
            _log.warning("%s; this worker's leases will expire", error)
        self._claim.release()
        self._publishing.write()


def _id(name: str | None) -> str:
    """Of one process: a worker that its engine starts again has another one with the same name in front."""
    named = f"{name}-" if name else ""
    return f"{named}{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"


def _timed_out(running: RunningTrial) -> Finished:
    timeout = running.assignment.spec.training.trial_timeout
    return Finished(
        outcome=Outcome.TIMED_OUT,
        cause="trial_timeout",
        reason=f"no end within trial_timeout ({timeout:g} s); {running.epochs} epochs trained",
    )
