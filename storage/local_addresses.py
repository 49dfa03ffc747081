"""Which addresses are this machine, on whatever machine they are used: of hosts, and of the databases at them."""

from __future__ import annotations

import ipaddress
import socket

from sqlalchemy.engine import URL

from storage.urls import parse_url, sqlite_file

# As the hosts files of the usual systems have them; names below `localhost` are loopback too (RFC 6761).
_LOOPBACK_NAMES = (
    "localhost",
    "localhost4",
    "localhost6",
    "localhost.localdomain",
    "localhost4.localdomain4",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
)


def is_loopback_host(host: str) -> bool:
    """Whether it is a name or an address at which a machine reaches nothing but itself, and nothing else reaches it.

    The unspecified addresses ``0.0.0.0`` and ``[::]`` are none: a server that listens at one is reached by others.
    """
    name = _plain(host)
    if name in _LOOPBACK_NAMES or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def is_this_machine(host: str) -> bool:
    """Whether a client that connects to the host reaches the machine that it runs on: by name, or by address.

    That goes for the unspecified addresses ``0.0.0.0`` and ``[::]`` too, which a server listens at.
    """
    name = _plain(host)
    if not name or is_loopback_host(name):
        return True
    address = _address(name)
    return address is not None and address.is_unspecified


def why_only_here(url: str) -> str | None:
    """What keeps a database from being reached from other machines, in words; None if nothing does.

    Raises:
        InvalidUrl: it is no URL of a database.
    """
    parsed = parse_url(url)
    if sqlite_file(parsed) is not None:
        return "a SQLite file, which is on one machine"
    if (parsed.get_backend_name() == "mysql" and "unix_socket" in parsed.query) or not _hosts(parsed):
        return "at a socket of one machine"
    for host in _hosts(parsed):
        if host.startswith("/"):
            return "at a socket of one machine"
        if is_this_machine(host):
            shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
            return f"at {shown}, which on every machine means that machine itself"
    return None


def _plain(host: str) -> str:
    return host.strip().lower().rstrip(".")


def _hosts(url: URL) -> list[str]:
    """The hosts of a URL, several for a server that has stand-ins. Options of the URL come before its own host."""
    given = url.query.get("host", url.host or "")
    listed = [given] if isinstance(given, str) else given
    return [_without_port(host) for each in listed for host in each.split(",") if host]


def _without_port(host: str) -> str:
    # An IPv6 address has several colons, a host with its port one.
    return host.partition(":")[0] if host.count(":") == 1 else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return _short_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def _short_address(host: str) -> ipaddress.IPv4Address | None:
    """Of a form such as ``127.1``, which the system's resolver takes too."""
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
