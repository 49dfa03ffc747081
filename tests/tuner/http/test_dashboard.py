"""optuna-dashboard beside the pages: it shows our studies, and can change none of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from storage import tokens
from storage.connecting import connect

Serve = Callable[..., str]
NAME = "<b>digits</b>"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with a study of three trials."""
    found = f"sqlite:///{tmp_path_factory.mktemp('dashboard')}/tuner.db"
    database = connect(found, create=True)
    study = optuna.create_study(study_name=NAME, storage=database.optuna, direction="maximize")
    rate = {"lr": FloatDistribution(0, 1)}
    study.add_trials([create_trial(value=x, params={"lr": x}, distributions=rate) for x in (0.1, 0.9, 0.5)])
    database.close()
    return found


def test_it_shows_the_studies(serving: Serve, url: str) -> None:
    with httpx.Client(base_url=serving(url), timeout=60) as http:
        page = http.get("/dashboard/studies/1")
        assert page.status_code == 200 and '<script defer src="/dashboard/static/bundle.js">' in page.text
        assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"].partition("style-src")[0]
        assert "This dashboard is read-only" in page.text
        packed = http.get("/dashboard/static/bundle.js")
        assert packed.headers["Content-Encoding"] == "gzip" and len(packed.content) > 1_000_000
        plain = http.get("/dashboard/static/bundle.js", headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers and plain.content == packed.content
        assert http.get("/api/meta").json()["artifact_is_available"] is False
        (study,) = http.get("/api/studies").json()["study_summaries"]
        assert study["study_name"] == NAME
        shown = http.get(f"/api/studies/{study['study_id']}", params={"after": 1}).json()
        assert [each["values"] for each in shown["trials"]] == [[0.9], [0.5]]
        assert http.get(f"/api/studies/{study['study_id']}/plot/slice").status_code == 200
        assert http.get(f"/csv/{study['study_id']}").text.startswith("Number,State,Value,Param lr")
        assert http.get("/api/studies/77").status_code == 404
        assert http.get("/api/studies/1", params={"after": -1}).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/studies"),
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies/1/rename"),
        ("PUT", "/api/studies/1/note"),
        ("PUT", "/api/studies/1/1/note"),
        ("POST", "/api/trials/1/tell"),
        ("POST", "/api/trials/1/user-attrs"),
        ("POST", "/api/artifacts/1/1"),
    ],
)
def test_it_can_change_nothing(serving: Serve, url: str, method: str, path: str) -> None:
    body = {"study_name": "new", "directions": ["minimize"], "state": "Fail", "body": "x", "version": 1}
    said = httpx.request(method, serving(url) + path, json=body)
    assert said.status_code == 403 and said.json()["error"]["code"] == "ScopeTooSmall"
    # Its page shows this.
    assert "read-only" in said.json()["reason"]
    database = connect(url)
    (study,) = database.optuna.get_all_studies()
    assert (study.study_name, study.system_attrs) == (NAME, {})
    assert {each.state for each in database.optuna.get_all_trials(study._study_id)} == {TrialState.COMPLETE}
    database.close()


def test_what_would_write_by_other_ways_is_not_there(serving: Serve, url: str) -> None:
    with httpx.Client(base_url=serving(url)) as http:
        assert http.post("/incompatible-rdb-schema").status_code == 404
        assert http.post("/api/llm/trial_filtering_query", json={}).status_code == 404


def test_it_asks_for_the_token_that_the_service_asks_for(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tokens.db"
    address = serving(url, host="0.0.0.0").replace("0.0.0.0", "127.0.0.1")
    database = connect(url)
    reader = {"Authorization": f"Bearer {tokens.create(database, 'reader', 'read')}"}
    database.close()
    for path in ("/dashboard", "/api/studies", "/api/meta", "/csv/1", "/dashboard/static/bundle.js"):
        assert httpx.get(address + path).status_code == 401, path
    assert httpx.get(f"{address}/dashboard", headers=reader).status_code == 200
    assert httpx.get(f"{address}/api/studies", headers=reader, timeout=60).json() == {"study_summaries": []}
