"""Databases of an older version: refused, upgraded on demand, with every row kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from storage import leaderboard, schema, workers
from storage.connecting import connect
from storage.database import Database
from storage.errors import SchemaTooOld
from tests.storage.old_schema import make_first_schema, stored_rows

pytestmark = pytest.mark.fast


@pytest.fixture
def old_url(new_database_url: Callable[[], str]) -> str:
    return new_database_url()


@pytest.fixture
def old(old_url: str) -> Iterator[Database]:
    """A database of revision 0001 with a row in every table."""
    database = make_first_schema(old_url)
    yield database
    database.close()


def test_an_older_schema_is_refused(old: Database, old_url: str) -> None:
    for create in (False, True):
        with pytest.raises(SchemaTooOld, match="schema 0001") as refused:
            connect(old_url, create=create)
        assert (refused.value.found, refused.value.known) == ("0001", schema.REVISIONS[-1])


def test_an_upgrade_keeps_every_row(old: Database, old_url: str) -> None:
    before = stored_rows(old)
    schema.upgrade(old)
    assert stored_rows(old) == before
    database = connect(old_url)
    assert schema.found_revision(database) == schema.REVISIONS[-1]
    trial = leaderboard.trial(database, "old", 0)
    assert (trial.checkpoint, trial.checkpoint_size, trial.checkpoint_sha256) == ("trials/00000/best.keras", None, None)
    assert (trial.summary.measures, trial.summary.violation) == ({}, None)
    assert [worker.versions for worker in workers.list_workers(database, 1)] == [None]
    database.close()


def test_an_upgrade_that_got_halfway_is_completed(old: Database, old_url: str) -> None:
    with old.writing() as session:
        session.execute(text("ALTER TABLE tuner_trials ADD COLUMN checkpoint_size BIGINT"))
    schema.upgrade(old)
    connect(old_url).close()
