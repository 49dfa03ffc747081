"""One connection to a service: requests, pages and streams, and the service's errors made exceptions again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from storage import errors as storage_errors
from tuner import errors
from tuner.errors import Problem, ServiceError, SpecError
from tuner.json_codec import from_json
from tuner.queries.paging import Page

_PAGE = 500


class Connection:
    """Asks a service. Every method raises what the service says, and ``ServiceError`` where none answers.

    Args:
        seconds: to wait for an answer.

    Attributes:
        url: where the service is.
    """

    def __init__(self, url: str, token: str | None, seconds: float) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=seconds)

    def close(self) -> None:
        self._http.close()

    def get(self, kind: Any, path: str, **asked: Any) -> Any:
        """What is at a path, as ``kind``; ``asked`` are the parameters that are not None."""
        return self._answer("GET", kind, path, params=_given(asked))

    def send(
        self,
        method: str,
        kind: Any,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        asked: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> Any:
        """What a request with a body gives, as ``kind``.

        Args:
            seconds: to wait for the answer, in place of the usual time.
        """
        more = _given({"json": body, "params": _given(asked or {}), "timeout": seconds})
        return self._answer(method, kind, path, **more)

    def _answer(self, method: str, kind: Any, path: str, **more: Any) -> Any:
        with self._reaching():
            answer = self._http.request(method, path, **more)
        _check(answer, self.url)
        return from_json(kind, answer.content)

    def every(self, kind: Any, path: str, limit: int | None = None, **asked: Any) -> Iterator[Any]:
        """Every item of a list, read in pages."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            count = _PAGE if left is None else min(left, _PAGE)
            page = self.get(Page[kind], path, **asked, limit=count, cursor=cursor)
            yield from page.items
            left = None if left is None else left - len(page.items)
            cursor = page.cursor
            if cursor is None:
                return

    def pieces(self, path: str) -> Iterator[bytes]:
        """What is at a path, as it comes."""
        with self.streaming(path) as answer:
            yield from self.received(answer)

    def events(self, path: str) -> Iterator[tuple[str, str]]:
        """Server-sent events as they come, each with its kind."""
        with self.streaming(path) as answer, self._reaching():
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, value

    @contextmanager
    def streaming(self, path: str) -> Iterator[httpx.Response]:
        """The answer, whose body is read while the block lasts."""
        with self._reaching():
            answer = self._http.send(self._http.build_request("GET", path), stream=True)
        try:
            if answer.is_error:
                with self._reaching():
                    answer.read()
            _check(answer, self.url)
            yield answer
        finally:
            answer.close()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise ServiceError(f"no service answers at {self.url}: {str(error) or type(error).__name__}") from None

    def received(self, answer: httpx.Response) -> Iterator[bytes]:
        """The body of an answer that is streamed, in pieces. Raises ServiceError where it breaks off."""
        try:
            yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise ServiceError(f"{self.url} broke off in the middle: {str(error) or type(error).__name__}") from None


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _check(answer: httpx.Response, url: str) -> None:
    """Raises what the service said."""
    if not answer.is_error:
        return
    try:
        said = json.loads(answer.content)["error"]
        code, message = str(said["code"]), str(said["message"])
        problems = [Problem(each["key"], each["message"]) for each in said.get("where", ())]
        details = dict(said.get("details", {}))
    except (ValueError, KeyError, TypeError):
        raise ServiceError(f"{url} answered {answer.status_code}, so it is not a tuner service") from None
    raise error_of(code, message, problems, details)


def error_of(code: str, message: str, problems: Sequence[Problem], details: Mapping[str, Any]) -> Exception:
    """The error of ``tuner.errors`` or ``storage.errors`` that the service told of."""
    kind: Any = getattr(errors, code, None) or getattr(storage_errors, code, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.TunerError | storage_errors.StorageError)):
        return ServiceError(message)
    # Their own constructors make the message, which has come ready.
    made: Exception = kind.__new__(kind)
    Exception.__init__(made, message)
    for name, value in details.items():
        setattr(made, name, tuple(value) if isinstance(value, list) else value)
    if isinstance(made, SpecError):
        made.problems = tuple(problems)
    return made
