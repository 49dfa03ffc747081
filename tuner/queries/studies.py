"""Questions about studies: which there are, how one stands, its leases, and its splits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from storage import lease_list, progress
from storage.artifacts import StudyArtifacts
from storage.errors import StorageError, UnknownStudy
from storage.lease_list import LeaseView
from storage.progress import StudyOverview, StudyStatus
from tuner.errors import CursorError, DataError
from tuner.queries.paging import USUAL_PAGE, Page, cursor_after, paged, position_in, whole_number
from tuner.study.open_study import OpenStudy, opened_study
from tuner.study.storage_access import Storage, open_storage


@dataclass(frozen=True)
class SplitRecord:
    """One example of a split.

    Attributes:
        file: its own, or the one that it is a row of.
        label: a class's name, a list of labels, or numbers; None without labels.
        row: counted from 1, without the header; None for a file of its own.
    """

    file: str
    label: Any
    row: int | None = None


def list_studies(*, storage: Storage = None) -> list[StudyOverview]:
    """Every study in the database, the newest first."""
    with open_storage(storage) as database:
        return progress.overview(database)


def study_page(*, limit: int = USUAL_PAGE, cursor: str | None = None, storage: Storage = None) -> Page[StudyOverview]:
    """A page of ``list_studies``.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another list, or its study was deleted.
    """
    listing = {"list": "studies"}
    after = position_in(listing, cursor)
    if not (after is None or (isinstance(after, str) and "\0" not in after)):
        raise CursorError("the cursor names no study: start without one")
    with open_storage(storage) as database:
        try:
            found = progress.overview(database, after=after, limit=limit + 1)
        except UnknownStudy:
            raise CursorError("the last study of the previous page was deleted: start without a cursor") from None
    items, more = paged(found, limit)
    return Page(items, cursor_after(listing, items[-1].study) if more else None)


def stored_spec(study: str, *, storage: Storage = None) -> dict[str, Any]:
    """The spec that a study was launched with, as it is stored: without passwords.

    Raises:
        UnknownStudy: there is none of this name; a plain Optuna study has no spec.
    """
    with opened_study(study, storage) as found:
        return dict(found.record.spec)


def study_status(study: str, *, storage: Storage = None) -> StudyStatus:
    """A study's progress, its running trials and its workers."""
    with open_storage(storage) as database:
        return progress.status(database, study)


def split_records(study: str, split: str, *, storage: Storage = None) -> list[SplitRecord]:
    """The files or rows of ``train``, ``validation`` or ``test``, in order, with their labels.

    Raises:
        DataError: the study has no such split, or its record is gone.
    """
    with open_storage(storage) as database:
        found = OpenStudy.load(database, study)
    return [SplitRecord(**item) for item in _read_split(found.artifacts, split)]


def _read_split(artifacts: StudyArtifacts, split: str) -> list[dict[str, Any]]:
    """The examples of a split, as the study recorded them.

    Raises:
        DataError: there is no such split, or the record cannot be read.
    """
    try:
        records = json.loads(artifacts.splits())
    except (StorageError, OSError, ValueError) as error:
        raise DataError(f"the study's record of its splits cannot be read: {error}") from None
    if not records.get(split):
        raise DataError(f"the study has no {split!r} split; it has {', '.join(records)}")
    found = records[split]
    # Version 0.1.0 wrote a list of examples.
    if isinstance(found, list):
        return found
    from tuner.data.prepared import examples_of

    return list(examples_of(found))


def lease_page(
    study: str, *, limit: int = USUAL_PAGE, cursor: str | None = None, storage: Storage = None
) -> Page[LeaseView]:
    """A page of a study's leases, the units of its budget.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another list.
        UnknownStudy: there is none of this name; a plain Optuna study has no leases.
    """
    listing = {"list": "leases", "study": study}
    after = whole_number(position_in(listing, cursor))
    with open_storage(storage) as database:
        found = lease_list.list_leases(database, study, after=-1 if after is None else after, limit=limit + 1)
    items, more = paged(found, limit)
    return Page(items, cursor_after(listing, items[-1].ordinal) if more else None)
