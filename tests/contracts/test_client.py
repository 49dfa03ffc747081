"""The Python API and the client over HTTP: one suite for both, on every kind of database."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest
from disruption.proxy import Proxy
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from storage import leases, standing, studies, workers
from storage.connecting import connect
from storage.database import Database
from storage.errors import (
    StudyExists,
    StudyInUse,
    UnknownAlias,
    UnknownChampion,
    UnknownColumn,
    UnknownStudy,
    UnknownTrial,
)
from storage.pool import PoolMember
from tests.tuner.http import seeding
from tuner import api
from tuner.champion.records.champion_json import read_champion
from tuner.champion.registry.files import register_export
from tuner.client import Client
from tuner.errors import ConfirmationError, CursorError, LaunchError, SpecError, SpecMismatch, TunerError
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import Resources
from tuner.study.open_study import OpenStudy

NewStudy = Callable[..., Any]


class InProcess:
    """``tuner.api`` with the storage filled in."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __getattr__(self, name: str) -> Any:
        return partial(getattr(api, name), storage=self._url)


@pytest.fixture(params=["in process", "over HTTP"])
def tuner(request: pytest.FixtureRequest, database_url: str) -> Iterator[Any]:
    if request.param == "in process":
        yield InProcess(database_url)
        return
    allowed = {"launchers": ("local",), "data_roots": (request.getfixturevalue("tmp_path"),)}
    address = request.getfixturevalue("serving")(database_url, **allowed)
    with Client(address) as client:
        yield client


def filled(database: Database, new_study: NewStudy, name: str = "digits") -> Any:
    """A study with two complete trials, a failed one, one that runs, and one that has not begun."""
    record = new_study(name, budget=5)
    workers.register(database, "w1", record.study_id, host="n1", pid=1, slots=1, gpus=[], version="1")
    for value, metrics in ((0.5, {"loss": math.nan}), (0.9, {"loss": 0.25}), (None, {})):
        lease = leases.start_trial(database, leases.acquire(database, record.study_id, "w1", 60))
        database.rdb.set_trial_param(lease.trial_id, "lr", 0.1 * (lease.number + 1), FloatDistribution(0, 1))
        if value is not None:
            leases.record_epoch(database, lease, 1, {"val_accuracy": value, **metrics}, 2.0)
        outcome = "failed" if value is None else "complete"
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        result = leases.TrialResult(lease.trial_id, lease.number, outcome, value=value, metrics=metrics)
        leases.close(database, lease, result)
        database.rdb.set_trial_state_values(lease.trial_id, state, None if value is None else [value])
    leases.start_trial(database, leases.acquire(database, record.study_id, "w1", 60))
    return record


def retired(database: Database, record: Any) -> None:
    """Its worker leaves, and no lease is held."""
    from sqlalchemy import update

    from storage.tables import LeaseRow

    with database.writing() as session:
        held = (LeaseRow.study_id == record.study_id) & (LeaseRow.state == "held")
        session.execute(update(LeaseRow).where(held).values(state="open", expires_at=None))
    workers.leave(database, "w1")


def test_what_is_asked_of_a_study(tuner: Any, database: Database, new_study: NewStudy) -> None:
    filled(database, new_study)
    (overview,) = tuner.list_studies()
    assert (overview.study, overview.done, overview.budget, overview.best_value) == ("digits", 3, 5, 0.9)
    status = tuner.study_status("digits")
    assert (status.complete, status.failed, status.running, status.open) == (2, 1, 1, 1)
    assert status.workers[0].host == "n1" and status.workers[0].started_at.tzinfo is not None
    assert tuner.stored_spec("digits") == {"trials": 5}
    assert [each.trial for each in tuner.best_trials("digits")] == [1, 0]
    assert [each.trial for each in tuner.list_trials("digits", sort="value", descending=True)] == [1, 0, 2, 3]
    assert [each.trial for each in tuner.list_trials("digits", state="complete", limit=1)] == [0]
    (worker,) = tuner.list_workers("digits")
    assert (worker.worker, worker.trials, worker.state) == ("w1", [3], "live")
    leases_of_study = tuner.lease_page("digits").items
    assert [each.state for each in leases_of_study] == ["closed", "closed", "closed", "held", "open"]
    assert tuner.list_launches("digits") == []


