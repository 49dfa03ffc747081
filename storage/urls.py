"""Storage URLs: reading them, choosing the driver, and showing them without passwords."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from storage.errors import InvalidUrl

_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "mariadb+pymysql": "mysql+pymysql",
}
_SECRET_KEY = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
# Before the last @ of what should be a URL are a user and a password, however its beginning was mistyped.
_KIND = r"(?:[A-Za-z0-9+.]+://+|(?:postgres|mysql|mariadb|http)[A-Za-z0-9+]*[:/]+)"
_CREDENTIALS = re.compile(rf"^({_KIND}?)(?:([^:@/]*):)?.*@", re.DOTALL)
_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)


def mask_password(url: str | URL) -> str:
    """The URL with every password in it shown as ``***``, also when it is not a valid URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return _SECRET_OPTION.sub(r"\1***", _CREDENTIALS.sub(_without_credentials, str(url)))
    if _is_mistyped(parsed):
        parsed = parsed.set(database="***")
    hidden = {key: "***" if _SECRET_KEY.search(key) else value for key, value in parsed.query.items()}
    text = parsed.set(query=hidden).render_as_string(hide_password=True)
    return text.replace("%2A%2A%2A", "***")


def _without_credentials(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}:***@" if found[2] else f"{found[1]}***@"


def _is_mistyped(url: URL) -> bool:
    """Whether what is read as the name of a database has a user and a password: postgresql:///user:password@host."""
    return "@" in (url.database or "") and url.get_backend_name() != "sqlite"


def parse_url(url: str) -> URL:
    """The URL with the driver that this project uses for its kind of database.

    Raises:
        InvalidUrl: it is no database URL, or of a kind that is not supported.
    """
    try:
        parsed = make_url(url)
        if isinstance(url, str) and "://" in url and parsed.drivername in _DRIVERS:
            parsed = parsed.set(drivername=_DRIVERS[parsed.drivername])
        parsed.get_dialect()
    except NoSuchModuleError:
        raise InvalidUrl(mask_password(url), f"unknown kind {parsed.drivername!r}") from None
    except (ArgumentError, ValueError):
        raise InvalidUrl(mask_password(url), "is not a URL") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql", "mysql"):
        raise InvalidUrl(mask_password(url), f"unsupported kind {parsed.drivername!r}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InvalidUrl(mask_password(url), "names no file, and workers cannot share memory")
    return parsed


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL, as given; None for a server."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def secrets_in(url: URL) -> frozenset[str]:
    """The passwords that a message about this URL must not contain."""
    found = {str(url.password)} if url.password else set()
    if _is_mistyped(url):
        found.add(str(url.database))
    for key, value in url.query.items():
        if _SECRET_KEY.search(key):
            found.update([value] if isinstance(value, str) else value)
    return frozenset(secret for secret in found if secret)
