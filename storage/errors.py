"""The errors of the storage package.

StorageError
├── InvalidUrl           a storage URL that cannot be read, or whose driver is missing
├── DatabaseUnavailable  the database cannot be reached or used now; trying again may help
│   └── Conflict         a transaction lost against others, more than once
├── NoDatabase           nothing to query: no SQLite file, or a database without any study
├── SchemaTooNew         made by a newer version of this software
├── SchemaTooOld         made by an older version: needs an upgrade first
├── StudyExists          the name is taken
├── StudyInUse           a study that workers work on cannot be deleted
├── UnknownStudy         no study of this name
├── UnknownTrial         no trial of this number
├── UnknownChampion      no export of this version
├── UnknownAlias         no alias of this name
├── UnknownToken         no token of this name
├── UnknownColumn        nothing of this name to sort by
├── InvalidPlace         a place for artifacts that cannot be used at all
├── ArtifactsUnavailable the place of the artifacts cannot be reached or refuses; trying again may help
├── MissingArtifact      a file that is not there
├── DamagedArtifact      a file that is not what was written
├── NothingLeft          every trial of the study has begun: none is left to tell what to try
├── LeaseLost            the lease belongs to another worker now: stop and write nothing
└── TrialTaken           the trial already belongs to another lease

Each is a user's error: one clear line that says what was wrong, where, and what to do. URLs in them are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


class StorageError(Exception):
    """Root of everything the storage package raises on purpose."""


class InvalidUrl(StorageError):
    """A storage URL that cannot be used at all.

    Attributes:
        url: the URL, masked.
        reason: what is wrong with it.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(
            f"storage URL {url!r}: {reason}; use sqlite:///FILE, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"
        )


class DatabaseUnavailable(StorageError):
    """A database that cannot be reached, or that refused to work now.

    Attributes:
        url: the database's URL, masked.
        reason: what the driver said, on one line.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"cannot use the database {url}: {reason}")


class Conflict(DatabaseUnavailable):
    """A deadlock or serialization failure that repeating the transaction did not resolve."""


class NoDatabase(StorageError):
    """A query of a database that holds nothing yet.

    Attributes:
        url: the database's URL, masked.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(f"there are no studies in {url}: launch a study first, or name another one with --storage")


class SchemaTooNew(StorageError):
    """A database made by a newer version of this software.

    Attributes:
        found: the revision in the database.
        known: the newest revision that this version knows.
    """

    def __init__(self, url: str, found: str, known: str) -> None:
        self.url = url
        self.found = found
        self.known = known
        super().__init__(
            f"the database {url} has schema {found}, this version knows up to {known}: update keras-champion here"
        )


class SchemaTooOld(StorageError):
    """A database made by an older version of this software, not upgraded yet.

    Attributes:
        found: the revision in the database.
        known: the revision that this version works with.
    """

    def __init__(self, url: str, found: str, known: str) -> None:
        self.url = url
        self.found = found
        self.known = known
        super().__init__(
            f"the database {url} has schema {found}, this version needs {known}: run `tuner storage upgrade` "
            "once no worker of the older version uses it"
        )


class StudyExists(StorageError):
    """A study of this name is already there.

    Attributes:
        name: the study's name.
    """

    def __init__(self, name: str, detail: str = "") -> None:
        self.name = name
        super().__init__(f"study {name!r} already exists{detail}; choose another name")


class StudyInUse(StorageError):
    """A study that live workers work on.

    Attributes:
        name: the study's name.
        workers: the ids of those workers.
    """

    def __init__(self, name: str, workers: Sequence[str]) -> None:
        self.name = name
        self.workers = tuple(workers)
        count = len(self.workers)
        super().__init__(
            f"study {name!r} is not deleted: {count} worker{' works' if count == 1 else 's work'} on it. Stop it "
            f"(`tuner stop {name}`) and try again when they have left"
        )


class UnknownStudy(StorageError):
    """No study of this name.

    Attributes:
        name: the name asked for.
        known: every study's name.
    """

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"no study {name!r}{_near(name, self.known)}")


class UnknownTrial(StorageError):
    """No trial of this number.

    Attributes:
        study: the study's name.
        number: the number asked for.
        count: how many trials the study has; they are numbered from 0.
    """

    def __init__(self, study: str, number: int, count: int) -> None:
        self.study = study
        self.number = number
        self.count = count
        has = f"it has trials 0 to {count - 1}" if count else "it has no trials yet"
        super().__init__(f"study {study!r} has no trial {number}: {has}")