def test_one_trial_has_its_curve_and_what_is_no_number_comes_as_it_is(
    tuner: Any, database: Database, new_study: NewStudy
) -> None:
    filled(database, new_study)
    detail = tuner.show_trial("digits", 0)
    assert (detail.summary.value, detail.attempts, detail.worker) == (0.5, 1, "w1")
    (epoch,) = detail.curve
    assert epoch.metrics["val_accuracy"] == 0.5 and math.isnan(epoch.metrics["loss"])
    assert math.isnan(detail.summary.metrics["loss"])
    assert detail.summary.params == {"lr": pytest.approx(0.1)}


def test_pages_together_are_the_list(tuner: Any, database: Database, new_study: NewStudy) -> None:
    filled(database, new_study)
    for sort, descending in product(("trial", "value", "state", "seconds", "lr", "loss"), (False, True)):
        pages_are_the_list(tuner, sort, descending)


def pages_are_the_list(tuner: Any, sort: str, descending: bool) -> None:
    whole = [each.trial for each in tuner.list_trials("digits", sort=sort, descending=descending)]
    seen, cursor = [], None
    while True:
        page = tuner.trial_page("digits", sort=sort, descending=descending, limit=1, cursor=cursor)
        seen += [each.trial for each in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == whole and len(seen) == 4, (sort, descending)


def test_pages_of_studies_leases_and_champions(tuner: Any, database: Database, new_study: NewStudy) -> None:
    for name in ("a", "b", "c"):
        new_study(name)
    first = tuner.study_page(limit=2)
    second = tuner.study_page(limit=2, cursor=first.cursor)
    assert [each.study for each in (*first.items, *second.items)] == ["c", "b", "a"] and second.cursor is None
    page = tuner.lease_page("a", limit=2)
    assert [each.ordinal for each in tuner.lease_page("a", limit=2, cursor=page.cursor).items] == [2]
    assert tuner.champion_page().items == [] and tuner.list_champions() == []


def test_a_cursor_of_another_list_is_refused(tuner: Any, database: Database, new_study: NewStudy) -> None:
    filled(database, new_study)
    filled(database, new_study, "other")
    cursor = tuner.trial_page("digits", limit=1).cursor
    for study, order in (("other", {}), ("digits", {"sort": "value"}), ("digits", {"state": "complete"})):
        with pytest.raises(CursorError, match="the cursor belongs to another study, filter or order"):
            tuner.trial_page(study, cursor=cursor, **order)
    with pytest.raises(CursorError, match="not the cursor of a page"):
        tuner.trial_page("digits", cursor="nonsense!")


def test_errors_are_the_same_errors(tuner: Any, database: Database, new_study: NewStudy) -> None:
    filled(database, new_study)
    with pytest.raises(UnknownStudy, match="no study 'digit'; there is 'digits'") as unknown:
        tuner.study_status("digit")
    assert (unknown.value.name, unknown.value.known) == ("digit", ("digits",))
    with pytest.raises(UnknownTrial, match="it has trials 0 to 3") as trial:
        tuner.show_trial("digits", 9)
    assert trial.value.count == 4
    with pytest.raises(UnknownColumn, match="cannot sort by 'nothing'"):
        tuner.list_trials("digits", sort="nothing")
    with pytest.raises(TunerError, match="'idle' is not a state or outcome of trials"):
        tuner.list_trials("digits", state="idle")
    with pytest.raises(UnknownAlias):
        tuner.alias_history("production")
    with pytest.raises(UnknownChampion, match="no champion yet"):
        tuner.promote("digits", 1, "production")


def test_names_of_every_kind(tuner: Any, database: Database) -> None:
    names = ["a/b", "../../etc/passwd", "..", "<script>alert(1)</script>", "'; DROP TABLE studies; --", "100% ü?#&=+"]
    for name in names:
        optuna.create_study(study_name=name, storage=database.optuna).add_trial(create_trial(value=1.0))
    assert [tuner.study_status(name).study for name in names] == names
    assert [tuner.best_trials(name)[0].value for name in names] == [1.0] * len(names)
    assert len(tuner.list_studies()) == len(names)


def test_what_cannot_be_launched(tuner: Any, database: Database, new_study: NewStudy, tmp_path: Path) -> None:
    new_study("digits")
    for name in ("even", "odd"):
        (tmp_path / "images" / name).mkdir(parents=True)
    raw = {"study": "digits", "data": {"kind": "image_directory", "path": f"{tmp_path}/images"}, "space": "image"}
    spec = SearchSpec.model_validate(raw | {"objective": "val_accuracy"})
    with pytest.raises(StudyExists, match="digits"):
        tuner.create_study(spec)
    with pytest.raises(SpecError, match="together with `on`") as unnamed:
        tuner.create_study(spec, workers=2)
    assert unnamed.value.problems[0].key == "workers"
    greedy = spec.model_copy(update={"resources": Resources(cpus_per_worker=100_000)})
    with pytest.raises(LaunchError, match="100000 cores per worker are requested"):
        tuner.create_study(greedy, on="local", workers=1)
    with pytest.raises(LaunchError, match="no engine runs workers of study digits"):
        tuner.scale("digits", 2)


def test_the_workers_that_live_are_those_of_every_study(tuner: Any, database: Database, new_study: NewStudy) -> None:
    digits, other = filled(database, new_study), new_study("other", versions={"keras": "4"})
    for name in ("w2", "w3"):
        given: dict[str, Any] = {"host": "n2", "pid": 2, "slots": 3, "gpus": ["0"], "version": "1"}
        workers.register(database, name, other.study_id, versions={"keras": "3"}, **given)
    workers.leave(database, "w2")
    first = tuner.worker_page(limit=1)
    second = tuner.worker_page(limit=1, cursor=first.cursor)
    shown = [(each.worker, each.study, each.trials, each.state) for each in (*first.items, *second.items)]
    assert shown == [("w1", digits.name, [3], "live"), ("w3", "other", [], "live")]
    assert second.cursor is None and "keras" in second.items[0].drift[0]
    with pytest.raises(CursorError):
        tuner.worker_page(cursor=tuner.study_page(limit=1).cursor)


def test_stop_and_resume(tuner: Any, database: Database, new_study: NewStudy) -> None:
    new_study("digits")
    assert tuner.stop("digits") == "stopped"
    assert tuner.resume("digits").state == "running"


def test_more_trials_are_given_and_none_taken_away(tuner: Any, database: Database, new_study: NewStudy) -> None:
    record = new_study("digits", budget=3)
    studies.set_state(database, record.study_id, "finished", "enough")
    more = tuner.resume("digits", trials=5)
    assert (more.state, more.budget, more.open) == ("running", 5, 5)
    assert tuner.stored_spec("digits")["trials"] == 5
    with pytest.raises(SpecMismatch, match=r"can be raised, not lowered \(5 to 4\)"):
        tuner.resume("digits", trials=4)
    with pytest.raises(SpecError, match=r"trials: (a study can have|the service allows) at most") as refused:
        tuner.resume("digits", trials=1_000_001)
    assert [each.key for each in refused.value.problems] == ["trials"]
    assert tuner.study_status("digits").budget == 5


def test_a_study_is_deleted_once_confirmed_and_unused(
    tuner: Any, database: Database, new_study: NewStudy, tmp_path: Path
) -> None:
    record = filled(database, new_study)
    kept = filled_beside(database, new_study, tmp_path)
    with pytest.raises(ConfirmationError, match="confirm the deletion with the study's name"):
        tuner.delete_study("digits", confirm="yes")
    with pytest.raises(StudyInUse, match="1 worker works on it") as used:
        tuner.delete_study("digits", confirm="digits")
    assert used.value.workers == ("w1",)
    retired(database, record)
    tuner.delete_study("digits", confirm="digits")
    with pytest.raises(UnknownStudy):
        tuner.study_status("digits")
    assert rows_of(database, record.study_id) == 0 and rows_of(database, kept.study_id) > 0
    (tmp_path / "artifacts" / "kept" / "trials").mkdir(parents=True)
    tuner.delete_study("kept", confirm="kept", artifacts=True)
    assert tuner.list_studies() == [] and not (tmp_path / "artifacts" / "kept").exists()


def filled_beside(database: Database, new_study: NewStudy, tmp_path: Path) -> Any:
    return new_study("kept", artifacts=str(tmp_path / "artifacts"))


def rows_of(database: Database, study_id: int) -> int:
    """In every table that names a study."""
    from sqlalchemy import MetaData, func, select

    tables = MetaData()
    tables.reflect(database.engine)
    with database.reading() as session:
        named = [table for table in tables.sorted_tables if "study_id" in table.c]
        counts = (select(func.count()).select_from(each).where(each.c.study_id == study_id) for each in named)
        return sum(session.scalars(each).one() for each in counts)


def test_a_champion_is_promoted_and_fetched(
    tuner: Any, database: Database, new_study: NewStudy, bare_export: Path, tmp_path: Path
) -> None:
    place = str(tmp_path / "artifacts")
    record = new_study("digits", artifacts=place)
    version = register_export(OpenStudy(database, record), bare_export, read_champion(bare_export))
    (champion,) = tuner.list_champions("digits")
    assert (champion.version, champion.value, champion.verified) == (version, 0.75, True)
    assert tuner.promote("digits", version, "production").now == ("digits", version)
    assert tuner.promote("digits", version, "production") is None
    assert [each.before for each in tuner.alias_history("production")] == [None]
    fetched = tuner.fetch_champion("production", tmp_path / "fetched")
    assert fetched.digest == champion.digest and fetched.aliases == ("production",)
    same = (tmp_path / "fetched/saved_model/variables/variables.index").read_bytes()
    assert same == b"variables" and (tmp_path / "fetched/model.keras").read_bytes() == b"a model"


@pytest.mark.fast
def test_standing_workers_are_listed(tuner: Any, database: Database) -> None:
    assert tuner.list_pools() == []
    standing.note(database, PoolMember("pool-1", "n1", 7, "1"), "d*")
    (pool,) = tuner.list_pools()
    assert (pool.name, pool.host, pool.pid, pool.studies, pool.study) == ("pool-1", "n1", 7, "d*", None)
    assert pool.serves("digits") and not pool.serves("other")


@pytest.mark.fast
def test_charts_are_data(tuner: Any, database: Database, new_study: NewStudy) -> None:
    filled(database, new_study)
    history = tuner.history_chart("digits")
    assert [(each.trial, each.value, each.ended, each.keeps) for each in history.points] == [
        (0, 0.5, "complete", True),
        (1, 0.9, "complete", True),
    ]
    (thinned,) = tuner.history_chart("digits", 1).points
    assert thinned.trial == 1
    assert [each.trial for each in tuner.curves_chart("digits")] == [0, 1]
    (curve,) = tuner.curves_chart("digits", [1])
    assert (curve.trial, curve.ended, curve.epochs) == (1, "complete", [1])
    chart = tuner.parameters_chart("digits")
    assert [each.name for each in chart.dimensions] == ["lr"] and [each.trial for each in chart.dots] == [0, 1]
    assert tuner.importances_chart("digits") == {}


@pytest.mark.fast
def test_a_watcher_hears_of_the_end(tuner: Any, database: Database, new_study: NewStudy) -> None:
    record = new_study("digits")
    heard: list[str] = []

    def on_status(status: Any) -> None:
        if not heard:
            studies.set_state(database, record.study_id, "finished", "enough")
        heard.append(status.state)

    assert tuner.watch("digits", on_status).reason == "enough"
    assert heard[0] == "running"


@pytest.mark.parametrize("over_http", [False, True])
def test_a_watcher_goes_on_after_an_outage(over_http: bool, new_postgres_url: str, serving: Any) -> None:
    database = connect(new_postgres_url, create=True)
    record = seeding.new_study(database, "digits", 3)
    there = database.engine.url
    proxy = Proxy(there.host or "", there.port or 5432)
    url = there.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    heard: list[str] = []

    def on_status(status: Any) -> None:
        heard.append(status.state)
        if len(heard) == 1:
            proxy.cut()
        else:
            studies.set_state(database, record.study_id, "finished", "enough")

    def on_away(why: str) -> None:
        heard.append(why)
        proxy.restore()

    with Client(serving(url)) if over_http else nullcontext(InProcess(url)) as tuner:
        assert tuner.watch("digits", on_status, on_away=on_away).reason == "enough"
    database.close()
    assert heard[0] == heard[2] == "running" and heard[3:] in ([], ["finished"])
    assert ("cannot use the database" in heard[1]) and (str(proxy.port) in heard[1]) is not over_http


def test_the_client_has_the_functions_of_the_api_with_their_arguments() -> None:
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if name.startswith("_") or name == "close":
            continue
        function = inspect.signature(getattr(api, name)).parameters
        # What an operator decides stays on the server.
        ours = [each for each in inspect.signature(method).parameters if each != "self"]
        assert [each for each in function if each in ours] == ours, name
