"""The commands around the service, and those that came with it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import create_trial

from storage.connecting import connect


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with a study that Optuna alone made."""
    found = f"sqlite:///{tmp_path}/tuner.db"
    database = connect(found, create=True)
    study = optuna.create_study(study_name="plain", storage=database.optuna)
    study.add_trials(create_trial(value=value) for value in (3.0, 1.0, 2.0))
    database.close()
    return found


def test_tokens_are_made_listed_and_revoked(tuner: Any, url: str) -> None:
    made = tuner("token", "create", "ci", "--scope", "launch", "--days", "1", "--storage", url)
    secret = made.out.strip()
    assert made.code == 0 and secret.startswith("kc_") and secret not in made.err
    (listed,) = tuner("token", "list", "--storage", url, "--format", "json").json
    assert (listed["name"], listed["scope"], listed["revoked_at"]) == ("ci", "launch", None)
    assert secret not in str(listed)
    again = tuner("token", "create", "ci", "--scope", "read", "--storage", url)
    assert again.complaints == ["error: there is or was a token 'ci'; choose another name"]
    assert tuner("token", "revoke", "ci", "--storage", url).err == "token ci is revoked\n"
    assert "no token 'other'; there is 'ci'" in tuner("token", "revoke", "other", "--storage", url).err


def test_the_service_does_not_listen_to_others_without_a_token(tuner: Any, url: str) -> None:
    refused = tuner("serve", "--host", "0.0.0.0", "--port", "0", "--storage", url)
    assert refused.code == 1
    (line,) = refused.complaints
    assert "`tuner token create NAME --scope admin`" in line


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--data-root", "nowhere", "this folder does not exist"),
        ("--proxy", "not a thing", "an address, or a network such as 10.0.0.0/8"),
        ("--name", "bad name/x", "give a host name or address"),
        ("--allow-space", "resnet", "there is no space 'resnet'; choose one of image, text, structured"),
        ("--allow-space", "team.spaces:Small", "team.spaces does not exist"),
        ("--allow-space", "spaces/small.py:Small", "spaces/small.py does not exist"),
    ],
)
def test_what_is_allowed_must_be_there(tuner: Any, url: str, option: str, value: str, said: str) -> None:
    refused = tuner("serve", option, value, "--port", "0", "--storage", url)
    (line,) = refused.complaints
    assert refused.code == 1 and line.startswith(f"error: {option} {value}: ") and said in line


def test_a_study_is_deleted_once_its_name_was_typed(tuner: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("plane\n"))
    assert "confirm the deletion with the study's name" in tuner("delete", "plain", "--storage", url).err
    monkeypatch.setattr("sys.stdin", io.StringIO("plain\n"))
    assert tuner("delete", "plain", "--storage", url).err.endswith("study plain is deleted; its files were kept\n")
    assert "no study 'plain'" in tuner("delete", "plain", "--yes", "--storage", url).err


def test_lists_go_on_where_they_ended(tuner: Any, url: str) -> None:
    first = tuner("trials", "plain", "--sort", "value", "--limit", "2", "--storage", url, "--format", "json")
    assert [each["value"] for each in first.json] == [1.0, 2.0]
    cursor = first.err.partition("more trials follow: --cursor ")[2].strip()
    rest = tuner("trials", "plain", "--sort", "value", "--cursor", cursor, "--storage", url, "--format", "json")
    assert [each["value"] for each in rest.json] == [3.0] and rest.err == ""
