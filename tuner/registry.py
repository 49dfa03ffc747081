"""The registry of champions: what was exported, which of them is called what, and since when.

A champion is named by an alias, by ``STUDY@VERSION``, or by ``STUDY`` for its newest; an alias comes before a study
of the same name. Apart from ``tuner.api``, which has these functions too, so that asking imports nothing else.
"""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from storage import aliases, champions, studies
from storage.aliases import AliasChange, Named
from storage.database import Database
from storage.errors import UnknownAlias, UnknownStudy
from tuner.errors import RegistryError
from tuner.places import study_artifacts
from tuner.queries import open_storage


@dataclass(frozen=True)
class RegisteredChampion:
    """An export and what it is called.

    Attributes:
        version: counts the study's exports from 1.
        trial: the trial's number.
        value: of the metric, as the study recorded it.
        verified: the exported model gave that value.
        aliases: in alphabetical order.
        size: of its files in the study's artifacts, in bytes; None for one that only ``path`` has.
        digest: SHA-256 over its files' hashes; None likewise.
        path: where it was exported to, on the machine that did.
    """

    study: str
    version: int
    trial: int
    metric: str | None
    value: float | None
    verified: bool
    aliases: tuple[str, ...]
    created_at: datetime
    size: int | None
    digest: str | None
    path: str


def list_champions(study: str | None = None, *, storage: str | None = None) -> list[RegisteredChampion]:
    """Every champion in the database or of one study, the newest first.

    Raises:
        UnknownStudy: there is none of this name.
    """
    with open_storage(storage) as database:
        if study is not None:
            studies.load_study(database, study)
        return [_view(each) for each in aliases.list_named(database) if study in (None, each.study)]


def promote(
    study: str, version: int, alias: str, *, unverified: bool = False, storage: str | None = None
) -> AliasChange | None:
    """Points an alias to a champion, in one step. Gives the move; None if it pointed there already.

    Args:
        alias: letters, digits, - and _; it leaves the champion that had it.
        unverified: also one whose value could not be reproduced.

    Raises:
        RegistryError: the champion is not verified, or its files are not in the study's artifacts.
        StorageError: there is no such study or version, or it is no name for an alias.
    """
    with open_storage(storage) as database:
        champion = champions.find(database, studies.load_study(database, study), version)
        called = f"{study}@{version}"
        if not _is_verified(champion.verification) and not unverified:
            reason = champion.verification.get("reason") or "its value was not reproduced"
            raise RegistryError(f"champion {called} is not verified: {reason}; promote it all the same by --unverified")
        if champion.kept is None:
            raise RegistryError(_not_kept(called, champion.path))
        if not aliases.point(database, alias, champion.id, _who()):
            return None
        return aliases.history(database, alias)[0]


def alias_history(alias: str, *, storage: str | None = None) -> list[AliasChange]:
    """Who pointed an alias from which champion to which, and when; the newest first.

    Raises:
        UnknownAlias: there is none of this name.
    """
    with open_storage(storage) as database:
        return aliases.history(database, alias)


def fetch_champion(reference: str, to: Path | str, *, storage: str | None = None) -> RegisteredChampion:
    """Writes a champion from the study's artifacts to a folder, every file checked, all of it or nothing.

    Args:
        reference: an alias, ``STUDY@VERSION``, or ``STUDY`` for its newest.
        to: the folder to make; an earlier export there is replaced.

    Raises:
        RegistryError: a file is missing or damaged, or the export was never put there; nothing was written.
        ExportError: ``to`` cannot be written or holds something else.
        StorageError: there is no such champion, or the artifacts cannot be reached.
    """
    from tuner.champion.registry import fetch_export

    with open_storage(storage) as database:
        found = _find(database, reference)
        record = studies.load_study(database, found.study)
    called = f"champion {found.study}@{found.champion.version}"
    if found.champion.kept is None:
        raise RegistryError(_not_kept(called, found.champion.path))
    fetch_export(study_artifacts(record.artifacts, found.study), found.champion.kept, called, Path(to))
    return _view(found)


def _find(database: Database, reference: str) -> Named:
    named = aliases.target(database, reference)
    if named is not None:
        return named
    study, at, version = reference.rpartition("@")
    if not (at and version.isdecimal()):
        study, version = reference, ""
    try:
        record = studies.load_study(database, study)
    except UnknownStudy as error:
        if at:
            raise
        called = sorted(alias for each in aliases.list_named(database) for alias in each.aliases)
        raise UnknownAlias(reference, called, error.known) from None
    champion = champions.find(database, record, int(version) if version else None)
    return Named(study, champion, ())


def _view(named: Named) -> RegisteredChampion:
    champion = named.champion
    return RegisteredChampion(
        study=named.study,
        version=champion.version,
        trial=champion.number,
        metric=champion.verification.get("metric"),
        value=champion.value,
        verified=_is_verified(champion.verification),
        aliases=named.aliases,
        created_at=champion.created_at,
        size=champion.kept.size if champion.kept else None,
        digest=champion.kept.digest if champion.kept else None,
        path=champion.path,
    )


def _is_verified(verification: dict[str, object]) -> bool:
    return verification.get("verified") is True


def _not_kept(called: str, path: str) -> str:
    return f"{called} was exported by an older version, to {path} alone: export the trial again to register its files"


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user without a name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
