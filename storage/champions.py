"""Champions: exported models, registered with their verification."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.storages._rdb.models import StudySystemAttributeModel
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from storage.database import Database, retried
from storage.errors import Conflict, UnknownChampion
from storage.studies import StudyRecord
from storage.tables import ChampionRow, StudyRow

# Among Optuna's attributes of a study, which go with it, and which nothing shows.
_KEY = "tuner:export_key"
_KEY_BYTES = 32


@dataclass(frozen=True)
class KeptExport:
    """An export's files in the study's artifacts.

    Attributes:
        digest: SHA-256 of the files' names and hashes, in hexadecimal: equal for equal exports only.
        size: of all files, in bytes.
        files: SHA-256 of each, by relative POSIX path; the record ``champion.json`` too.
    """

    digest: str
    size: int
    files: Mapping[str, str]


@dataclass(frozen=True)
class Champion:
    """One export of a trial's model.

    Attributes:
        id: of its row, in the whole database.
        number: the trial's number.
        version: counts the study's exports from 1.
        path: where the export was written; empty if nothing is left there.
        value: the objective that the study recorded.
        verification: what was checked, and the outcome.
        kept: its files in the study's artifacts; None for one that only ``path`` has.
    """

    id: int
    study_id: int
    number: int
    version: int
    path: str
    value: float | None
    verification: Any
    created_at: datetime
    kept: KeptExport | None

    @property
    def is_verified(self) -> bool:
        """Whether the exported model reproduced the value."""
        return self.verification.get("verified") is True


@retried
def register(
    db: Database,
    study_id: int,
    number: int,
    *,
    path: str,
    value: float | None,
    verification: Mapping[str, Any],
    kept: KeptExport | None = None,
) -> int:
    """Stores an export and gives its version."""
    latest = select(func.max(ChampionRow.version)).where(ChampionRow.study_id == study_id)
    try:
        with db.writing() as session:
            row = ChampionRow(study_id=study_id, number=number, path=path, value=value)
            row.verification = dict(verification)
            if kept is not None:
                row.digest, row.size, row.files = kept.digest, kept.size, dict(kept.files)
            row.version = (session.scalar(latest) or 0) + 1
            row.created_at = db.now()  # type: ignore[assignment]  # filled in by the flush
            session.add(row)
        return row.version
    except IntegrityError as error:
        raise Conflict(db.url, "another export took the version") from error


@retried
def export_key(db: Database, study_id: int) -> bytes:
    """The study's key for the signatures of its exports; made when it is first asked for.

    Raises:
        StorageError: the database cannot be used, or it only reads and there is no key yet.
    """
    if (known := known_export_key(db, study_id)) is not None:
        return known
    with db.writing() as session:
        # Of several callers one makes it.
        session.execute(select(StudyRow).where(StudyRow.study_id == study_id).with_for_update())
        found = session.scalar(_stored_key(study_id))
        if found is None:
            found = json.dumps(secrets.token_hex(_KEY_BYTES))
            made = {"study_id": study_id, "key": _KEY, "value_json": found}
            session.execute(insert(StudySystemAttributeModel).values(made))
        return bytes.fromhex(json.loads(found))


def known_export_key(db: Database, study_id: int) -> bytes | None:
    """The study's key, if it has one."""
    with db.reading() as session:
        found = session.scalar(_stored_key(study_id))
    return None if found is None else bytes.fromhex(json.loads(found))


def _stored_key(study_id: int) -> Any:
    attribute = StudySystemAttributeModel
    return select(attribute.value_json).where(attribute.study_id == study_id, attribute.key == _KEY)


def list_champions(db: Database, study_id: int) -> list[Champion]:
    """The study's exports, the newest first."""
    newest_first = select(ChampionRow).where(ChampionRow.study_id == study_id).order_by(ChampionRow.version.desc())
    with db.reading() as session:
        return [champion_of(row) for row in session.scalars(newest_first)]


def find(db: Database, study: StudyRecord, version: int | None = None) -> Champion:
    """A study's export of a version, or its newest.

    Raises:
        UnknownChampion: there is none.
    """
    there = list_champions(db, study.study_id)
    for champion in there:
        if version in (None, champion.version):
            return champion
    raise UnknownChampion(study.name, version, [each.version for each in reversed(there)])


def champion_of(row: ChampionRow) -> Champion:
    kept = None
    if row.digest is not None and row.size is not None and row.files is not None:
        kept = KeptExport(row.digest, row.size, row.files)
    names = [name for name in Champion.__dataclass_fields__ if name != "kept"]
    return Champion(**{name: getattr(row, name) for name in names}, kept=kept)
