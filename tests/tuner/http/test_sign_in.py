"""Signing in to the pages, and out again."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage import tokens
from storage.connecting import connect

Serve = Callable[..., str]


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path}/tuner.db"
    connect(found, create=True).close()
    return found


def new_token(url: str, scope: Any = "launch") -> str:
    database = connect(url)
    secret = tokens.create(database, f"for-{scope}", scope)
    database.close()
    return secret


def browser(address: str, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=address, headers={"Accept": "text/html"} | headers, timeout=30)


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


def sign_in(client: httpx.Client, token: str, next: str = "/", **headers: str) -> httpx.Response:
    form = {"token": token, "next": next, "csrf": csrf_of(client.get("/sign-in"))}
    return client.post("/sign-in", data=form, headers=headers)


@pytest.mark.fast
def test_a_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(serving: Serve, url: str) -> None:
    address = serving(url, host="0.0.0.0").replace("0.0.0.0", "127.0.0.1")
    secret = new_token(url)
    with browser(address) as client:
        assert client.get("/launch").headers["Location"] == "/sign-in?next=%2Flaunch"
        sent = sign_in(client, f" {secret}\n", "/launch?as=yaml")
        assert (sent.status_code, sent.headers["Location"]) == (303, "/launch?as=yaml")
        cookie = sent.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
        assert "for-launch (launch)" in client.get("/launch").text
        out = client.post("/sign-out", data={"csrf": csrf_of(client.get("/launch"))})
        assert (out.status_code, out.headers["Location"]) == (303, "/sign-in")
        assert client.get("/launch").status_code == 303


def test_behind_a_proxy_with_tls_the_cookie_is_secure(serving: Serve, url: str) -> None:
    with browser(serving(url), **{"X-Forwarded-Proto": "https"}) as client:
        assert "Secure" not in sign_in(client, new_token(url)).headers["Set-Cookie"]
    with browser(serving(url, proxies=("127.0.0.1",)), **{"X-Forwarded-Proto": "https"}) as client:
        # Through a proxy, who comes from this machine is anybody.
        assert client.get("/").status_code == 303
        sent = sign_in(client, new_token(url, "read"))
        assert "; Secure" in sent.headers["Set-Cookie"]


def test_a_wrong_token_is_said_to_be_wrong(serving: Serve, url: str) -> None:
    with browser(serving(url)) as client:
        new_token(url)
        for wrong in ("kc_wrong", "", "ü" * 20, "x" * 499):
            said = sign_in(client, wrong)
            assert said.status_code == 401 and "Set-Cookie" not in said.headers
            assert "the token is unknown, revoked or expired" in said.text
            assert not wrong or wrong not in said.text


@pytest.mark.parametrize(
    "next",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/\t/evil.example", "x"],
)
def test_one_is_sent_to_no_other_place(serving: Serve, url: str, next: str) -> None:
    with browser(serving(url)) as client:
        assert sign_in(client, new_token(url), next).headers["Location"] == "/"
        assert "evil" not in client.get("/sign-in", params={"next": next}).text


def test_only_its_own_page_signs_in_and_out(serving: Serve, url: str) -> None:
    with browser(serving(url)) as client:
        secret = new_token(url)
        assert client.post("/sign-in", data={"token": secret, "csrf": "0" * 64}).status_code == 403
        assert client.post("/sign-out", data={}).status_code == 403
        foreign = sign_in(client, secret, Origin="https://evil.example")
        assert foreign.status_code == 403 and "Set-Cookie" not in foreign.headers


def test_guesses_are_few(serving: Serve, url: str) -> None:
    with browser(serving(url)) as client:
        new_token(url)
        statuses = [sign_in(client, "kc_guess").status_code for _ in range(12)]
    assert statuses[:10] == [401] * 10 and 429 in statuses[10:]


def test_without_any_token_nobody_needs_to_sign_in(serving: Serve, url: str) -> None:
    with browser(serving(url)) as client:
        assert "This database has no token yet" in client.get("/sign-in").text
        assert sign_in(client, "kc_nonsense").status_code == 401
