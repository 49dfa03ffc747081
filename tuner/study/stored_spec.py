"""The spec that a study was launched with, read from its record."""

from __future__ import annotations

from storage import studies as study_records
from tuner.spec.search_spec import SearchSpec
from tuner.study.storage_access import Storage, open_storage


def study_spec(study: str, *, storage: Storage = None) -> SearchSpec:
    """The spec that a study was launched with."""
    with open_storage(storage) as database:
        return SearchSpec.model_validate(study_records.load_study(database, study).spec)
