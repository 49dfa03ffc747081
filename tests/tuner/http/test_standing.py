"""The service stands: half requests, large texts, and what it computes keep nobody else out."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from storage import tokens
from storage.connecting import connect
from storage.errors import DatabaseUnavailable
from tests import event_loops
from tests.tuner.http.seeding import database_of_a_study
from tuner.errors import Problem, SpecError
from tuner.http import access, connections
from tuner.http import serving as running
from tuner.http.access import Access
from tuner.http.coalescing import Crowd
from tuner.http.pages import launch
from tuner.http.reads import Reads
from tuner.http.settings import ServiceSettings

Serve = Callable[..., str]
LAUGHS = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x]"]
    + [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return database_of_a_study(tmp_path)


@pytest.fixture
def http(serving: Serve, url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving(url, requests_per_minute=0), timeout=30) as client:
        yield client


def _half_request(address: str, sent: bytes = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n") -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    opened = socket.create_connection((host, int(port)), timeout=10)
    opened.sendall(sent)
    return opened


def test_of_half_requests_of_one_client_only_the_newest_stay(http: httpx.Client) -> None:
    opened = [_half_request(str(http.base_url)) for _ in range(connections._MOST_WAITING + 20)]
    assert http.get("/healthz").status_code == 200
    # The first of them are gone: nothing is left to be read.
    assert [each.recv(1) for each in opened[:20]] == [b""] * 20 or all(_is_reset(each) for each in opened[:20])
    last = opened[-1]
    last.sendall(b"\r\n")
    assert last.recv(100).startswith(b"HTTP/1.1 200")
    for each in opened:
        each.close()


def _is_reset(opened: socket.socket) -> bool:
    try:
        return opened.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HT", b"POST /api/v1/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"],
)
def test_a_request_that_does_not_come_is_not_waited_for(
    sent: bytes, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_HEADER_SECONDS", 0.2)
    monkeypatch.setattr(connections, "_BODY_SECONDS", 0.2)
    assert _is_reset(_half_request(str(http.base_url), sent))


def test_equal_requests_share_an_answer_only_if_they_come_from_the_same_caller(url: str) -> None:
    """Both are under way at once: one from this machine, one through a proxy that nobody declared."""
    database, settings = connect(url), ServiceSettings(storage=url)
    access = Access(settings, Reads(2), lambda: tokens.live_tokens(database))
    asked: list[bool] = []
    both = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        forwarded = any(name == b"x-forwarded-for" for name, _ in scope["headers"])
        asked.append(forwarded)
        if len(asked) == 2:
            both.set()
        await both.wait()
        await send({"type": "http.response.start", "status": 401 if forwarded else 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(crowd: Crowd, headers: list[tuple[bytes, bytes]]) -> int:
        statuses = []
        state = FastAPI()
        state.state.service = SimpleNamespace(access=access)
        scope = {"type": "http", "method": "GET", "path": "/api/v1/studies", "query_string": b"", "headers": headers}

        async def send(message: Any) -> None:
            statuses.append(message.get("status"))

        await crowd(scope | {"app": state}, None, send)  # type: ignore[arg-type]
        return int(statuses[0])

    async def both_ways() -> list[int]:
        crowd = Crowd(app)
        async with asyncio.timeout(10):
            return list(await asyncio.gather(ask(crowd, []), ask(crowd, [(b"x-forwarded-for", b"203.0.113.9")])))

    assert event_loops.run(both_ways()) == [200, 401]
    database.close()


def test_a_database_that_hangs_is_waited_for_once_by_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def live() -> dict[str, tokens.Token]:
        asked.append(True)
        if len(asked) == 1:
            raise DatabaseUnavailable("postgresql://h/d", "it does not answer")
        return {}

    async def ask() -> list[str]:
        """Who asks, as the crowd and the route want to know; then as a later request does."""
        gate = Access(ServiceSettings(storage="postgresql://h/d"), Reads(1), live)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await gate.identified(None)
        assert len(asked) == 1
        monkeypatch.setattr(access, "_FAILED_SECONDS", -1.0)
        return [(await gate.identified(None)).name]

    assert event_loops.run(ask()) == ["anonymous"] and len(asked) == 2


def test_a_spec_that_takes_long_to_check_keeps_no_question_waiting(
    serving: Serve, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def checked(*_: Any) -> Any:
        begun.set()
        assert goes_on.wait(60)
        raise SpecError("form", [Problem("study", "it took long")])

    monkeypatch.setattr(launch, "_read_and_checked", checked)
    with httpx.Client(base_url=serving(url, threads=1), timeout=30) as http, ThreadPoolExecutor() as pool:
        sent = {"csrf": _csrf(http), "study": "long", "action": "check"}
        try:
            answer = pool.submit(http.post, "/launch", data=sent, headers={"Accept": "text/html"})
            assert begun.wait(30)
            assert http.get("/api/v1/studies", timeout=25).status_code == 200
        finally:
            goes_on.set()
        assert "it took long" in answer.result(30).text


class _Heard(logging.Handler):
    """Keeps what was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def test_requests_that_anybody_can_send_do_not_fill_the_log(http: httpx.Client) -> None:
    log, heard = logging.getLogger("uvicorn.error"), _Heard()
    # Other tests may have had the same lines.
    running._REPEATS._said.clear()
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    log.addHandler(heard)
    try:
        for sent in (b"no request\r\n\r\n", upgrade) * 3:
            with _half_request(str(http.base_url), sent) as opened:
                assert opened.recv(100).startswith(b"HTTP/1.1 ")
    finally:
        log.removeHandler(heard)
    assert len(heard.lines) == len(set(heard.lines))
    assert {"Invalid HTTP request received.", "Unsupported upgrade request."} <= set(heard.lines)


