"""Several objectives, constraints, enqueue and warm start on the command line."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select, update

from storage.connecting import connect
from storage.tables import StudyRow
from tuner import api
from tuner.champion.choosing.candidates import candidates
from tuner.study.open_study import OpenStudy


@pytest.fixture(scope="module")
def searched(tmp_path_factory, cache, raw_spec):
    """A study of two objectives and its constraint, and one with a constraint that nothing keeps, started from it."""
    from tests.tuner.cli.conftest import Place

    place = Place(tmp_path_factory.mktemp("several"), cache)
    common = {"constraints": {"parameters": "<= 1000"}, "training": {"epochs": 1, "batch_size": 16}, "pruner": "asha"}
    objective = [{"metric": "val_score", "direction": "maximize"}, "parameters"]
    grid = {"name": "grid", "search_space": {"units": [4, 12, 16], "waste": [0, 8], "diverges": [False]}}
    several = raw_spec("Sized", study="several", objective=objective, sampler=grid, trials=6, **common)
    first = place.run("launch", place.write_spec(several))
    assert first.code == 0, first.err
    strict = common | {"constraints": {"parameters": "< 100"}, "pruner": "none"}
    warm = {"study": "several", "trials": 2}
    raw = raw_spec("Fast", study="strict", objective="val_loss", sampler="random", trials=2, warm_start=warm, **strict)
    second = place.run("launch", place.write_spec(raw))
    return place, first, second


@pytest.mark.slow
def test_a_launch_says_what_several_objectives_mean(searched):
    _, first, second = searched
    assert "objective val_score (maximize), parameters (minimize)" in first.err
    assert "Pruner asha is not used: with several objectives only promote is" in first.err
    assert "Sampler grid does not take the constraints into account; they only decide which trial is best" in first.err
    assert "breaks a constraint" in first.err and "best val_score so far" in first.err
    assert first.err.splitlines()[-1] == "`tuner best several` shows the Pareto front"
    assert second.code == 3
    # Of the front, 12 units are more than the other space has.
    assert re.search(
        r"Warm start: the configuration of trial \d of study several is tried first; 1 of 6 values fit; "
        r"not diverges, units, waste",
        second.err,
    )
    assert second.err.splitlines()[-1] == (
        "no complete trial keeps the constraints; `tuner best strict` shows the nearest"
    )


@pytest.mark.slow
def test_queries_show_the_front_and_every_objective(searched, tuner):
    folder = searched[0].folder
    best = tuner("best", "several", "--format", "json", cwd=folder).json
    # 16 units are beyond the constraint; a trial that wastes is never on the front.
    assert [(each["measures"]["parameters"], each["params"]["waste"]) for each in best] == [(867, 0), (291, 0)]
    assert [each["violation"] for each in best] == [0, 0]
    assert len(tuner("best", "several", "-k", "1", "--format", "json", cwd=folder).json) == 1
    table = tuner("best", "several", cwd=folder).out.splitlines()
    assert table[0].split()[:3] == ["trial", "val_score", "parameters"] and len(table) == 3
    now = tuner("status", "several", "--format", "json", cwd=folder).json
    assert (now["best_trial"], [each["metric"] for each in now["objectives"]]) == (
        best[0]["trial"],
        ["val_score", "parameters"],
    )
    assert "shows the Pareto front" in tuner("status", "several", cwd=folder).out
    assert "violation" in tuner("trials", "several", "--sort", "-parameters", cwd=folder).out.splitlines()[0]
    assert "measures    val_score=0.12  parameters=867" in tuner("show", "several", best[0]["trial"], cwd=folder).out
    assert tuner("best", "several", "--format", "csv", cwd=folder).out.startswith("trial,value,measures.val_score,")
    assert "no complete trial keeps the constraints" in tuner("status", "strict", cwd=folder).out


@pytest.mark.slow
def test_an_export_needs_to_know_which_trial(searched, tuner):
    folder = searched[0].folder
    ran = tuner("export", "several", "--to", "champion", cwd=folder)
    assert ran.code == 1
    assert ran.complaints[0].startswith("error: study several has several objectives: name a trial of its")
    assert ran.complaints[0].endswith("(prefer), one of val_score, parameters")
    ran = tuner("export", "several", "--to", "champion", "--prefer", "val_loss", cwd=folder)
    assert "not an objective of study several: prefer one of val_score, parameters" in ran.complaints[0]
    ran = tuner("export", "strict", "--to", "champion", cwd=folder)
    assert "no complete trial of study strict keeps the constraints; the nearest is trial" in ran.complaints[0]
    assert "parameters is 291 but must be < 100. To export it all the same, ask for trial" in ran.complaints[0]
    assert not (folder / "champion").exists()

    database = connect(f"sqlite:///{folder / 'tuner.db'}")
    study = OpenStudy.load(database, "several")
    front = api.best_trials("several", storage=f"sqlite:///{folder / 'tuner.db'}")
    assert candidates(study, None, "val_score", 5) == [front[0].trial]
    assert candidates(study, None, "parameters", 5) == [front[-1].trial]
    assert candidates(study, 5, None, 5) == [5]
    database.close()


@pytest.mark.slow
def test_a_trial_beyond_the_constraints_is_exported_on_demand_and_said(searched, tuner):
    folder = searched[0].folder
    nearest = tuner("best", "strict", "-k", "1", "--format", "json", cwd=folder).json[0]["trial"]
    ran = tuner("export", "strict", "--to", "nearest", "--trial", nearest, cwd=folder)
    assert "this trial breaks a constraint: parameters is 291 but must be < 100" in ran.err
    assert (ran.code, (folder / "nearest" / "model.keras").exists()) == (0, True)


@pytest.mark.fast
@pytest.mark.slow
def test_a_configuration_is_enqueued_or_refused_at_once(searched, tuner, raw_spec):
    folder = searched[0].folder
    ran = tuner("enqueue", "several", "units=16", cwd=folder)
    assert "uses the grid sampler, which tries only its own values" in ran.complaints[0]
    # The warm start had the space listed.
    ran = tuner("enqueue", "strict", "units=5", "droped=true", cwd=folder)
    assert "units: 5 is not allowed; it takes int from 4 to 8 in steps of 4" in ran.complaints[0]
    assert "no hyperparameter 'droped'; did you mean dropped?" in ran.complaints[0]
    ran = tuner("enqueue", "strict", "units=8", cwd=folder)
    assert "study 'strict' has no trial left to begin: all 2 have begun" in ran.complaints[0]
    ran = tuner("enqueue", "strict", "units", cwd=folder)
    assert ran.complaints == ["error: enqueue: 'units' does not have the form name=value"]


def test_a_space_that_was_not_listed_is_listed_to_enqueue(tuner, tmp_path, create_study, make_spec, database):
    # TUNER_CACHE and tuner.db are those of the fixtures.
    create_study(make_spec("Fast", trials=5))
    ran = tuner("enqueue", "shapes", "units=5")
    assert "units: 5 is not allowed; it takes int from 4 to 8 in steps of 4" in ran.complaints[0]
    ran = tuner("enqueue", "shapes", "units=8", "rate=1e-2")
    assert (ran.code, ran.complaints) == (0, ["study shapes: units=8  rate=0.01 will be tried next"])
    ran = tuner("enqueue", "shapes", "dropped=true")
    assert ran.complaints == ["study shapes: dropped=true will be tried next after 1 other"]

    # It is listed once: from now on nothing is built, which would take the space's file.
    with database.writing() as session:
        spec = session.scalar(select(StudyRow.spec))
        gone = {**spec, "space": {**spec["space"], "name": "/nowhere.py:Space"}}
        session.execute(update(StudyRow).values(spec=gone))
    file = tmp_path / "configurations.yaml"
    file.write_text("- {units: 4, rate: 1e-2}\n- {units: 5}\n- {unit: 4}\n")
    ran = tuner("enqueue", "shapes", "--from", file)
    assert ran.code == 1
    assert "configuration 2: units: 5 is not allowed" in ran.err and "configuration 3: no hyperparameter" in ran.err
    file.write_text('[{"units": 4, "rate": 0.01}, {"units": 8}, {"dropped": false}]')
    ran = tuner("enqueue", "shapes", "--from", file)
    assert ran.complaints == [
        "study shapes: units=4  rate=0.01 will be tried next after 2 others",
        "study shapes: units=8 will be tried next after 3 others",
        "study shapes: dropped=false will be tried next after 4 others",
    ]
    assert "has no trial left to begin" in tuner("enqueue", "shapes", "--from", file).err
    for wrong in ("units: 4", "[]", "- 3", "- {}"):
        file.write_text(wrong)
        assert tuner("enqueue", "shapes", "--from", file).code == 1
    for usage in ((), ("units=4", "--from", file)):
        assert tuner("enqueue", "shapes", *usage).code == 2
