"""A service on a database with studies of every kind, for tests that change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import optuna
import pytest

from storage import studies
from storage.connecting import connect
from storage.database import Database
from tests.tuner.http import seeding
from tuner.http.serving import Serving
from tuner.http.settings import ServiceSettings

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ODD = """odd/<b>name</b> "quoted" & 'more' {{ 7 * 7 }} ?x=1#y"""


@pytest.fixture(scope="module")
def filled_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Studies that run, have ended, have failed, have several objectives, or are of Optuna alone."""
    url = f"sqlite:///{tmp_path_factory.mktemp('pages')}/tuner.db"
    database = connect(url, create=True)
    _fill(database)
    database.close()
    return url


def _fill(database: Database) -> None:
    large = seeding.new_study(database, "large", 2000)
    seeding.finish_trials(database, large, 2000)
    studies.set_state(database, large.study_id, "finished", "all trials are done")
    several = seeding.new_study(database, "several", 200, seeding.ACCURACY, seeding.SIZE)
    seeding.finish_trials(database, several, 150)
    failed = seeding.new_study(database, "failed", 5)
    studies.set_state(database, failed.study_id, "failed", "5 trials failed in a row: <i>no</i> such layer")
    odd = seeding.new_study(database, ODD, 20)
    seeding.finish_trials(database, odd, 12)
    plain = optuna.create_study(storage=database.optuna, study_name="plain", direction="minimize")
    plain.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    running = seeding.new_study(database, "running", 30)
    seeding.finish_trials(database, running, 20)
    seeding.begin_trials(database, running, 2)
    seeding.new_study(database, "new", 3)


@pytest.fixture(scope="module")
def site(filled_url: str) -> Iterator[httpx.Client]:
    """A browser that may do everything, at a service on ``filled_url``."""
    settings = ServiceSettings(storage=filled_url, port=0, requests_per_minute=0, feed_seconds=0.05)
    with Serving(settings) as address, httpx.Client(base_url=address, headers=BROWSER, timeout=30) as client:
        yield client
