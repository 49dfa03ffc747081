"""What must not be read in a log."""

from __future__ import annotations

import logging
import re

from storage.tokens import PREFIX
from storage.urls import mask_password

_TOKEN = re.compile(re.escape(PREFIX) + r"[\w-]+")
_URL = re.compile(r"\w[\w+.-]*://[^\s'\"<>]+")
_FORMATTER = logging.Formatter()


def mask_record(record: logging.LogRecord) -> bool:
    """A filter of loggers that keeps every line, with ``***`` for the passwords of URLs and for tokens."""
    record.msg, record.args = _masked(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = _masked(_FORMATTER.formatException(record.exc_info))
    return True


def _masked(text: str) -> str:
    urls_masked = _URL.sub(lambda found: mask_password(found[0]), text)
    return _TOKEN.sub(f"{PREFIX}***", urls_masked)
