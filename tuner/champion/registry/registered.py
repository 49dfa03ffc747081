"""The registry of champions: what was exported, which of them is called what, and since when.

A champion is named by an alias, by ``STUDY@VERSION``, or by ``STUDY`` for its newest; an alias comes before a study
of the same name. Apart from ``tuner.api``, which has these functions too, so that asking imports nothing else.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from storage import aliases, champions, studies
from storage.aliases import AliasChange, Named
from storage.artifacts import StudyArtifacts
from storage.champions import Champion, KeptExport
from storage.database import Database
from storage.errors import StorageError, UnknownAlias, UnknownStudy
from tuner.errors import RegistryError
from tuner.queries.paging import USUAL_PAGE, Page, cursor_after, paged, position_in, whole_number
from tuner.study.open_study import OpenStudy
from tuner.study.storage_access import Storage, open_storage

if TYPE_CHECKING:
    from tuner.champion.card.registered import Card
    from tuner.champion.records.champion_json import Champion as ChampionRecord
    from tuner.champion.registry.mlflow_registry import MlflowVersion


@dataclass(frozen=True)
class RegisteredChampion:
    """A registered export of a study, with its aliases.

    Attributes:
        study: name of the study.
        version: version of the champion; it counts the study's exports from 1.
        trial: number of the exported trial.
        metric: name of the metric that the champion was chosen by; None if it is not known.
        value: value of that metric as the study recorded it.
        verified: whether the exported model reproduced that value.
        aliases: aliases of the champion, in alphabetical order.
        created_at: when the champion was registered, UTC.
        size: size of the champion's files in the study's artifacts, in bytes; None if only ``path`` has them.
        digest: SHA-256 over the hashes of the champion's files; None if only ``path`` has them.
        path: folder on the machine that exported the champion; None if it went only to the artifacts.
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
    path: str | None


def list_champions(study: str | None = None, *, storage: Storage = None) -> list[RegisteredChampion]:
    """Every champion in the database or of one study, the newest first.

    Raises:
        UnknownStudy: there is none of this name.
    """
    with open_storage(storage) as database:
        if study is not None:
            studies.load_study(database, study)
        return [_view(each) for each in aliases.list_named(database, study)]


def champion_page(
    study: str | None = None, *, limit: int = USUAL_PAGE, cursor: str | None = None, storage: Storage = None
) -> Page[RegisteredChampion]:
    """A page of ``list_champions``.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another list.
        UnknownStudy: there is none of this name.
    """
    listing = {"list": "champions", "study": study}
    before = whole_number(position_in(listing, cursor))
    with open_storage(storage) as database:
        if study is not None:
            studies.load_study(database, study)
        found = aliases.list_named(database, study, before=before, limit=limit + 1)
    items, more = paged(found, limit)
    after = cursor_after(listing, items[-1].champion.id) if more else None
    return Page([_view(each) for each in items], after)


def promote(
    study: str, version: int, alias: str, *, unverified: bool = False, who: str | None = None, storage: Storage = None
) -> AliasChange | None:
    """Points an alias to a champion, in one step. Gives the move; None if it pointed there already.

    Args:
        alias: letters, digits, - and _; it leaves the champion that had it.
        unverified: also one whose value could not be reproduced.
        who: for the history; this user and host without it.

    Raises:
        RegistryError: the champion is not verified, or its files are not in the study's artifacts.
        StorageError: there is no such study or version, or it is no name for an alias.
    """
    with open_storage(storage) as database:
        champion = champions.find(database, studies.load_study(database, study), version)
        called = f"champion {study}@{version}"
        _check_verified(champion, called, unverified)
        _kept(champion, called)
        if not aliases.point(database, alias, champion.id, who or _who()):
            return None
        return aliases.history(database, alias)[0]


def alias_history(alias: str, *, storage: Storage = None) -> list[AliasChange]:
    """Who pointed an alias from which champion to which, and when; the newest first.

    Raises:
        UnknownAlias: there is none of this name.
    """
    with open_storage(storage) as database:
        return aliases.history(database, alias)


