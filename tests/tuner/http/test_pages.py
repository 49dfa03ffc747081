"""What every page has in common: access, errors as pages, styles and scripts from here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from storage import tokens
from storage.connecting import connect

Serve = Callable[..., str]
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def empty_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('pages')}/tuner.db"
    connect(url, create=True).close()
    return url


@pytest.fixture
def browser(serving: Serve, empty_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving(empty_url), headers=BROWSER, timeout=30) as client:
        yield client


def test_a_page_is_told_what_it_may_load(browser: httpx.Client) -> None:
    found = browser.get("/")
    assert found.status_code == 200 and found.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in found.headers["Content-Security-Policy"]
    assert found.headers["Cache-Control"] == "no-store" and found.headers["X-Frame-Options"] == "DENY"
    assert "There is no study yet" in found.text
    # The policy runs no script that is written in a page.
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son[a-z]+=", found.text)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', found.text):
        loaded = browser.get(address)
        assert loaded.status_code == 200 and "immutable" in loaded.headers["Cache-Control"]
        again = browser.get(address, headers={"If-None-Match": loaded.headers["ETag"]})
        assert again.status_code == 304
    assert "://" not in re.sub(r'xmlns="[^"]+"', "", found.text)


@pytest.mark.parametrize(
    "name", ["..%2Ftemplating.py", "%2Fetc%2Fpasswd", "nothing.js", "%2E%2E%2Fpages.css", "plotly"]
)
def test_only_the_files_of_the_pages_are_served(browser: httpx.Client, name: str) -> None:
    assert browser.get(f"/static/{name}").status_code == 404


def test_errors_are_pages_for_browsers_and_json_for_programs(browser: httpx.Client) -> None:
    shown = browser.get("/nothing")
    assert shown.status_code == 404 and "there is nothing at /nothing" in shown.text
    assert "<h1>Not found</h1>" in shown.text
    escaped = browser.get("/%3Cscript%3Ealert(1)%3C/script%3E")
    assert escaped.status_code == 404 and "<script>alert" not in escaped.text
    for headers, path in (({"Accept": "*/*"}, "/nothing"), (BROWSER, "/api/v1/studies/nothing")):
        said = browser.get(path, headers=headers)
        assert said.status_code == 404 and said.json()["error"]["message"]
    cursor = browser.get("/", params={"cursor": "nonsense"})
    assert cursor.status_code == 400 and "this is not the cursor" in cursor.text


def test_without_access_a_page_leads_to_the_sign_in(serving: Serve, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tuner.db"
    address = serving(url, host="0.0.0.0").replace("0.0.0.0", "127.0.0.1")
    database = connect(url)
    secret = tokens.create(database, "reader", "read")
    database.close()
    with httpx.Client(base_url=address, headers=BROWSER) as client:
        sent = client.get("/?cursor=a%2Fb")
        assert sent.status_code == 303
        assert sent.headers["Location"] == "/sign-in?next=%2F%3Fcursor%3Da%252Fb"
        assert client.get("/api/v1/studies").status_code == 401
        client.cookies.set("tuner_token", secret)
        page = client.get("/")
        assert page.status_code == 200
        assert "reader (read)" in page.text and secret not in page.text
        assert 'action="/sign-out"' in page.text and re.search(r'name="csrf" value="[0-9a-f]{64}"', page.text)
