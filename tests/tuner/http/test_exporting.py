"""Exports over HTTP: what is refused, what waits, what is cancelled. `test_cli_journey.py` has one that succeeds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from storage import tokens
from storage.connecting import connect
from storage.database import Database
from storage.studies import load_study
from storage.tables import StudyRow, TrialRow
from tests.tuner.http import seeding
from tests.tuner.http.conftest import BROWSER
from tests.tuner.http.test_study_page import text_of
from tuner import api
from tuner.client import Client
from tuner.errors import ScopeTooSmall, UnreadableSpec
from tuner.http import exports, serving
from tuner.processes.parents import PARENT_VARIABLE

Serve = Callable[..., str]
ODD = "<i>odd</i>/1"
UNKEPT = 1


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Studies with complete trials whose models are kept, though their files are gone; and one without trials."""
    made = connect(f"sqlite:///{tmp_path}/tuner.db", create=True)
    for name, ended in (("digits", 4), ("empty", 0), (ODD, 2)):
        record = seeding.new_study(made, name, 8, artifacts=str(tmp_path / "artifacts"))
        if ended:
            seeding.finish_trials(made, record, ended)
    kept = {"checkpoint": "trials/model.keras", "checkpoint_size": 1, "checkpoint_sha256": "0" * 64}
    with made.writing() as session:
        session.execute(update(TrialRow).where(TrialRow.number != UNKEPT).values(**kept))
    yield made
    made.close()


def error_of(export: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[type[Exception], str]:
    with pytest.raises(Exception) as raised:
        export(*arguments, **options)
    return type(raised.value), str(raised.value)


@pytest.mark.fast
def test_what_is_refused_is_refused_in_the_words_of_the_api(serving: Serve, database: Database, tmp_path: Path) -> None:
    to = tmp_path / "champion"
    wishes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("digits", {}),
        ("digits", {"trial": 7}),
        ("digits", {"trial": UNKEPT}),
        ("digits", {"smallest": True, "trial": 1}),
        ("digits", {"formats": ("onyx",)}),
        ("empty", {}),
        ("nothing", {}),
    )
    with Client(serving(database.url)) as client:
        for study, asked in wishes:
            here = error_of(api.export_champion, study, to, **asked, storage=database.url)
            assert error_of(client.export_champion, study, to, **asked) == here, (study, asked)
        assert client.list_champions() == []
    assert not to.exists()


def test_what_the_database_can_tell_is_refused_at_once(serving: Serve, database: Database) -> None:
    with httpx.Client(base_url=serving(database.url)) as http:
        exports = "/api/v1/studies/digits/exports"
        for asked, status, said in (
            ({"trial": 7}, 404, "has no trial 7: it has trials 0 to 3"),
            ({"trial": UNKEPT}, 409, "has no kept model; keep_checkpoints says how many are kept, and the trials "),
            ({"prefer": "val_loss"}, 409, "val_loss is not an objective of study digits"),
        ):
            answer = http.post(exports, json=asked)
            assert (answer.status_code, said in answer.text) == (status, True), answer.text
        assert http.get(exports).json() == []


@pytest.mark.fast
def test_a_study_whose_spec_this_version_cannot_read_is_shown_and_not_exported(
    serving: Serve, database: Database
) -> None:
    stored = load_study(database, "digits")
    newer = {"spec": stored.spec | {"teleport": True}, "versions": {"keras-champion": "9.0.0"}}
    with database.writing() as session:
        session.execute(update(StudyRow).where(StudyRow.name == "digits").values(**newer))
    said = "does not know the key teleport. Version 9.0.0 launched the study. Upgrade this installation"
    address = serving(database.url)
    with httpx.Client(base_url=address) as http:
        for path, asked in (("exports", {}), ("enqueue", {"units": 8})):
            answer = http.post(f"/api/v1/studies/digits/{path}", json=asked)
            told = answer.json()["error"]
            assert (answer.status_code, told["code"], said in told["message"]) == (409, "UnreadableSpec", True), told
            assert [each["key"] for each in told["where"]] == told["details"]["keys"] == ["teleport"]
        assert http.get("/api/v1/studies/digits/spec").json()["teleport"] is True
        assert http.get("/api/v1/studies/digits").json()["complete"] == 2
    with Client(address) as client:
        with pytest.raises(UnreadableSpec, match="does not know the key teleport") as raised:
            client.enqueue("digits", {"units": 8})
        assert raised.value.keys == ("teleport",) and raised.value.launched_with == "9.0.0"
        with pytest.raises(UnreadableSpec, match="the stored spec of study digits"):
            client.study_spec("digits")
    with httpx.Client(base_url=address, headers=BROWSER) as browser:
        assert browser.get("/studies/digits").status_code == 200
        form = browser.get("/studies/digits/export")
        refused = browser.post("/studies/digits/export", data={"csrf": csrf_of(form), "formats": ["keras"]})
        assert refused.status_code == 409 and said in text_of(refused) and "Export" in text_of(refused)


