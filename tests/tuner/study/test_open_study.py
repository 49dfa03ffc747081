"""A study that is open: its parts follow from its record, and a spec of another version is one clear error."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from storage.errors import UnknownStudy
from storage.tables import StudyRow
from tuner.errors import SpecError, SpecMismatch, UnreadableSpec
from tuner.processes.versions import own_version
from tuner.spec.search_spec import MOST_TRIALS
from tuner.study.open_study import OpenStudy, opened_study, study_spec
from tuner.study.stored_spec import read_stored_spec


@pytest.fixture
def spec(make_spec: Any) -> Any:
    return make_spec("Fast")


@pytest.fixture
def record(create_study: Any, spec: Any) -> Any:
    return create_study(spec)


def test_the_parts_follow_from_the_record(database, record, spec, cache):
    study = OpenStudy.load(database, "shapes", cache)
    assert (study.name, study.id, study.record) == ("shapes", record.study_id, record)
    assert study.spec.stored() == spec.stored()
    assert study.spec is study.spec and study.artifacts is study.artifacts
    assert (study.artifacts.place, study.artifacts.scratch) == (spec.artifacts, cache / "studies")
    with pytest.raises(UnknownStudy):
        OpenStudy.load(database, "shaps")


def test_more_trials_are_seen_when_the_study_is_read_again(database, record):
    study = OpenStudy.load(database, "shapes")
    study.raise_trials(5)
    assert (study.record.budget, study.spec.trials) == (3, 3)
    assert (study.again().record.budget, study.again().spec.trials) == (5, 5)
    with pytest.raises(SpecMismatch, match=r"can be raised, not lowered \(5 to 4\)"):
        study.again().raise_trials(4)
    with pytest.raises(SpecError, match=f"at most {MOST_TRIALS}"):
        study.raise_trials(MOST_TRIALS + 1)


def test_it_is_opened_by_name_in_a_database_by_its_url_too(database, record, spec):
    with opened_study("shapes", database) as study:
        assert study.database is database
    assert study_spec("shapes", storage=database.url).stored() == spec.stored()


def test_a_spec_of_a_newer_version_says_which_keys_are_new_and_what_to_do(database, record, spec):
    written = spec.stored() | {"teleport": True}
    written["training"] = written["training"] | {"warmup": 3}
    written["data"] = written["data"] | {"mirror": "x"}
    with database.writing() as session:
        session.execute(update(StudyRow).values(spec=written, versions={"keras-champion": "9.1.0"}))
    study = OpenStudy.load(database, "shapes")
    with pytest.raises(UnreadableSpec) as raised:
        _ = study.spec
    assert (raised.value.study, raised.value.launched_with) == ("shapes", "9.1.0")
    assert sorted(raised.value.keys) == ["data.mirror", "teleport", "training.warmup"]
    listed = ", ".join(raised.value.keys)
    assert str(raised.value) == (
        f"the stored spec of study shapes cannot be read by keras-champion {own_version()}, which is installed here: "
        f"it does not know the keys {listed}. Version 9.1.0 launched the study. Upgrade this installation to the "
        "newest version that works on the study"
    )
    # What does without the spec does without this version's knowing it.
    study.raise_trials(5)
    assert study.again().record.spec["teleport"] is True


@pytest.mark.parametrize(
    ("changed", "keys", "said"),
    [
        ({"trials": "many"}, ("trials",), "it does not take the value of trials: must be an integer (it is 'many')"),
        ({"data": {"kind": "hologram"}}, ("data",), "it does not take the value of data: kind must be one of "),
        ({"new": 1, "seed": -1}, ("new", "seed"), "it does not know the key new; it does not take the value of seed: "),
    ],
)
def test_a_value_that_this_version_does_not_take_is_named_too(spec, changed, keys, said):
    with pytest.raises(UnreadableSpec) as raised:
        read_stored_spec(spec.stored() | changed, "shapes")
    assert raised.value.keys == keys and raised.value.launched_with is None
    assert said in str(raised.value) and "launched the study" not in str(raised.value)
    assert "pydantic" not in str(raised.value) and "validation error" not in str(raised.value)
