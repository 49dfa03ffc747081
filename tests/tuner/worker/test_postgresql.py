"""The same worker on PostgreSQL, with the database going away in the middle."""

from __future__ import annotations

import contextlib
import socket
import threading
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from storage import leaderboard, leases
from storage.database import connect


@pytest.fixture
def database(postgres_server):
    name = f"tuner_worker_{uuid4().hex[:12]}"
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    opened = connect(make_url(postgres_server).set(database=name).render_as_string(hide_password=False), create=True)
    yield opened
    opened.close()
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


class Proxy:
    """A way to the database that can be closed: what a network or a server restart does to clients."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pipes: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Ends every connection and refuses new ones."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.shutdown(socket.SHUT_RDWR)
        self._pipes.clear()

    def restore(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
                self._pipes += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def assert_exact(database, record, epochs):
    trials = leaderboard.trials(database, record.name)
    assert [(t.trial, t.outcome, t.epochs) for t in trials] == [(n, "complete", epochs) for n in range(record.budget)]
    assert leases.counts(database, record.study_id).closed == record.budget
    assert [leaderboard.trial(database, record.name, t.trial).attempts for t in trials] == [1] * record.budget


def test_two_workers_on_postgresql(create_study, start_worker, make_spec, database):
    spec = make_spec("Fast", trials=6, sampler="random")
    record = create_study(spec)
    workers = [start_worker(spec), start_worker(spec)]
    for worker in workers:
        assert worker.wait(90)
        worker.raise_if_failed()
    assert_exact(database, record, epochs=2)


def test_a_database_that_goes_away_costs_no_trial_and_no_epoch(
    create_study, start_worker, make_spec, database, tmp_path, eventually
):
    spec = make_spec("Fast", trials=5, training={"epochs": 20, "batch_size": 16, "early_stopping": None})
    record = create_study(spec)
    target = database.engine.url
    proxy = Proxy(target.host, target.port or 5432)
    url = target.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    # The lease runs out while the database is away; nobody adopts the trial, so the worker keeps it.
    worker = start_worker(spec, url, lease_seconds=1)
    for trial in (0, 2):
        eventually(lambda trial=trial: _epochs(database, spec.study, trial) >= 2)
        proxy.cut()
        eventually(lambda trial=trial: "trials go on" in worker.log.read_text().partition(f"trial {trial}: attempt")[2])
        eventually(lambda trial=trial: leases.counts(database, record.study_id).held == 0)
        proxy.restore()
    assert worker.wait(120)
    worker.raise_if_failed()
    assert_exact(database, record, epochs=20)
    assert worker.log.read_text().count("trials go on") == 2
    assert worker.log.read_text().count("the database is back") == 2


def _epochs(database, study, trial):
    return next((t.epochs for t in leaderboard.trials(database, study) if t.trial == trial), 0)
