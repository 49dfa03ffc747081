"""The pages of studies: every kind of study, every name, and no more than can be read."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from storage import pool, standing, studies, tokens
from storage.connecting import connect
from storage.pool import PoolMember
from tests.tuner.http import seeding
from tests.tuner.http.conftest import BROWSER, ODD

Serve = Callable[..., str]
# Bytes; the page of 2,000 trials must not be larger than that of 200.
_LARGEST = 80_000

pytestmark = pytest.mark.fast


def text_of(answer: httpx.Response) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


def test_the_list_shows_every_study(site: httpx.Client) -> None:
    shown = site.get("/")
    for name in ("large", "several", "failed", "running", "new", "plain", ODD):
        assert html.escape(name, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in shown.text, name
    assert "2000 of 2000" in shown.text and "<b>name" not in shown.text


@pytest.mark.parametrize("name", ["large", "several", "failed", "running", "new", "plain", ODD])
def test_every_study_has_its_pages(site: httpx.Client, name: str) -> None:
    links = re.findall(r'href="(/studies/[^"/]+)"', site.get("/").text)
    address = f"/studies/{quote(name, safe='')}"
    assert address in links
    shown = site.get(address)
    assert shown.status_code == 200, shown.text
    assert f"<title>{html.escape(name, quote=False)}".replace('"', "&#34;").replace("'", "&#39;") in shown.text
    assert len(shown.content) < _LARGEST and "<b>name" not in shown.text and " 49 " not in shown.text
    assert f'data-events="/api/v1/studies/{quote(name, safe="")}/events"' in shown.text
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son[a-z]+=", shown.text)
    if name != "plain":
        assert site.get(f"{address}/workers").status_code == 200
    for source in re.findall(r'data-source="([^"]+)"', shown.text):
        assert re.search(rf'<noscript>[^/]*<a href="{re.escape(source)}">', shown.text), source
        assert site.get(source).status_code == 200, source


def test_a_study_is_told_as_the_command_tells_it(site: httpx.Client) -> None:
    shown = text_of(site.get("/studies/running"))
    assert "20 of 30 done:" in shown and "2 running, 8 open" in shown
    assert re.search(r"best val_accuracy 0\.\d+ \(trial \d+\)", shown)
    assert "No trial has begun yet" in text_of(site.get("/studies/new"))
    assert "20 2/8 0.6" in shown, "the running trial with its epoch and metric"
    assert "node-1:4711" in shown and "kind: image_directory" in shown
    failed = site.get("/studies/failed")
    assert "<i>no" not in failed.text and "5 trials failed in a row: <i>no</i> such layer" in html.unescape(failed.text)
    assert ">Resume<" in failed.text and ">Stop<" not in failed.text
    several = text_of(site.get("/studies/several"))
    assert "Pareto front" in several and "parameters" in several


def test_trials_are_sorted_filtered_and_paged_by_the_url(site: httpx.Client) -> None:
    def trials(address: str) -> tuple[list[int], str]:
        page = site.get(address)
        assert page.status_code == 200, page.text
        part = page.text.partition('id="trials"')[2].partition("</section>")[0]
        return [int(each) for each in re.findall(r'/trials/(\d+)"', part)], part

    best, first = trials("/studies/large")
    values = re.findall(r'<td class="number">(0\.\d+)</td><td ><span class="badge', first)
    assert len(best) == 25 and values == sorted(values, reverse=True)
    assert 'aria-sort="descending"' in first
    (following,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second, _ = trials(html.unescape(following))
    assert len(second) == 25 and not set(best) & set(second)
    (backwards,) = re.findall(r'href="([^"]+)">trial</a>', first)
    assert trials(html.unescape(backwards))[0] == list(range(25))
    failed, part = trials("/studies/large?state=failed&sort=-units")
    assert failed and set(re.findall(r'badge (\w+)"', part)) <= {"failed", "diverged"}
    assert site.get("/studies/large?state=nonsense").status_code == 400
    assert "nonsense" in text_of(site.get("/studies/large?sort=nonsense"))
    other = following.replace("/studies/large", "/studies/running")
    assert site.get(html.unescape(other)).status_code == 400


def test_who_stands_by_is_shown_and_whether_anybody_takes_a_study(serving: Serve, tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path}/tuner.db", create=True)
    seeding.new_study(database, "digits", 3)
    seeding.new_study(database, "texts", 3)
    with httpx.Client(base_url=serving(f"sqlite:///{tmp_path}/tuner.db"), headers=BROWSER) as client:

        def said(path: str) -> str:
            return text_of(client.get(path))

        assert "no standing worker serves this study" in said("/studies/digits")
        assert "There is no standing worker. tuner work --any starts" in said("/workers")
        for pid, served in ((1, "*"), (2, "<i>*"), (3, "d*")):
            standing.note(database, PoolMember(f"pool-{pid}", "node-2", pid, "0.1.0"), served)
        assert "2 standing workers serve this study, 2 of them free" in said("/studies/digits")
        assert "1 standing worker serves this study, and is free" in said("/studies/texts")
        member = PoolMember("pool-1", "node-2", 1, "0.1.0")
        pool.announce(database, member, 1, 1, lambda view: next(each for each in view.studies if each.name == "digits"))
        assert "1 standing worker serves this study, and is at work on another one" in said("/studies/texts")
        assert "standing worker" not in said("/studies/digits")
        shown = client.get("/workers")
        assert "node-2:1 pool-1 every study digits" in text_of(shown)
        assert "node-2:2 pool-2 <i>* none" in text_of(shown) and "<i>" not in shown.text
    database.close()


@pytest.mark.parametrize("path", ["", "/workers"])
@pytest.mark.parametrize("name", ["nothing", "..%2F..%2Fetc", "%3Cb%3E", "';--", "a" * 500])
def test_an_unknown_study_is_a_page_that_says_so(site: httpx.Client, name: str, path: str) -> None:
    shown = site.get(f"/studies/{name}{path}")
    assert shown.status_code == 404 and "<h1>Not found</h1>" in shown.text and "<b>" not in shown.text


def test_who_may_only_look_sees_no_buttons(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(url, create=True)
    seeding.new_study(database, "digits", 3)
    secrets = {scope: tokens.create(database, f"for-{scope}", scope) for scope in tokens.SCOPES}
    address = serving(url)
    seen = {}
    for scope, secret in secrets.items():
        with httpx.Client(base_url=address, headers=BROWSER, cookies={"tuner_token": secret}) as client:
            page = client.get("/studies/digits").text
            csrf = re.findall(r'name="csrf" value="([^"]+)"', page)
            seen[scope] = [">Stop<" in page, ">Delete<" in page]
            stopped = client.post("/studies/digits/stop", data={"csrf": csrf[0]}).status_code
            assert stopped == (403 if scope == "read" else 303), scope
    assert seen == {"read": [False, False], "launch": [True, False], "admin": [False, True]}
    database.close()


def test_what_forms_do(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(url, create=True)
    seeding.new_study(database, ODD, 3)
    address = f"/studies/{quote(ODD, safe='')}"
    with httpx.Client(base_url=serving(url), headers=BROWSER) as client:
        csrf = re.findall(r'name="csrf" value="([^"]+)"', client.get(address).text)[0]
        for action in ("stop", "resume", "delete"):
            for sent in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ü"}):
                refused = client.post(f"{address}/{action}", data=sent | {"confirm": ODD})
                assert refused.status_code == 403 and "reload the page" in refused.text
        assert studies.load_study(database, ODD).state == "running"
        stopped = client.post(f"{address}/stop", data={"csrf": csrf})
        assert (stopped.status_code, stopped.headers["Location"]) == (303, address)
        assert ">Resume<" in client.get(address).text
        client.post(f"{address}/resume", data={"csrf": csrf})
        assert studies.load_study(database, ODD).state == "running"
        assert client.post(f"{address}/resume", data={"csrf": csrf, "trials": "7"}).status_code == 303
        assert studies.load_study(database, ODD).budget == 7
        lower = client.post(f"{address}/resume", data={"csrf": csrf, "trials": "5"})
        assert lower.status_code == 409 and "can be raised, not lowered" in lower.text
        wrong = client.post(f"{address}/delete", data={"csrf": csrf, "confirm": "odd"})
        assert wrong.status_code == 409 and "confirm the deletion with the study&#39;s name" in wrong.text
        deleted = client.post(f"{address}/delete", data={"csrf": csrf, "confirm": ODD})
        assert (deleted.status_code, deleted.headers["Location"]) == (303, "/")
        assert client.get(address).status_code == 404
    database.close()