@dataclass(frozen=True)
class ChampionPage:
    """A champion with what its export says of it, for show: never loaded, and no HTML of anybody else's."""

    champion: RegisteredChampion
    card: Card


def show_champion(study: str, version: int, *, storage: Storage = None) -> ChampionPage:
    """A champion and its model card, from the study's artifacts where they are, else from the export's folder.

    Raises:
        UnknownStudy, UnknownChampion: there is none. Files that cannot be read cost the card only.
    """
    from tuner.champion.card.registered import card_of, kept_card

    with open_storage(storage) as database:
        named = _find(database, f"{study}@{version}")
        opened = OpenStudy.load(database, study)
    kept = named.champion.kept
    if kept is None:
        return ChampionPage(_view(named), card_of(named.champion))
    text_of = _kept_texts(opened.artifacts, kept)
    return ChampionPage(_view(named), kept_card(named.champion, text_of))


def _kept_texts(artifacts: StudyArtifacts, kept: KeptExport) -> Callable[[str], str | None]:
    from tuner.champion.card.registered import read_text
    from tuner.champion.registry.files import check_kept_file, kept_file

    def text_of(name: str) -> str | None:
        if name not in kept.files:
            return None
        try:
            with kept_file(artifacts, name, kept.files[name], "the champion") as file:
                check_kept_file(artifacts, name, kept.files[name], "the champion", file)
                return read_text(file)
        except (RegistryError, StorageError):
            return None

    return text_of


def fetch_champion(reference: str, to: Path | str, *, storage: Storage = None) -> RegisteredChampion:
    """Writes a champion from the study's artifacts to a folder, every file checked, all of it or nothing.

    Args:
        reference: an alias, ``STUDY@VERSION``, or ``STUDY`` for its newest.
        to: the folder to make; an earlier export there is replaced.

    Raises:
        RegistryError: a file is missing or damaged, or the export was never put there; nothing was written.
        ExportError: ``to`` cannot be written or holds something else.
        StorageError: there is no such champion, or the artifacts cannot be reached.
    """
    from tuner.champion.registry.files import fetch_export

    with open_storage(storage) as database:
        found = _find(database, reference)
        opened = OpenStudy.load(database, found.study)
    called = f"champion {found.study}@{found.champion.version}"
    kept = _kept(found.champion, called)
    fetch_export(opened.artifacts, kept, called, Path(to))
    return _view(found)


@dataclass(frozen=True)
class ChampionStream:
    """A champion on its way: ``pieces`` are those of a tar archive of one folder, named ``folder``."""

    champion: RegisteredChampion
    digest: str
    folder: str
    pieces: Iterator[bytes]


def stream_champion(reference: str, *, storage: Storage = None) -> ChampionStream:
    """A champion's files as a tar archive, read while it is taken, each checked before it goes out.

    ``pieces`` raises RegistryError at a file that is missing or damaged, and StorageError where the artifacts cannot
    be reached.

    Args:
        reference: as ``fetch_champion`` takes it.

    Raises:
        RegistryError: the export was never put into the study's artifacts.
        StorageError: there is no such champion.
    """
    from tuner.champion.registry.archive import archived

    with open_storage(storage) as database:
        found = _find(database, reference)
        opened = OpenStudy.load(database, found.study)
    called = f"champion {found.study}@{found.champion.version}"
    kept = _kept(found.champion, called)
    folder = f"{found.study}-{found.champion.version}"
    pieces = archived(opened.artifacts, kept, called, folder, found.champion.created_at)
    return ChampionStream(_view(found), kept.digest, folder, pieces)


