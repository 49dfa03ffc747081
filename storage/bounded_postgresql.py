"""Connections to PostgreSQL whose server must answer in time.

TCP cannot tell a server that is frozen, or that computes for ever, from one that is about to answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg

_Result = TypeVar("_Result")


def bounded(seconds: float) -> Callable[..., psycopg.Connection[Any]]:
    """``psycopg.connect`` for connections that are given up after so many seconds without the answer to a statement.

    What they raise then is ``psycopg.OperationalError``.
    """

    class BoundedConnection(psycopg.Connection[Any]):
        def wait(self, gen: Generator[Any, Any, _Result], *args: Any, **kwargs: Any) -> _Result:
            return super().wait(_given_up(gen, seconds, self.pgconn.finish), *args, **kwargs)

    return BoundedConnection.connect


def _given_up(
    answer: Generator[Any, Any, _Result], seconds: float, give_up: Callable[[], None]
) -> Generator[Any, Any, _Result]:
    """The same answer, which psycopg asks for every 0.1 s while nothing comes."""
    deadline = time.monotonic() + seconds
    try:
        wanted = next(answer)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                give_up()
                raise psycopg.OperationalError(f"the server did not answer within {seconds:g} s")
            wanted = answer.send(ready)
    except StopIteration as done:
        result: _Result = done.value
        return result
