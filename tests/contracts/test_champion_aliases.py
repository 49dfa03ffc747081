"""Champions and the names that point to them, on every kind of database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storage import aliases, champions
from storage.champions import KeptExport
from storage.connecting import connect
from storage.database import Database
from storage.errors import StorageError, UnknownAlias, UnknownChampion
from storage.studies import StudyRecord

NewStudy = Callable[..., StudyRecord]
Race = Callable[..., list[Any]]
KEPT = KeptExport("d" * 64, 2**40, {"model.keras": "a" * 64, "champion.json": "b" * 64})


def registered(database: Database, study: StudyRecord, number: int, kept: KeptExport | None = KEPT) -> int:
    """The id of a new champion's row."""
    verification = {"verified": True, "metric": "val_accuracy"}
    champions.register(database, study.study_id, number, path="/out", value=0.5, verification=verification, kept=kept)
    return champions.find(database, study).id


def pointed(database: Database, alias: str) -> tuple[str, int]:
    named = aliases.target(database, alias)
    assert named is not None
    return named.study, named.champion.version


def test_what_was_kept_comes_back(database: Database, new_study: NewStudy) -> None:
    study = new_study()
    registered(database, study, 3, kept=None)
    registered(database, study, 4)
    assert [each.kept for each in champions.list_champions(database, study.study_id)] == [KEPT, None]
    assert champions.find(database, study, 1).number == 3
    with pytest.raises(UnknownChampion, match="'digits' has no champion 3; it has 1, 2"):
        champions.find(database, study, 3)
    with pytest.raises(UnknownChampion, match=r"has no champion yet: export one first .`tuner export other"):
        champions.find(database, new_study("other"))


def test_an_alias_moves_from_study_to_study_and_its_history_is_kept(database: Database, new_study: NewStudy) -> None:
    one, other = new_study("one"), new_study("other")
    first, second, third = registered(database, one, 0), registered(database, one, 1), registered(database, other, 0)
    assert aliases.target(database, "production") is None
    assert aliases.point(database, "production", first, "ann@a")
    assert not aliases.point(database, "production", first, "ann@a")
    assert aliases.point(database, "Production", second, "ann@a")
    assert aliases.point(database, "production", third, "bob@b")
    assert (pointed(database, "production"), pointed(database, "Production")) == (("other", 1), ("one", 2))
    last, begin = aliases.history(database, "production")
    assert (begin.before, begin.now, begin.who) == (None, ("one", 1), "ann@a")
    assert (last.before, last.now, last.who) == (("one", 1), ("other", 1), "bob@b")
    assert begin.at <= last.at and last.at.tzinfo is not None
    listed = [(each.study, each.champion.version, each.aliases) for each in aliases.list_named(database)]
    assert listed == [("other", 1, ("production",)), ("one", 2, ("Production",)), ("one", 1, ())]


def test_what_is_no_alias_is_refused(database: Database, new_study: NewStudy) -> None:
    champion = registered(database, new_study(), 0)
    for name in ("", "a b", "digits@1", "../x", "é", "a" * 65, "a\n"):
        with pytest.raises(StorageError, match="letters, digits, - and _"):
            aliases.point(database, name, champion, "ann@a")
    with pytest.raises(UnknownAlias, match=r"; there are no aliases$"):
        aliases.history(database, "production")
    aliases.point(database, "a" * 64, champion, "ann@a")
    with pytest.raises(UnknownAlias, match=f"alias 'production'; the only alias is '{'a' * 64}'"):
        aliases.history(database, "production")


@pytest.mark.parametrize(
    ("known", "studies", "said"),
    [
        (
            (),
            ("s",),
            "no champion has the alias 'nix' and no study has that name; there are no aliases, and the only "
            "study is 's'",
        ),
        (
            ("nixe", "b"),
            ("nixon", "c", "d"),
            "no champion has the alias 'nix' and no study has that name; there are 2 "
            "aliases, such as 'nixe', and there are 3 studies, such as 'nixon'",
        ),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(
    known: tuple[str, ...], studies: tuple[str, ...], said: str
) -> None:
    assert str(UnknownAlias("nix", known, studies)) == said


def _promote(index: int, url: str, ids: list[int]) -> int:
    database = connect(url)
    moved = sum(aliases.point(database, "production", ids[(index + turn) % 3], f"{index}@host") for turn in range(8))
    database.close()
    return moved


def test_promoters_at_once_leave_one_unbroken_history(
    database: Database, database_url: str, new_study: NewStudy, race: Race
) -> None:
    study = new_study()
    ids = [registered(database, study, number) for number in range(3)]
    database.close()
    moved = race(4, _promote, database_url, ids)
    told = aliases.history(database, "production")[::-1]
    assert len(told) == sum(moved)
    assert [each.before for each in told] == [None, *(each.now for each in told[:-1])]
    assert pointed(database, "production") == told[-1].now
