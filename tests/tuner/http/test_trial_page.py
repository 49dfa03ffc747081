"""The page of a trial, and of what it printed."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from storage import leaderboard
from storage.connecting import connect
from tests.tuner.http import seeding
from tests.tuner.http.conftest import BROWSER, ODD
from tests.tuner.http.test_study_page import text_of
from tuner.study.open_study import OpenStudy

Serve = Callable[..., str]


def some_trial(url: str, study: str, state: str) -> int:
    database = connect(url)
    found = leaderboard.trials(database, study, state=state, limit=1)[0].trial
    database.close()
    return found


def test_a_trial_has_everything_that_is_known(site: httpx.Client, filled_url: str) -> None:
    number = some_trial(filled_url, "large", "complete")
    shown = site.get(f"/studies/large/trials/{number}")
    words = text_of(shown)
    for said in ("value 0.", "in epoch 8", "trained 36.0 s", "attempts 1", "learning_rate", "8 (best)", "optimizer"):
        assert said in words, said
    assert "data-events" not in shown.text
    (source,) = re.findall(r'data-source="([^"]+)"', shown.text)
    assert [each["trial"] for each in site.get(source).json()] == [number]


@pytest.mark.parametrize(("study", "state"), [("large", "failed"), ("large", "diverged"), ("several", "pruned")])
def test_how_a_trial_ended_is_told(site: httpx.Client, filled_url: str, study: str, state: str) -> None:
    shown = site.get(f"/studies/{study}/trials/{some_trial(filled_url, study, state)}")
    assert shown.status_code == 200 and f'<span class="badge {state}">' in shown.text
    if state == "failed":
        assert "<layers>" not in shown.text and "no <layers> & more" in html.unescape(shown.text)
        assert "Traceback (most recent call last)" in shown.text


def test_trials_under_way_of_optuna_alone_and_of_odd_studies(site: httpx.Client) -> None:
    running = site.get("/studies/running/trials/20")
    assert 'data-events="/api/v1/studies/running/events"' in running.text and "badge running" in running.text
    assert "0.6" in text_of(running)
    assert site.get("/studies/plain/trials/0").status_code == 200
    assert site.get(f"/studies/{quote(ODD, safe='')}/trials/0").status_code == 200


@pytest.mark.parametrize("number", ["999999", "-1", "x", "1e3", "2147483648"])
def test_an_unknown_trial_is_a_page_that_says_so(site: httpx.Client, number: str) -> None:
    for path in ("", "/log"):
        shown = site.get(f"/studies/large/trials/{number}{path}")
        said = {404: "<h1>Not found</h1>", 422: "<h1>The request is not valid</h1>"}
        assert said[shown.status_code] in shown.text


def test_the_end_of_a_log_is_shown(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(url, create=True)
    record = seeding.new_study(database, "digits", 3, artifacts=str(tmp_path / "artifacts"))
    seeding.finish_trials(database, record, 1)
    database.close()
    log = OpenStudy(database, record).artifacts.trial_log(0, 1)
    with httpx.Client(base_url=serving(url), headers=BROWSER) as client:
        missing = client.get("/studies/digits/trials/0/log")
        assert missing.status_code == 400 and "has no log" in missing.text
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("<b>one</b>\n")
        assert "&lt;b&gt;one&lt;/b&gt;" in client.get("/studies/digits/trials/0/log").text
        log.write_bytes(b"".join(b"line %06d \xff\n" % number for number in range(50_000)))
        shown = client.get("/studies/digits/trials/0/log")
        assert "line 049999" in shown.text and "line 000001" not in shown.text
        assert "last lines of the log" in shown.text and 30_000 < len(shown.content) < 80_000
