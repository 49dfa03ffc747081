"""A server of MLflow: where it is, who asks, and what its refusals mean. Passwords stay out of every message."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tuner.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

URI_VARIABLE = "MLFLOW_TRACKING_URI"
_USER, _PASSWORD, _TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
# Unless the user has set them.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# A server that is not there is told at once; one that is there may take its time.
_FIRST_LOOK = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_LONGEST_REASON = 400


@dataclass(frozen=True)
class Server:
    """Attributes: ``uri``: without credentials; ``credentials``: as MLflow's environment variables."""

    uri: str
    credentials: Mapping[str, str]

    @contextmanager
    def opened(self) -> Iterator[MlflowClient]:
        """A client of it, once it has answered; while the block lasts, what it refuses is a ``RegistryError``.

        Raises:
            RegistryError: MLflow is not installed, or the server cannot be reached or refuses: one line.
        """
        own = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
        with _environment(own | dict(self.credentials)):
            try:
                from mlflow import MlflowClient
            except ModuleNotFoundError:
                raise RegistryError("MLflow is not installed: pip install 'keras-champion[mlflow]'") from None
            with self._explained():
                client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                with _environment(_FIRST_LOOK):
                    client.search_registered_models(max_results=1)
                yield client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from requests import RequestException

        try:
            yield
        except (MlflowException, RequestException) as error:
            raise RegistryError(self._without_secrets(self._meaning(error))) from None
        except ModuleNotFoundError as error:
            # Artifacts that the server does not pass on, such as those in S3, are written from here.
            raise RegistryError(
                f"MLflow at {self.uri} keeps its artifacts in a store that needs the library {error.name}: install it"
            ) from None

    def _meaning(self, error: Exception) -> str:
        code = getattr(error, "error_code", None)
        if code == "UNAUTHENTICATED":
            return (
                f"MLflow at {self.uri} refuses these credentials: put the right ones into {_USER} and {_PASSWORD}, "
                f"or {_TOKEN}, or "
                "into the URI"
            )
        if code == "PERMISSION_DENIED":
            return f"MLflow at {self.uri} does not permit this request: {_on_one_line(error)}"
        if (root := _unreached(error)) is not None:
            return f"MLflow at {self.uri} cannot be reached: {_on_one_line(root)}"
        return f"MLflow at {self.uri} refuses the request: {_on_one_line(error)}"

    def _without_secrets(self, text: str) -> str:
        names = (_PASSWORD, _TOKEN)
        for secret in {*(self.credentials.get(name) for name in names), *(os.environ.get(name) for name in names)}:
            text = text.replace(secret, "***") if secret else text
        return text


def server_at(uri: str | None) -> Server:
    """The server of a URI, or of ``$MLFLOW_TRACKING_URI``. Credentials are taken out of the URI.

    Raises:
        RegistryError: it names no server.
    """
    given = uri or os.environ.get(URI_VARIABLE)
    if not given:
        raise RegistryError(f"name the MLflow server: give --mlflow http://HOST:PORT, or set {URI_VARIABLE}")
    try:
        parts = urlsplit(given)
        user, password = parts.username, parts.password
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        named = False
    # What is no URI may hold a password all the same: it is not repeated.
    if not named or parts.query or parts.fragment:
        raise RegistryError(
            "the MLflow URI must be that of a server, http://HOST:PORT or https://HOST, without a query"
        )
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    if user is None:
        return Server(bare, {})
    if not user or not password:
        raise RegistryError(
            f"the MLflow URI {bare} needs both a user and a password; put a token into {_TOKEN} instead"
        )
    return Server(bare, {_USER: unquote(user), _PASSWORD: unquote(password)})


def _unreached(error: BaseException) -> BaseException | None:
    """The innermost cause of a request that had no answer; None if there was one."""
    from requests import HTTPError, RequestException

    requested, root = False, error
    while (inner := root.__cause__ or root.__context__) is not None:
        root = inner
        requested = requested or (isinstance(root, RequestException) and not isinstance(root, HTTPError))
    return root if requested else None


def _on_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