@pytest.mark.fast
def test_one_at_a_time_each_wish_once_and_cancelled(serving: Serve, database: Database) -> None:
    with httpx.Client(base_url=serving(database.url), timeout=30) as http:
        exports = "/api/v1/studies/digits/exports"
        first = http.post(exports, json={}).json()
        assert (first["study"], first["state"], first["end"]) == ("digits", "waiting", None)
        assert http.post(exports, json={}).json()["id"] == first["id"]
        second = http.post(exports, json={"trial": 0}).json()
        assert [each["id"] for each in http.get(exports).json()] == [second["id"], first["id"]]
        assert http.get("/api/v1/studies/empty/exports").json() == []
        cancelled = http.delete(f"{exports}/{second['id']}").json()
        assert cancelled["end"]["fault"]["message"] == "the export was cancelled by anonymous"
        running = http.delete(f"{exports}/{first['id']}").json()
        assert (running["state"], running["end"]["version"]) == ("cancelled", None)
        # It has ended: nothing is to be cancelled any more.
        assert http.delete(f"{exports}/{first['id']}").json() == running
        assert http.get(f"{exports}/{first['id']}", params={"wait": 30}).json() == running
        unknown = http.get(f"{exports}/nothing")
        assert unknown.status_code == 404 and "knows no export nothing of study digits" in unknown.text
        assert http.get(f"/api/v1/studies/empty/exports/{first['id']}").status_code == 404


@pytest.mark.parametrize("asked", [{"top": 0}, {"seeds": 10**9}, {"formats": []}, {"to": "/etc"}, {"prefer": "\0"}])
def test_what_no_export_takes(serving: Serve, database: Database, asked: dict[str, Any]) -> None:
    with httpx.Client(base_url=serving(database.url)) as http:
        answer = http.post("/api/v1/studies/digits/exports", json=asked)
        (where,) = answer.json()["error"]["where"]
        assert answer.status_code == 422 and where["key"] in asked


def test_so_many_wait_and_no_more(serving: Serve, database: Database) -> None:
    with httpx.Client(base_url=serving(database.url)) as http:
        answers = [http.post("/api/v1/studies/digits/exports", json={"top": each + 1}) for each in range(21)]
        assert [each.status_code for each in answers] == [202] * 20 + [429]
        assert "20 exports are waiting already" in answers[-1].text


def test_a_reader_looks_on(serving: Serve, database: Database) -> None:
    address = serving(database.url)
    secret = tokens.create(database, "reader", "read")
    with Client(address, secret) as client, pytest.raises(ScopeTooSmall):
        client.export_champion("digits", "champion")
    with httpx.Client(base_url=address, headers=BROWSER, cookies={"tuner_token": secret}) as browser:
        assert "a token with the <code>launch</code> scope to export" in browser.get("/studies/digits/export").text
        assert "Export the champion" not in browser.get("/studies/digits").text


def csrf_of(page: httpx.Response) -> str:
    return re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]


def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(serving: Serve, database: Database) -> None:
    with httpx.Client(base_url=serving(database.url), headers=BROWSER) as browser:
        path = "/studies/%3Ci%3Eodd%3C%2Fi%3E%2F1/export"
        blank = browser.get(path)
        assert "<i>odd" not in blank.text and "There has been no export since the service was started" in blank.text
        typed: dict[str, Any] = {"csrf": csrf_of(blank), "formats": ["keras", "onnx"], "trial": "x"}
        wrong = browser.post(path, data=typed)
        assert wrong.status_code == 422 and 'id="trial-problem"' in wrong.text and 'value="x"' in wrong.text
        assert re.search(r'value="onnx" checked', wrong.text)
        both = browser.post(path, data=typed | {"trial": "0", "smallest": "true"})
        assert both.status_code == 409 and "trial and smallest both say which trial" in text_of(both)
        assert browser.post(path, data={"formats": "keras"}).status_code == 403
        done = browser.post(path, data=typed | {"trial": "0"})
        assert (done.status_code, done.headers["Location"]) == (303, path)
        (cancel,) = re.findall(r'action="([^"]+/cancel)"', browser.get(path).text)
        assert browser.post(cancel, data={"csrf": typed["csrf"]}).status_code == 303
        shown = text_of(browser.get(path))
        assert "the export was cancelled by anonymous" in shown and "trial 0; keras, saved_model, onnx" in shown
        assert "There is nothing to export yet" in browser.get("/studies/empty/export").text
        assert browser.get("/studies/nothing/export").status_code == 404


def test_a_service_that_ends_takes_its_exports_along(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    from tuner.http.serving import Serving
    from tuner.http.settings import ServiceSettings

    with (
        Serving(ServiceSettings(storage=database.url, port=0)) as address,
        httpx.Client(base_url=address) as http,
    ):
        for each in range(3):
            assert http.post("/api/v1/studies/digits/exports", json={"top": each + 1}).status_code == 202
    assert api.list_champions(storage=database.url) == []
    assert not caplog.records


def test_an_export_whose_service_was_killed_ends_too() -> None:
    """Its parent is not the one that it was made by."""
    orphan = [sys.executable, "-m", "tuner.http.export_process"]
    ended = subprocess.run(orphan, input=b"", env=os.environ | {PARENT_VARIABLE: "1"}, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL


def test_a_service_has_time_to_end_its_exports() -> None:
    assert serving._LEAVE_SECONDS + exports._LEAVE_SECONDS < serving._GRACE_SECONDS
