"""A spec as a study's record has it, made one again: another version of this software may have written it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tuner.errors import UnreadableSpec
from tuner.processes.versions import own_version
from tuner.spec.data import DATA_KINDS
from tuner.spec.problems import SpecModel, problems_of, unknown_keys
from tuner.spec.search_spec import SearchSpec


def read_stored_spec(stored: Mapping[str, Any], study: str, versions: Mapping[str, str] | None = None) -> SearchSpec:
    """The spec of a study's record.

    Args:
        versions: of the software that launched the study, as far as they are known.

    Raises:
        UnreadableSpec: it has keys or values that this version does not know.
    """
    try:
        return SearchSpec.model_validate(stored)
    except ValidationError as error:
        described = SpecModel(SearchSpec, DATA_KINDS)
        unknown = unknown_keys(error, described)
        refused = [each for each in problems_of(error, described) if each.key not in unknown]
        raise UnreadableSpec(
            study, unknown, refused, here=own_version(), launched_with=(versions or {}).get("keras-champion")
        ) from None
