"""The service's log: without secrets, and not the same line over and over."""

from __future__ import annotations

import logging
import re
import time

from storage.tokens import PREFIX
from storage.urls import mask_password

_TOKEN = re.compile(re.escape(PREFIX) + r"[\w-]+")
_URL = re.compile(r"\w[\w+.-]*://[^\s'\"<>]*[^\s'\"<>:;,.)]")
_FORMATTER = logging.Formatter()
_AGAIN_SECONDS = 60.0


def mask_record(record: logging.LogRecord) -> bool:
    """A filter of loggers that keeps every line, with ``***`` for the passwords of URLs and for tokens."""
    record.msg, record.args = _masked(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = _masked(_FORMATTER.formatException(record.exc_info))
    return True


class Repeats:
    """A filter of loggers that keeps a warning once a minute: while a database is away every request has the same, and
    anybody can send requests that are malformed or ask for WebSockets."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def __call__(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING:
            return True
        now, line = time.monotonic(), record.getMessage()
        self._said = {each: at for each, at in self._said.items() if now - at < _AGAIN_SECONDS}
        return self._said.setdefault(line, now) == now


def _masked(text: str) -> str:
    urls_masked = _URL.sub(lambda found: mask_password(found[0]), text)
    return _TOKEN.sub(f"{PREFIX}***", urls_masked)
