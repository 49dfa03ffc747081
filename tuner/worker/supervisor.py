"""The worker: one light, single-threaded process per node that gives leases to trial processes and records their words.

It never imports TensorFlow. Everything that must not be lost is in the database before the next thing happens.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from importlib.metadata import version
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from storage import leases, studies, workers
from storage.artifacts import StudyArtifacts
from storage.database import Database
from storage.errors import DatabaseUnavailable, LeaseLost
from storage.leases import Lease
from tuner.spec import SearchSpec
from tuner.trial.assignment import Assignment
from tuner.trial.messages import (
    Building,
    Built,
    EpochDone,
    Finished,
    Stop,
    Suggest,
    Suggested,
    Verdict,
)
from tuner.trial.outcome import Outcome
from tuner.worker.closing import TrialCloser, reaches_target
from tuner.worker.devices import plan_slots, usable_cores, visible_gpus
from tuner.worker.optuna_trials import OptunaTrials
from tuner.worker.patience import Patience
from tuner.worker.preparing import prepare_on_node
from tuner.worker.running import RunningTrial, Slot
from tuner.worker.sampling import ENUMERATING
from tuner.worker.settings import WorkerSettings
from tuner.worker.trial_process import TrialProcess, start_forkserver

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs trials of one study until there is nothing left to do or it is told to leave."""

    def __init__(self, settings: WorkerSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._record = studies.load_study(database, settings.study)
        self._spec = SearchSpec.model_validate(self._record.spec)
        self._artifacts = StudyArtifacts.at(self._record.artifacts, settings.study)
        self._leaving = threading.Event()
        self._patiently = Patience(self._leaving)
        self._id = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        gpus = visible_gpus()
        self._slots = [Slot(plan) for plan in plan_slots(settings.resources, gpus, usable_cores())]
        self._gpus = gpus
        self._trials = OptunaTrials(database, self._record, self._spec)
        self._closer = TrialCloser(database, self._record, self._spec, self._artifacts, settings.max_attempts)
        self._state: str = self._record.state
        self._polled = -math.inf
        self._renewed = 0.0

    def run(self) -> None:
        """Works until the study has ended or stopped, or SIGTERM, SIGINT or a closed standard input say leave.

        Raises:
            DataError: this node's data cannot be read, or is not the study's.
            StorageError: the database refuses, rather than being away.
        """
        start_forkserver(self._artifacts.worker_log(self._id).with_suffix(".forkserver.log"))
        wakeup = self._listen_for_signals()
        data = prepare_on_node(self._spec, self._record, self._settings.cache, self._artifacts.worker_log(self._id))
        self._patiently(
            workers.register,
            self._database,
            self._id,
            self._record.study_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=len(self._slots),
            gpus=list(self._gpus),
            version=version("keras-champion"),
        )
        self._data = data
        try:
            self._patiently(self._closer.tell_untold, self._trials)
            self._loop(wakeup)
        finally:
            self._leave()

    def _loop(self, wakeup: list[Any]) -> None:
        while True:
            self._poll()
            self._fill_slots()
            if not self._busy() and self._nothing_to_do():
                return
            for ready in wait([*self._connections(), *wakeup], timeout=self._settings.poll_seconds):
                self._hear(ready)
            self._renew()
            self._end_overdue()
            if self._leaving.is_set():
                self._leave_orderly()
                return

    # --- signals

    def _listen_for_signals(self) -> list[Any]:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._wakeup = (reader, writer)
        return [reader, sys.stdin] if self._settings.follow_stdin else [reader]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._leaving.set()

    # --- news

    def _poll(self) -> None:
        if time.monotonic() - self._polled < self._settings.poll_seconds:
            return
        self._polled = time.monotonic()
        record = self._patiently(studies.load_study, self._database, self._settings.study)
        self._state, self._record = record.state, record
        self._patiently(workers.seen, self._database, self._id)
        if self._state == "running" and self._past_deadline() and not self._busy():
            self._patiently(
                studies.set_state,
                self._database,
                record.study_id,
                "finished",
                "the timeout has passed",
                only_from=("running",),
            )

    def _past_deadline(self) -> bool:
        return self._patiently(studies.past_deadline, self._database, self._record.study_id)

    def _nothing_to_do(self) -> bool:
        if self._state != "running" or self._leaving.is_set():
            return True
        counts = self._patiently(leases.counts, self._database, self._record.study_id)
        return counts.all_closed

    def _busy(self) -> bool:
        return any(slot.running for slot in self._slots)

    def _running(self) -> Iterable[RunningTrial]:
        return [slot.running for slot in self._slots if slot.running]

    def _connections(self) -> list[Connection]:
        return [running.process.connection for running in self._running()]

    # --- starting

    def _fill_slots(self) -> None:
        for slot in self._slots:
            while slot.running is None and self._state == "running" and not self._leaving.is_set():
                if self._past_deadline():
                    return
                lease = self._patiently(
                    leases.acquire,
                    self._database,
                    self._record.study_id,
                    self._id,
                    self._settings.lease_seconds,
                )
                if lease is None:
                    return
                try:
                    slot.running = self._start(slot, lease)
                except LeaseLost:
                    _log.warning("lease %d was taken over while its trial was started", lease.ordinal)

    def _start(self, slot: Slot, lease: Lease) -> RunningTrial | None:
        """Starts the lease's trial, or closes the lease if its attempts are spent."""
        lease = self._patiently(leases.start_trial, self._database, lease)
        assert lease.trial_id is not None and lease.number is not None
        live = self._patiently(self._trials.open, lease.trial_id, lease.number)
        if lease.attempts > self._settings.max_attempts:
            self._patiently(self._closer.give_up, lease, live)
            return None
        assignment = self._assignment(slot, lease)
        _log.info("trial %d: attempt %d starts", lease.number, lease.attempts)
        process = TrialProcess(assignment.model_dump_json())
        return RunningTrial(lease=lease, live=live, process=process, assignment=assignment)

    def _assignment(self, slot: Slot, lease: Lease) -> Assignment:
        assert lease.number is not None
        enumerating = self._spec.sampler.name in ENUMERATING
        return Assignment(
            spec=self._spec,
            number=lease.number,
            attempt=lease.attempts,
            data=self._data,
            checkpoint=self._artifacts.checkpoint(lease.number),
            resume_folder=self._artifacts.resume_folder(lease.number),
            log=self._artifacts.log(lease.number),
            preset=lease.preset,
            use_defaults=lease.ordinal == 0 and not enumerating,
            devices=slot.plan.devices,
            share_device=slot.plan.share_device,
            threads=slot.plan.threads,
        )

    # --- listening

    def _hear(self, ready: Any) -> None:
        if ready is self._wakeup[0]:
            ready.recv(4096)
            return
        if ready is sys.stdin:
            if not os.read(sys.stdin.fileno(), 4096):
                self._leaving.set()
            return
        slot = next(slot for slot in self._slots if slot.running and slot.running.process.connection is ready)
        assert slot.running is not None
        try:
            self._hear_trial(slot, slot.running)
        except LeaseLost:
            self._abandon(slot)

    def _hear_trial(self, slot: Slot, running: RunningTrial) -> None:
        try:
            message = running.process.receive()
        except EOFError:
            finished = running.process.obituary(running.process.end(grace_seconds=5.0), running.log)
            self._conclude(slot, running, finished)
            return
        if isinstance(message, Suggest):
            self._answer_suggestion(running, message)
        elif isinstance(message, EpochDone):
            self._answer_epoch(running, message)
        elif isinstance(message, Built):
            running.parameters = message.parameters
        elif isinstance(message, Finished):
            running.process.end(grace_seconds=5.0)
            self._conclude(slot, running, message)
        elif isinstance(message, Building):
            _log.debug(
                "trial %d: build begins %.3f s after its start",
                running.number,
                time.monotonic() - running.started,
            )

    def _answer_suggestion(self, running: RunningTrial, asked: Suggest) -> None:
        try:
            value = self._patiently(running.live.suggest, asked.name, asked.distribution, asked.value)
            running.process.send(Suggested(value=value))
        except ValueError as error:
            running.process.send(Suggested(error=f"hyperparameter {asked.name}: {error}"))

    def _answer_epoch(self, running: RunningTrial, done: EpochDone) -> None:
        running.epochs = done.epoch
        value = done.metrics[self._spec.objective.metric]
        self._patiently(
            leases.record_epoch,
            self._database,
            running.lease,
            done.epoch,
            done.metrics,
            done.seconds,
        )
        if done.resume is not None:
            resume = {"epoch": done.epoch, "file": done.resume}
            self._patiently(leases.save_resume, self._database, running.lease, resume)
        pruned = self._patiently(running.live.report, done.epoch, value)
        running.process.send(Verdict(epoch=done.epoch, decision=self._decide(running, value, pruned)))

    def _decide(self, running: RunningTrial, value: float, pruned: bool) -> Any:
        if self._state != "running" and self._state != "finished":
            running.stop_sent = True
            return "stop"
        if reaches_target(self._spec, value):
            return "finish"
        return "prune" if pruned else "continue"

    # --- ending

    def _conclude(self, slot: Slot, running: RunningTrial, finished: Finished) -> None:
        slot.running = None
        self._patiently(self._closer.conclude, running, finished)
        # What was concluded may have ended the study, and no trial starts after that.
        self._polled = -math.inf

    def _abandon(self, slot: Slot) -> None:
        """Another worker has adopted the trial: end our process and write nothing."""
        running, slot.running = slot.running, None
        if running is not None:
            _log.warning("trial %d was adopted by another worker; leaving it", running.number)
            running.process.kill()
            running.process.end(grace_seconds=5.0)

    def _renew(self) -> None:
        held = [slot for slot in self._slots if slot.running]
        if not held or time.monotonic() - self._renewed < self._settings.lease_seconds / 6:
            return
        self._renewed = time.monotonic()
        seconds = self._settings.lease_seconds
        lost = self._patiently(
            leases.renew,
            self._database,
            [slot.running.lease for slot in held if slot.running],
            seconds,
        )
        for slot in held:
            if slot.running and slot.running.lease.id in lost:
                self._abandon(slot)

    def _end_overdue(self) -> None:
        for slot in self._slots:
            running = slot.running
            if running is None or not running.overdue():
                continue
            running.process.kill()
            running.process.end(grace_seconds=5.0)
            timeout = self._spec.training.trial_timeout
            finished = Finished(
                outcome=Outcome.TIMED_OUT,
                cause="trial_timeout",
                reason=f"no end within trial_timeout ({timeout:g} s); {running.epochs} epochs trained",
            )
            try:
                self._conclude(slot, running, finished)
            except LeaseLost:
                self._abandon(slot)

    def _leave_orderly(self) -> None:
        """Lets every trial process write its checkpoint and go, then releases the leases."""
        deadline = time.monotonic() + self._settings.grace_seconds
        for running in self._running():
            running.stop_sent = True
            running.process.send(Stop())
        while self._busy() and (left := deadline - time.monotonic()) > 0:
            for ready in wait(self._connections(), timeout=left):
                self._hear(ready)
        for slot in self._slots:
            if slot.running is not None:
                slot.running.process.kill()
                slot.running.process.end(grace_seconds=1.0)
                late = Finished(outcome=Outcome.INTERRUPTED, reason="did not leave in time; killed")
                self._conclude(slot, slot.running, late)

    def _leave(self) -> None:
        for running in self._running():
            running.process.kill()
        try:
            self._patiently(workers.leave, self._database, self._id)
            self._patiently(studies.settle_stopping, self._database, self._record.study_id)
        except DatabaseUnavailable as error:
            _log.warning("%s; this worker's leases will expire", error)
        signal.set_wakeup_fd(-1)
