"""Carries a plan out: each disruption waits for the event that makes it one, and is entered in the diary."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import singledispatchmethod
from pathlib import Path
from typing import TypeVar

import psutil

from disruption.diary import Away, Diary, Frozen, Hung, Killed
from disruption.evidence import outages_said, runs_of, stores_said
from disruption.fleet import Fleet, Member, freeze, wake
from disruption.plan import (
    DamageCache,
    Freeze,
    FullDisk,
    HangTrial,
    KillAtRung,
    KillTrial,
    KillWorker,
    Leave,
    Outage,
    Step,
)
from disruption.servers import Server
from disruption.study import Place
from disruption.waiting import PATIENCE_SECONDS, PlanFailed, until
from disruption.watch import Holding, Watch

Answer = TypeVar("Answer")
Say = Callable[[str], None]
_GONE_SECONDS = 60.0
_HUNG = "it hung: no"
# Where within an epoch, and where between a lease's acquisition and the first epoch, a process dies.
_WITHIN_EPOCH, _AT_START = 0.7, 2.5


class Disruptor:
    """Does to a study what a plan says."""

    def __init__(self, place: Place, server: Server, fleet: Fleet, watch: Watch, seed: int, say: Say) -> None:
        self._place = place
        self._server = server
        self._fleet = fleet
        self._watch = watch
        self._chance = random.Random(seed + 1)
        self._say = say
        self.diary = Diary()

    def run(self, plan: Sequence[Step]) -> None:
        """Raises PlanFailed when the study does not come to where a step is due, or to its end."""
        for step in plan:
            self._until(lambda due=step.after: self._watch.epochs() >= due, f"{step.after} epochs are stored")
            self._do(step.disruption)
        self._until_ended()

    def _until_ended(self) -> None:
        progress: tuple[float, int] = (time.monotonic(), -1)

        def ended() -> bool:
            nonlocal progress
            self._fleet.tend(self._watch.running())
            epochs = self._watch.epochs()
            if epochs != progress[1]:
                progress = (time.monotonic(), epochs)
            stalled = time.monotonic() - progress[0] > PATIENCE_SECONDS
            return stalled or not (self._watch.running() or self._fleet.working())

        until(ended, "the study has ended", seconds=float("inf"))

    def _until(self, question: Callable[[], Answer | None], what: str, though_ended: bool = False) -> Answer:
        """The first answer that is true, while the study runs, or even though it has ended."""

        def asked() -> Answer | None:
            running = self._watch.running()
            self._fleet.tend(running)
            answer = question()
            if not (answer or running or though_ended):
                raise PlanFailed(f"the study had ended before {what}")
            return answer

        return until(asked, what)

    # --- what there is to do

    @singledispatchmethod
    def _do(self, disruption: object) -> None:
        raise TypeError(f"nobody knows how to do {disruption!r}")

    @_do.register
    def _kill_worker(self, kill: KillWorker) -> None:
        if kill.moment == "within an epoch":
            holding, member = self._target()
            self._wait_for_chance(_WITHIN_EPOCH)
        else:
            known = {(each.lease_id, each.token) for each in self._watch.holdings()}
            holding, member = self._target(lambda each: (each.lease_id, each.token) not in known)
            self._wait_for_chance(_AT_START)
        self._say(f"SIGKILL to {member.name}, {_of(holding)}; {kill.moment}")
        self.diary.kills.append(Killed("worker", member.name, holding.number, time.time()))
        self._fleet.kill(member)

    @_do.register
    def _kill_at_rung(self, kill: KillAtRung) -> None:
        if kill.moment == "in the middle of a pause":
            holding, member = self._target(lambda each: each.trial_id in self._watch.at_rungs("arrived"))
        else:
            known = {(each.lease_id, each.token) for each in self._watch.holdings()}
            holding, member = self._target(
                lambda each: (
                    (each.lease_id, each.token) not in known and each.trial_id in self._watch.at_rungs("promoted")
                )
            )
            self._wait_for_chance(_AT_START)
        self._say(f"SIGKILL to {member.name}, {_of(holding)}; {kill.moment}")
        self.diary.kills.append(Killed("worker", member.name, holding.number, time.time()))
        self._fleet.kill(member)

    @_do.register
    def _kill_trial(self, kill: KillTrial) -> None:
        while True:
            holding, member = self._target(training=True)
            self._wait_for_chance(_WITHIN_EPOCH)
            if self._kill_process(holding, member):
                return

    @_do.register
    def _freeze(self, order: Freeze) -> None:
        holding, member, trial = self._stop_a_worker()
        assert holding.number is not None
        processes = [psutil.Process(member.worker.pid), *(trial if order.trial_too else [])]
        freeze(processes)
        losses = _losses(member)
        before = runs_of(self._place.trial_folder(holding.number))
        checkpoint = max((run.checkpoint for run in before), default=0)
        self._say(f"{member.name}{' and its trial process' if order.trial_too else ''} frozen, {_of(holding)}")
        try:
            self._until(lambda: self._watch.adopted(holding), f"{_of(holding)} is adopted")
            self._say(f"{_of(holding)} is adopted; {member.name} wakes")
        finally:
            wake(processes)
        self._until(
            lambda: member.ended is not None or _losses(member) > losses,
            f"{member.name} says that its trial was adopted",
            though_ended=True,
        )
        _, alive = psutil.wait_procs(trial, timeout=_GONE_SECONDS)
        self.diary.freezes.append(
            Frozen(
                worker=member.name,
                trial=holding.number,
                trial_too=order.trial_too,
                token=holding.token,
                checkpoint=checkpoint,
                adopted=True,
                stopped=bool(trial) and not alive,
            )
        )

    @_do.register
    def _outage(self, outage: Outage) -> None:
        victims = self._two_targets() if outage.kill_meanwhile else ()
        begin = time.time()
        self._say(f"the database goes away ({outage.mode}{f', for {outage.seconds:g} s' if outage.seconds else ''})")
        self._server.take_away(outage.mode)
        try:
            if outage.kill_meanwhile:
                self._harm_while_away(*victims)
            if self._server.noticed and outage.seconds:
                until(self._somebody_says_so(begin), "a worker says that the database is away")
            threading.Event().wait(max(0.0, begin + outage.seconds - time.time()))
        finally:
            self._server.bring_back()
        self.diary.outages.append(Away(outage.mode, begin, time.time()))
        self._say("the database is back")
        stored = until(self._watch.epochs, "the database answers")
        self._until(lambda: self._watch.epochs() > stored, "an epoch is stored again")

    @_do.register
    def _hang(self, hang: HangTrial) -> None:
        while True:
            holding, member = self._target(training=True)
            noticed = member.log.count(_HUNG)
            processes = member.trial_processes()
            freeze(processes)
            self._say(f"SIGSTOP to the trial process of {member.name}, {_of(holding)}")
            answer = self._until(
                lambda member=member, holding=holding, noticed=noticed: (
                    (member.log.count(_HUNG) > noticed and "noticed")
                    or (self._watch.closed(holding.lease_id) and "ended")
                    or (member.ended is not None and "ended")
                ),
                f"{member.name} notices that its trial process hangs",
                though_ended=True,
            )
            # One that had said its last word just before is no disruption.
            if answer == "noticed":
                assert holding.number is not None
                _, alive = psutil.wait_procs(processes, timeout=_GONE_SECONDS)
                self.diary.hangs.append(Hung(member.name, holding.number, not alive))
                return
            wake(processes)

    @_do.register
    def _full_disk(self, disk: FullDisk) -> None:
        folder = self._place.trial_folder(0).parent.parent
        away = folder.with_name(f"{folder.name}-away")
        begin = time.time()
        self._say("the artifacts cannot be written")
        folder.rename(away)
        try:
            folder.write_text("where a disk was")
            self._until(lambda: self._said_of_the_store(begin), "a worker says that the artifacts cannot be written")
            threading.Event().wait(disk.seconds)
        finally:
            folder.unlink(missing_ok=True)
            away.rename(folder)
        self.diary.full_disks.append(Away("full", begin, time.time()))
        self._say("the artifacts can be written again")
        stored = self._watch.epochs()
        self._until(lambda: self._watch.epochs() > stored, "an epoch is stored again")

    @_do.register
    def _leave(self, leave: Leave) -> None:
        _, member = self._target(training=True)
        self._let_go(member)

    @_do.register
    def _damage_cache(self, damage: DamageCache) -> None:
        column = self._chance.choice(sorted(self._place.cache.glob("*/train-[xy]0.npy")))
        other = bytearray(column.read_bytes())
        other[-1] ^= 1
        # In its place, not in it: trials that run go on with what they have opened.
        beside = column.with_name(f".{column.name}.damaged")
        beside.write_bytes(other)
        beside.replace(column)
        self._say(f"{column.name} of the prepared data is damaged")
        self._until(lambda: _content(column) not in (b"", other), f"{column.name} is mended")
        self.diary.mended.append(column.name)

    # --- how it is done

    def _target(
        self, suits: Callable[[Holding], bool] = lambda holding: True, training: bool = False
    ) -> tuple[Holding, Member]:
        """A lease that a living worker of ours holds, and the worker.

        Args:
            training: an epoch is stored, and a process is at work on the next.
        """

        def found() -> list[tuple[Holding, Member]]:
            held = [(each, self._fleet.by_pid(each.pid)) for each in self._watch.holdings() if suits(each)]
            of_ours = [(holding, member) for holding, member in held if member is not None]
            return [(h, m) for h, m in of_ours if not training or (h.epochs and m.trial_processes())]

        return self._chance.choice(self._until(found, "a worker has a trial that suits"))

    def _two_targets(self) -> tuple[Member, Member]:
        one, first = self._target(training=True)
        return first, self._target(lambda other: other.pid != one.pid, training=True)[1]

    def _stop_a_worker(self) -> tuple[Holding, Member, list[psutil.Process]]:
        """A worker that stands still, and the process of its trial, which has not ended.

        The trial has a checkpoint: whoever adopts it must go on from there. The worker is not in the middle of a write
        that would keep everybody else from the database for as long as it stands still.
        """
        while True:
            holding, member = self._target(self._has_checkpoint, training=True)
            worker = [psutil.Process(member.worker.pid)]
            freeze(worker)
            trial = member.trial_processes()
            if trial and not self._server.is_locked_for_good():
                return holding, member, trial
            wake(worker)

    def _has_checkpoint(self, holding: Holding) -> bool:
        return holding.number is not None and any(
            run.checkpoint for run in runs_of(self._place.trial_folder(holding.number))
        )

    def _wait_for_chance(self, most_seconds: float) -> None:
        # Not for anything: any instant must do.
        threading.Event().wait(self._chance.uniform(0, most_seconds))

    def _kill_process(self, holding: Holding, member: Member) -> bool:
        """Kills the trial's process; False if the trial ended by itself just then."""
        said = member.log.count("killed by SIGKILL")
        for process in member.trial_processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        answer = self._until(
            lambda: (
                (member.log.count("killed by SIGKILL") > said and "noticed")
                or (self._watch.closed(holding.lease_id) and "ended")
                or (member.ended is not None and "ended")
            ),
            f"{member.name} notices that its trial process was killed",
            though_ended=True,
        )
        if answer == "noticed":
            self._say(f"SIGKILL to the trial process of {member.name}, {_of(holding)}; it goes on")
            self.diary.kills.append(Killed("trial process", member.name, holding.number, time.time()))
        return answer == "noticed"

    def _harm_while_away(self, killed: Member, leaving: Member) -> None:
        for process in killed.trial_processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
                self._say(f"SIGKILL to the trial process of {killed.name} meanwhile")
                self.diary.kills.append(Killed("trial process", killed.name, None, time.time()))
        self._let_go(leaving)

    def _let_go(self, member: Member) -> None:
        self._say(f"SIGTERM to {member.name}")
        self.diary.departures.append(member.name)
        self._fleet.leave(member)

    def _said_of_the_store(self, since: float) -> bool:
        return any(at >= since for member in self._fleet.working() for at in stores_said(member.log))

    def _somebody_says_so(self, since: float) -> Callable[[], bool]:
        return lambda: any(at >= since for member in self._fleet.working() for at in outages_said(member.log))


def _losses(member: Member) -> int:
    """How many trials the worker says that others have taken from it."""
    return sum(member.log.count(words) for words in ("adopted by another worker", "taken over"))


def _content(file: Path) -> bytes:
    """Empty while the folder is replaced."""
    with suppress(FileNotFoundError):
        return file.read_bytes()
    return b""


def _of(holding: Holding) -> str:
    return f"trial {holding.number}" if holding.number is not None else f"lease {holding.lease_id} without a trial"
