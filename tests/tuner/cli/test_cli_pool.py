"""``tuner work --any``: pools of real workers on several studies."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from storage import leaderboard, leases, pool, studies, workers
from storage.connecting import connect
from storage.errors import StudyExists
from storage.tables import StudyRow
from tests.waiting import within
from tuner import api
from tuner.spec.choices import Space

eventually = partial(within, 120.0)


class Studies:
    """What the database says of a few studies."""

    def __init__(self, database: Any) -> None:
        self.database = database

    def closed(self, name: str) -> int:
        return leases.counts(self.database, studies.load_study(self.database, name).study_id).closed

    def held(self, name: str) -> int:
        return leases.counts(self.database, studies.load_study(self.database, name).study_id).held

    def state(self, name: str) -> str:
        return studies.load_study(self.database, name).state

    def workers(self, name: str) -> list[Any]:
        return workers.list_workers(self.database, studies.load_study(self.database, name).study_id)

    def assert_exact(self, name: str, ended: int) -> None:
        """So many trials were tried, once each."""
        trials = [each for each in leaderboard.trials(self.database, name) if each.outcome]
        assert [each.trial for each in trials] == list(range(ended))
        attempts = [leaderboard.trial(self.database, name, each.trial).attempts for each in trials]
        assert Counter(attempts) == {1: ended}


@pytest.fixture
def look(database: Any) -> Studies:
    return Studies(database)


@pytest.mark.slow
def test_one_pool_serves_small_and_urgent_studies_beside_a_big_one(
    place, make_spec, create_study, look, database, tmp_path
):
    once = {"sampler": "random", "training": {"epochs": 1, "batch_size": 16}}
    create_study(make_spec("Deterministic", study="big", trials=200, **once))
    gone = make_spec("Fast", study="gone", priority=9)
    record = create_study(gone.model_copy(update={"space": Space(name=f"{tmp_path}/gone.py:Gone")}))
    with database.writing() as session:
        session.get(StudyRow, record.study_id).versions = {"space": "of a file that this machine does not have"}
    create_study(make_spec("Fast", study="others", priority=20))

    run = ("work", "--any", "--studies", "[!o]*", "--slots", "1", "--turn", "2", "--storage", place.storage)
    working = place.start(*run)
    eventually(lambda: look.closed("big") >= 1)
    create_study(make_spec("Fast", study="small", trials=1, **once))
    eventually(lambda: look.held("small"))
    create_study(make_spec("Fast", study="urgent", trials=1, priority=5, **once))
    eventually(lambda: look.state("small") == look.state("urgent") == "finished")
    working.terminate()
    _, err = working.communicate(timeout=60)

    assert working.returncode == 0, err
    assert "Traceback" not in err
    lines = err.splitlines()
    begun = [line.split()[1].rstrip(":") for line in lines if "a worker starts" in line]
    assert begun[0] == "gone"
    assert begun[1] == "big"
    assert begun.index("small") < begun.index("urgent"), err
    assert any("study gone cannot run on this machine, next try in 30 s: " in line for line in lines)
    assert "study urgent: a worker starts (priority 5)" in lines
    assert any("study big: its worker leaves after its current trials; " in line for line in lines)
    assert [look.state(name) for name in ("big", "gone", "others")] == ["running"] * 3
    assert look.held("big") == 0
    for name, ended in (("small", 1), ("urgent", 1), ("big", look.closed("big"))):
        look.assert_exact(name, ended)
    assert {each.state for name in ("big", "small", "urgent") for each in look.workers(name)} == {"left"}
    assert look.workers("others") == look.workers("gone") == []
    assert not any(each.slots for each in pool.look(database).studies)
    assert "priority" in place.run("status", "urgent", "--storage", place.storage).out


@pytest.mark.slow
def test_a_pool_says_that_it_cannot_read_a_spec_and_serves_the_others(place, make_spec, create_study, look, database):
    once = {"trials": 1, "training": {"epochs": 1, "batch_size": 16}}
    record = create_study(make_spec("Fast", study="newer", priority=9, **once))
    with database.writing() as session:
        session.get(StudyRow, record.study_id).spec = record.spec | {"teleport": True}
    create_study(make_spec("Fast", study="small", **once))

    working = place.start("work", "--any", "--slots", "1", "--storage", place.storage)
    eventually(lambda: look.state("small") == "finished")
    working.terminate()
    _, err = working.communicate(timeout=60)

    assert working.returncode == 0, err
    assert "Traceback" not in err and "validation error" not in err
    said = "study newer cannot run on this machine, next try in 30 s: the stored spec of study newer cannot be read by "
    assert [line.startswith(said) for line in err.splitlines() if line.startswith("study newer ")] == [True]
    assert (look.state("newer"), look.workers("newer")) == ("running", [])


@pytest.fixture
def postgres_database(postgres_url):
    opened = connect(postgres_url, create=True)
    yield opened
    opened.close()


class TestTwoPools:
    @pytest.fixture
    def database(self, postgres_database):
        return postgres_database

    @pytest.mark.slow
    def test_two_pools_divide_two_studies_and_do_not_go_back_and_forth(
        self, place, make_spec, create_study, look, postgres_url
    ):
        once = {"sampler": "random", "training": {"epochs": 1, "batch_size": 16}}
        create_study(make_spec("Deterministic", study="big", trials=200, **once))
        run = ("work", "--any", "--slots", "1", "--storage", postgres_url)
        pools = [place.start(*run), place.start(*run)]
        eventually(lambda: len([each for each in look.workers("big") if each.versions]) == 2)
        create_study(make_spec("Fast", study="small", trials=3, **once))
        eventually(lambda: look.state("small") == "finished")
        for working in pools:
            working.terminate()
        errors = [working.communicate(timeout=60)[1] for working in pools]
        assert [working.returncode for working in pools] == [0, 0], errors
        # One pool stays; the other one goes to the small study, once, and perhaps back to help.
        assert len(look.workers("small")) == 1, errors
        assert len(look.workers("big")) in (2, 3), errors
        assert (look.state("big"), look.held("big")) == ("running", 0)
        look.assert_exact("small", 3)
        attempts = [leaderboard.trial(look.database, "big", each).attempts for each in range(look.closed("big"))]
        assert set(attempts) == {1}


@pytest.mark.fast
def test_a_pool_without_studies_waits_and_leaves_at_once(place):
    working = place.start("work", "--any", "--leave-code", "75")
    eventually(lambda: (place.folder / "tuner.db").exists())
    first = working.stderr.readline()
    working.terminate()
    _, err = working.communicate(timeout=60)
    assert (first + err, working.returncode) == ("No study needs a worker; this pool waits until one does\n", 75)


@pytest.mark.parametrize("arguments", [(), ("shapes", "--any"), ("--any", "--create-from", "spec.yaml")])
def test_work_is_for_a_study_or_for_any(arguments, tuner):
    ran = tuner("work", *arguments)
    assert ran.code == 2
    assert "give either a study, or --any" in ran.err


@pytest.mark.slow
def test_a_created_study_is_new_and_waits(make_spec, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE", str(cache))
    spec = make_spec("Fast", priority=2)
    url = f"sqlite:///{tmp_path}/created.db"
    status = api.create_study(spec, storage=url)
    assert (status.state, status.open, status.priority, status.workers) == ("running", spec.trials, 2, [])
    with pytest.raises(StudyExists, match="shapes"):
        api.create_study(spec, storage=url)
