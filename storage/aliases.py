"""Names for champions, such as ``production``: each points to one champion of the database, and every move is kept."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.champions import Champion, champion_of
from storage.database import Database, retried
from storage.errors import Conflict, StorageError, UnknownAlias
from storage.tables import AliasChangeRow, AliasRow, ChampionRow, StudyRow

_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Named:
    """A champion with its study's name and what it is called, in alphabetical order."""

    study: str
    champion: Champion
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class AliasChange:
    """One change of an alias.

    Attributes:
        alias: the alias that was changed.
        before: the study and version that it pointed to before; None for the first change.
        now: the study and version that it has pointed to since then.
        who: the user and host that made the change.
        at: when the change was made: aware, UTC, by the database's clock.
    """

    alias: str
    before: tuple[str, int] | None
    now: tuple[str, int]
    who: str
    at: datetime


@retried
def point(db: Database, alias: str, champion_id: int, who: str) -> bool:
    """Points an alias to a champion, in one step, and writes down the move. False if it pointed there already.

    Raises:
        StorageError: it is no name for an alias.
    """
    if not _ALIAS.fullmatch(alias):
        raise StorageError(f"{alias!r} cannot be an alias: use 1 to 64 letters, digits, - and _")
    try:
        with db.writing() as session:
            row = session.scalar(select(AliasRow).where(AliasRow.alias == alias).with_for_update())
            before = row.champion_id if row else None
            if before == champion_id:
                return False
            if row is None:
                session.add(AliasRow(alias=alias, champion_id=champion_id))
                # Of two who make the alias at once, one must fail before it writes a history from nothing.
                session.flush()
            else:
                row.champion_id = champion_id
            change = AliasChangeRow(alias=alias, from_champion=before, to_champion=champion_id, who=who[:255])
            change.at = db.now()  # type: ignore[assignment]  # filled in by the flush
            session.add(change)
        return True
    except IntegrityError as error:
        raise Conflict(db.url, f"another promotion made the alias {alias!r} first") from error


def target(db: Database, alias: str) -> Named | None:
    """What an alias points to; None if there is no such alias."""
    with db.reading() as session:
        row = session.scalar(select(AliasRow).where(AliasRow.alias == alias))
        return None if row is None else _named(session, row.champion_id)[0]


def named(db: Database, champion_id: int) -> Named:
    """A champion that there is, by its id."""
    with db.reading() as session:
        return _named(session, champion_id)[0]


def list_named(
    db: Database, study: str | None = None, *, before: int | None = None, limit: int | None = None
) -> list[Named]:
    """Every champion in the database or of one study, the newest first.

    Args:
        before: only those that are older than the champion of this id.
        limit: at most this many.
    """
    with db.reading() as session:
        return _named(session, None, study, before, limit)


def history(db: Database, alias: str) -> list[AliasChange]:
    """Every move of an alias, the newest first.

    Raises:
        UnknownAlias: there is none of this name.
    """
    with db.reading() as session:
        newest_first = select(AliasChangeRow).where(AliasChangeRow.alias == alias).order_by(AliasChangeRow.id.desc())
        changes = list(session.scalars(newest_first))
        if not changes:
            raise UnknownAlias(alias, known(session))
        called = {each.champion.id: (each.study, each.champion.version) for each in _named(session, None)}
        return [
            AliasChange(
                alias,
                None if each.from_champion is None else called[each.from_champion],
                called[each.to_champion],
                each.who,
                each.at,
            )
            for each in changes
        ]


def known(session: Session) -> list[str]:
    """Every alias, in alphabetical order."""
    return list(session.scalars(select(AliasRow.alias).order_by(AliasRow.alias)))


def _named(
    session: Session,
    champion_id: int | None,
    study: str | None = None,
    before: int | None = None,
    limit: int | None = None,
) -> list[Named]:
    names = defaultdict(list)
    for row in session.scalars(select(AliasRow).order_by(AliasRow.alias)):
        names[row.champion_id].append(row.alias)
    found = select(StudyRow.name, ChampionRow).join(StudyRow, StudyRow.study_id == ChampionRow.study_id)
    if champion_id is not None:
        found = found.where(ChampionRow.id == champion_id)
    if study is not None:
        found = found.where(StudyRow.name == study)
    if before is not None:
        found = found.where(ChampionRow.id < before)
    return [
        Named(study, champion_of(row), tuple(names[row.id]))
        for study, row in session.execute(found.order_by(ChampionRow.id.desc()).limit(limit))
    ]
