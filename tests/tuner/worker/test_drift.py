"""Workers whose libraries, search space or data are not those that their study was launched with."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from storage import leases, progress
from storage.tables import StudyRow
from tuner.errors import LaunchError
from tuner.processes.versions import versions_here
from tuner.queries.workers import list_workers


@pytest.fixture
def spec(make_spec):
    return make_spec("Fast", trials=1)


@pytest.fixture
def record(create_study, spec):
    return create_study(spec)


@pytest.fixture
def set_versions(database, record, spec):
    """Changes what the study was launched with."""

    def change(**changed):
        with database.writing() as session:
            session.execute(update(StudyRow).values(versions=versions_here(spec) | changed))

    return change


@pytest.fixture
def other_data(database, record):
    """As if a file here had been changed since."""
    with database.writing() as session:
        session.execute(update(StudyRow).values(fingerprint="f" * 64))


def refusal(worker):
    assert worker.wait(60)
    with pytest.raises(LaunchError) as refused:
        worker.raise_if_failed()
    assert "--allow-version-drift" in str(refused.value)
    return str(refused.value)


def test_other_versions_and_other_code_are_refused(set_versions, start_worker, spec, database, record):
    set_versions(keras="1.0", python="2.7", space="f" * 64, **{"keras-champion": "0.0"})
    said = refusal(start_worker(spec))
    for what in ("keras is 3.", "the study's 2.7", "the search space's code is", "keras-champion is"):
        assert what in said
    assert "tensorflow" not in said
    assert leases.counts(database, record.study_id).open == 1
    assert progress.status(database, spec.study).workers == []


def test_other_data_is_refused(other_data, start_worker, spec, database, record):
    assert "the data is" in refusal(start_worker(spec))
    assert leases.counts(database, record.study_id).open == 1


def test_what_differs_is_a_warning_on_request(other_data, set_versions, start_worker, spec, database):
    set_versions(keras="1.0")
    worker = start_worker(spec, allow_version_drift=True)
    assert worker.wait(60)
    worker.raise_if_failed()
    first, second = worker.news()
    assert "keras is 3." in first
    assert "the data is" in second
    assert worker.news() == []
    assert progress.status(database, spec.study).complete == 1
    (listed,) = list_workers(spec.study, storage=str(database.engine.url))
    assert [words.partition(" is ")[0] for words in listed.drift] == ["keras", "the data"]


def test_the_same_versions_code_and_data_are_no_news(set_versions, start_worker, spec, database):
    set_versions()
    worker = start_worker(spec)
    assert worker.wait(60)
    worker.raise_if_failed()
    assert worker.news() == []
    (listed,) = list_workers(spec.study, storage=str(database.engine.url))
    assert (listed.drift, listed.state, listed.trials) == ([], "left", [])
