"""A study that is open: its database, its record, its spec and its artifacts, as one object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from storage import studies
from storage.artifacts import StudyArtifacts
from storage.database import Database
from storage.studies import StudyRecord
from tuner.errors import Problem, SpecError, SpecMismatch
from tuner.study.locations import default_cache_root, study_artifacts
from tuner.study.storage_access import Storage, open_storage

if TYPE_CHECKING:
    from tuner.spec.search_spec import SearchSpec


@dataclass(frozen=True)
class OpenStudy:
    """A study of an open database, as it was when it was read.

    Attributes:
        record: its state and its budget may have changed since; ``again`` reads them anew.
        cache: this node's cache, which holds the local files of studies in buckets.
    """

    database: Database
    record: StudyRecord
    cache: Path = field(default_factory=default_cache_root)

    @classmethod
    def load(cls, database: Database, name: str, cache: Path | None = None) -> OpenStudy:
        """The study of this name. Raises UnknownStudy; a plain Optuna study counts as none.

        Args:
            cache: in place of this node's usual one.
        """
        return cls(database, studies.load_study(database, name), cache or default_cache_root())

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def id(self) -> int:
        return self.record.study_id

    @cached_property
    def spec(self) -> SearchSpec:
        """The spec that the study was launched with. Raises UnreadableSpec."""
        # The spec's module takes a fifth of a query's time to import, and most queries do without the spec.
        from tuner.study.stored_spec import read_stored_spec

        return read_stored_spec(self.record.spec, self.name, self.record.versions)

    @cached_property
    def artifacts(self) -> StudyArtifacts:
        """The study's files. Raises InvalidPlace."""
        return study_artifacts(self.record.artifacts, self.name, self.cache)

    def again(self) -> OpenStudy:
        """The study as it is now. Raises UnknownStudy."""
        return replace(self, record=studies.load_study(self.database, self.name))

    def raise_trials(self, trials: int) -> None:
        """Gives the study so many trials in all, whatever state it is in. Raises as ``check_trials`` does."""
        self.check_trials(trials)
        if trials > self.record.budget:
            studies.raise_budget(self.database, self.id, trials, {**self.record.spec, "trials": trials})

    def check_trials(self, trials: int) -> None:
        """Whether the study may have so many trials in all.

        Raises:
            SpecMismatch: it has more.
            SpecError: they are more than a study can have.
        """
        from tuner.spec.search_spec import MOST_TRIALS

        budget = self.record.budget
        if trials > MOST_TRIALS:
            raise SpecError(
                "request", [Problem("trials", f"a study can have at most {MOST_TRIALS} trials, not {trials}")]
            )
        if trials < budget:
            raise SpecMismatch(self.name, ["trials"], f"trials: can be raised, not lowered ({budget} to {trials})")


@contextmanager
def opened_study(name: str, storage: Storage = None) -> Iterator[OpenStudy]:
    """The study of this name, while the block lasts. Raises UnknownStudy."""
    with open_storage(storage) as database:
        yield OpenStudy.load(database, name)


def study_spec(study: str, *, storage: Storage = None) -> SearchSpec:
    """The spec that a study was launched with.

    Raises:
        UnknownStudy: there is none of this name; a plain Optuna study has no spec.
        UnreadableSpec: another version of this software wrote it.
    """
    with opened_study(study, storage) as found:
        return found.spec