def test_the_stream_of_a_revoked_token_ends(serving: Serve, url: str) -> None:
    database = connect(url)
    secret = tokens.create(database, "watching", "read")
    address = serving(url, host="0.0.0.0", known_seconds=1.0).replace("0.0.0.0", "127.0.0.1")
    path = f"{address}/api/v1/studies/digits/events"
    with httpx.stream("GET", path, headers={"Authorization": f"Bearer {secret}"}, timeout=10) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: status"
        tokens.revoke(database, "watching")
        # Nothing else would come, or end it, before the client gives up.
        assert list(lines)[-1:] == [""]
    database.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "at most 50,000 values, aliases written out; this one has more in line 5"),
        ("a: &a [*a]", "the alias *a stands for nothing, or for what it is in"),
        ("[" * 5000, "nesting depth"),
        ("[" * 60 + "]" * 60, "nested more than 50 levels deep, in line 1"),
        ("study: {{name}}", "found unhashable key"),
        ("seed: 1\nstudy: 2026-02-30", "day is out of range for month"),
        ("study: !!bool x", "this is no bool"),
    ],
)
def test_yaml_that_is_too_much_or_wrong_is_a_problem_of_its_field(text: str, said: str, http: httpx.Client) -> None:
    csrf = _csrf(http)
    answer = http.post(
        "/launch", data={"csrf": csrf, "whole": text, "action": "check"}, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 422 and said in answer.text.replace("&#39;", "'").replace("&#34;", '"')


def _csrf(http: httpx.Client) -> str:
    page = http.get("/launch", headers={"Accept": "text/html"}).text
    return page.partition('name="csrf" value="')[2].partition('"')[0]


def test_json_that_is_too_deep_too_much_or_no_text_is_said_with_its_key(http: httpx.Client) -> None:
    for body, key in (
        ('{"study": ' + "[" * 60 + "]" * 60 + "}", ""),
        (json.dumps({"data": {"ignore": [str(each) for each in range(60_000)]}}), ""),
        ('{"study": "a\\ud800"}', "study"),
        ('{"data": {"kind": "csv", "path": "/tmp/\\udfff"}}', "data.path"),
    ):
        for path in ("/api/v1/studies", "/api/v1/space"):
            answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 422, answer.text
            assert answer.json()["error"]["where"][0]["key"] == key
    for body in ("[" * 100_000, '{"a":' * 100_000, '{"study": ' + "9" * 5000 + "}"):
        answer = http.post("/api/v1/studies", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text


def test_a_service_whose_loop_never_comes_round_ends_all_the_same(tmp_path: Path) -> None:
    program = f"""
import threading, signal
from tuner.http import serving
from tuner.http.settings import ServiceSettings

serving._GRACE_SECONDS = 0.5
settings = ServiceSettings(storage="sqlite:///{tmp_path}/tuner.db", port=0)


def stall(address):
    print("stalls", flush=True)
    while True:
        pass


serving.serve(settings, stall)
"""
    service = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None and service.stdout.readline() == "stalls\n"
    service.send_signal(signal.SIGTERM)
    assert service.wait(30) != 0