class UnknownChampion(StorageError):
    """A study has no export of this version.

    Attributes:
        study: the study's name.
        version: the version asked for; None for the newest.
        known: the versions that there are.
    """

    def __init__(self, study: str, version: int | None, known: Sequence[int]) -> None:
        self.study = study
        self.version = version
        self.known = tuple(known)
        if not self.known:
            said = f"study {study!r} has no champion yet: export one first (`tuner export {study} --to DIR`)"
        else:
            said = f"study {study!r} has no champion {version}; it has {', '.join(map(str, self.known))}"
        super().__init__(said)


class UnknownAlias(StorageError):
    """No champion has this alias.

    Attributes:
        name: the alias asked for.
        known: every alias in the database.
        studies: every study's name, where one was acceptable too.
    """

    def __init__(self, name: str, known: Sequence[str], studies: Sequence[str] = ()) -> None:
        self.name = name
        self.known = tuple(known)
        refused = f"no champion has the alias {name!r}{' and no study has that name' if studies else ''}"
        there = _all_of("alias", "aliases", self.known, name)
        and_studies = f", and {_all_of('study', 'studies', studies, name)}" if studies else ""
        super().__init__(f"{refused}; {there}{and_studies}")


class UnknownToken(StorageError):
    """No token of this name.

    Attributes:
        name: the name asked for.
        known: the names that there are.
    """

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        there = f"there is {', '.join(map(repr, self.known))}" if self.known else "there are no tokens yet"
        super().__init__(f"no token {name!r}; {there}")


class UnknownColumn(StorageError):
    """A name to sort by that is neither a column, a hyperparameter nor a metric of the study.

    Attributes:
        name: the name asked for.
        known: what can be sorted by.
    """

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"cannot sort by {name!r}: one of {', '.join(self.known)}")


class InvalidPlace(StorageError):
    """A place for artifacts that cannot be used at all.

    Attributes:
        place: as it was given.
        reason: what is wrong with it.
    """

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"artifacts {place!r}: {reason}")


class ArtifactsUnavailable(StorageError):
    """A store of artifacts that cannot be reached, or that refused to work now.

    Attributes:
        place: the store.
        reason: what it said, on one line.
    """

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"cannot use the artifacts in {place}: {reason}")


class MissingArtifact(StorageError):
    """A file that is not in its store.

    Attributes:
        place: the store.
        key: the file's.
    """

    def __init__(self, place: str, key: str) -> None:
        self.place = place
        self.key = key
        super().__init__(f"{place}/{key} does not exist")


class DamagedArtifact(StorageError):
    """A file that is not what was written: torn, or another one.

    Attributes:
        place: the store.
        key: the file's.
        reason: what is different.
    """

    def __init__(self, place: str, key: str, reason: str) -> None:
        self.place = place
        self.key = key
        self.reason = reason
        super().__init__(f"{place}/{key} is damaged: {reason}")


class LeaseLost(StorageError):
    """The lease was adopted, released or closed: whoever held it must stop and write nothing.

    Attributes:
        lease_id: the lease.
    """

    def __init__(self, lease_id: int) -> None:
        self.lease_id = lease_id
        super().__init__(f"lease {lease_id} is no longer held here: another worker has its trial")


class NothingLeft(StorageError):
    """No trial of the study is left that could be told what to try.

    Attributes:
        study: the study's name.
        budget: how many trials it has.
    """

    def __init__(self, study: str, budget: int) -> None:
        self.study = study
        self.budget = budget
        super().__init__(
            f"study {study!r} has no trial left to begin: all {budget} have begun or have an enqueued configuration; "
            f"give it more trials first (`tuner launch SPEC.yaml --trials {budget + 1}`)"
        )


class TrialTaken(StorageError):
    """A trial that belongs to another lease, or a lease that has another trial.

    Attributes:
        lease_id: the lease that asked for the trial.
        trial_id: Optuna's id of the trial.
    """

    def __init__(self, lease_id: int, trial_id: int) -> None:
        self.lease_id = lease_id
        self.trial_id = trial_id
        super().__init__(f"trial id {trial_id} and lease {lease_id} cannot be bound: one of them is bound already")


def _near(name: str, known: Sequence[str]) -> str:
    if not known:
        return ": there are no studies yet"
    near = _nearest(name, known)
    return f"; there is {', '.join(repr(each) for each in near)}"


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    return get_close_matches(name, known, n=5, cutoff=0.5) or list(known[:5])


def _all_of(one: str, several: str, known: Sequence[str], name: str) -> str:
    """What there is of a kind, as part of a sentence: of many, those whose names are nearest to the one asked for."""
    near = ", ".join(map(repr, _nearest(name, known)))
    match len(known):
        case 0:
            return f"there are no {several}"
        case 1:
            return f"the only {one} is {near}"
        case number:
            return f"there are {number} {several}, such as {near}"
