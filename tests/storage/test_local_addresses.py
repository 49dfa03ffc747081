"""Which addresses are this machine: one decision for engines, manifests and the service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidUrl
from storage.local_addresses import is_loopback_host, is_this_machine, why_only_here

LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "127.1", "2130706433"]
UNSPECIFIED = ["0.0.0.0", "::", "[::]", "::ffff:0.0.0.0", "0"]
NAMES = [
    "localhost",
    "LOCALHOST.",
    "localhost.localdomain",
    "localhost6.localdomain6",
    "ip6-localhost",
    "db.localhost",
    "a.b.LocalHost",
]
EVERY_ADDRESS = ["", "."]
ELSEWHERE = [
    "db.example.org",
    "localhost.example.org",
    "notlocalhost",
    "10.0.0.7",
    "10.1",
    "2001:db8::1",
    "fe80::1",
    "db",
]


@pytest.mark.parametrize("host", [*LOOPBACK, *UNSPECIFIED, *NAMES, *EVERY_ADDRESS])
def test_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_another_machine(host: str) -> None:
    assert not is_this_machine(host) and not is_loopback_host(host)


def test_a_service_at_every_address_is_not_taken_for_one_on_loopback() -> None:
    assert all(map(is_loopback_host, [*LOOPBACK, *NAMES]))
    assert not any(map(is_loopback_host, [*UNSPECIFIED, *EVERY_ADDRESS]))


@given(st.ip_addresses())
def test_every_address_is_as_the_standard_library_has_it(address) -> None:
    plain = getattr(address, "ipv4_mapped", None) or address
    assert is_this_machine(str(address)) == (plain.is_loopback or plain.is_unspecified)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sqlite:////data/tuner.db", "a SQLite file, which is on one machine"),
        ("sqlite:///tuner.db", "a SQLite file, which is on one machine"),
        ("postgresql:///tuner", "at a socket of one machine"),
        ("postgresql://ann@/tuner?host=/run/postgresql", "at a socket of one machine"),
        ("mysql://ann@db.example/tuner?unix_socket=/run/mysqld.sock", "at a socket of one machine"),
        ("postgresql://ann@[::]/tuner", "at [::], which on every machine means that machine itself"),
        ("mysql://ann@[::1]:3306/tuner", "at [::1], which on every machine means that machine itself"),
        ("postgresql://ann@0.0.0.0:5432/tuner", "at 0.0.0.0, which on every machine means that machine itself"),
        ("mariadb://ann@db.localhost/tuner", "at db.localhost, which on every machine means that machine itself"),
        # A stand-in at localhost is another one for every worker.
        ("postgresql://ann@/t?host=db.example:5432&host=localhost:5433", "at localhost, which on every machine means"),
        ("postgresql://ann@/t?host=db.example,127.0.0.1", "at 127.0.0.1, which on every machine means"),
        # The option is what is connected to.
        ("postgresql://ann@db.example/t?host=localhost", "at localhost, which on every machine means"),
    ],
)
def test_databases_that_one_machine_reaches(url: str, why: str) -> None:
    assert str(why_only_here(url)).startswith(why)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:secret@db.example.org/tuner",
        "mysql://ann@10.0.0.7/tuner",
        "postgresql://ann@[2001:db8::1]:5432/tuner",
        "postgresql://ann@/tuner?host=db.example.org",
        "postgresql://ann@localhost/tuner?host=db.example.org",
    ],
)
def test_databases_that_others_reach(url: str) -> None:
    assert why_only_here(url) is None


def test_what_is_no_database_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidUrl) as refused:
        why_only_here("oracle://ann:hunter2@db.example/tuner")
    assert "hunter2" not in str(refused.value)
