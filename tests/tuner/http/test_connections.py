"""Connections end whose client sends no whole request, or does not read its answer; those of proxies do not count."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from tests import event_loops
from tuner.http import connections, serving
from tuner.http.connections import BoundedConnection


@pytest.fixture
def http(serving: Callable[..., str], tmp_path: Path) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving(f"sqlite:///{tmp_path}/tuner.db"), timeout=30) as client:
        yield client


def _opened(http: httpx.Client, sent: bytes) -> socket.socket:
    """A connection on which that was sent."""
    opened = socket.socket()
    opened.settimeout(60)
    opened.connect((http.base_url.host, http.base_url.port))
    opened.sendall(sent)
    return opened


def _ends(opened: socket.socket) -> bool:
    """Whether the service ends it; what it had said is not looked at."""
    try:
        while opened.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


def test_one_that_was_answered_before_its_body_came_is_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(serving, "_KEEP_ALIVE_SECONDS", 1)
    monkeypatch.setattr(connections, "_AFTER_KEEP_ALIVE_SECONDS", 0.1)
    http = request.getfixturevalue("http")
    with _opened(http, b"POST /x HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 2\r\n\r\n") as early:
        assert early.recv(1 << 16).startswith(b"HTTP/1.1 421")
        early.sendall(b"{}")
        assert _ends(early)


# Each is as large as those of files. Together they are more than any system keeps for who does not read.
PIECES = [bytes(1 << 16)] * 1024


@asynccontextmanager
async def _much_asked_for() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.Event]]:
    """A connection on which a large answer begins, and what happens when its service has sent all or given up."""
    sent = asyncio.Event()

    async def much(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        for piece in PIECES:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        sent.set()

    config, state = Config(much, lifespan="off", log_config=None), ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedConnection(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    try:
        yield reader, sent
    finally:
        writer.close()
        server.close()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """Has one more for each look at whether an answer is read, which is soon."""
    monkeypatch.setattr(connections, "_READ_SECONDS", 0.2)
    happened, look = asyncio.Semaphore(0), BoundedConnection._go_on_if_read

    def looked(self: BoundedConnection, before: int) -> None:
        look(self, before)
        happened.release()

    monkeypatch.setattr(BoundedConnection, "_go_on_if_read", looked)
    return happened


async def _size(reader: asyncio.StreamReader) -> int:
    count = 0
    with suppress(ConnectionResetError):
        while piece := await reader.read(1 << 16):
            count += len(piece)
    return count


def test_an_answer_that_nobody_reads_is_given_up(looks: asyncio.Semaphore) -> None:
    async def given_up() -> int:
        async with asyncio.timeout(60), _much_asked_for() as (reader, sent):
            await sent.wait()
            return await _size(reader)

    assert 0 < event_loops.run(given_up()) < sum(map(len, PIECES))


def test_an_answer_that_is_read_slowly_comes_whole(looks: asyncio.Semaphore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_LEAST_READ_BYTES", 0)

    async def read() -> int:
        async with asyncio.timeout(60), _much_asked_for() as (reader, _):
            await looks.acquire()
            await looks.acquire()
            return await _size(reader)

    assert event_loops.run(read()) > sum(map(len, PIECES))


@pytest.mark.parametrize(
    "endless", [b"GET /" + b"a" * 400_000, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-Each: aaaaaaaaa\r\n" * 20_000]
)
def test_an_endless_address_or_head_is_not_taken(
    endless: bytes, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_HEADER_SECONDS", 600.0)
    with _opened(http, b"") as opened:
        try:
            opened.sendall(endless)
        except (BrokenPipeError, ConnectionResetError):
            return
        assert _ends(opened)


def test_a_body_may_be_larger_than_a_head(http: httpx.Client) -> None:
    answer = http.post("/api/v1/studies", content=b'"' + b"a" * 500_000 + b'"', headers={"X-Long": "b" * 60_000})
    assert answer.status_code == 422


class _Peer(asyncio.Transport):
    """The end of a connection at which an address stands."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1), "sockname": ("127.0.0.1", 1)})
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize(
    ("proxies", "address", "spared"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.1.2.3"], "::ffff:10.1.2.3", True),
        (["2001:db8::/32"], "2001:db8:0::7", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        ([], "10.1.2.3", False),
    ],
)
def test_connections_of_proxies_do_not_take_each_others_place(proxies: list[str], address: str, spared: bool) -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

    async def aborted() -> list[bool]:
        config = Config(nothing, proxy_headers=bool(proxies), forwarded_allow_ips=proxies)
        peers = [_Peer(address) for _ in range(connections._MOST_WAITING + 2)]
        for each in peers:
            BoundedConnection(config, ServerState(), {}).connection_made(each)
        return [each.aborted for each in peers]

    assert event_loops.run(aborted())[:3] == ([False] * 3 if spared else [True, True, False])
