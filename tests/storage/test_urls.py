from __future__ import annotations

import pytest

from storage.connecting import connect
from storage.database import mask_password
from storage.errors import InvalidUrl
from storage.urls import parse_url

SECRET = "s3cr3t:/x"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cr3t@h/db", "postgresql://u:***@h/db"),
        ("postgresql://h/db?password=s3cr3t&sslmode=require", "postgresql://h/db?password=***&sslmode=require"),
        ("mysql://u:s3cr3t%40x@h:3306/db", "mysql://u:***@h:3306/db"),
        ("sqlite:///tuner.db", "sqlite:///tuner.db"),
        ("postgresql://u:s3cr3t@x@h:no/db", "postgresql://u:***@h:no/db"),
        ("postgresql://u:s3cr3t@h:no/db?password=s3cr3t", "postgresql://u:***@h:no/db?password=***"),
        ("postgresql:/u:s3cr3t@h", "postgresql:/u:***@h"),
        ("postgresql:u:s3cr3t@h", "postgresql:u:***@h"),
        ("postgresql//u:s3cr3t@h/db", "postgresql//u:***@h/db"),
        ("postgresql:///u:s3cr3t@h", "postgresql:///***"),
        ("u:s3cr3t@h/db", "u:***@h/db"),
        ("u:s3cr3t:/x@h/db", "u:***@h/db"),
        ("s3cr3t@h/db", "***@h/db"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert mask_password(url) == shown


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgres://h/db", "postgresql+psycopg"),
        ("postgresql://h/db", "postgresql+psycopg"),
        ("mysql://h/db", "mysql+pymysql"),
        ("mariadb://h/db", "mysql+pymysql"),
        ("sqlite:///tuner.db", "sqlite"),
    ],
)
def test_each_kind_has_its_driver(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


def test_a_relative_sqlite_path_stays_as_given() -> None:
    assert parse_url("sqlite:///some/tuner.db").database == "some/tuner.db"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "is not a URL"),
        ("", "is not a URL"),
        ("http://u:s3cr3t@h/db", "unknown kind 'http'"),
        ("oracle://u:s3cr3t@h/db", "unsupported kind 'oracle'"),
        ("postgresql://u:s3cr3t@h:port/db", "is not a URL"),
        ("postgresql+psycopg2://u:s3cr3t@h/db", "driver 'psycopg2' is not installed"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url: str, reason: str) -> None:
    with pytest.raises(InvalidUrl) as invalid:
        connect(url, create=True)
    assert reason in str(invalid.value)
    assert "use sqlite:///FILE" in str(invalid.value)
    assert "s3cr3t" not in str(invalid.value) + repr(invalid.value) + str(vars(invalid.value))
