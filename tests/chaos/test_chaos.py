"""The short version of ``scripts/chaos``, on every kind of database; and that its judge finds what is broken."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from disruption.evidence import Run, abandoned_in, runs_of
from disruption.plan import Freeze, KillTrial, KillWorker, Outage, draw_plan, full_disruptions, short_disruptions
from disruption.promises import Evidence, judge
from disruption.run import run_disrupted, run_undisturbed
from disruption.servers import MariaDbServer, NoServer, PostgresServer, ProxiedServer, Server, SqliteFile
from disruption.study import Place, Scale, make_place
from sqlalchemy import delete, text, update
from write_digits import write_digits

from storage.tables import EpochRow, LeaseRow, TrialRow

SCALE = Scale(trials=4, epochs=12, workers=2, lease_seconds=2.0)
SEED = 3
OUTAGE_SECONDS = 4.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("chaos")
    write_digits(folder / "digits")
    return make_place(folder, folder / "digits", f"sqlite:///{folder / 'undisturbed.db'}", SCALE, SEED)


@pytest.fixture(scope="module")
def reference(place: Place) -> dict[int, Any]:
    return run_undisturbed(place.named("undisturbed", place.url))


def _mariadb(folder: Path) -> Server:
    try:
        return MariaDbServer(folder / "mariadb")
    except NoServer as not_started:
        try:
            return ProxiedServer("mysql+pymysql://root@127.0.0.1:3306/mysql")
        except NoServer as not_reached:
            pytest.skip(f"no MariaDB or MySQL: {not_started}; {not_reached}")


SERVERS: dict[str, Callable[[Path], Server]] = {
    "sqlite": lambda folder: SqliteFile(folder / "tuner.db"),
    "postgresql": lambda folder: PostgresServer(folder / "postgres"),
    "mariadb": _mariadb,
}


@pytest.fixture
def server(kind: str) -> Iterator[Server]:
    # Not in pytest's folder: another pytest that starts meanwhile shuts it to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="tuner-chaos-") as folder, SERVERS[kind](Path(folder)) as started:
        yield started


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", list(SERVERS))
def test_nothing_is_lost(kind: str, server: Server, place: Place, reference: dict[int, Any]) -> None:
    outage = Outage("immediate", seconds=OUTAGE_SECONDS)
    disrupted = place.named(f"chaos-{kind}", server.url)
    findings = run_disrupted(disrupted, server, reference, short_disruptions(outage), SEED, print)
    broken = [f"{promise.name}: {promise.found}" for promise in findings.promises if not promise.kept]
    assert broken == []
    assert findings.counts["trials equal to the undisturbed run's"] == SCALE.trials
    if kind == "sqlite":
        _assert_that_the_judge_sees(findings.evidence)


def test_a_file_that_a_halted_process_keeps_locked_is_told(tmp_path: Path) -> None:
    with SqliteFile(tmp_path / "tuner.db") as server, closing(sqlite3.connect(tmp_path / "tuner.db")) as writer:
        assert not server.is_locked_for_good()
        writer.execute("BEGIN IMMEDIATE")
        assert server.is_locked_for_good()


# What is done to a study that kept every promise, and the promises that it then breaks.
DAMAGE: dict[str, tuple[Any, set[str]]] = {
    "an epoch is lost": (
        delete(EpochRow).where(EpochRow.epoch == 2),
        {"every epoch stored", "equal to the undisturbed run"},
    ),
    "a metric differs": (
        update(EpochRow).where(EpochRow.epoch == 1).values(metrics={"val_accuracy": 0.5}),
        {"equal to the undisturbed run"},
    ),
    "a lease is open": (update(LeaseRow).where(LeaseRow.ordinal == 0).values(state="open"), {"exact budget"}),
    "a trial failed": (
        update(TrialRow).where(TrialRow.number == 1).values(outcome="failed"),
        {"every trial complete, none failed"},
    ),
    # As if the lease had been adopted before the epoch was written: another attempt than the holder wrote it.
    "a frozen worker writes": (text("UPDATE chaos_writes SET token = token + 1 WHERE epoch = 3"), {"fencing"}),
    "a model is lost": (
        update(TrialRow).where(TrialRow.number == 1).values(checkpoint=None),
        {"the best models kept, and equal"},
    ),
}


def _assert_that_the_judge_sees(evidence: Evidence) -> None:
    def broken(changed: Evidence) -> set[str]:
        return {promise.name for promise in judge(changed) if not promise.kept}

    file = evidence.place.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(":memory:")) as saved:
        live.backup(saved)
        for what, (statement, promises) in DAMAGE.items():
            with evidence.database.writing() as session:
                session.execute(statement)
            assert broken(replace(evidence)) >= promises, what
            saved.backup(live)
    assert broken(replace(evidence)) == set()
    diary = evidence.diary
    for changed, promise in (
        (replace(evidence, diary=replace(diary, kills=[])), "the plan was carried out"),
        (replace(evidence, diary=replace(diary, freezes=[])), "fencing"),
        (replace(evidence, failure="the study had ended"), "the plan was carried out"),
    ):
        assert promise in broken(changed)


def test_a_run_is_read_from_its_log(tmp_path: Path) -> None:
    for token, lines in (
        (1, "--- trial 4, attempt 1\nEpoch 1 - 0.5s - loss: 2.3 - resume checkpoint\nEpoch 2 - 0.5s - loss: 2\n"),
        (10, "--- trial 4, attempt 3\nresumed after epoch 1\nEpoch 2 - 0.4s - loss: 2\n"),
        (2, "--- trial 4, attempt 2\n"),
    ):
        log = tmp_path / f"run-{token}" / "trial.log"
        log.parent.mkdir()
        log.write_text(lines)
    assert runs_of(tmp_path) == [
        Run(token=1, attempt=1, resumed=0, epochs=(1, 2), checkpoint=1),
        Run(token=2, attempt=2, resumed=0, epochs=(), checkpoint=0),
        Run(token=10, attempt=3, resumed=1, epochs=(2,), checkpoint=0),
    ]


def test_a_trial_that_was_given_up_is_read_from_its_workers_log() -> None:
    log = """2026-01-02 03:04:05,678 INFO trial 3: attempt 1 starts
2026-01-02 03:04:06,678 INFO trial 3: complete
2026-01-02 03:04:07,678 INFO trial 4: attempt 2 starts
2026-01-02 03:04:08,678 WARNING trial 4 was adopted by another worker; this worker stops working on it
"""
    assert abandoned_in(log) == {(4, 2)}


def test_a_plan_has_everything_in_every_seed() -> None:
    everything = full_disruptions()
    kills = sum(isinstance(each, KillWorker | KillTrial) for each in everything)
    outages = [each for each in everything if isinstance(each, Outage)]
    assert kills >= 8
    assert {each.mode for each in outages} == {"fast", "immediate"}
    assert sum(not each.seconds for each in outages) == 2
    assert [each.seconds for each in outages if each.seconds] == [20.0]
    assert any(isinstance(each, Freeze) for each in everything)
    for seed in range(20):
        plan = draw_plan(everything, 300, seed)
        assert sorted(map(repr, (step.disruption for step in plan))) == sorted(map(repr, everything))
        due = [step.after for step in plan]
        assert due == sorted(due) and due[-1] < 0.7 * 300
        assert draw_plan(everything, 300, seed) == plan
    assert len({draw_plan(everything, 300, seed) for seed in range(20)}) == 20