def add_export(folder: Path | str, *, storage: Storage = None) -> RegisteredChampion:
    """Registers an exported folder, as ``tuner export`` does: for an export whose registration failed.

    It is verified only if its record is as an export from this database's study has written and signed it. Any other
    one, whatever it says of itself, is registered as not verified, with the value that the study has of its trial.

    Raises:
        RegistryError: it is not of this database's study of that name, or the study has no value of its trial.
        PredictError: it is not an export, or it is damaged.
        StorageError: there is no such study, or the database or the artifacts cannot be reached.
    """
    from tuner.champion.records.champion_json import read_as_written
    from tuner.champion.registry.belief import unproven
    from tuner.champion.registry.files import digest_of, files_of, register_export
    from tuner.champion.registry.signature import is_signed

    folder = Path(folder).resolve()
    exported, written = read_as_written(folder)
    with open_storage(storage) as database:
        study = OpenStudy.load(database, exported.study)
        if study.record.fingerprint != exported.data_fingerprint:
            raise RegistryError(f"{folder} belongs to another study {exported.study}: its data is not this study's")
        digest = digest_of(files_of(folder, exported.files))
        there = {each.kept.digest: each.version for each in champions.list_champions(database, study.id) if each.kept}
        version = there.get(digest)
        if version is None:
            key = champions.known_export_key(database, study.id)
            known = exported if is_signed(written, key) else unproven(study, exported)
            version = register_export(study, folder, known)
        return _view(_find(database, f"{exported.study}@{version}"))


def register_in_mlflow(
    reference: str,
    uri: str | None = None,
    *,
    name: str | None = None,
    alias: str | None = None,
    unverified: bool = False,
    storage: Storage = None,
) -> MlflowVersion:
    """Registers a champion in an MLflow registry: a run with its files, and a version of a model.

    The run is in the experiment of the study's name and has the hyperparameters, the metrics and where it all came
    from. A model that has a version with the same files gets none more.

    Args:
        reference: as ``fetch_champion`` takes it.
        uri: of the MLflow server; $MLFLOW_TRACKING_URI without one. User and password may be in it.
        name: of the registered model; the study's without one.
        alias: of MLflow's, to point to the version; it leaves the version that had it.
        unverified: also a champion whose value could not be reproduced.

    Raises:
        RegistryError: MLflow is not installed, cannot be reached or refuses; the champion is not verified; or one of
            its files is missing or damaged.
        StorageError: there is no such champion, or the artifacts cannot be reached.
    """
    from tuner.champion.registry.belief import as_registered
    from tuner.champion.registry.files import fetch_as_written
    from tuner.champion.registry.mlflow_registry import Registration, register_in_mlflow
    from tuner.champion.registry.mlflow_server import server_at
    from tuner.champion.registry.signature import is_signed

    server = server_at(uri)
    with open_storage(storage) as database:
        found = _find(database, reference)
        opened = OpenStudy.load(database, found.study)
        key = champions.known_export_key(database, opened.id)
    study, champion = found.study, found.champion
    called = f"champion {study}@{champion.version}"
    _check_verified(champion, called, unverified)
    kept = _kept(champion, called)

    def fetch(folder: Path) -> ChampionRecord:
        record, written = fetch_as_written(opened.artifacts, kept, called, folder)
        return as_registered(record, champion, is_signed(written, key))

    wanted = Registration(
        study=study,
        version=champion.version,
        digest=kept.digest,
        fetch=fetch,
        model=study if name is None else name,
        alias=alias,
    )
    return register_in_mlflow(server, wanted)


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
    return aliases.named(database, champion.id)


def _view(named: Named) -> RegisteredChampion:
    champion = named.champion
    return RegisteredChampion(
        study=named.study,
        version=champion.version,
        trial=champion.number,
        metric=champion.verification.get("metric"),
        value=champion.value,
        verified=champion.is_verified,
        aliases=named.aliases,
        created_at=champion.created_at,
        size=champion.kept.size if champion.kept else None,
        digest=champion.kept.digest if champion.kept else None,
        path=champion.path or None,
    )


def _check_verified(champion: Champion, called: str, unverified: bool) -> None:
    if champion.is_verified or unverified:
        return
    reason = champion.verification.get("reason") or "its value was not reproduced"
    raise RegistryError(f"{called} is not verified: {reason}; accept it anyway with `unverified` (--unverified)")


def _kept(champion: Champion, called: str) -> KeptExport:
    if champion.kept is None:
        raise RegistryError(
            f"{called} was exported by an older version, to {champion.path} alone: export the trial again to register "
            "its files"
        )
    return champion.kept


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user without a name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
